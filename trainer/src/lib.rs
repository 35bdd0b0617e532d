//! Offline side of Kinglet: trains recurrent networks on series, quantizes them and writes the
//! model files that the `kinglet` engine runs.

// The command line speaks of the library as any other program does.
extern crate self as kinglet_trainer;

pub mod ahead;
pub mod alarm;
pub mod anomaly;
pub mod answer;
pub mod backtest;
pub mod beyond;
pub mod budget;
pub mod causes;
pub mod cli;
pub mod cost;
pub mod data;
pub mod decimals;
pub mod demo;
pub mod draw;
pub mod engine;
pub mod escape;
pub mod export;
pub mod fidelity;
pub mod file;
pub mod filekind;
pub mod import;
pub mod init;
pub mod made_for;
pub mod model_file;
pub mod nearest;
pub mod net;
pub mod package;
pub mod quant;
pub mod report;
pub mod save;
pub mod spotting;
pub mod task;
pub mod train;
pub mod transcript;
pub mod tune;
pub mod unheld;
pub mod watch;

//! Training.
pub mod gemm;
pub mod init;
pub mod loss;
pub mod params;
pub mod pass;
pub mod real;
mod vectorise;

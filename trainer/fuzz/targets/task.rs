//! A task file.
#![no_main]

use kinglet_trainer::task::Task;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Ok(task) = Task::parse(text, Path::new("any.toml")) {
        let _ = (task.data_path(), task.has_tokens(), task.loss());
    }
});

//! A state dict of PyTorch.
#![no_main]

use kinglet_trainer::import::{ImportOptions, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = kinglet_trainer_fuzz::file("lstm.safetensors", bytes);
    let _ = read(&path, &ImportOptions::default()).map(|_| ());
});

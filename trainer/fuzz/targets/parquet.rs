//! A Parquet file, as the text that it would print. What its crate panics about must come out as an error: only a panic that
//! goes further is a finding.
#![no_main]

use kinglet_trainer::data::csv::Format;
use kinglet_trainer::data::open::open;
use libfuzzer_sys::fuzz_target;
use std::io::Read;

fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let path = kinglet_trainer_fuzz::file("any.parquet", bytes);
    if let Ok(input) = open(&path, &Format::default()) {
        let _ = input.text.take(1 << 22).read_to_end(&mut Vec::new());
    }
});

//! A Parquet file, as the text that it would print.
#![no_main]

use kinglet_trainer::data::csv::Format;
use kinglet_trainer::data::open::open;
use libfuzzer_sys::fuzz_target;
use std::io::Read;

fuzz_target!(|bytes: &[u8]| {
    let path = kinglet_trainer_fuzz::file("any.parquet", bytes);
    if let Ok(input) = open(&path, &Format::default()) {
        let _ = input.text.take(1 << 22).read_to_end(&mut Vec::new());
    }
});

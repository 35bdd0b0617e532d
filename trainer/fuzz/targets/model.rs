//! A model file on its way back into the trainer; its checksum is made right.
#![no_main]

use kinglet::format::file_crc;
use kinglet_trainer::file::{AlignedBytes, package};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() < 64 {
        return;
    }
    let mut file = AlignedBytes::zeroed(bytes.len());
    file.copy_from_slice(bytes);
    let crc = file_crc(&file).to_le_bytes();
    file[28..32].copy_from_slice(&crc);
    let _ = package(&file).map(|_| ());
});

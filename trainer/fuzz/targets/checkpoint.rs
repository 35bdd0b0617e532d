//! A checkpoint of a training: as it is, and with its checksum made right.
#![no_main]

use kinglet::format::crc32;
use kinglet_trainer::train::is_checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = is_checkpoint(bytes);
    let crc = crc32(bytes).to_le_bytes();
    let _ = is_checkpoint(&[&b"kinglet-training"[..], &crc, bytes].concat());
});

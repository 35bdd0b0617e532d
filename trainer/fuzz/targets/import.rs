//! Networks of other frameworks; the first byte says whether the rest is ONNX, whose files have no mark of their own.
#![no_main]

use kinglet_trainer::import::{ImportOptions, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let name = if kind % 2 == 0 { "net.onnx" } else { "net.bin" };
    let path = kinglet_trainer_fuzz::file(name, bytes);
    if let Ok(imported) = read(&path, &ImportOptions::default()) {
        let _ = imported.prove();
    }
});

//! Files that were mutated and whose lengths and checksum are then made right: refused, or run with the same bytes from
//! every kernel table.
#![no_main]

#[path = "../../tests/arbitrary/mod.rs"]
mod arbitrary;

use arbitrary::{File, drive};
use kinglet::format::{LoadError, PREAMBLE_LEN, Preamble};
use kinglet::kernel::Kernels;
use libfuzzer_sys::fuzz_target;

/// A file larger than that only takes time.
const MOST: usize = 1 << 16;

/// Lengths in the preamble as the bytes have them, and the checksum.
fn repaired(bytes: &[u8]) -> Option<File> {
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let offset = word(16)? as usize;
    let payload = bytes.len().checked_sub(offset.max(PREAMBLE_LEN))?;
    let mut file = File::new(bytes);
    file.bytes()[20..24].copy_from_slice(&(payload as u32).to_le_bytes());
    file.sign();
    for _ in 0..64 {
        match file.load().map(|_| ()) {
            Ok(()) => return Some(file),
            Err(LoadError::StateSize { need, .. }) if need <= MOST => {
                file.bytes()[24..28].copy_from_slice(&(need as u32).to_le_bytes());
            }
            Err(LoadError::Payload { need, have }) if need <= MOST => {
                let len = file.view().len() - have + need;
                let mut bytes = file.view().to_vec();
                bytes.resize(len, 0);
                bytes[20..24].copy_from_slice(&(need as u32).to_le_bytes());
                file = File::new(&bytes);
            }
            Err(_) => return None,
        }
        file.sign();
    }
    None
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() > MOST {
        return;
    }
    // As it is, and as a checksum no longer stops it.
    let _ = File::new(bytes).load().map(|_| ());
    let Some(file) = repaired(bytes) else { return };
    assert!(Preamble::read(file.view()).is_ok());
    let Ok(model) = file.load() else { return };
    if model.state_len() > MOST || model.macs() > MOST {
        return;
    }
    let want = drive(&model, &Kernels::SCALAR, 1);
    for table in Kernels::available().skip(1) {
        let got = drive(&model, table, 1);
        assert!(
            !model.is_integer() || got == want,
            "{} differs",
            table.name()
        );
    }
});

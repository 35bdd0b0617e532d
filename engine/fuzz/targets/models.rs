//! Random valid models, through every door, on every kernel table.
#![no_main]

#[path = "../../tests/arbitrary/mod.rs"]
mod arbitrary;

use arbitrary::{Choices, Spec, drive};
use kinglet::kernel::Kernels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let any = &mut Choices::from_bytes(bytes);
    let file = Spec::any(any).build(any);
    let model = file.load().expect("a valid model");
    let seed = any.word().into();
    let want = drive(&model, &Kernels::SCALAR, seed);
    for table in Kernels::available().skip(1) {
        let got = drive(&model, table, seed);
        assert!(
            !model.is_integer() || got == want,
            "{} differs",
            table.name()
        );
    }
});

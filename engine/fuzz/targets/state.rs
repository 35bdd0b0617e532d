//! Saved states: any bytes, and any numbers behind a right checksum.
#![no_main]

use kinglet::format::{Input, crc32};
use kinglet::{Model, State, include_model};
use libfuzzer_sys::fuzz_target;

static MODELS: [&[u8]; 4] = [
    include_model!("../../tests/models/lstm_w8a8.kgl"),
    include_model!("../../tests/models/window_f32.kgl"),
    include_model!("../../tests/models/gru_before_w4a8.kgl"),
    include_model!("../../tests/models/mixed_f16.kgl"),
];

fuzz_target!(|bytes: &[u8]| {
    for model in MODELS {
        let model = Model::from_bytes(model).expect("a model");
        let mut state = State::<4096>::new();
        let mut net = model.bind(&mut state).expect("fits");
        let _ = net.restore(bytes);
        let mut saved = vec![0; model.saved_len()];
        net.reset();
        net.save(&mut saved).expect("zeros are numbers");
        for (place, byte) in saved[12..].iter_mut().zip(bytes) {
            *place = *byte;
        }
        let crc = crc32(&[&saved[..8], &saved[12..]].concat());
        saved[8..12].copy_from_slice(&crc.to_le_bytes());
        if net.restore(&saved).is_ok() && matches!(model.header().input, Input::Features { .. }) {
            let mut y = vec![0.0; model.outputs()];
            net.step(&vec![0.5; model.inputs()], &mut y);
        }
    }
});

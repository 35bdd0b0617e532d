//! A recording; the first byte says of which rate one is expected, and whether it goes on as it is heard.
#![no_main]

use kinglet_trainer::data::audio::Recording;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, recording)) = bytes.split_first() else {
        return;
    };
    let rate = [16_000, 8_000, 44_100, 1][usize::from(how & 3)];
    let Ok(recording) = Recording::new(recording, rate, "any.wav") else {
        return;
    };
    let mut recording = recording.live(how & 4 != 0);
    while let Ok(Some(sample)) = recording.next_sample() {
        assert!(sample.is_finite());
    }
});

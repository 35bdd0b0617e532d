//! A network that listens: samples of a microphone go through the front end, and a row of every hop through the network.

use kinglet::audio::{LogMel, Settings};
use kinglet::{Digest, Embedded, Greedy, Net, State, include_model, state_len};

/// As `kinglet inspect` prints it.
pub const HEARS: Settings = Settings {
    rate: 8000,
    frame: 256,
    hop: 160,
    bands: 12,
    low: 60.0,
    high: 4000.0,
};

/// High and low beeps; `trainer/tests/audio.rs` trains it.
pub struct Beeps;

impl Embedded for Beeps {
    const FILE: &'static [u8] = include_model!("../model/beeps.kgl");
    type State = State<{ state_len(Self::FILE) }>;
}

/// Of all rows of a second, the tokens heard in it and the network's state.
pub const DIGEST: u32 = 0xc75e_aef3;

/// A second of a sawtooth that sweeps, with its digest. `measure` runs the work of each hop; without a network the rows alone.
pub fn second(network: bool, mut measure: impl FnMut(&mut dyn FnMut())) -> u32 {
    let Ok(mut front) = LogMel::<{ HEARS.frame }, { HEARS.bands }>::new(HEARS) else {
        return 0;
    };
    let (mut net, mut greedy, mut scores) = (Net::<Beeps>::new(), Greedy::new(), [0.0; 3]);
    let mut digest = Digest::new();
    for hop in 0..50i32 {
        measure(&mut || {
            for n in hop * 160..(hop + 1) * 160 {
                let sample = (n * n * 3 + n * 200) as i16;
                let Some(row) = front.push(f32::from(sample) / 32768.0) else {
                    continue;
                };
                digest.add_f32(row);
                if let (true, Ok(row)) = (network, row.try_into()) {
                    net.step::<{ HEARS.bands }, 3>(row, &mut scores);
                    if let Some(token) = greedy.push(&scores) {
                        digest.add_bytes(&[token as u8]);
                    }
                }
            }
        });
    }
    digest.add_bytes(net.layer_state());
    digest.value()
}

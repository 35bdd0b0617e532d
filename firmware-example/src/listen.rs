//! Networks that listen: samples of a microphone go through the front end, and a row of every hop through a network. One says what it
//! hears, the other waits for a word.

use kinglet::audio::{LogMel, Settings};
use kinglet::{
    Digest, Embedded, Greedy, Net, SlidingWindow, Spotter, State, include_model, state_len,
    window_len,
};

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

/// Waits for a high beep, in windows of 24 rows; likewise.
pub struct Wakes;

impl Embedded for Wakes {
    const FILE: &'static [u8] = include_model!("../model/wakes.kgl");
    type State = State<{ state_len(Self::FILE) }>;
}

/// Samples that a window keeps.
const WINDOW: usize = window_len(Wakes::FILE);

const SPOTTER: Spotter = match Spotter::new(Net::<Wakes>::model(), "high") {
    Some(spotter) => spotter,
    None => panic!("wakes.kgl does not wait for \"high\""),
};

/// Of [`rows`], [`tokens`] and [`word`], on every machine.
pub const DIGESTS: [u32; 3] = [0xaad5_ef51, 0xc75e_aef3, 0xb1ad_e7b6];

/// A second of a sawtooth that sweeps, through the front end: the digest of all rows, and of what `hear` makes of them. `measure`
/// runs the work of each hop.
fn second(
    mut hear: impl FnMut(&[f32], &mut Digest),
    mut measure: impl FnMut(&mut dyn FnMut()),
) -> Option<Digest> {
    let mut front = LogMel::<{ HEARS.frame }, { HEARS.bands }>::new(HEARS).ok()?;
    let mut digest = Digest::new();
    for hop in 0..50i32 {
        measure(&mut || {
            for n in hop * 160..(hop + 1) * 160 {
                let sample = (n * n * 3 + n * 200) as i16;
                if let Some(row) = front.push(f32::from(sample) / 32768.0) {
                    digest.add_f32(row);
                    hear(row, &mut digest);
                }
            }
        });
    }
    Some(digest)
}

/// Nobody listens.
pub fn rows(measure: impl FnMut(&mut dyn FnMut())) -> u32 {
    second(|_, _| (), measure).map_or(0, |digest| digest.value())
}

/// [`Beeps`] says what it hears.
pub fn tokens(measure: impl FnMut(&mut dyn FnMut())) -> u32 {
    let (mut net, mut greedy, mut scores) = (Net::<Beeps>::new(), Greedy::new(), [0.0; 3]);
    let hear = |row: &[f32], digest: &mut Digest| {
        if let Ok(row) = row.try_into() {
            net.step::<{ HEARS.bands }, 3>(row, &mut scores);
            if let Some(token) = greedy.push(&scores) {
                digest.add_bytes(&[token as u8]);
            }
        }
    };
    second(hear, measure).map_or(0, |mut digest| {
        digest.add_bytes(net.layer_state());
        digest.value()
    })
}

/// [`Wakes`] waits for its word.
pub fn word(measure: impl FnMut(&mut dyn FnMut())) -> u32 {
    let (mut net, mut spotter, mut scores) = (Net::<Wakes>::new(), SPOTTER, [0.0; 3]);
    let shape = Net::<Wakes>::model().header().shape;
    let Ok(mut windows) = SlidingWindow::new(shape, HEARS.bands, [0.0; WINDOW]) else {
        return 0;
    };
    let hear = |row: &[f32], digest: &mut Digest| {
        if windows.push(&mut net, row, &mut scores) {
            digest.add_f32(&[spotter.push(&scores).score]);
        }
    };
    second(hear, measure).map_or(0, |mut digest| {
        digest.add_bytes(net.layer_state());
        digest.value()
    })
}

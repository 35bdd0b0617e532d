//! The front end of a network that listens: from samples to the logarithms of energies in mel bands, a row every hop.
//!
//! Frame `k` holds samples `k·hop .. k·hop + frame`, without padding. Each row is
//!
//! ```text
//! X   = real FFT of the frame under a periodic Hann window, not normalised
//! e_b = Σ_i w_b(i) |X_i|²       triangles of peak 1, linear in Hz, whose corners are equally spaced on HTK's mel scale
//! y_b = ln max(e_b, 1e-6)
//! ```
//!
//! which is what `librosa.feature.melspectrogram(center=False, htk=True, norm=None)` gives to within rounding
//! (`engine/tests/audio.rs` compares them). Floats of 32 bits, added and multiplied in one order and never fused: the rows are the
//! same bytes on every machine, and a network is trained on those that its device computes.
//!
//! The transform is one of half the length on pairs of samples. It shares a table with the window, which the compiler computes, and
//! leaves the energies where the samples were: two frames of floats is all the memory there is. A crate for it would be `microfft`,
//! which is as exact; it brings four more crates, keeps its table to itself, and one of the longest frame at that.

use core::f64::consts::PI;
use core::fmt;

/// Energies below this count as this: about that of silence in 16 bits.
const FLOOR: f32 = 1e-6;

/// The shortest and the longest frame.
const FRAMES: [usize; 2] = [64, 2048];

/// What a front end listens to and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Samples a second.
    pub rate: u32,
    /// Samples of a frame: a power of two from 64 to 2,048.
    pub frame: usize,
    /// A new frame every so many samples.
    pub hop: usize,
    /// Numbers of a row.
    pub bands: usize,
    /// Where the lowest band begins, in Hz.
    pub low: f32,
    /// Where the highest one ends, in Hz; at most half the rate.
    pub high: f32,
}

/// Why there is no front end of such settings.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SettingsError {
    /// The frame is no power of two, or too short or too long.
    Frame {
        /// Samples of it.
        found: usize,
        /// The most it may have here.
        max: usize,
    },
    /// No bands, or too many.
    Bands {
        /// How many.
        found: usize,
        /// The most there may be here.
        max: usize,
    },
    /// A hop of no samples.
    Hop,
    /// The bands do not lie between 0 and half the rate, from low to high.
    Range {
        /// Where they begin, in Hz.
        low: f32,
        /// Where they end, in Hz.
        high: f32,
        /// Samples a second.
        rate: u32,
    },
    /// A band so narrow that no frequency of the transform lies in it.
    Empty {
        /// Which one, from 0.
        band: usize,
        /// Where it begins, in Hz.
        low: f32,
        /// Where it ends, in Hz.
        high: f32,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            SettingsError::Frame { found, max } => write!(
                f,
                "a frame of {found} samples, must be a power of two from {} to {max}",
                FRAMES[0]
            ),
            SettingsError::Bands { found, max } => write!(f, "{found} bands, must be 1 to {max}"),
            SettingsError::Hop => f.write_str("a hop of 0 samples, must be at least 1"),
            SettingsError::Range { low, high, rate } => write!(
                f,
                "bands from {low} to {high} Hz, must rise from 0 or more to at most half of {rate} samples a second"
            ),
            SettingsError::Empty { band, low, high } => write!(
                f,
                "band {band} ({low:.0} to {high:.0} Hz) lies between two frequencies of the transform, so it would hear nothing: \
                 fewer bands, a longer frame or a higher low"
            ),
        }
    }
}

impl core::error::Error for SettingsError {}

/// Turns samples into rows of log-mel energies, with room for frames of `FRAME` samples and rows of `BANDS` numbers: 8 bytes of
/// RAM for each of the former and for each of the latter (256 and 24: 2,272 in all), and 2 bytes of flash for each of the former. A
/// second of sound (8,000 samples, 50 rows of 12) takes a Cortex-M4 1.44 million instructions and a Cortex-M0, which has no floats, 45 million
/// (`firmware-example/run.sh`).
///
/// ```
/// use kinglet::audio::{LogMel, Settings};
///
/// // As the model was trained: `kinglet inspect` prints it.
/// const HEARS: Settings =
///     Settings { rate: 8000, frame: 256, hop: 160, bands: 24, low: 60.0, high: 4000.0 };
///
/// let mut front = LogMel::<{ HEARS.frame }, { HEARS.bands }>::new(HEARS)?;
/// let mut rows = 0;
/// for sample in [0i16, 900, -900].into_iter().cycle().take(576) {
///     // Full scale is 1. A row every 20 ms goes to `Runner::step`.
///     if let Some(row) = front.push(f32::from(sample) / 32768.0) {
///         assert!(row.iter().all(|energy| energy.is_finite()));
///         rows += 1;
///     }
/// }
/// assert_eq!(rows, 3);
/// # Ok::<(), kinglet::audio::SettingsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LogMel<const FRAME: usize, const BANDS: usize> {
    frame: usize,
    /// Steps of the table for one of the transform.
    stride: usize,
    hop: usize,
    bands: usize,
    /// The last samples, a ring; the place of the oldest one, where the next one goes.
    heard: [f32; FRAME],
    oldest: usize,
    /// Samples to the end of the next frame.
    until: usize,
    /// The transform works here.
    work: [f32; FRAME],
    /// Where the first band begins, where each one peaks, and where the last one ends, in steps of the transform's frequencies.
    low: f32,
    peaks: [f32; BANDS],
    high: f32,
    row: [f32; BANDS],
}

impl<const FRAME: usize, const BANDS: usize> LogMel<FRAME, BANDS> {
    /// `cos` and `sin` of a quarter of a turn, `FRAME / 4` steps. A quarter further they are `-sin` and `cos`.
    const QUARTER: &[[f32; 2]] = match FRAME {
        64 => &quarter::<16>(),
        128 => &quarter::<32>(),
        256 => &quarter::<64>(),
        512 => &quarter::<128>(),
        1024 => &quarter::<256>(),
        2048 => &quarter::<512>(),
        _ => panic!("FRAME of a LogMel must be a power of two from 64 to 2048"),
    };

    /// Begins in silence. A `FRAME` that is no power of two from 64 to 2,048 does not compile.
    ///
    /// # Errors
    /// If there is no such front end, or no room for it.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let Settings {
            rate,
            frame,
            hop,
            bands,
            low,
            high,
        } = settings;
        if !frame.is_power_of_two() || frame < FRAMES[0] || frame > Self::QUARTER.len() * 4 {
            return Err(SettingsError::Frame {
                found: frame,
                max: FRAME,
            });
        }
        if bands == 0 || bands > BANDS {
            return Err(SettingsError::Bands {
                found: bands,
                max: BANDS,
            });
        }
        if hop == 0 {
            return Err(SettingsError::Hop);
        }
        // False of what is no number.
        if !(0.0 <= low && low < high && high <= rate as f32 / 2.0) {
            return Err(SettingsError::Range { low, high, rate });
        }
        let step = rate as f32 / frame as f32;
        // Equal steps of 2595 log10(1 + f / 700) are equal steps of any logarithm.
        let mel = |hz: f32| libm::logf(1.0 + hz / 700.0);
        let (first, last) = (mel(low), mel(high));
        let corner = |number: usize| {
            let share = number as f32 / (bands + 1) as f32;
            let hz = 700.0 * (libm::expf(first + (last - first) * share) - 1.0);
            hz / step
        };
        let mut peaks = [0.0; BANDS];
        for (band, peak) in peaks.iter_mut().take(bands).enumerate() {
            *peak = corner(band + 1);
        }
        let front = LogMel {
            frame,
            stride: FRAME / frame,
            hop,
            bands,
            heard: [0.0; FRAME],
            oldest: 0,
            until: frame,
            work: [0.0; FRAME],
            low: low / step,
            peaks,
            high: high / step,
            row: [0.0; BANDS],
        };
        for band in 0..bands {
            let (low, high) = (front.corner(band), front.corner(band + 2));
            if (low as usize + 1) as f32 >= high {
                let (low, high) = (low * step, high * step);
                return Err(SettingsError::Empty { band, low, high });
            }
        }
        Ok(front)
    }

    /// Takes a sample, whose full scale is 1. Some, if a frame ended with it: its row. Of samples beyond 10^15 energies are infinite, which a
    /// network takes as 0.
    #[inline]
    pub fn push(&mut self, sample: f32) -> Option<&[f32]> {
        if let Some(place) = self.heard.get_mut(self.oldest) {
            *place = sample;
        }
        self.oldest = (self.oldest + 1) & (self.frame - 1);
        self.until -= 1;
        if self.until > 0 {
            return None;
        }
        self.until = self.hop;
        self.end_frame()
    }

    /// Apart, so that a sample that ends no frame costs no call.
    #[inline(never)]
    fn end_frame(&mut self) -> Option<&[f32]> {
        self.transform();
        self.measure();
        self.row.get(..self.bands)
    }

    /// Takes samples, and gives away the row of every frame that ends among them.
    pub fn push_all(&mut self, samples: &[f32], mut row: impl FnMut(&[f32])) {
        for &sample in samples {
            if let Some(ended) = self.push(sample) {
                row(ended);
            }
        }
    }

    /// The last samples, the oldest first, as many as a frame has, and how many are left to the end of the next frame: what
    /// [`Self::resume`] goes on from.
    pub fn heard(&self) -> (impl Iterator<Item = f32> + '_, usize) {
        let (frame, oldest) = (self.frame, self.oldest);
        let place = move |at: usize| (oldest + at) & (frame - 1);
        let heard = (0..frame).map(move |at| self.heard.get(place(at)).copied().unwrap_or(0.0));
        (heard, self.until)
    }

    /// Goes on from there. False, and nothing has changed, if that was with frames of another length or further apart.
    pub fn resume(&mut self, heard: &[f32], until: usize) -> bool {
        let far = self.frame.max(self.hop);
        let place = self.heard.get_mut(..self.frame);
        let Some(place) =
            place.filter(|place| place.len() == heard.len() && (1..=far).contains(&until))
        else {
            return false;
        };
        place.copy_from_slice(heard);
        (self.oldest, self.until) = (0, until);
        true
    }

    /// Begins anew, in silence.
    pub fn reset(&mut self) {
        self.heard = [0.0; FRAME];
        (self.oldest, self.until) = (0, self.frame);
    }

    /// `cos` and `sin` of a quarter of a turn in `frame / 4` steps, which the transform and its window are computed with.
    pub fn turns(&self) -> impl Iterator<Item = [f32; 2]> + '_ {
        Self::QUARTER.iter().step_by(self.stride.max(1)).copied()
    }

    /// The frame's transform: `frame / 2` complex numbers, of the samples with even numbers plus `i` times those with odd ones.
    fn transform(&mut self) {
        let (half, stride) = (self.frame / 2, self.stride);
        let (pairs, _) = self.work.as_chunks_mut::<2>();
        let Some(pairs) = pairs.get_mut(..half) else {
            return;
        };
        let (heard, oldest, last) = (&self.heard, self.oldest, self.frame - 1);
        let windowed = |at: usize| {
            let place = at * stride;
            let quadrant = place / (FRAME / 4);
            let of_pair = 2 * (place & (FRAME / 4 - 1)) + (quadrant & 1);
            let found = Self::QUARTER.as_flattened().get(of_pair);
            let found = found.copied().unwrap_or_default();
            // `cos`, `-sin`, `-cos`, `sin`.
            let cos = match (quadrant + 1) & 2 {
                0 => found,
                _ => -found,
            };
            let sample = heard.get((oldest + at) & last).copied().unwrap_or(0.0);
            sample * (0.5 - 0.5 * cos)
        };
        // In the order that the butterflies want: the bits of a place are those of its number, reversed.
        let shift = usize::BITS - half.trailing_zeros();
        for (place, pair) in pairs.iter_mut().enumerate() {
            let number = place.reverse_bits() >> shift;
            *pair = [windowed(2 * number), windowed(2 * number + 1)];
        }
        // Blocks of two points are not turned.
        for [a, b] in pairs.as_chunks_mut::<2>().0 {
            butterfly(a, b, [1.0, 0.0]);
        }
        // Half a block is half a turn: two quarters of so many points, each of which is so many steps of the table.
        let (mut quarter, mut step) = (1, FRAME / 4);
        while 2 * quarter < half {
            // That neither is 0 is plain here and not to the compiler, which would keep a panic.
            for block in pairs.chunks_exact_mut((4 * quarter).max(1)) {
                let Some((low, high)) = block.split_at_mut_checked(2 * quarter) else {
                    return;
                };
                let halves = (
                    low.split_at_mut_checked(quarter),
                    high.split_at_mut_checked(quarter),
                );
                let (Some((a, c)), Some((b, d))) = halves else {
                    return;
                };
                let turns = Self::QUARTER.iter().step_by(step.max(1));
                for (((a, b), (c, d)), &[cos, sin]) in
                    a.iter_mut().zip(b).zip(c.iter_mut().zip(d)).zip(turns)
                {
                    butterfly(a, b, [cos, sin]);
                    butterfly(c, d, [-sin, cos]);
                }
            }
            (quarter, step) = (quarter * 2, step / 2);
        }
        self.energies();
    }

    /// From the transform of pairs to the energies of the samples' own: that of frequency `i` stands first in pair `i`. No band hears the
    /// one of half the rate.
    fn energies(&mut self) {
        let half = self.frame / 2;
        let (pairs, _) = self.work.as_chunks_mut::<2>();
        let Some((zero, rest)) = pairs.get_mut(..half).and_then(<[_]>::split_first_mut) else {
            return;
        };
        let sum = zero[0] + zero[1];
        zero[0] = sum * sum;
        // Frequencies `i` and `half - i` come from the same two pairs; that of the middle one is its own.
        let (below, above) = match rest.split_at_mut_checked(half / 2 - 1) {
            Some((below, [middle, above @ ..])) => {
                middle[0] = middle[0] * middle[0] + middle[1] * middle[1];
                (below, above)
            }
            _ => return,
        };
        let mut turns = Self::QUARTER.iter().step_by(self.stride.max(1));
        // `skip` would divide, and keep the panic of a division by 0.
        turns.next();
        for ((p, q), [cos, sin]) in below.iter_mut().zip(above.iter_mut().rev()).zip(turns) {
            // The transforms of the even samples and of the odd ones.
            let even = [0.5 * (p[0] + q[0]), 0.5 * (p[1] - q[1])];
            let odd = [0.5 * (p[1] + q[1]), 0.5 * (q[0] - p[0])];
            let turned = [odd[0] * cos + odd[1] * sin, odd[1] * cos - odd[0] * sin];
            let (sum, difference) = (
                [even[0] + turned[0], even[1] + turned[1]],
                [even[0] - turned[0], even[1] - turned[1]],
            );
            p[0] = sum[0] * sum[0] + sum[1] * sum[1];
            q[0] = difference[0] * difference[0] + difference[1] * difference[1];
        }
    }

    /// Corners of the bands, in steps of the transform's frequencies: band `b` begins at corner `b`, peaks at the next, and ends at the one
    /// behind that.
    pub fn corner(&self, number: usize) -> f32 {
        match number.checked_sub(1) {
            None => self.low,
            Some(band) if band < self.bands => self.peaks.get(band).copied().unwrap_or(self.high),
            Some(_) => self.high,
        }
    }

    /// From the energies of frequencies to the row. Between two corners one band falls and the next one rises.
    fn measure(&mut self) {
        let (pairs, _) = self.work.as_chunks::<2>();
        let mut falling = 0.0;
        for number in 0..=self.bands {
            let (from, to) = (self.corner(number), self.corner(number + 1));
            let scale = 1.0 / (to - from);
            let (mut fallen, mut risen) = (falling, 0.0);
            // The first frequency at or above the corner.
            let mut at = from as usize + usize::from((from as usize as f32) < from);
            while at < self.frame / 2 && (at as f32) < to {
                let energy = pairs.get(at).map_or(0.0, |pair| pair[0]);
                fallen += (to - at as f32) * scale * energy;
                risen += (at as f32 - from) * scale * energy;
                at += 1;
            }
            if let Some(ended) = number
                .checked_sub(1)
                .and_then(|band| self.row.get_mut(band))
            {
                *ended = libm::logf(fallen.max(FLOOR));
            }
            falling = risen;
        }
    }
}

/// `b` turned back, and its sum with `a` and difference from it in their places.
#[inline(always)]
fn butterfly(a: &mut [f32; 2], b: &mut [f32; 2], [cos, sin]: [f32; 2]) {
    let turned = [b[0] * cos + b[1] * sin, b[1] * cos - b[0] * sin];
    *b = [a[0] - turned[0], a[1] - turned[1]];
    *a = [a[0] + turned[0], a[1] + turned[1]];
}

/// `cos` and `sin` of a quarter of a turn in `N` steps.
const fn quarter<const N: usize>() -> [[f32; 2]; N] {
    let mut turn = [[0.0; 2]; N];
    let mut at = 0;
    while at < N {
        let angle = PI * at as f64 / (2 * N) as f64;
        turn[at] = [
            series(1.0, 1.0, angle) as f32,
            series(angle, 2.0, angle) as f32,
        ];
        at += 1;
    }
    turn
}

/// The series of `sin` or `cos` from this first term on, whose second one is divided by `count (count + 1)`: exact to 64 bits up to a
/// quarter of a turn.
const fn series(first: f64, count: f64, angle: f64) -> f64 {
    let (mut sum, mut term, mut count) = (0.0, first, count);
    while count < 30.0 {
        sum += term;
        term *= -angle * angle / (count * (count + 1.0));
        count += 2.0;
    }
    sum
}

//! Steps of a counter whose readings an `f32` cannot hold.
//!
//! A meter at 1.8 · 10^9 Wh goes by 128 as an `f32`, so its differences are taken between integers, and only they are
//! rounded: `diff(wh)` of a table, where the trainer takes them in 64 bits and rounds to the same number.

/// The last reading of a counter, from which the next step is taken.
///
/// ```
/// let mut meter = kinglet::Counter::new();
/// assert_eq!(meter.step(1_823_456_809), 0.0);
/// assert_eq!(meter.step(1_823_456_830), 21.0);
/// // Of a counter with more bits the lower ones do, and one that begins anew after its last number goes on.
/// let mut pulses = kinglet::Counter::new();
/// assert_eq!(pulses.step(0xffff_fffe), 0.0);
/// assert_eq!(pulses.step(1), 3.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    last: Option<u32>,
}

impl Counter {
    /// Before the first reading.
    pub const fn new() -> Self {
        Counter { last: None }
    }

    /// After this reading, to go on from what [`Self::last`] gave.
    pub const fn after(last: u32) -> Self {
        Counter { last: Some(last) }
    }

    /// The reading less the one before, up to 2^31 either way; 0 for the first. Where a reading is missing the step is 0 and
    /// this is not called, so that the next one has the whole way.
    pub const fn step(&mut self, reading: u32) -> f32 {
        let before = match self.last {
            Some(last) => last,
            None => reading,
        };
        self.last = Some(reading);
        reading.wrapping_sub(before) as i32 as f32
    }

    /// The last reading, to be saved beside the state.
    pub const fn last(&self) -> Option<u32> {
        self.last
    }
}

//! What an input or an output of a network is like over data: mean, spread, ends, and some of its values.

/// Values that are kept at the most, besides the ends.
const KEPT: usize = 8192;

/// One input or output, over all steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    count: f64,
    /// The first value, from which the moments are taken: counters are far from zero.
    first: f64,
    sum: f64,
    squares: f64,
    /// Least and largest value.
    pub ends: [f32; 2],
    kept: Vec<f32>,
}

impl Default for Column {
    fn default() -> Self {
        Column {
            count: 0.0,
            first: 0.0,
            sum: 0.0,
            squares: 0.0,
            ends: [f32::INFINITY, f32::NEG_INFINITY],
            kept: Vec::new(),
        }
    }
}

impl Column {
    /// A row of columns, whose values are worth keeping or not.
    pub(super) fn meet_all(columns: &mut [Column], row: &[f32], keep: bool) {
        for (column, &x) in columns.iter_mut().zip(row) {
            column.meet(x, keep);
        }
    }

    fn meet(&mut self, x: f32, keep: bool) {
        if self.count == 0.0 {
            self.first = f64::from(x);
        }
        let from_first = f64::from(x) - self.first;
        self.count += 1.0;
        self.sum += from_first;
        self.squares += from_first * from_first;
        self.ends = [self.ends[0].min(x), self.ends[1].max(x)];
        if keep && self.kept.len() < KEPT {
            self.kept.push(x);
        }
    }

    /// Mean.
    pub fn mean(&self) -> f64 {
        self.first + self.sum / self.count.max(1.0)
    }

    /// Standard deviation.
    pub fn deviation(&self) -> f64 {
        let count = self.count.max(1.0);
        let mean = self.sum / count;
        (self.squares / count - mean * mean).max(0.0).sqrt()
    }

    /// Centre and deviation of all but the tails: from the values between the twentieth parts at both ends. Mean and
    /// standard deviation where most values are the same.
    pub(super) fn middle(&self) -> (f64, f64) {
        let mut sorted = self.kept.clone();
        sorted.sort_by(f32::total_cmp);
        let at = |part: f64| sorted.get((part * sorted.len() as f64) as usize).copied();
        let deviation = self.deviation();
        let (Some(low), Some(middle), Some(high)) = (at(0.05), at(0.5), at(0.95)) else {
            return (self.mean(), deviation);
        };
        // Of a normal distribution that is 3.29 deviations.
        let between = (f64::from(high) - f64::from(low)) / 3.29;
        if between > 0.0 && 4.0 * between < deviation {
            (f64::from(middle), between)
        } else {
            (self.mean(), deviation)
        }
    }

    /// The farthest value from zero.
    pub(super) fn farthest(&self) -> f64 {
        f64::from(self.ends[0].abs().max(self.ends[1].abs()))
    }

    /// Values and their weights, which sum up to 1: the ends stand for themselves.
    pub(super) fn values(&self) -> impl Iterator<Item = (f64, f64)> {
        let end = 1.0 / self.count.max(1.0);
        let each = (1.0 - 2.0 * end).max(0.0) / self.kept.len().max(1) as f64;
        let kept = self.kept.iter().map(move |&x| (f64::from(x), each));
        let ends = self.ends.into_iter().map(move |x| (f64::from(x), end));
        kept.chain(ends.filter(|(x, _)| x.is_finite()))
    }
}

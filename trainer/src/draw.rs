//! New rows from a model whose tokens are levels: it says how likely each level of the next number is, one is drawn, and becomes what
//! it reads next. From the same class and seed a device draws the same rows: [`kinglet::Sampler`] over the scores of the column
//! whose turn it is.

use std::f64::consts::TAU;
use std::ops::Range;

use kinglet::format::{Input, Output};
use kinglet::{Model, Runner, Sampler};

use crate::data::{Dataset, Part, Written};
use crate::model_file::input_names;

/// What a model draws.
#[derive(Debug)]
pub struct Drawing {
    /// The columns of a row.
    pub columns: Vec<Column>,
    /// What a row may begin with; empty where rows begin with no token.
    pub classes: Vec<String>,
    /// Rows that begin with tokens of their own; 1: all begin alike.
    numbered: usize,
}

/// A column and its tokens.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Number of the token of its first level.
    first: usize,
    /// From low to high.
    levels: Vec<f32>,
}

impl Column {
    fn tokens(&self) -> Range<usize> {
        self.first..self.first + self.levels.len()
    }
}

impl Drawing {
    /// `None` where the tokens are no levels.
    pub fn of(model: &Model<'_>, written: &Written) -> Option<Self> {
        let header = model.header();
        let (Input::Tokens { .. }, Output::NextToken { .. }) = (header.input, header.output) else {
            return None;
        };
        let names: Vec<&str> = input_names(model).iter().map(|n| n.0).collect();
        let level = |token: usize, column: &str| -> Option<f32> {
            let number = names.get(token)?.strip_prefix(column)?.strip_prefix('=')?;
            number.parse().ok()
        };
        let first = written.levels.first()?;
        let mut token = (1..names.len()).find(|&t| level(t, first).is_some())?;
        let numbered = written.rows.max(1);
        let kinds = (token - 1) / numbered;
        let classes = names[1..1 + kinds].iter().map(|&name| name.to_owned());
        let classes = classes.collect();
        let mut columns = Vec::new();
        for name in &written.levels {
            let levels: Vec<f32> = (token..).map_while(|t| level(t, name)).collect();
            columns.push(Column {
                name: name.clone(),
                first: token,
                levels,
            });
            token += columns.last().map_or(0, |column| column.levels.len());
        }
        let whole = token == names.len() && columns.iter().all(|column| !column.levels.is_empty());
        whole.then_some(Drawing {
            columns,
            classes,
            numbered,
        })
    }

    /// The token that a row of a class begins with; `None` where it begins with none.
    fn begins(&self, row: usize, class: usize) -> Option<usize> {
        let token = 1 + row % self.numbered * self.classes.len() + class;
        (!self.classes.is_empty()).then_some(token)
    }

    /// A sequence of rows, one behind the other: `rows` of them unless the end is drawn before, and no more than a picture has.
    pub fn sequence(
        &self,
        runner: &mut Runner<'_, '_>,
        sampler: &mut Sampler,
        class: usize,
        rows: usize,
    ) -> Vec<f32> {
        let mut scores = vec![0.0; self.columns.last().map_or(0, |column| column.tokens().end)];
        let mut drawn = Vec::new();
        let mut token = self.begins(0, class).unwrap_or(0);
        let most = if self.numbered > 1 {
            self.numbered
        } else {
            rows
        };
        runner.reset();
        for row in 0..rows.min(most) {
            if row > 0
                && let Some(next) = self.begins(row, class)
            {
                runner.step_token(token, &mut scores);
                if sampler.draw_probable(&[scores[next], scores[0]]) == 1 {
                    return drawn;
                }
                token = next;
            }
            for (k, column) in self.columns.iter().enumerate() {
                runner.step_token(token, &mut scores);
                let mut probabilities = scores[column.tokens()].to_vec();
                if k == 0 && row > 0 && self.classes.is_empty() {
                    probabilities.push(scores[0]);
                }
                let level = sampler.draw_probable(&probabilities);
                let Some(&value) = column.levels.get(level) else {
                    return drawn;
                };
                drawn.push(value);
                token = column.first + level;
            }
        }
        drawn
    }

    /// The rows of a sequence of tokens.
    fn rows(&self, tokens: impl Iterator<Item = usize>) -> Vec<f32> {
        let value = |token: usize| {
            let column = self.columns.iter().find(|c| c.tokens().contains(&token))?;
            column.levels.get(token - column.first).copied()
        };
        tokens.filter_map(value).collect()
    }

    /// The sequences of a part, at most so many, evenly chosen; each with one of its class and length that is drawn.
    pub fn beside_real(
        &self,
        data: &Dataset,
        part: Part,
        most: usize,
        (runner, sampler): (&mut Runner<'_, '_>, &mut Sampler),
    ) -> Vec<Beside> {
        let all: Vec<_> = data.sequences(part).collect();
        let chosen = all.iter().step_by(all.len().div_ceil(most.max(1)).max(1));
        let beside = |sequence: &crate::data::Sequence<'_>| {
            let truth = (0..sequence.steps()).map(|t| sequence.truth(t)[0] as usize);
            let real = self.rows(truth);
            let begins = (sequence.raw(0)[0] as usize).saturating_sub(1);
            let class = begins % self.classes.len().max(1);
            let rows = real.len() / self.columns.len();
            Beside {
                class,
                drawn: self.sequence(runner, sampler, class, rows),
                real,
            }
        };
        chosen.map(beside).collect()
    }
}

/// A real sequence and one that is drawn, as rows one behind the other.
#[derive(Debug)]
pub struct Beside {
    /// Of both; 0 where there are no classes.
    pub class: usize,
    /// From the data, in its levels.
    pub real: Vec<f32>,
    /// Of the same length, unless its end was drawn before.
    pub drawn: Vec<f32>,
}

/// How the numbers of a column lie, in real sequences and in drawn ones.
#[derive(Debug)]
pub struct Likeness {
    /// Means.
    pub mean: [f64; 2],
    /// Variances around the mean of all.
    pub variance: [f64; 2],
    /// For each octave the shortest period in rows, and the mean power of what changes in it.
    pub spectrum: Vec<(f64, [f64; 2])>,
}

impl Likeness {
    /// Of column `k` of so many.
    pub fn of(pairs: &[Beside], (k, width): (usize, usize)) -> Self {
        let column = |rows: &[f32]| -> Vec<f64> {
            let values = rows.iter().skip(k).step_by(width);
            values.map(|&x| f64::from(x)).collect()
        };
        let real: Vec<Vec<f64>> = pairs.iter().map(|pair| column(&pair.real)).collect();
        let drawn: Vec<Vec<f64>> = pairs.iter().map(|pair| column(&pair.drawn)).collect();
        let both = [&real[..], &drawn[..]];
        let moments = both.map(|sequences| {
            let all = || sequences.iter().flatten();
            let count = all().count() as f64;
            let mean = all().sum::<f64>() / count;
            (mean, all().map(|x| (x - mean).powi(2)).sum::<f64>() / count)
        });
        let [of_real, of_drawn] = both.map(spectrum);
        let bands = of_real.into_iter().zip(of_drawn);
        Likeness {
            mean: moments.map(|moments| moments.0),
            variance: moments.map(|moments| moments.1),
            spectrum: bands
                .map(|((period, real), (_, drawn))| (period, [real, drawn]))
                .collect(),
        }
    }

    /// By which part of its real value the variance is off.
    pub fn variance_gap(&self) -> f64 {
        (self.variance[1] / self.variance[0] - 1.0).abs()
    }

    /// By which part of the real power that of the octaves is off, in the sum over them.
    pub fn spectrum_gap(&self) -> f64 {
        let gap = self
            .spectrum
            .iter()
            .map(|(_, [real, drawn])| (drawn - real).abs());
        let all: f64 = self.spectrum.iter().map(|(_, [real, _])| real).sum();
        gap.sum::<f64>() / all
    }
}

/// Mean power of the sequences of usual length in every octave, from slow to fast.
fn spectrum(sequences: &[Vec<f64>]) -> Vec<(f64, f64)> {
    let length = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let whole: Vec<&Vec<f64>> = sequences.iter().filter(|s| s.len() == length).collect();
    let power = |frequency: usize| {
        let of = |values: &&Vec<f64>| {
            let turn = |(t, x): (usize, &f64)| {
                let angle = TAU * (frequency * t % length) as f64 / length as f64;
                (x * angle.cos(), x * angle.sin())
            };
            let sum = values.iter().enumerate().map(turn);
            let (a, b) = sum.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
            (a * a + b * b) / (length * length) as f64
        };
        2.0 * whole.iter().map(of).sum::<f64>() / whole.len() as f64
    };
    let octaves = (0..usize::BITS).map(|octave| (1usize << octave, (1usize << (octave + 1)) - 1));
    let octaves = octaves.take_while(|(low, _)| *low <= length / 2);
    octaves
        .map(|(low, high)| {
            let high = high.min(length / 2);
            (length as f64 / high as f64, (low..=high).map(power).sum())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: a sine of amplitude 2 has variance and power 2, in the octave of its period.
    #[test]
    fn likeness_is_measured_column_by_column() {
        let wave = |amplitude: f32| -> Vec<f32> {
            let value = |t: usize| (amplitude as f64 * (TAU * t as f64 / 8.0).sin()) as f32;
            (0..32).flat_map(|t| [value(t), 5.0]).collect()
        };
        let pair = Beside {
            class: 0,
            real: wave(2.0),
            drawn: wave(1.0),
        };
        let likeness = Likeness::of(&[pair], (0, 2));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(likeness.variance[0], 2.0) && near(likeness.variance[1], 0.5));
        assert!(near(likeness.variance_gap(), 0.75));
        let (period, powers) = likeness.spectrum[2];
        assert!(
            near(period, 32.0 / 7.0) && near(powers[0], 2.0),
            "{likeness:?}"
        );
        assert!(near(likeness.spectrum_gap(), 0.75));
    }
}

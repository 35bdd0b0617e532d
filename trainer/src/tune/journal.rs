//! What a search has found so far: a CSV file, a line per trial and round, behind a line that says which search it is.

use std::cmp::Ordering;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Cost, Trial};

/// How a trial did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Of the trial, from 1.
    pub number: usize,
    /// What was tried.
    pub trial: Trial,
    /// How long it trained.
    pub epochs: usize,
    /// "RMSE", "accuracy", …
    pub metric: String,
    /// On the validation part; NaN if training diverged, or the model does not answer as in f32.
    pub value: f64,
    /// Number format that the model is in, which may err less than the one asked for; empty if training diverged.
    pub format: String,
    /// What the model takes.
    pub cost: Cost,
}

impl Outcome {
    pub(super) fn new(
        number: usize,
        trial: &Trial,
        epochs: usize,
        metric: (&str, f64),
        (format, cost): (&str, Cost),
    ) -> Self {
        Outcome {
            number,
            trial: trial.clone(),
            epochs,
            metric: metric.0.into(),
            value: metric.1,
            format: format.into(),
            cost,
        }
    }

    /// Better ones first; of two as good the smaller, then the earlier.
    pub fn better_first(&self, other: &Self) -> Ordering {
        let bad = |o: &Self| match o.value {
            value if value.is_nan() => f64::INFINITY,
            value if o.metric == "accuracy" => -value,
            value => value,
        };
        let by_value = bad(self).total_cmp(&bad(other));
        by_value
            .then(self.cost.flash.cmp(&other.cost.flash))
            .then(self.number.cmp(&other.number))
    }
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    trial: usize,
    epochs: usize,
    cell: Option<String>,
    hidden: Option<usize>,
    layers: Option<usize>,
    window: Option<usize>,
    learning_rate: Option<f64>,
    metric: String,
    valid: f64,
    format: String,
    flash: usize,
    ram: usize,
    cycles: Option<f64>,
}

/// Outcomes, and the file that they are kept in.
pub struct Journal {
    path: PathBuf,
    file: File,
    known: Vec<Outcome>,
}

impl Journal {
    /// Opens or begins the journal of the search that `search` describes in one line.
    ///
    /// # Errors
    /// If the file cannot be read or written, or belongs to another search.
    pub fn open(path: &Path, search: &str) -> Result<Self> {
        let name = path.display();
        let first = format!("# {search}\n");
        let mut text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e).with_context(|| format!("{name}: cannot be read")),
        };
        // A crash may have left half a line.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        if !text.is_empty() && !text.starts_with(&first) {
            bail!(
                "{name}: is of another search (other task, data or options), or no journal at all; give the same \
                 options to go on with it, or remove it or choose another --journal to begin anew"
            );
        }
        let known = read(&text).with_context(|| format!("{name}: not a journal of trials"))?;
        let context = || format!("{name}: cannot be written");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)
            .with_context(context)?;
        if text.is_empty() {
            let header = "trial,epochs,cell,hidden,layers,window,learning_rate,metric,valid,format,flash,ram,cycles\n";
            text = first + header;
            file.write_all(text.as_bytes()).with_context(context)?;
        }
        file.set_len(text.len() as u64).with_context(context)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0)).with_context(context)?;
        Ok(Journal {
            path: path.to_path_buf(),
            file,
            known,
        })
    }

    /// Everything in it.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.known
    }

    pub(super) fn find(&self, number: usize, epochs: usize) -> Option<&Outcome> {
        let mut known = self.known.iter();
        known.find(|o| (o.number, o.epochs) == (number, epochs))
    }

    pub(super) fn add(&mut self, outcome: &Outcome) -> Result<()> {
        let mut csv = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        csv.serialize(Line::from(outcome))?;
        let line = csv.into_inner()?;
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        written.with_context(|| format!("{}: cannot be written", self.path.display()))?;
        self.known.push(outcome.clone());
        Ok(())
    }
}

fn read(text: &str) -> Result<Vec<Outcome>> {
    let mut csv = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    csv.deserialize::<Line>()
        .map(|line| Ok(line?.into()))
        .collect()
}

impl From<&Outcome> for Line {
    fn from(outcome: &Outcome) -> Self {
        let (trial, cost) = (outcome.trial.clone(), outcome.cost);
        Line {
            trial: outcome.number,
            epochs: outcome.epochs,
            cell: trial.cell,
            hidden: trial.hidden,
            layers: trial.layers,
            window: trial.window,
            learning_rate: trial.learning_rate,
            metric: outcome.metric.clone(),
            valid: outcome.value,
            format: outcome.format.clone(),
            flash: cost.flash,
            ram: cost.ram,
            cycles: cost.cycles,
        }
    }
}

impl From<Line> for Outcome {
    fn from(line: Line) -> Self {
        Outcome {
            number: line.trial,
            trial: Trial {
                cell: line.cell,
                hidden: line.hidden,
                layers: line.layers,
                window: line.window,
                learning_rate: line.learning_rate,
            },
            epochs: line.epochs,
            metric: line.metric,
            value: line.valid,
            format: line.format,
            cost: Cost {
                flash: line.flash,
                ram: line.ram,
                cycles: line.cycles,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(number: usize, metric: &str, value: f64) -> Outcome {
        let cost = Cost {
            flash: 1000,
            ram: 64,
            cycles: Some(6179.0),
        };
        Outcome::new(
            number,
            &Trial::default(),
            3,
            (metric, value),
            ("w8a8", cost),
        )
    }

    #[test]
    fn a_journal_survives_a_torn_line_and_knows_its_search() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.csv");
        let (one, two) = (outcome(1, "RMSE", 0.5), outcome(2, "RMSE", 0.25));
        let mut journal = Journal::open(&path, "search a").unwrap();
        journal.add(&one).unwrap();
        journal.add(&two).unwrap();
        drop(journal);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let mut journal = Journal::open(&path, "search a").unwrap();
        assert_eq!(journal.outcomes(), std::slice::from_ref(&one));
        journal.add(&two).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        assert_eq!(journal.find(2, 3), Some(&two));
        assert_eq!(journal.find(2, 9), None);
        let error = Journal::open(&path, "search b").err().unwrap().to_string();
        assert!(error.contains("another search"), "{error}");
    }

    #[test]
    fn better_is_lower_but_for_accuracy_and_diverged_is_last() {
        let order = |metric, values: [f64; 3]| {
            let mut all: Vec<Outcome> = (1..)
                .zip(values)
                .map(|(k, v)| outcome(k, metric, v))
                .collect();
            all.sort_by(Outcome::better_first);
            all.iter().map(|o| o.number).collect::<Vec<_>>()
        };
        assert_eq!(order("RMSE", [0.5, f64::NAN, 0.25]), [3, 1, 2]);
        assert_eq!(order("accuracy", [0.5, f64::NAN, 0.75]), [3, 1, 2]);
    }
}

//! The streams of a prediction, one per group, and the file that they are kept in between two runs.
//!
//! The file is `magic, version, CRC-32 of the model, contents (postcard), CRC-32 of all before it`. Everything that looks
//! back is in it: the states of the layers, the samples of windows that are not complete, what stands in for gaps, the
//! last times, and the smoothed error or probability of an alarm. So the rest of a table gives what the whole would have given.

use super::said::Said;
use super::samples::Remembered;
use anyhow::{Context, Result, anyhow, bail, ensure};
use kinglet::format::{Shape, crc32};
use kinglet::kernel::Kernels;
use kinglet::{Model, SlidingWindow, Verdict, WindowPlace};
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::file::{AlignedBytes, save};
use kinglet_trainer::watch::Watch;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use typed_arena::Arena;

const MAGIC: [u8; 8] = *b"KGSTREAM";
const VERSION: u32 = 3;
const HEADER: usize = 16;

/// What one stream is about.
pub struct Stream<'s, 'a> {
    pub runner: AnyRunner<'s, 'a>,
    pub windows: SlidingWindow<Vec<f32>>,
    pub watch: Option<Watch<'a>>,
    /// The last prediction; NaN before the first, and anything within a window.
    pub y: Vec<f32>,
    /// The last row had an answer, which foretold the next one.
    pub foretells: bool,
    pub verdict: Option<Verdict>,
    /// Of a window that is not complete.
    pub tokens: Vec<usize>,
    /// Of the last sample.
    pub sample: Vec<f32>,
    /// Since the last reset.
    pub rows: u64,
    /// The last row had an answer.
    pub answered: bool,
    /// A row since the last reset had one; and any row at all.
    pub spoke: [bool; 2],
    /// Columns that had a number since the last reset.
    pub known: Vec<bool>,
    /// What a model of transcripts has said since the last reset.
    pub said: Said,
}

impl Stream<'_, '_> {
    /// Starts anew.
    pub fn reset(&mut self) {
        match &mut self.runner {
            AnyRunner::Steps(runner) => self.windows.reset(runner),
            AnyRunner::Windows(runner) => self.windows.reset(runner),
        }
        self.tokens.clear();
        self.watch.iter_mut().for_each(|watch| watch.resume(0.0));
        self.verdict = None;
        self.y.fill(f32::NAN);
        self.foretells = false;
        self.spoke[0] = false;
        self.known.fill(false);
        self.said.reset();
        self.rows = 0;
    }

    /// Takes a raw sample; true if there is an answer.
    pub fn push(&mut self, sample: &[f32]) -> bool {
        match &mut self.runner {
            AnyRunner::Steps(runner) => self.windows.push(runner, sample, &mut self.y),
            AnyRunner::Windows(runner) => self.windows.push(runner, sample, &mut self.y),
        }
    }

    /// What it goes on from.
    pub fn saved(&mut self) -> Result<SavedStream> {
        let state = match &mut self.runner {
            AnyRunner::Steps(runner) => {
                let mut bytes = vec![0; runner.model().saved_len()];
                runner.save(&mut bytes)?;
                bytes
            }
            AnyRunner::Windows(runner) => {
                let mut bytes = vec![0; runner.saved_len()];
                runner.save(&mut bytes)?;
                bytes
            }
        };
        let WindowPlace {
            oldest,
            seen,
            until,
        } = self.windows.place();
        Ok(SavedStream {
            state,
            place: [oldest, seen, until],
            kept: self.windows.kept().to_vec(),
            score: self.watch.as_ref().map_or(0.0, Watch::score),
            alarm: self.verdict.is_some_and(|verdict| verdict.alarm),
            foretold: match self.foretells {
                true => self.y.clone(),
                false => vec![f32::NAN; self.y.len()],
            },
            tokens: self.tokens.iter().map(|&token| token as u32).collect(),
            rows: self.rows,
        })
    }

    /// Goes on from there.
    pub fn restore(&mut self, saved: &SavedStream) -> Result<()> {
        match &mut self.runner {
            AnyRunner::Steps(runner) => runner.restore(&saved.state)?,
            AnyRunner::Windows(runner) => runner.restore(&saved.state)?,
        }
        let [oldest, seen, until] = saved.place;
        let place = WindowPlace {
            oldest,
            seen,
            until,
        };
        let fits = self.windows.restore(place, &saved.kept) && saved.foretold.len() == self.y.len();
        ensure!(fits, "it is of other windows");
        self.y.copy_from_slice(&saved.foretold);
        // Numbers that are none foretell nothing.
        self.foretells = true;
        self.watch.iter_mut().for_each(|w| w.resume(saved.score));
        // A word that is being said has been told.
        if let Some(Watch::Word(_)) = self.watch {
            self.verdict = Some(Verdict {
                score: saved.score,
                alarm: saved.alarm,
            });
        }
        self.tokens = saved.tokens.iter().map(|&token| token as usize).collect();
        self.rows = saved.rows;
        // What was missing up to here was told then.
        self.known.fill(self.rows > 0);
        Ok(())
    }
}

/// How a stream is run, which a saved one must have been too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct How {
    /// The column of groups.
    pub group: Option<String>,
    /// Of so many rows one is answered.
    pub every: u64,
    pub raw: bool,
    pub every_step: bool,
    pub reset_every: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    how: How,
    memory: Remembered,
    streams: Vec<(String, SavedStream)>,
}

/// What a stream goes on from.
#[derive(Serialize, Deserialize)]
pub struct SavedStream {
    state: Vec<u8>,
    place: [u32; 3],
    kept: Vec<f32>,
    score: f32,
    alarm: bool,
    foretold: Vec<f32>,
    tokens: Vec<u32>,
    rows: u64,
}

/// All streams, by the text of their group; one, of no text, where rows are not grouped.
pub struct Streams<'s, 'a> {
    model: &'s Model<'a>,
    states: &'s Arena<AlignedBytes>,
    kernels: &'static Kernels,
    shape: Shape,
    pub how: How,
    /// Of every stream, at its beginning.
    watch: Option<Watch<'a>>,
    /// Beginnings of transcripts that are followed; without it what is likeliest at every step is said.
    pub beam: Option<usize>,
    places: HashMap<String, usize>,
    /// In the order of their first rows.
    streams: Vec<(String, Stream<'s, 'a>)>,
    /// That are in a saved state and had no row yet.
    asleep: HashMap<String, SavedStream>,
    /// Groups that a saved state does not have.
    fresh: Option<Vec<String>>,
}

impl<'s, 'a> Streams<'s, 'a> {
    /// None yet.
    pub fn new(
        model: &'s Model<'a>,
        states: &'s Arena<AlignedBytes>,
        kernels: &'static Kernels,
        shape: Shape,
        how: How,
        watch: Option<Watch<'a>>,
    ) -> Self {
        Streams {
            model,
            states,
            kernels,
            shape,
            how,
            watch,
            beam: None,
            places: HashMap::new(),
            streams: Vec::new(),
            asleep: HashMap::new(),
            fresh: None,
        }
    }

    /// Goes on from a saved state; gives what features look back on.
    pub fn open(&mut self, path: &Path, model_crc: u32) -> Result<Remembered> {
        let file = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("{file}: cannot be read"))?;
        let saved = parse(&bytes, model_crc).map_err(|error| {
            anyhow!(
                "{file}: {error:#}; expected a file written by predict --state-out with this very model"
            )
        })?;
        if saved.how != self.how {
            bail!("{file}: {}", difference(&saved.how, &self.how));
        }
        self.asleep = saved.streams.into_iter().collect();
        self.fresh = Some(Vec::new());
        Ok(saved.memory)
    }

    /// The stream of a group.
    pub fn of(&mut self, group: &str) -> Result<&mut Stream<'s, 'a>> {
        if let Some(&place) = self.places.get(group) {
            return Ok(&mut self.streams[place].1);
        }
        let state = self
            .states
            .alloc(AlignedBytes::zeroed(self.model.state_len()));
        let inputs = self.model.inputs();
        let kept = vec![0.0; SlidingWindow::needed(self.shape, inputs)];
        let mut stream = Stream {
            runner: AnyRunner::bind(self.model, state)?.with_kernels(self.kernels),
            windows: SlidingWindow::new(self.shape, inputs, kept)?,
            watch: self.watch.clone(),
            y: vec![f32::NAN; self.model.outputs()],
            foretells: false,
            verdict: None,
            tokens: Vec::new(),
            sample: Vec::new(),
            rows: 0,
            answered: false,
            spoke: [false; 2],
            known: vec![false; inputs],
            said: Said::new(self.beam),
        };
        match (self.asleep.remove(group), &mut self.fresh) {
            (Some(saved), _) => {
                let restored = stream.restore(&saved);
                restored.with_context(|| format!("the saved state of {group:?} does not fit"))?;
            }
            (None, Some(fresh)) => fresh.push(group.to_owned()),
            (None, None) => {}
        }
        let place = self.streams.len();
        self.places.insert(group.to_owned(), place);
        self.streams.push((group.to_owned(), stream));
        Ok(&mut self.streams[place].1)
    }

    /// All that had a row, in the order of their first ones.
    pub fn all(&mut self) -> impl Iterator<Item = (&str, &mut Stream<'s, 'a>)> {
        self.streams
            .iter_mut()
            .map(|(group, stream)| (&group[..], stream))
    }

    /// What there is to say about groups and the saved state.
    pub fn note(&self) -> Option<String> {
        let fresh = self
            .fresh
            .as_ref()
            .filter(|fresh| self.how.group.is_some() && !fresh.is_empty())?;
        const SHOWN: usize = 5;
        let named = fresh.iter().take(SHOWN).map(|group| format!("{group:?}"));
        let named: Vec<String> = named.collect();
        let more = if fresh.len() > SHOWN { ", …" } else { "" };
        Some(format!(
            "{} of {} groups are not in the saved state and started anew: {}{more}",
            fresh.len(),
            self.streams.len(),
            named.join(", ")
        ))
    }

    /// Writes all streams, also those of a saved state that had no row.
    pub fn save(&mut self, path: &Path, model_crc: u32, memory: Remembered) -> Result<()> {
        let mut streams = Vec::new();
        for (group, stream) in &mut self.streams {
            streams.push((group.clone(), stream.saved()?));
        }
        streams.extend(self.asleep.drain());
        streams.sort_by(|a, b| a.0.cmp(&b.0));
        let saved = Saved {
            how: self.how.clone(),
            memory,
            streams,
        };
        let mut bytes = Vec::from(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(model_crc.to_le_bytes());
        bytes.extend(postcard::to_allocvec(&saved)?);
        let crc = crc32(&bytes);
        bytes.extend(crc.to_le_bytes());
        save(path, &bytes)
    }
}

fn parse(bytes: &[u8], model_crc: u32) -> Result<Saved> {
    ensure!(bytes.starts_with(&MAGIC), "not a saved kinglet state");
    let number = |at: usize| {
        let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map(u32::from_le_bytes).context("the file is cut off")
    };
    let version = number(MAGIC.len())?;
    ensure!(
        version == VERSION,
        "it has version {version}, this kinglet reads {VERSION}"
    );
    ensure!(bytes.len() > HEADER + 4, "the file is cut off");
    let (whole, crc) = bytes.split_at(bytes.len() - 4);
    let (found, want) = (crc32(whole), crc);
    ensure!(
        found.to_le_bytes() == want,
        "the file is damaged (its checksum is wrong)"
    );
    let saved = number(MAGIC.len() + 4)?;
    ensure!(
        saved == model_crc,
        "the state belongs to the model with checksum {saved:08x}, this one has {model_crc:08x}"
    );
    postcard::from_bytes(&whole[HEADER..]).context("the file is damaged")
}

/// What must be the same to go on.
fn difference(saved: &How, now: &How) -> String {
    if saved.group != now.group {
        return match (&saved.group, &now.group) {
            (Some(saved), Some(now)) => {
                format!("the state was saved with --group {saved}, not {now}")
            }
            (Some(saved), None) => format!(
                "the state was saved with --group {saved}, and without it nobody knows which of its streams goes on; add it"
            ),
            (None, _) => {
                "the state was saved without --group, and is of no group; remove --group".into()
            }
        };
    }
    let options = |how: &How| {
        let mut options = Vec::new();
        options.extend((how.every > 1).then(|| format!("--every {}", how.every)));
        options.extend(how.raw.then(|| "--raw".to_owned()));
        options.extend(how.every_step.then(|| "--every-step".to_owned()));
        options.extend(how.reset_every.map(|n| format!("--reset-every {n}")));
        match options.is_empty() {
            true => "no option".into(),
            false => options.join(" "),
        }
    };
    let (saved, now) = (options(saved), options(now));
    format!("the state was saved with {saved}, now there is {now}; use the same")
}

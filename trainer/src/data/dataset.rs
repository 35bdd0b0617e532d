//! All rows once, and windows as places in them.
//!
//! Raw and normalised rows lie in two tables; a window is the number of its first row, so overlapping
//! windows cost nothing. A goal belongs to the row at which it is predicted: the last row of a
//! many-to-one window, every row otherwise; the horizon has already been taken into account.
//!
//! After a reset the sample before is the sample itself (see [`Transform`]), so the first row of a
//! window looks different from the same row further inside. Both forms are kept where they differ.
//!
//! [`Transform`]: crate::package::Transform

mod documents;
mod labels;
mod levels;
mod pairs;
mod sequences;
mod series;
mod tagged;
pub use self::tagged::word_of;
mod text;
mod times;
mod transcripts;

use std::ops::Range;
use std::path::Path;

use kinglet::format::crc32_update;

use super::csv::{Format, Table};
use super::error::DataError;
use super::normalise::normalise;
use super::split::Part;
use super::written::Written;
use crate::net::Network;
use crate::package::{Feature, Input, Output, Package, Shape};
use crate::task::{CsvTask, Data, JoinTask, Kind, Task};

/// What a network is trained on and measured with.
#[derive(Debug, Clone)]
pub struct Dataset {
    name: String,
    input: Input,
    output: Output,
    shape: Shape,
    written: Written,
    /// Columns of `raw` and `normal`.
    width: usize,
    raw: Vec<f32>,
    normal: Vec<f32>,
    /// `normal` as the first row after a reset; empty where that is the same.
    after_reset: Vec<f32>,
    /// Columns of `goals` and `truth`.
    goal_width: usize,
    /// In network units; a class or token is its number, and NaN is what nobody knows.
    goals: Vec<f32>,
    /// In original units, likewise.
    truth: Vec<f32>,
    window: usize,
    /// For every row the length of the window it belongs to; empty where all are `window` long.
    lengths: Vec<usize>,
    /// For every token the one that stands for it where it is unknown; empty where none is.
    hidden_as: Vec<f32>,
    /// For every output the quantile that it stands for; empty where outputs are means.
    quantiles: Vec<f64>,
    /// For every output the column whose steps it is a sum of; empty where outputs are numbers of columns.
    steps: Vec<Option<usize>>,
    /// When the nearest target of each row is, in seconds since 1970 by the clock on the wall; empty where nobody knows.
    times: Vec<f64>,
    /// What a decoder starts from, and for every row the row at which that begins.
    source: Option<(Box<Dataset>, Vec<usize>)>,
    /// First rows of the training windows of each part.
    windows: [Vec<usize>; 3],
    /// What is run to measure each part.
    streams: [Vec<Stream>; 3],
    /// First rows of the groups, where the rows are grouped.
    groups: Vec<usize>,
    /// First rows of the pieces of a series: no row before them is known.
    pieces: Vec<usize>,
    /// What they are called.
    group_names: Vec<String>,
    /// The labelled window that the target of each row lies in, from 1; empty without labels.
    events: Vec<usize>,
    /// What was skipped, cut, guessed or is odd.
    notes: Vec<String>,
}

/// Consecutive rows that start from a reset; outputs count from row `counted` on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stream {
    rows: Range<usize>,
    counted: usize,
    /// The row that a device has been running from.
    since: usize,
}

impl Stream {
    fn from_reset(rows: Range<usize>, counted: usize) -> Self {
        Stream {
            since: rows.start,
            rows,
            counted,
        }
    }
}

/// A sequence to be predicted, from a reset on.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    data: &'a Dataset,
    stream: &'a Stream,
    /// Its first row.
    start: usize,
}

impl<'a> Sequence<'a> {
    /// Number of samples.
    pub fn steps(&self) -> usize {
        self.stream.rows.end - self.start
    }

    /// What a step takes.
    pub fn input(&self) -> &'a Input {
        &self.data.input
    }

    /// The sample of step `t` in original units; a token is its number.
    pub fn raw(&self, t: usize) -> &'a [f32] {
        let at = (self.start + t) * self.data.width;
        &self.data.raw[at..at + self.data.width]
    }

    /// The same as the network gets it.
    pub fn normalised(&self, t: usize) -> &'a [f32] {
        self.data.input_row(self.start, t)
    }

    /// The group that its rows belong to; `None` where rows are not grouped.
    pub fn group(&self) -> Option<usize> {
        let starts = &self.data.groups;
        let after = starts.partition_point(|&start| start <= self.start);
        after.checked_sub(1)
    }

    /// The row of its first sample, of all rows that are used.
    pub fn first_row(&self) -> usize {
        self.start
    }

    /// When the nearest target of step `t` is, in seconds since 1970 by the clock on the wall; `None` where nobody knows.
    pub fn time(&self, t: usize) -> Option<f64> {
        let time = self.data.times.get(self.start + t);
        time.copied()
    }

    /// The labelled window that the target of step `t` lies in, from 1; 0: none.
    pub fn event(&self, t: usize) -> usize {
        let event = self.data.events.get(self.start + t);
        event.copied().unwrap_or(0)
    }

    /// Whether the output of step `t` counts: it is one of the part's, and all of what it should be is known.
    pub fn counts(&self, t: usize) -> bool {
        self.start + t >= self.stream.counted && self.truth(t).iter().all(|x| !x.is_nan())
    }

    /// What the output of step `t` should be, in original units; a class or token is its number, and NaN is what nobody knows.
    pub fn truth(&self, t: usize) -> &'a [f32] {
        let at = (self.start + t) * self.data.goal_width;
        &self.data.truth[at..at + self.data.goal_width]
    }
}

impl Dataset {
    /// Reads, checks, splits and normalises the data of a task.
    pub fn load(task: &Task) -> Result<Self, DataError> {
        match &task.csv {
            Some(csv) => {
                let path = task.data_path().unwrap_or_default();
                Self::from_table(task, &read(task, csv, &path)?)
            }
            None => Self::of_text(task, None).map(Self::with_untaught),
        }
    }

    /// Notes the classes that training never sees.
    fn with_untaught(mut self) -> Self {
        if let Output::Classes(classes) = &self.output {
            let counts = self.class_counts(Part::Train);
            let untaught = classes.iter().zip(counts).filter(|(_, count)| *count == 0);
            let notes = untaught.map(|(class, _)| {
                format!("class {class:?} has nothing in the training part, so the network cannot learn it: look at its labels and at the split")
            });
            let mut notes: Vec<String> = notes.collect();
            for (part, what) in [
                (Part::Valid, "the best epoch is chosen without it"),
                (
                    Part::Test,
                    "what the test part tells is of the others alone",
                ),
            ] {
                let counts = self.class_counts(part);
                let some = counts.iter().any(|count| *count > 0);
                let absent = classes.iter().zip(counts).filter(|(_, count)| *count == 0);
                let absent: Vec<String> = absent.map(|(class, _)| format!("{class:?}")).collect();
                if some && !absent.is_empty() {
                    let (absent, part) = (absent.join(", "), part.name());
                    notes.push(format!("nothing in the {part} part is of the class {absent}: {what}; a split by groups or by turns may spread it"));
                }
            }
            self.notes.extend(notes);
        }
        self
    }

    /// The same for an encoder and a decoder that are there already: texts are read with the tokens that these have, in place of those that the training part
    /// shows. A task without `[pairs]` ignores them.
    pub fn load_for_pair(task: &Task, models: [&Package; 2]) -> Result<Self, DataError> {
        match &task.csv {
            Some(_) => Self::load(task),
            None => Self::of_text(task, Some(models)),
        }
    }

    /// Without sequences yet.
    fn empty(task: &Task, input: Input, output: Output) -> Self {
        Dataset {
            name: task.name.clone(),
            written: Written::of(task),
            input,
            output,
            shape: Shape::EveryStep,
            width: 1,
            raw: Vec::new(),
            normal: Vec::new(),
            after_reset: Vec::new(),
            goal_width: 1,
            goals: Vec::new(),
            truth: Vec::new(),
            groups: Vec::new(),
            pieces: Vec::new(),
            events: Vec::new(),
            notes: Vec::new(),
            window: task.shape.window,
            lengths: Vec::new(),
            hidden_as: Vec::new(),
            quantiles: Vec::new(),
            steps: Vec::new(),
            times: Vec::new(),
            group_names: Vec::new(),
            source: None,
            windows: Default::default(),
            streams: Default::default(),
        }
    }

    /// A sequence: its tokens or samples, and for each what should be said.
    fn push(&mut self, part: Part, read: &[f32], truth: &[f32]) {
        let rows = self.goals.len()..self.goals.len() + truth.len();
        self.raw.extend(read);
        self.normal.extend(read);
        self.goals.extend(truth);
        self.truth.extend(truth);
        self.lengths.resize(rows.end, truth.len());
        self.windows[part as usize].push(rows.start);
        let counted = rows.start;
        self.streams[part as usize].push(Stream::from_reset(rows, counted));
    }

    /// The same from a table that is already in memory; a task over text ignores it.
    pub fn from_table(task: &Task, table: &Table) -> Result<Self, DataError> {
        Self::of_table(task, table).map(Self::with_untaught)
    }

    fn of_table(task: &Task, table: &Table) -> Result<Self, DataError> {
        match &task.data {
            Data::Series(series) => match (series.levels, &series.transcript) {
                (Some(levels), _) => levels::load(task, series, levels, table),
                (_, Some(transcript)) => transcripts::load(task, series, transcript, table),
                (None, None) => {
                    let targets = series.targets.iter().map(|target| &*target.column);
                    series::load(task, series, table).map_err(|error| error.of_targets(targets))
                }
            },
            Data::Sequences(sequences) => sequences::load(task, sequences, table),
            Data::Text(_) | Data::Documents(_) | Data::Tagged(_) | Data::Pairs(_) => {
                Self::of_text(task, None)
            }
        }
    }

    fn of_text(task: &Task, pair: Option<[&Package; 2]>) -> Result<Self, DataError> {
        match &task.data {
            Data::Documents(documents) => documents::load(task, documents),
            Data::Tagged(tagged) => tagged::load(task, tagged),
            Data::Pairs(pairs) => pairs::load(task, pairs, pair),
            _ => text::load(task),
        }
    }

    /// What was skipped, cut, guessed or is odd about the data, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What one step takes, normalisation included.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// What one step gives.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// When an output counts.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How it was written.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// The same rows as a network gets them whose normalisation was fitted on other data.
    pub fn normalised_as(mut self, input: &Input) -> Self {
        if let Input::Features(features) = input {
            (self.normal, self.after_reset) = normalise_rows(features, &self.raw);
        }
        self.input = input.clone();
        self
    }

    /// A trained network with what belongs to it.
    pub fn package(&self, net: Network) -> Package {
        Package {
            name: self.name.clone(),
            net,
            input: self.input.clone(),
            output: self.output.clone(),
            shape: self.shape,
            alarm: None,
            written: self.written.clone(),
        }
    }

    /// The checksum `crc` continued over what training sees.
    pub(crate) fn fingerprint(&self, crc: u32) -> u32 {
        let numbers = [&self.raw, &self.goals].map(|v| bytemuck::cast_slice(v));
        let windows = bytemuck::cast_slice(&self.windows[0]);
        let parts = numbers.into_iter().chain([windows]);
        parts.fold(crc, crc32_update)
    }

    /// Number of features, or of tokens.
    pub fn inputs(&self) -> usize {
        match &self.input {
            Input::Features(features) => features.len(),
            Input::Tokens(tokens) => tokens.len(),
        }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        match &self.output {
            Output::Values(targets) => targets.len(),
            Output::Classes(classes) | Output::Transcript(classes) => classes.len(),
            Output::NextToken => self.inputs(),
        }
    }

    /// For every output the quantile that it stands for; empty where none does. Those of one target follow each other, from
    /// low to high.
    pub fn quantiles(&self) -> &[f64] {
        &self.quantiles
    }

    /// The input whose steps an output is the sum of: it is so large that its change is predicted in its place.
    pub fn steps_of(&self, output: usize) -> Option<usize> {
        self.steps.get(output).copied().flatten()
    }

    /// The sums of an input's raw numbers up to each row.
    pub(crate) fn summed(&self, column: usize) -> Vec<f64> {
        let mut sum = 0.0;
        let column = self.raw.iter().skip(column).step_by(self.width);
        column
            .map(|&x| {
                sum += f64::from(x);
                sum
            })
            .collect()
    }

    /// What the groups are called, in their order; empty where rows are not grouped.
    pub fn group_names(&self) -> &[String] {
        &self.group_names
    }

    /// There are labelled windows of time.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Samples of the longest training window.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Samples of the training window that begins at row `start`.
    pub fn length(&self, start: usize) -> usize {
        self.lengths.get(start).copied().unwrap_or(self.window)
    }

    /// The raw sample so many rows before a row, with no group's end and no row left out between them.
    pub fn earlier(&self, row: usize, back: usize) -> Option<&[f32]> {
        let after = self.pieces.partition_point(|&start| start <= row);
        let start = after.checked_sub(1).map_or(0, |piece| self.pieces[piece]);
        let row = row.checked_sub(back).filter(|&row| row >= start)?;
        self.raw.get(row * self.width..(row + 1) * self.width)
    }

    /// Rows that follow each other, at the most.
    pub(crate) fn longest(&self) -> usize {
        let rows = self.raw.len() / self.width.max(1);
        let ends = self.pieces.iter().skip(1).chain([&rows]);
        let lengths = self.pieces.iter().zip(ends);
        lengths
            .map(|(start, end)| end - start)
            .max()
            .unwrap_or(rows)
    }

    /// How many outputs of a part should be each class or token.
    pub fn class_counts(&self, part: Part) -> Vec<usize> {
        let mut counts = vec![0; self.outputs()];
        for sequence in self.sequences(part) {
            for t in (0..sequence.steps()).filter(|&t| sequence.counts(t)) {
                counts[sequence.truth(t)[0] as usize] += 1;
            }
        }
        counts
    }

    /// What an encoder reads before the network gives it back in other words.
    pub fn source(&self) -> Option<&Dataset> {
        self.source.as_ref().map(|(source, _)| &**source)
    }

    /// Where the encoder's sequence begins, for the window that begins at row `start`.
    pub fn source_of(&self, start: usize) -> usize {
        self.source.as_ref().map_or(0, |(_, starts)| starts[start])
    }

    /// Samples of the window that begins at row `start`, and of what its encoder reads.
    pub fn lengths_at(&self, start: usize) -> (usize, usize) {
        let source = self.source().map_or(0, |s| s.length(self.source_of(start)));
        (self.length(start), source)
    }

    /// Whether not all windows are of one length.
    pub fn lengths_differ(&self) -> bool {
        !self.lengths.is_empty()
    }

    /// What stands for a token where it is unknown; itself where no token does.
    pub fn hidden_as(&self, token: f32) -> f32 {
        self.hidden_as.get(token as usize).copied().unwrap_or(token)
    }

    /// First rows of the training windows of a part.
    pub fn windows(&self, part: Part) -> &[usize] {
        &self.windows[part as usize]
    }

    /// The sequences to measure a part with: the windows of a many-to-one task; otherwise each
    /// contiguous piece of the part, led in by one window of the rows before it.
    pub fn sequences(&self, part: Part) -> impl Iterator<Item = Sequence<'_>> {
        let streams = self.streams[part as usize].iter();
        streams.map(|stream| Sequence {
            data: self,
            stream,
            start: stream.rows.start,
        })
    }

    /// The same as a device runs them: where the state runs on, from the first row of a piece or the one behind the part's last
    /// stretch in it.
    pub fn running(&self, part: Part) -> impl Iterator<Item = Sequence<'_>> {
        let streams = self.streams[part as usize].iter();
        streams.map(|stream| Sequence {
            data: self,
            stream,
            start: stream.since,
        })
    }

    /// The same data to be measured as a network is trained on it: window by window, each from a reset on.
    pub fn in_windows(mut self) -> Self {
        for part in Part::ALL {
            let rows = |&start: &usize| start..start + self.length(start);
            let windows = self.windows[part as usize].iter().map(rows);
            let streams = windows.map(|rows| Stream::from_reset(rows.clone(), rows.start));
            self.streams[part as usize] = streams.collect();
        }
        self
    }

    /// The rows of a part that follow each other: of each group, and from one row that was left out to the next.
    pub fn pieces(&self, part: Part) -> impl Iterator<Item = Range<usize>> + Clone {
        let streams = self.streams[part as usize].iter();
        streams.map(|stream| stream.counted..stream.rows.end)
    }

    /// Columns of an input row: the features, or one token number.
    pub fn input_width(&self) -> usize {
        self.width
    }

    /// The network's input at step `t` of a sequence that starts from a reset at row `start`.
    pub fn input_row(&self, start: usize, t: usize) -> &[f32] {
        let table = if t == 0 && !self.after_reset.is_empty() {
            &self.after_reset
        } else {
            &self.normal
        };
        &table[(start + t) * self.width..][..self.width]
    }

    /// The network's input at a row inside a sequence.
    pub fn inner_row(&self, row: usize) -> &[f32] {
        &self.normal[row * self.width..][..self.width]
    }

    /// What the network should give at a row, in its own units; NaN is what nobody knows.
    pub fn goal_row(&self, row: usize) -> &[f32] {
        &self.goals[row * self.goal_width..][..self.goal_width]
    }
}

/// All files of a task as one table.
fn read(task: &Task, csv: &CsvTask, path: &Path) -> Result<Table, DataError> {
    let joined = |file: &Path, join: &Option<JoinTask>| {
        let mut table = Table::read(file, &csv.format)?;
        if let Some(join) = join {
            let format = Format {
                audio: None,
                ..csv.format.clone()
            };
            let other = Table::read(&task.path(&join.file), &format)?;
            table.join(&other, &join.on)?;
        }
        Ok(table)
    };
    let mut table = joined(path, &csv.join)?;
    if let Some(test) = &csv.test {
        let own = task.path(&test.file);
        table.append_test(&joined(&own, &test.join)?);
        let real = |path: &Path| path.canonicalize().ok();
        if real(path).is_some_and(|file| real(&own) == Some(file)) {
            table.note(format!(
                "{}: the file of [csv.test] is that of [csv]: what the test part tells is of rows that were trained on",
                own.display()
            ));
        }
    }
    Ok(table)
}

/// "3 of 40 texts (7.5 %)".
pub(crate) fn share(count: usize, all: usize, what: &str) -> String {
    let percent = 100.0 * count as f64 / all.max(1) as f64;
    format!("{count} of {all} {what} ({percent:.1} %)")
}

/// `raw` normalised, as inside a sequence and as after a reset (empty where that is the same).
fn normalise_rows(features: &[Feature], raw: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let width = features.len();
    let mut normal = vec![0.0; raw.len()];
    let mut after_reset = vec![0.0; raw.len()];
    for at in (0..raw.len()).step_by(width) {
        let sample = &raw[at..at + width];
        let previous = if at == 0 {
            sample
        } else {
            &raw[at - width..at]
        };
        normalise(features, sample, previous, &mut normal[at..at + width]);
        normalise(features, sample, sample, &mut after_reset[at..at + width]);
    }
    if after_reset == normal {
        after_reset = Vec::new();
    }
    (normal, after_reset)
}

/// When an output counts, for a task with this window.
fn shape(task: &Task, window: usize) -> Shape {
    match task.shape.kind {
        Kind::ManyToOne | Kind::OneToOne => Shape::Window {
            window,
            hop: task.shape.hop.unwrap_or(1),
            exact: true,
        },
        Kind::ManyToMany | Kind::NextToken => Shape::EveryStep,
    }
}

type Places = ([Vec<usize>; 3], [Vec<Stream>; 3]);

/// Cuts rows into windows and streams. `belongs(row, part)`: the output at this row is one of that
/// part's; rows of one part that follow each other make a run.
fn cut(task: &Task, rows: usize, belongs: impl Fn(usize, Part) -> bool) -> Places {
    let mut places = Places::default();
    cut_group(task, 0..rows, belongs, &mut places);
    // A text is long, and no device has read all of it before.
    for stream in places.1.iter_mut().flatten() {
        stream.since = stream.rows.start;
    }
    places
}

/// The same for rows that nothing before or behind belongs to.
fn cut_group(
    task: &Task,
    group: Range<usize>,
    belongs: impl Fn(usize, Part) -> bool,
    places: &mut Places,
) {
    let (window, many_to_one) = (task.shape.window, task.shape.kind == Kind::ManyToOne);
    for part in Part::ALL {
        let (windows, streams) = (&mut places.0[part as usize], &mut places.1[part as usize]);
        let (mut row, rows) = (group.start, group.end);
        let mut since = group.start;
        while row < rows {
            if !belongs(row, part) {
                row += 1;
                continue;
            }
            let end = (row..rows).find(|&r| !belongs(r, part)).unwrap_or(rows);
            if many_to_one {
                let first = row.max(group.start + window - 1);
                for last in (first..end).step_by(task.shape.hop.unwrap_or(1)) {
                    windows.push(last + 1 - window);
                    streams.push(Stream::from_reset(last + 1 - window..last + 1, last));
                }
            } else {
                windows.extend(
                    (row..(end + 1).saturating_sub(window))
                        .step_by(task.shape.hop.unwrap_or(window)),
                );
                // What a whole number of hops leaves over is covered by one more window, unless the
                // state is carried, which needs windows side by side.
                let covered = windows.last().is_some_and(|w| w + window == end);
                if end - row >= window && !covered && !task.shape.stateful {
                    windows.push(end - window);
                }
                streams.push(Stream {
                    rows: row.saturating_sub(window).max(group.start)..end,
                    counted: row,
                    since,
                });
                since = end;
            }
            row = end;
        }
    }
}

/// Training and validation need windows; a test part may be missing.
fn need_windows(
    places: &Places,
    task: &Task,
    file: &str,
    count: impl Fn(Part) -> usize,
) -> Result<(), DataError> {
    for part in [Part::Train, Part::Valid] {
        if places.0[part as usize].is_empty() {
            return Err(DataError::EmptyPart {
                file: file.into(),
                part: part.name(),
                rows: count(part),
                window: task.shape.window,
                horizon: task.shape.horizon,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

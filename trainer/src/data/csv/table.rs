//! All rows of a file, in groups.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::Path;

use super::super::derived::Derived;
use super::super::error::DataError;
use super::super::open::open;
use super::super::order::{Leaps, Order};
use super::super::steps;
use super::super::time::Times;
use super::columns::{Columns, nothing_to_hold, place};
use super::field::Fields;
use super::format::{Format, Missing, OnError};
use super::records::{Reader, exactly, line_of};

/// Rows that belong together; nothing reaches from one group into the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub rows: Range<usize>,
    /// They come from a [test file](Table::append_test).
    pub test: bool,
    /// What was in each column last before them, in rows that [were left out](Table::without_first).
    before: Option<::csv::StringRecord>,
}

/// A whole file, oldest row first.
#[derive(Debug, Clone)]
pub struct Table {
    file: String,
    names: Vec<String>,
    fields: Fields,
    records: Vec<::csv::StringRecord>,
    groups: Vec<Group>,
    /// What errors call the test file.
    test_file: Option<String>,
    /// The columns of each file, where a test part has one of its own.
    own_names: [Vec<String>; 2],
    /// Rows that are broken are left out.
    skips: bool,
    /// Where some were.
    holes: Vec<Hole>,
    notes: Vec<String>,
}

/// Lines between which rows of a group are left out; of a row whose group is not known its own line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hole {
    /// In the test file.
    test: bool,
    first: u64,
    last: u64,
}

impl Table {
    /// Reads all rows of a CSV file, packed by gzip or not, or of a Parquet file.
    pub fn read(path: &Path, format: &Format) -> Result<Self, DataError> {
        let file = path.display().to_string();
        let opened = open(path, format).map_err(|source| DataError::Read {
            file: file.clone(),
            source,
        })?;
        let mut table = Self::from_reader(opened.text, &file, format)?;
        let left_out = opened.notes.iter().map(|note| format!("{file}: {note}"));
        table.notes.extend(left_out);
        Ok(table)
    }

    /// The same from anything that can be read.
    pub fn from_reader(input: impl Read, file: &str, format: &Format) -> Result<Self, DataError> {
        let mut reader = Reader::new(BufReader::new(input), file, format)?;
        let skips = format.on_error == OnError::Skip;
        let mut records = Vec::new();
        let mut broken = Broken::default();
        let mut holes = Vec::new();
        loop {
            match reader.advance() {
                Ok(true) => records.push(exactly(reader.records().record())),
                Ok(false) => break,
                Err(error) if skips && error.is_of_row() => {
                    let line = reader.records().line();
                    // Nothing was measured between two parts of a file that was put together.
                    if !matches!(error, DataError::RepeatedHeader { .. }) {
                        holes.push(Hole {
                            test: false,
                            first: line,
                            last: line,
                        });
                    }
                    broken.add(error);
                }
                Err(error) => return Err(error),
            }
        }
        if records.is_empty() {
            let why = broken.first.or(reader.unheard());
            return Err(why.unwrap_or(DataError::Empty { file: file.into() }));
        }
        if format.newest_first {
            records.reverse();
        }
        Ok(Table {
            file: file.into(),
            notes: (reader.notes().into_iter())
                .chain(broken.note(file, records.len()))
                .collect(),
            skips,
            holes,
            names: reader.names,
            fields: reader.fields,
            groups: vec![Group {
                rows: 0..records.len(),
                test: false,
                before: None,
            }],
            test_file: None,
            own_names: Default::default(),
            records,
        })
    }

    /// What errors call the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What errors call the file that a row came from.
    pub fn file_of(&self, row: usize) -> &str {
        let test = self.groups.iter().any(|g| g.test && g.rows.contains(&row));
        let test = self.test_file.as_ref().filter(|_| test);
        test.unwrap_or(&self.file)
    }

    /// The column names in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.records.len()
    }

    /// The line of the file that a row came from, from 1.
    pub fn line(&self, row: usize) -> u64 {
        line_of(&self.records[row])
    }

    /// All rows with the same text in this column are a group of their own from here on, wherever they stand; groups are
    /// in the order of their first rows.
    pub fn group_by(&mut self, column: &str) -> Result<(), DataError> {
        let at = self.place(column)?;
        let mut order: Vec<(usize, usize)> = Vec::with_capacity(self.rows());
        let mut groups: Vec<Group> = Vec::new();
        for Group { rows, test, .. } in &self.groups {
            let mut keys = HashMap::new();
            let first = groups.len();
            for row in rows.clone() {
                let key = &self.records[row][at];
                let group = *keys.entry(key).or_insert_with(|| {
                    groups.push(Group {
                        rows: 0..0,
                        test: *test,
                        before: None,
                    });
                    groups.len() - 1
                });
                groups[group].rows.end += 1;
                order.push((group, row));
            }
            let mut start = rows.start;
            for group in &mut groups[first..] {
                let length = group.rows.end;
                group.rows = start..start + length;
                start += length;
            }
        }
        // Stable: the rows of a group keep their order.
        order.sort_by_key(|&(group, _)| group);
        let mut records: Vec<_> = std::mem::take(&mut self.records)
            .into_iter()
            .map(Some)
            .collect();
        let moved = order.iter().filter_map(|&(_, row)| records[row].take());
        self.records = moved.collect();
        self.groups = groups;
        let unnamed = self.records.iter().filter(|record| record[at].is_empty());
        let unnamed = unnamed.count();
        if unnamed > 0 {
            let percent = 100.0 * unnamed as f64 / self.rows() as f64;
            self.notes.push(format!(
                "{}: {unnamed} of {} rows ({percent:.1} %) have no {column:?} and are taken for one group of their own; if they are of several, leave \
                 them out or name them",
                self.file,
                self.rows()
            ));
        }
        Ok(())
    }

    /// Adds to what there is to say.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// What was guessed or left out, and what is odd about the rows.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds what there is to say about the order of the rows in time, by this column or, without one, by those whose
    /// first field is a date.
    pub fn check_order(&mut self, column: Option<&str>) -> Result<(), DataError> {
        let places = match column {
            Some(column) => vec![self.place(column)?],
            None => (0..self.names.len())
                .filter(|&at| self.is_time(at))
                .collect(),
        };
        for at in places {
            let mut times = Times::new(self.time());
            let mut order = Order::default();
            let mut leaps = Leaps::default();
            let mut known = true;
            for group in &self.groups {
                let mut before = None;
                for row in group.rows.clone() {
                    let text = &self.records[row][at];
                    match times.read(text, column.is_none()) {
                        Ok(time) => {
                            let (before, line) = (before.replace(time.instant), self.line(row));
                            order.see(before, time.instant, line);
                            leaps.see(before, time.instant, line);
                        }
                        Err(_) if self.fields.is_missing(text) => {}
                        // Not a column of times after all, or an error where it is one of the features.
                        Err(_) => known = false,
                    }
                }
            }
            // A time that most rows share is of their group, and not theirs.
            let own = column.is_some() || !order.stands_still();
            if known && own {
                let wall = times.are_on_the_wall();
                self.notes
                    .extend(order.note(&self.file, &self.names[at], wall));
                self.notes.extend(leaps.note(&self.file, &self.names[at]));
                self.notes.extend(times.note(&self.file, &self.names[at]));
            }
        }
        Ok(())
    }

    /// Whether a column begins with a date and a time of day, or is called a time or date and begins with one.
    fn is_time(&self, at: usize) -> bool {
        let Some(first) = self.records.first() else {
            return false;
        };
        let text = &first[at];
        let named = ["time", "timestamp", "datetime", "date_time", "date", "day"];
        let named = named
            .iter()
            .any(|name| self.names[at].eq_ignore_ascii_case(name));
        let written = text.contains(':') && text.parse::<f64>().is_err();
        (named || written) && Times::new(self.time()).read(text, true).is_ok()
    }

    /// The one column of this name.
    fn place(&self, name: &str) -> Result<usize, DataError> {
        let found = place(&self.file, &self.names, name)?;
        found.ok_or_else(|| DataError::UnknownColumn {
            file: self.file.clone(),
            column: name.into(),
            known: self.names.clone(),
        })
    }

    /// Adds the columns of `other` to the rows with the same text in `on`.
    pub fn join(&mut self, other: &Table, on: &str) -> Result<(), DataError> {
        let keys = other.text_column(on)?;
        let mut places = HashMap::new();
        for (row, &key) in keys.iter().enumerate() {
            if places.insert(key, row).is_some() {
                return Err(DataError::Key {
                    file: other.file.clone(),
                    line: other.line(row),
                    column: on.into(),
                    text: key.into(),
                    problem: "stands there twice",
                });
            }
        }
        let (both, added): (Vec<usize>, Vec<usize>) =
            (0..other.names.len()).partition(|&k| self.names.contains(&other.names[k]));
        let both: Vec<&str> = both
            .iter()
            .map(|&k| &other.names[k][..])
            .filter(|&name| name != on)
            .collect();
        if !both.is_empty() {
            self.notes.push(format!(
                "{} and {} both have {}; the first file's is taken",
                self.file,
                other.file,
                both.join(", ")
            ));
        }
        self.notes.extend(other.notes.iter().cloned());
        let rows: Vec<usize> = self
            .text_column(on)?
            .iter()
            .enumerate()
            .map(|(row, key)| {
                places.get(key).copied().ok_or_else(|| DataError::Key {
                    file: self.file.clone(),
                    line: self.line(row),
                    column: on.into(),
                    text: (*key).into(),
                    problem: "has no row in the joined file",
                })
            })
            .collect::<Result<_, _>>()?;
        for (record, row) in self.records.iter_mut().zip(rows) {
            added
                .iter()
                .for_each(|&k| record.push_field(&other.records[row][k]));
        }
        self.names
            .extend(added.iter().map(|&k| other.names[k].clone()));
        Ok(())
    }

    /// Adds the rows of `other` as the test part. Columns that only one of the two has are empty in the other's rows.
    pub fn append_test(&mut self, other: &Table) {
        let fresh: Vec<String> = other
            .names
            .iter()
            .filter(|name| !self.names.contains(name))
            .cloned()
            .collect();
        let before = self.names.len();
        for record in &mut self.records {
            fresh.iter().for_each(|_| record.push_field(""));
        }
        self.names.extend(fresh);
        let fresh = self.names.len() - before;
        let place = |name: &String| other.names.iter().position(|n| n == name);
        let places: Vec<Option<usize>> = self.names.iter().map(place).collect();
        let start = self.rows();
        for record in &other.records {
            let fields = places.iter().map(|place| place.map_or("", |k| &record[k]));
            let mut row: ::csv::StringRecord = fields.collect();
            row.set_position(record.position().cloned());
            self.records.push(row);
        }
        self.groups.push(Group {
            rows: start..self.rows(),
            test: true,
            before: None,
        });
        self.test_file = Some(other.file.clone());
        let own = &self.names[..self.names.len() - fresh];
        self.own_names = [own.to_vec(), other.names.clone()];
        let holes = other.holes.iter();
        self.holes
            .extend(holes.map(|&hole| Hole { test: true, ..hole }));
        self.notes.extend(other.notes.iter().cloned());
    }

    /// An error where the test part has a file of its own and one of the two lacks one of these columns: it would be empty there.
    pub fn has_in_each_file(&self, names: &[&str]) -> Result<(), DataError> {
        let Some(test_file) = &self.test_file else {
            return Ok(());
        };
        for (file, own) in [&self.file, test_file].into_iter().zip(&self.own_names) {
            let there = |name: &&str| {
                let is = |column: &str| own.iter().any(|own| own == column);
                is(name) || is(Derived::column_of(name))
            };
            if let Some(name) = names.iter().find(|name| !there(name)) {
                return Err(DataError::UnknownColumn {
                    file: file.clone(),
                    column: Derived::column_of(name).into(),
                    known: own.clone(),
                });
            }
        }
        Ok(())
    }

    /// The file of the test part, where it has one of its own.
    pub fn test_file(&self) -> Option<&str> {
        self.test_file.as_deref()
    }

    /// Rows that are for the test part by the split, where that has a file of its own too, and those of that file.
    pub fn own_test_rows(&self, is_test: impl Fn(usize) -> bool) -> Option<(usize, usize, &str)> {
        let file = self.test_file.as_ref()?;
        let groups = |test| self.groups.iter().filter(move |group| group.test == test);
        let own = groups(false).flat_map(|group| group.rows.clone());
        let own = own.filter(|&row| is_test(row)).count();
        let theirs = groups(true).map(|group| group.rows.len()).sum();
        Some((own, theirs, file))
    }

    /// The groups in order; one, of all rows, unless the table was grouped.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The rows of a group that follow each other with no row left out between them: nothing that looks from row to row
    /// reaches from one such piece into the next.
    pub fn pieces(&self, group: &Group) -> Vec<Range<usize>> {
        let mut holes: Vec<Hole> = self.holes.clone();
        holes.retain(|hole| hole.test == group.test);
        holes.sort_unstable();
        let is_hole = |row: usize| {
            let [a, b] = [row - 1, row].map(|row| self.line(row));
            let (low, high) = (a.min(b), a.max(b));
            let from = holes.partition_point(|hole| hole.first < low);
            let mut within = holes[from..].iter().take_while(|hole| hole.first <= high);
            within.any(|hole| hole.last <= high)
        };
        let mut pieces = Vec::new();
        let mut start = group.rows.start;
        if !holes.is_empty() {
            for row in group.rows.clone().skip(1).filter(|&row| is_hole(row)) {
                pieces.push(start..row);
                start = row;
            }
        }
        pieces.push(start..group.rows.end);
        pieces
    }

    /// These rows of each group, which may be fewer or repeat; a group without any is gone.
    pub fn select(&self, rows_of: impl Fn(Range<usize>) -> Vec<usize>) -> Self {
        let (mut records, mut groups) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let start = records.len();
            let rows = rows_of(group.rows.clone());
            records.extend(rows.iter().map(|&row| self.records[row].clone()));
            if records.len() > start {
                groups.push(Group {
                    rows: start..records.len(),
                    ..group.clone()
                });
            }
        }
        Table {
            file: self.file.clone(),
            names: self.names.clone(),
            fields: self.fields.clone(),
            records,
            groups,
            test_file: self.test_file.clone(),
            own_names: self.own_names.clone(),
            skips: self.skips,
            holes: self.holes.clone(),
            notes: self.notes.clone(),
        }
    }

    /// The table without the first rows of each group, up to the first of which this is true; gaps behind them go on from what was
    /// in them.
    pub fn without_first(&self, begins: impl Fn(usize) -> bool) -> Self {
        let rest = |rows: Range<usize>| rows.skip_while(|&row| !begins(row));
        let mut table = self.select(|rows| rest(rows).collect());
        let left = self.groups.iter().filter_map(|group| {
            let first = rest(group.rows.clone()).next()?;
            Some((group, first))
        });
        for (shorter, (group, first)) in table.groups.iter_mut().zip(left) {
            let earlier = &self.records[group.rows.start..first];
            let Some(last) = earlier.last() else { continue };
            let latest = |at: usize| {
                let fields = earlier
                    .iter()
                    .rev()
                    .chain(&group.before)
                    .map(|row| &row[at]);
                let known = |field: &&str| !self.fields.is_missing(field);
                fields.clone().find(known).unwrap_or("")
            };
            let mut before: ::csv::StringRecord = (0..last.len()).map(latest).collect();
            before.set_position(last.position().cloned());
            shorter.before = Some(before);
        }
        table
    }

    /// The table without the rows that do not hold numbers of these columns or have other faults; none where broken rows are errors, or there are
    /// none.
    ///
    /// # Errors
    /// If no row is left, that of the first one; and if there is no such column.
    pub fn without_broken<I>(
        &self,
        names: &[&str],
        faults: impl FnOnce(&Self) -> Result<I, DataError>,
    ) -> Result<Option<Self>, DataError>
    where
        I: IntoIterator<Item = (usize, DataError)>,
    {
        if !self.skips {
            return Ok(None);
        }
        let mut faults: HashMap<usize, DataError> = faults(self)?.into_iter().collect();
        let mut fields = self.fields.clone();
        if self.holds() {
            fields.missing = Missing::Nan;
        }
        let mut columns = Columns::find(&self.file, &self.names, &fields, names)?;
        let mut sample = vec![0.0; names.len()];
        let mut whole = vec![true; self.rows()];
        let mut broken = Broken::default();
        let mut holes = Vec::new();
        for group in &self.groups {
            columns.forget();
            columns.file = self.file_of(group.rows.start).to_owned();
            for row in group.rows.clone() {
                let record = &self.records[row];
                let later = |rows: usize| &self.records[(row + rows).min(group.rows.end - 1)];
                let parsed = columns.parse(record, later, line_of(record), &mut sample);
                match parsed.and_then(|()| faults.remove(&row).map_or(Ok(()), Err)) {
                    Ok(()) => {}
                    Err(error) if error.is_of_row() => {
                        whole[row] = false;
                        broken.add(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            let mut before = None;
            for row in group.rows.clone().filter(|&row| whole[row]) {
                if let Some(before) = before.replace(row)
                    && row > before + 1
                {
                    let [a, b] = [before, row].map(|row| self.line(row));
                    holes.push(Hole {
                        test: group.test,
                        first: a.min(b),
                        last: a.max(b),
                    });
                }
            }
        }
        let left = whole.iter().filter(|whole| **whole).count();
        if left == self.rows() {
            return Ok(None);
        }
        let note = broken.note(&self.file, left);
        match broken.first {
            Some(error) if left == 0 => Err(error),
            _ => {
                let mut table = self.select(|rows| rows.filter(|row| whole[*row]).collect());
                table.notes.extend(note);
                table.holes.extend(holes);
                Ok(Some(table))
            }
        }
    }

    /// How times are written, if that was said.
    pub fn time(&self) -> Option<&str> {
        self.fields.time.as_deref()
    }

    /// Gaps repeat the row before.
    pub fn holds(&self) -> bool {
        self.fields.missing == Missing::Hold
    }

    /// `[rows, names.len()]`: samples with the columns in the order asked for. A name that is not a
    /// column may be [derived](crate::data::derived) from one, as `hour_sin(date)` is.
    pub fn columns_named(&self, names: &[&str]) -> Result<Vec<f32>, DataError> {
        let samples = self.columns_with_gaps(names)?;
        if let Some(at) = samples.iter().position(|x| x.is_nan()) {
            let (row, column) = (at / names.len(), names[at % names.len()]);
            return Err(nothing_to_hold(
                self.file.clone(),
                self.line(row),
                column.into(),
                String::new(),
            ));
        }
        Ok(samples)
    }

    /// The same, but where gaps repeat the row before and there is none in the group, the number is NaN.
    pub fn columns_with_gaps(&self, names: &[&str]) -> Result<Vec<f32>, DataError> {
        let hold = self.fields.missing == Missing::Hold;
        let mut fields = self.fields.clone();
        if hold {
            fields.missing = Missing::Nan;
        }
        let mut columns = Columns::find(&self.file, &self.names, &fields, names)?;
        let mut samples = vec![0.0; self.rows() * names.len()];
        if names.is_empty() {
            return Ok(samples);
        }
        let width = names.len();
        for group in &self.groups {
            columns.forget();
            if let Some(file) = self.test_file.as_ref().filter(|_| group.test) {
                columns.file.clone_from(file);
            }
            let mut first = vec![f32::NAN; width];
            if let Some(before) = &group.before {
                let later = |rows: usize| {
                    &self.records[(group.rows.start + rows - 1).min(group.rows.end - 1)]
                };
                columns.parse(before, later, line_of(before), &mut first)?;
                // The first row that is left still has no row before it.
                columns.forget();
            }
            for piece in self.pieces(group) {
                for row in piece.clone() {
                    let (before, rest) = samples.split_at_mut(row * width);
                    let sample = &mut rest[..width];
                    let record = &self.records[row];
                    // Behind the last row there is nothing known: it stands in, in rows that predict nothing.
                    let later = |rows: usize| &self.records[(row + rows).min(piece.end - 1)];
                    columns.parse(record, later, line_of(record), sample)?;
                    if hold {
                        let before = match row > group.rows.start {
                            true => &before[(row - 1) * width..],
                            false => &first,
                        };
                        for (x, &before) in sample.iter_mut().zip(before) {
                            *x = if x.is_nan() { before } else { *x };
                        }
                    }
                }
            }
        }
        Ok(samples)
    }

    fn find(&self, wanted: &[&str]) -> Result<Columns, DataError> {
        Columns::find(&self.file, &self.names, &self.fields, wanted)
    }

    /// A field that stands for nothing.
    pub fn is_missing(&self, text: &str) -> bool {
        self.fields.is_missing(text)
    }

    /// The number that a field holds, if any.
    pub fn number(&self, text: &str) -> Option<f32> {
        self.fields.number(text).filter(|x: &f32| x.is_finite())
    }

    /// A column in 64 bits; what is missing or no number is NaN.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, DataError> {
        let texts = self.text_column(name)?;
        let number = |text: &&str| {
            let number = self.fields.number(text).filter(|x: &f64| x.is_finite());
            number
                .filter(|_| !self.fields.is_missing(text))
                .unwrap_or(f64::NAN)
        };
        Ok(texts.iter().map(number).collect())
    }

    /// Whether a column has numbers that 64 bits round: beyond 2^53, and not written as whole numbers, which are read as they are.
    pub fn is_rounded(&self, name: &str) -> Result<bool, DataError> {
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        let mut pairs = self.text_column(name)?.into_iter().zip(self.numbers(name)?);
        Ok(pairs.any(|(text, x)| x.abs() > WHOLE && self.fields.whole(text).is_none()))
    }

    /// The fields of a column as they stand.
    pub fn text_column(&self, name: &str) -> Result<Vec<&str>, DataError> {
        let columns = self.find(&[name])?;
        let at = columns.wanted[0].at;
        Ok(self.records.iter().map(|r| &r[at]).collect())
    }

    /// The fields of the columns without a name, and where these are.
    pub fn columns_without_names(&self) -> impl Iterator<Item = (usize, Vec<&str>)> {
        let places = (0..self.names.len()).filter(|&at| self.names[at].is_empty());
        places.map(|at| (at, self.records.iter().map(|record| &record[at]).collect()))
    }

    /// The columns of the [steps](super::super::steps) from `first` to `last`, and what there is to say about them.
    pub fn steps(
        &self,
        first: &str,
        last: &str,
    ) -> Result<(Vec<String>, Option<String>), DataError> {
        self.find(&[first, last])?;
        steps::between(&self.names, first, last).map_err(|problem| DataError::Steps {
            file: self.file.clone(),
            problem,
        })
    }
}

/// How a note about them begins.
pub const LEFT_OUT: &str = "are broken and left out";

/// Rows that are left out.
#[derive(Default)]
struct Broken {
    count: usize,
    first: Option<DataError>,
}

impl Broken {
    fn add(&mut self, error: DataError) {
        self.count += 1;
        self.first.get_or_insert(error);
    }

    /// What there is to say about them beside those that are left.
    fn note(&self, file: &str, left: usize) -> Option<String> {
        let first = self.first.as_ref()?;
        let (count, all) = (self.count, self.count + left);
        let share = 100.0 * count as f64 / all as f64;
        Some(format!(
            "{file}: {count} of {all} rows {LEFT_OUT} ({share:.2} %), the first: {first}"
        ))
    }
}

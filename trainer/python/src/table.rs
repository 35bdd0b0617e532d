//! A data frame as the CSV that it would print, as the trainer reads Parquet: so columns by name, derived ones, gaps, categories
//! and groups are what they are for `kinglet predict`, by the same code. Where all columns that the model takes are numbers,
//! they are not printed and read again: a number of 64 bits becomes the one of 32 that its text would be.

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader, StringArray, UInt64Array};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions, array_value_to_string};
use arrow_csv::WriterBuilder;
use arrow_ord::sort::{SortColumn, lexsort_to_indices};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use kinglet_trainer::beyond::Beyond;
use kinglet_trainer::data::csv::{Columns, Format, Header, Missing, OnError, Reader, composed};
use kinglet_trainer::data::{DataError, Written};
use kinglet_trainer::model_file::{input_names, output_names};
use kinglet_trainer::unheld::Unheld;
use kinglet_trainer::watch::Watch;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};
use std::collections::HashMap;
use std::fmt::Write;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use crate::loaded::Loaded;
use crate::session::{How, Moment, Samples, Session, takes_tokens};
use crate::{Error, told, warn};

/// Rows that are text, or numbers of 32 bits, at a time.
const ROWS: usize = 4096;

/// Rows between two looks for a signal.
const SLICE: usize = 1 << 15;

/// What the table is called in errors: its line 1 are the names.
const NAME: &str = "the table, as CSV";

/// The last column of the text: the number of the row.
const ROW: &str = "(row)";

/// A table of pandas, polars or pyarrow.
pub struct Table<'py>(Bound<'py, PyAny>);

impl<'py> Table<'py> {
    /// What of an object is a table; none if it is none.
    pub fn of(x: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        if !x.hasattr("__arrow_c_stream__")? && !x.hasattr("columns")? {
            return Ok(None);
        }
        let table = of_python(x.py())?.call_method1("table_of", (x,))?;
        Ok(Some(Table(table)))
    }

    fn names(&self) -> PyResult<Vec<String>> {
        let names = of_python(self.0.py())?.call_method1("columns", (&self.0,))?;
        names.extract()
    }

    /// The columns at these places, or all of them.
    pub fn rows(&self, places: Option<&[usize]>) -> PyResult<Rows> {
        let selected = of_python(self.0.py())?.call_method1("selected", (&self.0, places))?;
        let capsule = selected.call_method0("__arrow_c_stream__")?;
        let capsule = capsule.cast_into::<PyCapsule>()?;
        let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
        // SAFETY: a capsule of this name holds an ArrowArrayStream, by Arrow's PyCapsule interface; taking it leaves a released one
        // behind, so that the capsule's destructor has nothing left to do.
        let taken = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr().cast()) };
        let reader = RecordBatchStreamReader::try_new(taken);
        reader.map(Rows::new).map_err(|error| told(&error.into()))
    }
}

fn of_python(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("kinglet._tables")
}

/// The rows of a table, without columns that are lists or structures, some at a time.
pub struct Rows {
    schema: SchemaRef,
    plain: Vec<usize>,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
    /// What is left of a batch.
    rest: Option<RecordBatch>,
    /// The numbers of the rows, where they do not come in their order.
    order: Option<Vec<u64>>,
    given: u64,
}

impl Rows {
    pub fn new(batches: RecordBatchStreamReader) -> Self {
        let all = batches.schema();
        let is_plain = |at: &usize| !all.field(*at).data_type().is_nested();
        let plain: Vec<usize> = (0..all.fields().len()).filter(is_plain).collect();
        let fields = plain.iter().map(|&at| match all.field(at) {
            field if is_bytes(field.data_type()) => {
                Arc::new(field.clone().with_data_type(DataType::Utf8))
            }
            _ => all.fields()[at].clone(),
        });
        Rows {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            plain,
            batches: Box::new(batches),
            rest: None,
            order: None,
            given: 0,
        }
    }

    /// In the order of a column of times; rows of one time keep theirs.
    fn by_time(mut self, name: &str) -> Result<Self> {
        let found = self
            .schema
            .fields()
            .iter()
            .position(|field| field.name() == name);
        let at = found.with_context(|| {
            let names = self.schema.fields().iter().map(|field| &field.name()[..]);
            format!(
                "{NAME}: no column {name:?} of times; there are {}",
                names.collect::<Vec<_>>().join(", ")
            )
        })?;
        let kind = self.schema.field(at).data_type().clone();
        anyhow::ensure!(
            kind.is_temporal() || kind.is_numeric(),
            "{NAME}: column {name:?} is of type {kind}; rows are ordered by times or numbers: convert it first, such as by \
             pandas.to_datetime"
        );
        let mut batches = Vec::new();
        while let Some(batch) = self.next(usize::MAX)? {
            batches.push(batch);
        }
        let all = concat_batches(&self.schema, &batches)?;
        let mut gaps = all.column(at).logical_null_count();
        if kind.is_floating() {
            let times = cast(all.column(at), &DataType::Float64)?;
            let times = times.as_primitive::<Float64Type>();
            gaps += times.iter().flatten().filter(|time| time.is_nan()).count();
        }
        anyhow::ensure!(
            gaps == 0,
            "{NAME}: {gaps} rows have no time in column {name:?}; fill it in or leave them out"
        );
        let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..all.num_rows() as u64));
        let by = [all.column(at), &numbers].map(|values| SortColumn {
            values: values.clone(),
            options: None,
        });
        let order = lexsort_to_indices(&by, None)?;
        let sorted = take_record_batch(&all, &order)?;
        Ok(Rows {
            plain: (0..self.plain.len()).collect(),
            batches: Box::new([Ok(sorted)].into_iter()),
            rest: None,
            order: Some(order.values().iter().map(|&row| row.into()).collect()),
            given: 0,
            ..self
        })
    }

    /// Up to so many rows that lie together.
    fn next(&mut self, most: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let batch = loop {
            let batch = match self.rest.take() {
                Some(batch) => batch,
                None => match self.batches.next() {
                    Some(batch) => {
                        let batch = batch?.project(&self.plain)?;
                        let columns: Result<_, _> = batch.columns().iter().map(read).collect();
                        RecordBatch::try_new(self.schema.clone(), columns?)?
                    }
                    None => return Ok(None),
                },
            };
            if batch.num_rows() > 0 {
                break batch;
            }
        };
        let rows = batch.num_rows().min(most);
        if rows < batch.num_rows() {
            self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        self.given += rows as u64;
        Ok(Some(batch.slice(0, rows)))
    }

    /// The number of a row in the table, by its place among those that are given.
    fn number(&self, place: u64) -> u64 {
        self.order
            .as_ref()
            .map_or(place, |order| order[place as usize])
    }

    fn has_times(&self) -> bool {
        let mut fields = self.schema.fields().iter();
        fields.any(|field| field.data_type().is_temporal())
    }
}

fn is_bytes(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, of) => is_bytes(of),
        kind => matches!(
            kind,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        ),
    }
}

/// A column as it is, but bytes as the text that they are, such as that of a database. Those that are none are printed as they were.
fn read(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !is_bytes(column.data_type()) {
        return Ok(column.clone());
    }
    let bytes = cast(column, &DataType::LargeBinary)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = |bytes: &[u8]| str::from_utf8(bytes).map_or_else(|_| hex(bytes), str::to_owned);
    let texts = bytes.as_binary::<i64>().iter().map(|bytes| bytes.map(text));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

/// Rows as CSV.
pub struct Text {
    rows: Rows,
    /// With [`ROW`].
    numbered: bool,
    schema: SchemaRef,
    text: Cursor<Vec<u8>>,
}

impl Text {
    /// `numbered`: with the number of the row as the last column.
    pub fn new(rows: Rows, numbered: bool) -> Result<Self> {
        let mut fields: Vec<Arc<Field>> = rows.schema.fields().iter().cloned().collect();
        if numbered {
            fields.push(Arc::new(Field::new(ROW, DataType::UInt64, false)));
        }
        let schema = Arc::new(Schema::new(fields));
        let text = printed(&RecordBatch::new_empty(schema.clone()), true)?;
        Ok(Text {
            rows,
            numbered,
            schema,
            text: Cursor::new(text),
        })
    }

    /// Whether there are times in it that are no text.
    pub fn has_times(&self) -> bool {
        self.rows.has_times()
    }

    /// The next rows.
    fn advance(&mut self) -> Result<Option<Vec<u8>>, ArrowError> {
        let first = self.rows.given;
        let Some(batch) = self.rows.next(ROWS)? else {
            return Ok(None);
        };
        let numbers = (first..self.rows.given).map(|place| self.rows.number(place));
        let numbers = self
            .numbered
            .then(|| Arc::new(UInt64Array::from_iter_values(numbers)) as ArrayRef);
        let columns = batch.columns().iter().cloned().chain(numbers).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        printed(&batch, false).map(Some)
    }
}

fn printed(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, ArrowError> {
    let mut text = Vec::new();
    let mut writer = WriterBuilder::new()
        .with_header(header)
        .with_date_format(DATE.to_owned())
        .with_datetime_format(TIME.to_owned())
        .with_timestamp_format(TIME.to_owned())
        .with_timestamp_tz_format(TIME_OF_ZONE.to_owned())
        .build(&mut text);
    writer.write(batch)?;
    drop(writer);
    Ok(text)
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let have = self.text.read(buffer)?;
            if have > 0 || buffer.is_empty() {
                return Ok(have);
            }
            match self.advance().map_err(io::Error::other)? {
                Some(text) => self.text = Cursor::new(text),
                None => return Ok(0),
            }
        }
    }
}

/// How times are printed.
const DATE: &str = "%Y-%m-%d";
const TIME: &str = "%Y-%m-%d %H:%M:%S%.f";
const TIME_OF_ZONE: &str = "%Y-%m-%d %H:%M:%S%.f%:z";

/// Rows whose columns are numbers.
struct Numbers {
    rows: Rows,
    /// Places of the columns that the model takes, and of the one of groups.
    columns: Vec<usize>,
    group: Option<usize>,
    batch: RecordBatch,
    /// Rows of the batch that have been taken, and the place of its first.
    taken: usize,
    first: u64,
    /// The batch's numbers, row by row, and the groups of the rows if there are any.
    values: Vec<f32>,
    keys: Vec<String>,
}

impl Numbers {
    /// Whether the columns are numbers of at most 64 bits, or true and false, which are 1 and 0.
    fn can(schema: &Schema, columns: &[usize]) -> bool {
        use DataType::{Boolean, Float32, Float64};
        let is_number =
            |kind: &DataType| kind.is_integer() || matches!(kind, Boolean | Float32 | Float64);
        columns
            .iter()
            .all(|&at| is_number(schema.field(at).data_type()))
    }

    /// The next row as a sample, and its number; none at the end.
    fn next(&mut self, columns: &mut Columns, sample: &mut [f32]) -> Result<Option<u64>> {
        if self.taken == self.batch.num_rows() {
            self.first = self.rows.given;
            let Some(batch) = self.rows.next(ROWS)? else {
                return Ok(None);
            };
            (self.batch, self.taken) = (batch, 0);
            self.values.clear();
            self.values
                .resize(self.batch.num_rows() * self.columns.len(), f32::NAN);
            for (k, &at) in self.columns.iter().enumerate() {
                narrow(
                    self.batch.column(at),
                    &mut self.values,
                    k,
                    self.columns.len(),
                );
            }
            if let Some(at) = self.group {
                self.keys = keys_of(self.batch.column(at))?;
            }
        }
        let row = self.taken;
        self.taken += 1;
        let text = |k: usize| {
            let printed = array_value_to_string(self.batch.column(self.columns[k]), row);
            printed.unwrap_or_default()
        };
        let width = self.columns.len();
        let values = &self.values[row * width..][..width];
        let place = self.first + row as u64;
        // Line 1 are the names.
        let key = self.group.map(|_| &self.keys[row][..]);
        columns.take(key, values, text, place + 2, sample)?;
        Ok(Some(self.rows.number(place)))
    }
}

/// What the fields of a column of groups would be as text.
fn keys_of(column: &dyn Array) -> Result<Vec<String>> {
    let options = FormatOptions::default()
        .with_date_format(Some(DATE))
        .with_datetime_format(Some(TIME))
        .with_timestamp_format(Some(TIME))
        .with_timestamp_tz_format(Some(TIME_OF_ZONE));
    let printed = ArrayFormatter::try_new(column, &options)?;
    let mut text = String::new();
    let key = |row: usize| {
        text.clear();
        write!(text, "{}", printed.value(row))?;
        Ok(key_of(&text))
    };
    (0..column.len()).map(key).collect()
}

/// What says that two texts name one group: as the reader of CSV has fields.
fn key_of(text: &str) -> String {
    composed(text.trim()).into_owned()
}

/// What groups of these names are known by, in `Model.predict` and in a `Scorer`.
#[pyfunction]
#[pyo3(signature = (names, /))]
pub fn keys(names: Vec<String>) -> Vec<String> {
    names.iter().map(|name| key_of(name)).collect()
}

/// A column's numbers, as every `width`th from `first` on. Gaps stay as they are.
fn narrow(column: &dyn Array, out: &mut [f32], first: usize, width: usize) {
    fn each<T: ArrowPrimitiveType>(
        column: &dyn Array,
        out: &mut [f32],
        at: (usize, usize),
        as_f32: fn(T::Native) -> f32,
    ) {
        let column = column.as_primitive::<T>();
        let out = out.iter_mut().skip(at.0).step_by(at.1);
        match column.null_count() {
            0 => column
                .values()
                .iter()
                .zip(out)
                .for_each(|(&x, out)| *out = as_f32(x)),
            _ => column
                .iter()
                .zip(out)
                .for_each(|(x, out)| *out = x.map_or(f32::NAN, as_f32)),
        }
    }
    let at = (first, width);
    match column.data_type() {
        DataType::Boolean => {
            let out = out.iter_mut().skip(first).step_by(width);
            let values = column.as_boolean().iter().zip(out);
            values.for_each(|(x, out)| *out = x.map_or(f32::NAN, |x| f32::from(u8::from(x))));
        }
        DataType::Float64 => each::<Float64Type>(column, out, at, narrowed),
        DataType::Float32 => each::<Float32Type>(column, out, at, |x| x),
        DataType::Int8 => each::<Int8Type>(column, out, at, |x| x.into()),
        DataType::Int16 => each::<Int16Type>(column, out, at, |x| x.into()),
        DataType::Int32 => each::<Int32Type>(column, out, at, |x| x as f32),
        DataType::Int64 => each::<Int64Type>(column, out, at, |x| x as f32),
        DataType::UInt8 => each::<UInt8Type>(column, out, at, |x| x.into()),
        DataType::UInt16 => each::<UInt16Type>(column, out, at, |x| x.into()),
        DataType::UInt32 => each::<UInt32Type>(column, out, at, |x| x as f32),
        DataType::UInt64 => each::<UInt64Type>(column, out, at, |x| x as f32),
        // `can` lets no other in.
        _ => {}
    }
}

/// The number of 32 bits that the text of `x` is, which is the nearest to the shortest decimal that stands for `x`. Only where `x`
/// lies just between two of them, or where these are denormal or end, may that be another than the nearest to `x`.
fn narrowed(x: f64) -> f32 {
    let near = x as f32;
    let between = x.to_bits() & 0x1fff_ffff == 0x1000_0000;
    let odd = between || near.abs() <= f32::MIN_POSITIVE || near.abs() >= f32::MAX;
    if odd && x != 0.0 && x.is_finite() {
        return x.to_string().parse().unwrap_or(near);
    }
    near
}

/// Where samples come from.
enum Source {
    Text(Box<Reader<BufReader<Text>>>),
    Numbers(Box<Numbers>),
}

impl Source {
    /// The next sample and the number of its row; none at the end.
    fn next(&mut self, columns: &mut Columns, sample: &mut [f32]) -> Result<Option<u64>> {
        match self {
            Source::Numbers(numbers) => numbers.next(columns, sample),
            Source::Text(reader) => {
                if !reader.next_sample(columns, sample)? {
                    return Ok(None);
                }
                let row = reader.row();
                let number = row[row.len() - 1].parse();
                Ok(Some(number.context("a row without a number")?))
            }
        }
    }

    /// Rows that have no sample, as what is known ahead of them is not there.
    fn left_waiting(&self) -> usize {
        match self {
            Source::Text(reader) => reader.left_waiting(),
            Source::Numbers(_) => 0,
        }
    }
}

/// A group's rows.
struct Group<'m> {
    name: String,
    session: Session,
    watch: Option<Watch<'m>>,
    /// Columns that had a number.
    known: Vec<bool>,
}

/// The samples of a table, and what was answered.
struct Prediction<'m> {
    loaded: &'m Arc<Loaded>,
    how: How,
    source: Source,
    columns: Columns,
    /// The column of groups.
    group: Option<String>,
    on_error: OnError,
    sample: Vec<f32>,
    groups: Vec<Group<'m>>,
    places: HashMap<String, usize>,
    /// Samples of the last row's group that have not been answered, and their rows.
    current: usize,
    waiting: Vec<f32>,
    rows: Vec<i64>,
    beyond: Beyond<'m>,
    unheld: Unheld<'m>,
    watch: Option<Watch<'m>>,
    skipped: u64,
    taken: u64,
    answers: Answers,
}

#[derive(Default)]
struct Answers {
    rows: Vec<i64>,
    groups: Vec<usize>,
    y: Vec<f32>,
    scores: Vec<f32>,
    alarms: Vec<bool>,
}

impl Answers {
    /// In the order of the rows.
    fn in_order(&mut self, outputs: usize) {
        fn moved<T: Copy>(values: &[T], order: &[usize]) -> Vec<T> {
            // What no model of this kind gives is empty.
            order
                .iter()
                .filter_map(|&k| values.get(k).copied())
                .collect()
        }
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&k| self.rows[k]);
        let y = order
            .iter()
            .flat_map(|&k| &self.y[k * outputs..][..outputs]);
        self.y = y.copied().collect();
        self.rows = moved(&self.rows, &order);
        self.groups = moved(&self.groups, &order);
        self.scores = moved(&self.scores, &order);
        self.alarms = moved(&self.alarms, &order);
    }
}

impl<'m> Prediction<'m> {
    /// Goes on for some rows; false at the end.
    fn run(&mut self, rows: usize) -> Result<bool> {
        for _ in 0..rows {
            let row = match self.source.next(&mut self.columns, &mut self.sample) {
                Ok(Some(row)) => row,
                Ok(None) => return self.answer().map(|()| false),
                Err(error) if self.on_error == OnError::Skip && is_of_row(&error) => {
                    self.skipped += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.taken += 1;
            let name = self.columns.group().unwrap_or("");
            let is_current = self
                .groups
                .get(self.current)
                .is_some_and(|group| group.name == name);
            if !is_current {
                let name = name.to_owned();
                self.answer()?;
                self.current = match self.places.get(&name) {
                    Some(&place) => place,
                    None => self.add(name)?,
                };
            }
            self.beyond.meet(&self.sample);
            self.waiting.extend_from_slice(&self.sample);
            self.rows.push(row as i64);
        }
        self.answer()?;
        Ok(true)
    }

    fn add(&mut self, name: String) -> Result<usize> {
        let place = self.groups.len();
        self.places.insert(name.clone(), place);
        self.groups.push(Group {
            name,
            session: Session::new(self.loaded.clone(), self.how)?,
            watch: self.watch.clone(),
            known: vec![false; self.sample.len()],
        });
        Ok(place)
    }

    /// Answers what waits.
    fn answer(&mut self) -> Result<()> {
        let Some(group) = self.groups.get_mut(self.current) else {
            return Ok(());
        };
        let (answers, width) = (&mut self.answers, self.sample.len());
        let (beyond, unheld) = (&mut self.beyond, &mut self.unheld);
        let samples = Samples::Features(&self.waiting);
        let mut verdict = None;
        group.session.each(samples, |n, moment| match moment {
            Moment::Before(last) => {
                let sample = &self.waiting[n * width..][..width];
                unheld.meet(sample, &mut group.known);
                let watch = group.watch.as_mut();
                verdict = watch.and_then(|watch| watch.sample(last, sample));
            }
            Moment::Answered(y) => {
                let watch = group.watch.as_mut();
                let verdict = verdict.or(watch.and_then(|watch| watch.answer(y)));
                beyond.answer(y);
                unheld.answer(y, &group.known, ("row", self.rows[n] as u64));
                answers.y.extend_from_slice(y);
                answers.rows.push(self.rows[n]);
                answers.groups.push(self.current);
                if let Some(verdict) = &verdict {
                    answers.scores.push(verdict.score);
                    answers.alarms.push(verdict.alarm);
                }
            }
        })?;
        self.waiting.clear();
        self.rows.clear();
        Ok(())
    }

    fn notes(&self, file: &Written) -> Vec<String> {
        // What the records note is about text, and this one nobody wrote.
        let mut notes = self.columns.notes();
        notes.extend(self.beyond.notes());
        notes.extend(self.unheld.notes(self.taken));
        if let (engine::format::Shape::Window { window, .. }, 1.., true) = (
            self.loaded.model().header().shape,
            self.taken,
            self.answers.rows.is_empty() && !self.how.every_step,
        ) {
            notes.push(format!(
                "{} rows, and no answer: the model answers after {window} rows of a group",
                self.taken
            ));
        }
        let (left, ahead) = (self.source.left_waiting(), self.columns.ahead());
        if left > 0 {
            notes.push(format!(
                "{left} rows have no answer, as what is known {ahead} rows ahead of them is not there"
            ));
        }
        if self.skipped > 0 {
            let (skipped, all) = (self.skipped, self.taken + self.skipped);
            let share = 100.0 * skipped as f64 / all as f64;
            notes.push(format!(
                "{skipped} of {all} rows were skipped ({share:.2} %)"
            ));
        }
        if file.every > 1 {
            notes.push(format!(
                "the model was trained on the first of every {0} rows of its data; if these rows are as close as those were, pass every \
                 {0}th of them",
                file.every
            ));
        }
        notes
    }
}

fn is_of_row(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<DataError>()
        .is_some_and(DataError::is_of_row)
}

/// The column of groups: the one that was asked for, none for "", or that of the training data.
fn group_of(
    wanted: Option<String>,
    trained: &Written,
    names: &[String],
    notes: &mut Vec<String>,
) -> Option<String> {
    if let Some(wanted) = wanted {
        return Some(wanted).filter(|group| !group.is_empty());
    }
    let group = trained.group.clone()?;
    if names.contains(&group) {
        return Some(group);
    }
    notes.push(format!(
        "the table has no column {group:?}, which said in training what a row belongs to; all rows are taken as one stream"
    ));
    None
}

/// What says which rows of a table belong together, and in which order they came.
#[derive(Default)]
pub struct Grouping {
    pub group: Option<String>,
    pub time: Option<String>,
}

/// The columns of a table that the model takes, and those that say which rows belong together and when they were.
struct Needed {
    places: Vec<usize>,
    group: Option<usize>,
}

impl Needed {
    fn find(
        header: &Reader<&[u8]>,
        columns: &Columns,
        group: Option<&str>,
        time: Option<&str>,
    ) -> Result<Self> {
        let place = |name: &str| header.names().iter().position(|other| other == name);
        let time = time.map(|time| {
            place(time).with_context(|| {
                let names = header.names().join(", ");
                format!("{NAME}: no column {time:?} of times; there are {names}")
            })
        });
        let group = group.and_then(place);
        let mut places: Vec<usize> = columns.places().chain(group).collect();
        places.extend(time.transpose()?);
        places.sort_unstable();
        places.dedup();
        Ok(Needed { places, group })
    }
}

impl<'py> Table<'py> {
    /// Answers a table, and gives a table of the same kind.
    pub fn predict(
        &self,
        loaded: &Arc<Loaded>,
        Grouping { group, time }: Grouping,
        how: How,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, model) = (self.0.py(), loaded.model());
        if how.raw || takes_tokens(model) {
            let what = if how.raw {
                "raw is for arrays of numbers"
            } else {
                "a model of tokens takes arrays of whole numbers"
            };
            return Err(Error::new_err(format!("{what}; pass the column's values")));
        }
        let mut notes = Vec::new();
        let trained = Written::in_model(&loaded.file().bytes);
        let trained = trained.unwrap_or_else(|| {
            notes.push("what the model says about the data that it was trained on is of a later version, and is not known here".into());
            Written::default()
        });
        let usual = Format::default();
        let mut format = Format {
            delimiter: usual.delimiter,
            header: Header::FirstLine,
            comment: None,
            decimal: usual.decimal,
            thousands: None,
            encoding: None,
            multiline: true,
            missing: if model.holds() {
                Missing::Nan
            } else {
                trained.format.missing
            },
            ..trained.format.clone()
        };
        let inputs: Vec<&str> = input_names(model).iter().map(|name| name.0).collect();
        let names = self.names()?;
        let known = || -> Result<(Option<String>, Needed)> {
            let fields = names
                .iter()
                .map(|name| Field::new(name, DataType::Utf8, true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let header = printed(&RecordBatch::new_empty(schema), true)?;
            let header = Reader::new(&header[..], NAME, &format)?;
            let mut columns = header.columns(&inputs)?;
            let group = group_of(group, &trained, header.names(), &mut notes);
            if let Some(group) = &group {
                columns = columns.group_by(group, header.names())?;
            }
            let needed = Needed::find(&header, &columns, group.as_deref(), time.as_deref())?;
            Ok((group, needed))
        };
        let (group, needed) = known().map_err(|error| told(&error))?;
        let rows = self.rows(Some(&needed.places))?;
        let begin = || -> Result<Prediction<'_>> {
            let mut rows = rows;
            if rows.has_times() {
                format.time = None;
            }
            if let Some(time) = &time {
                rows = rows.by_time(time)?;
                format.newest_first = false;
            }
            let header = printed(&RecordBatch::new_empty(rows.schema.clone()), true)?;
            let header = Reader::new(&header[..], NAME, &format)?;
            let mut columns = header.columns(&inputs)?;
            if let Some(group) = &group {
                columns = columns.group_by(group, header.names())?;
            }
            let places: Vec<usize> = columns.places().collect();
            let as_text = !columns.are_plain()
                || !Numbers::can(&rows.schema, &places)
                || format.newest_first
                || format.skip > 0
                || !format.missing_values.is_empty();
            let source = if as_text {
                let text = BufReader::with_capacity(1 << 16, Text::new(rows, true)?);
                let mut reader = Reader::new(text, NAME, &format)?;
                if format.newest_first {
                    reader = reader.from_the_end();
                }
                Source::Text(Box::new(reader))
            } else {
                let at = |name: &String| header.names().iter().position(|other| other == name);
                Source::Numbers(Box::new(Numbers {
                    batch: RecordBatch::new_empty(rows.schema.clone()),
                    rows,
                    columns: places,
                    group: group.as_ref().and_then(at),
                    taken: 0,
                    first: 0,
                    values: Vec::new(),
                    keys: Vec::new(),
                }))
            };
            Ok(Prediction {
                loaded,
                how,
                columns,
                group,
                source,
                on_error: format.on_error,
                sample: vec![0.0; model.inputs()],
                groups: Vec::new(),
                places: HashMap::new(),
                current: 0,
                waiting: Vec::new(),
                rows: Vec::new(),
                beyond: Beyond::new(model).fitted_to(&trained),
                unheld: Unheld::new(model),
                watch: Watch::new(model, trained.wake.as_deref()),
                skipped: 0,
                taken: 0,
                answers: Answers::default(),
            })
        };
        let mut prediction = py.detach(begin).map_err(|error| told(&error))?;
        while py
            .detach(|| prediction.run(SLICE))
            .map_err(|error| told(&error))?
        {
            py.check_signals()?;
        }
        notes.extend(prediction.notes(&trained));
        notes.iter().try_for_each(|note| warn(py, note))?;
        if time.is_some() {
            py.detach(|| prediction.answers.in_order(model.outputs()));
        }
        prediction.table(&self.0, needed.group)
    }
}

impl Prediction<'_> {
    /// The answers as a table of the same kind as the samples', with the column of groups at this place.
    fn table<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        group: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, model, answers) = (x.py(), self.loaded.model(), &self.answers);
        let outputs = model.outputs();
        let names = output_names(model);
        let best = matches!(
            model.header().output,
            engine::format::Output::Classes { .. }
        );
        let best = best.then(|| {
            let each = answers.y.chunks_exact(outputs);
            let best = each.map(|y| engine::argmax(y) as i64);
            let classes: Vec<&str> = names.iter().map(|name| name.0).collect();
            (classes, PyArray1::from_iter(py, best))
        });
        let columns = PyList::empty(py);
        for (place, (name, _)) in names.iter().enumerate() {
            let column = answers.y.iter().skip(place).step_by(outputs);
            columns.append((name, PyArray1::from_iter(py, column.copied())))?;
        }
        if self.watch.is_some() {
            columns.append(("score", PyArray1::from_slice(py, &answers.scores)))?;
            columns.append(("alarm", PyArray1::from_slice(py, &answers.alarms)))?;
        }
        let rows = PyArray1::from_slice(py, &answers.rows);
        let group = self.group.as_ref().zip(group);
        of_python(py)?.call_method1("answers", (x, rows, group, best, columns))
    }
}

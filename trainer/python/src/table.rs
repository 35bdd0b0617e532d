//! A data frame as the CSV that it would print, as the trainer reads Parquet: so columns by name, derived ones, gaps, categories
//! and groups are what they are for `kinglet predict`, by the same code.

use anyhow::{Context, Result, anyhow};
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader, UInt64Array};
use arrow_csv::WriterBuilder;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use engine::Detector;
use kinglet_trainer::beyond::Beyond;
use kinglet_trainer::data::Written;
use kinglet_trainer::data::csv::{Columns, Format, Header, Missing, OnError, Reader};
use kinglet_trainer::model_file::{input_names, output_names};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};
use std::collections::HashMap;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use crate::loaded::Loaded;
use crate::session::{How, Samples, Session, takes_tokens};
use crate::{Error, told, warn};

/// Rows that are text at a time.
const ROWS: usize = 4096;

/// Rows between two looks for a signal.
const SLICE: usize = 1 << 15;

/// What the table is called in errors: its line 1 are the names.
const NAME: &str = "the table, as CSV";

/// The last column of the text: the number of the row.
const ROW: &str = "(row)";

/// What of an object is a table; none if it is none.
pub fn stream(x: &Bound<'_, PyAny>) -> PyResult<Option<RecordBatchStreamReader>> {
    if !x.hasattr("__arrow_c_stream__")? {
        return match x.hasattr("columns")? {
            true => Err(Error::new_err(
                "a table that has no __arrow_c_stream__; pass one of pandas 2.2 or newer (which needs pyarrow for it), polars or pyarrow",
            )),
            false => Ok(None),
        };
    }
    let capsule = x.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
    // SAFETY: a capsule of this name holds an ArrowArrayStream, by Arrow's PyCapsule interface; taking it leaves a released one
    // behind, so that the capsule's destructor has nothing left to do.
    let taken = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr().cast()) };
    let reader = RecordBatchStreamReader::try_new(taken);
    reader
        .map(Some)
        .map_err(|error| Error::new_err(error.to_string()))
}

/// Record batches as CSV.
struct Text {
    batches: RecordBatchStreamReader,
    /// Places of the columns that are no lists or structures.
    plain: Vec<usize>,
    schema: SchemaRef,
    rows: u64,
    batch: Option<RecordBatch>,
    text: Cursor<Vec<u8>>,
}

impl Text {
    fn new(batches: RecordBatchStreamReader) -> Result<Self> {
        let all = batches.schema();
        let is_plain = |at: &usize| !all.field(*at).data_type().is_nested();
        let plain: Vec<usize> = (0..all.fields().len()).filter(is_plain).collect();
        let mut fields: Vec<Arc<Field>> =
            plain.iter().map(|&at| all.fields()[at].clone()).collect();
        fields.push(Arc::new(Field::new(ROW, DataType::UInt64, false)));
        let schema = Arc::new(Schema::new(fields));
        let text = printed(&RecordBatch::new_empty(schema.clone()), true)?;
        Ok(Text {
            batches,
            plain,
            schema,
            rows: 0,
            batch: None,
            text: Cursor::new(text),
        })
    }

    /// The next rows.
    fn advance(&mut self) -> Result<Option<Vec<u8>>, ArrowError> {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => match self.batches.next() {
                Some(batch) => batch?,
                None => return Ok(None),
            },
        };
        let rows = batch.num_rows().min(ROWS);
        if rows < batch.num_rows() {
            self.batch = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        let columns = self.plain.iter().map(|&at| batch.column(at).slice(0, rows));
        let numbers = UInt64Array::from_iter_values(self.rows..self.rows + rows as u64);
        let columns: Vec<ArrayRef> = columns.chain([Arc::new(numbers) as ArrayRef]).collect();
        self.rows += rows as u64;
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        printed(&batch, false).map(Some)
    }
}

fn printed(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, ArrowError> {
    let mut text = Vec::new();
    let mut writer = WriterBuilder::new()
        .with_header(header)
        .with_date_format("%Y-%m-%d".to_owned())
        .with_datetime_format("%Y-%m-%d %H:%M:%S%.f".to_owned())
        .with_timestamp_format("%Y-%m-%d %H:%M:%S%.f".to_owned())
        .with_timestamp_tz_format("%Y-%m-%d %H:%M:%S%.f%:z".to_owned())
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

/// A group's rows.
struct Group<'m> {
    session: Session,
    detector: Option<Detector<'m>>,
}

/// The samples of a table, and what was answered.
struct Prediction<'m> {
    loaded: &'m Arc<Loaded>,
    how: How,
    reader: Reader<BufReader<Text>>,
    columns: Columns,
    /// The column of groups.
    group: Option<String>,
    on_error: OnError,
    sample: Vec<f32>,
    groups: HashMap<String, Group<'m>>,
    beyond: Beyond<'m>,
    watched: bool,
    skipped: u64,
    taken: u64,
    answers: Answers,
}

#[derive(Default)]
struct Answers {
    rows: Vec<i64>,
    groups: Vec<String>,
    y: Vec<f32>,
    scores: Vec<f32>,
    alarms: Vec<bool>,
}

impl<'m> Prediction<'m> {
    /// Goes on for some rows; false at the end.
    fn run(&mut self, rows: usize) -> Result<bool> {
        let place = self.reader.names().len() - 1;
        for _ in 0..rows {
            match self.reader.next_sample(&mut self.columns, &mut self.sample) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) if self.on_error == OnError::Skip && error.is_of_row() => {
                    self.skipped += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            self.taken += 1;
            let name = self.columns.group().unwrap_or("");
            if !self.groups.contains_key(name) {
                let group = Group {
                    session: Session::new(self.loaded.clone(), self.how)?,
                    detector: Detector::new(self.loaded.model()),
                };
                self.groups.insert(name.to_owned(), group);
            }
            let Some(group) = self.groups.get_mut(name) else {
                continue;
            };
            self.beyond.meet(&self.sample);
            let detector = group.detector.as_mut();
            let verdict = detector.map(|d| d.compare(group.session.last(), &self.sample));
            let Some(y) = group.session.step(Samples::Features(&self.sample))? else {
                continue;
            };
            let answers = &mut self.answers;
            answers.y.extend_from_slice(y);
            let row = self.reader.row()[place].parse();
            answers.rows.push(row.context("a row without a number")?);
            if self.columns.group().is_some() {
                answers.groups.push(name.to_owned());
            }
            if let Some(verdict) = verdict {
                answers.scores.push(verdict.score);
                answers.alarms.push(verdict.alarm);
            }
        }
        Ok(true)
    }

    fn notes(&self, file: &Written) -> Vec<String> {
        // What the records note is about text, and this one nobody wrote.
        let mut notes = self.columns.notes();
        notes.extend(self.beyond.notes());
        let (left, ahead) = (self.reader.left_waiting(), self.columns.ahead());
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

/// Answers a table, and gives a table of the same kind.
pub fn predict<'py>(
    loaded: &Arc<Loaded>,
    x: &Bound<'py, PyAny>,
    stream: RecordBatchStreamReader,
    group: Option<String>,
    how: How,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, model) = (x.py(), loaded.model());
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
    let begin = || -> Result<Prediction<'_>> {
        let usual = Format::default();
        let format = Format {
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
        let text = BufReader::with_capacity(1 << 16, Text::new(stream)?);
        let mut reader = Reader::new(text, NAME, &format)?;
        if format.newest_first {
            reader = reader.from_the_end();
        }
        let names: Vec<&str> = input_names(model).iter().map(|name| name.0).collect();
        let mut columns = reader.columns(&names)?;
        let group = group_of(group, &trained, reader.names(), &mut notes);
        if let Some(group) = &group {
            columns = columns.group_by(group, reader.names())?;
        }
        Ok(Prediction {
            loaded,
            how,
            columns,
            group,
            reader,
            on_error: format.on_error,
            sample: vec![0.0; model.inputs()],
            groups: HashMap::new(),
            beyond: Beyond::new(model),
            watched: Detector::new(model).is_some(),
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
    table(x, &prediction)
}

/// The answers as a table of the same kind as the samples': with the rows' index in pandas, else with their numbers.
fn table<'py>(x: &Bound<'py, PyAny>, prediction: &Prediction<'_>) -> PyResult<Bound<'py, PyAny>> {
    let (py, model) = (x.py(), prediction.loaded.model());
    let answers = &prediction.answers;
    let kind = x.get_type().module()?.to_string();
    let kind = kind.split('.').next().unwrap_or("");
    let columns = PyDict::new(py);
    let rows = PyArray1::from_slice(py, &answers.rows);
    if kind != "pandas" {
        columns.set_item("row", &rows)?;
    }
    if let Some(group) = &prediction.group {
        columns.set_item(group, PyList::new(py, &answers.groups)?)?;
    }
    let outputs = model.outputs();
    let names = output_names(model);
    if matches!(
        model.header().output,
        engine::format::Output::Classes { .. }
    ) {
        let best = answers
            .y
            .chunks_exact(outputs)
            .map(|y| names[engine::argmax(y)].0);
        columns.set_item("class", PyList::new(py, best.collect::<Vec<&str>>())?)?;
    }
    for (place, (name, _)) in names.iter().enumerate() {
        if columns.contains(name)? {
            return Err(told(&anyhow!(
                "the answer would have two columns {name:?}; rename the table's, or pass an array"
            )));
        }
        let column = answers.y.iter().skip(place).step_by(outputs);
        columns.set_item(name, PyArray1::from_iter(py, column.copied()))?;
    }
    if prediction.watched {
        columns.set_item("score", PyArray1::from_slice(py, &answers.scores))?;
        columns.set_item("alarm", PyArray1::from_slice(py, &answers.alarms))?;
    }
    match kind {
        "pandas" => {
            let index = x.getattr("index")?.call_method1("take", (rows,))?;
            let pandas = py.import("pandas")?;
            pandas.getattr("DataFrame")?.call1((columns, index))
        }
        "polars" => py.import("polars")?.getattr("DataFrame")?.call1((columns,)),
        _ => py.import("pyarrow")?.getattr("table")?.call1((columns,)),
    }
}

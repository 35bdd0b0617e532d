//! `kinglet.Model`.

use engine::format::{Output, Shape};
use kinglet_trainer::beyond::Beyond;
use kinglet_trainer::engine::AnyRunner;
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::model_file::{ModelFile, format_name, input_names, output_names, text_length};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict};
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::arrays::array;
use crate::batch::Batch;
use crate::cores;
use crate::listen::{Greedy, LogMel, settings, written};
use crate::loaded::Loaded;
use crate::session::{How, Samples, Session, slice, takes_tokens, width};
use crate::stream::Stream;
use crate::table::{Grouping, Table};
use crate::watch::{Detector, Spotter};
use crate::{Error, bytes, told, warn};

/// A model file.
///
/// It has one stream of its own, for `step`; `predict` and `stream` begin others and leave it alone.
#[pyclass(frozen, subclass, module = "kinglet")]
pub struct Model {
    loaded: Arc<Loaded>,
    own: Mutex<Session>,
}

/// Loads a model file, as `kinglet train`, `import` and `quantize` write it.
///
/// Raises kinglet.Error if the file cannot be read or holds no model.
#[pyfunction]
#[pyo3(signature = (path, /))]
pub fn load(path: PathBuf) -> PyResult<Model> {
    Model::new(Loaded::read(&path))
}

impl Model {
    fn new(loaded: anyhow::Result<Loaded>) -> PyResult<Self> {
        let own = |loaded: Loaded| {
            let loaded = Arc::new(loaded);
            let own = Mutex::new(Session::new(loaded.clone(), How::default())?);
            Ok(Model { loaded, own })
        };
        loaded.and_then(own).map_err(|error| told(&error))
    }

    fn model(&self) -> &engine::Model<'_> {
        self.loaded.model()
    }

    fn own(&self, py: Python<'_>) -> MutexGuard<'_, Session> {
        let own = self.own.lock_py_attached(py);
        own.unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self, how: How) -> PyResult<Session> {
        Session::new(self.loaded.clone(), how).map_err(|error| told(&error))
    }
}

#[pymethods]
impl Model {
    /// As `load`.
    #[new]
    #[pyo3(signature = (path, /))]
    fn open(path: PathBuf) -> PyResult<Self> {
        load(path)
    }

    /// An integer model of this float one, or an f16 one, as `kinglet quantize` makes it, calibrated on raw samples.
    ///
    /// precision: "w8a16", "w8a8", "w4a8", "f16", or "mixed" with max_flash= or max_cycles=. frame: a table, or the path of a data
    /// file, of a few thousand rows that look like those to come. Further options are those of the command, with `_` for `-`:
    /// for_="cortex-m4", force=True.
    ///
    /// Raises kinglet.Error, also where the outputs move by more than 5 % of their spread and force is not given. What there is to note
    /// is a warning.
    #[pyo3(signature = (precision, frame, /, **options))]
    fn quantize<'py>(
        slf: &Bound<'py, Self>,
        precision: &str,
        frame: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let quantize = slf
            .py()
            .import("kinglet._quantizing")?
            .getattr("quantize")?;
        quantize.call((slf, precision, frame), options)
    }

    /// A model from the bytes of its file.
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let file = ModelFile {
            path: PathBuf::from("the model's bytes"),
            bytes: AlignedBytes::from(bytes(data)?.as_bytes()),
        };
        Model::new(Loaded::of(file))
    }

    /// The bytes of the file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.loaded.file().bytes)
    }

    /// As its file; the stream of its own starts anew in the copy.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let from_bytes = py.get_type::<Model>().getattr("from_bytes")?;
        Ok((from_bytes, (self.to_bytes(py),)))
    }

    /// Takes one sample into the model's own stream.
    ///
    /// x: (inputs,) numbers in the units of `input_units`, NaN where one is missing; of a model of tokens one whole number.
    ///
    /// Returns (outputs,) float32 in the units of `output_units`, or None where a window is not complete.
    #[pyo3(signature = (x, /))]
    fn step<'py>(&self, x: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyArray1<f32>>>> {
        step(&mut self.own(x.py()), x)
    }

    /// Starts the model's own stream anew.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.own(py).reset().map_err(|error| told(&error))
    }

    /// Answers whole series, each from a reset on: the numbers that `kinglet predict` prints. x is an array or a table.
    ///
    /// x: (rows, inputs) of one series or (streams, rows, inputs) of several as long, which are spread over all cores; tokens are
    /// (rows,) or (streams, rows) whole numbers. float32 in C order is read where it lies, and must not be written to meanwhile.
    /// raw: plain tensors in and out, without normalisation and windows. every_step: an answer per row from a model of windows too.
    ///
    /// Returns (answers, outputs) or (streams, answers, outputs) float32: an answer per row, per window of a model of windows, or
    /// one per text of a model of texts.
    ///
    /// A table, of pandas, polars or pyarrow or of whatever else has `__arrow_c_stream__`, has columns by the model's names, in any
    /// order, and derived ones are computed, as `kinglet predict --csv` does. group: the column that says what a row belongs to,
    /// every value a stream of its own; by default as the model was trained, "" for none. time: the column of times in whose order the
    /// rows come, wherever they stand; by default they come as they stand. Returns a table of pandas with the index
    /// of the rows, or one of polars or pyarrow with their numbers as `row`: the group, a classifier's class, the outputs, and `score`
    /// and `alarm` of a model that watches for anomalies or waits for a word. What there is to note is a warning.
    #[pyo3(signature = (x, /, *, group=None, time=None, raw=false, every_step=false))]
    fn predict<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        group: Option<String>,
        time: Option<String>,
        raw: bool,
        every_step: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, model) = (x.py(), self.model());
        let how = How { raw, every_step };
        if let Some(table) = Table::of(x)? {
            return table.predict(&self.loaded, Grouping { group, time }, how);
        }
        if group.is_some() || time.is_some() {
            return Err(Error::new_err(
                "group and time are columns of a table; series of an array are its first axis, in order of time: (streams, rows, inputs)",
            ));
        }
        let x = array(model, x, [1, 2])?;
        let samples = x.samples()?;
        let outputs = model.outputs();
        let (streams, rows) = match x.axes[..] {
            [streams, rows] => (streams, rows),
            _ => (1, x.axes[0]),
        };
        let sessions = (0..streams).map(|_| self.session(how));
        let mut sessions: Vec<Session> = sessions.collect::<PyResult<_>>()?;
        let of_text = match sessions.first().is_some_and(Session::is_of_a_text) {
            true => text_length(model),
            false => None,
        };
        if let Some(longest) = of_text.filter(|&longest| rows > longest || rows == 0) {
            return Err(Error::new_err(format!(
                "a text of {rows} tokens; the model answers texts of 1 to {longest}: cut it, or pass every_step=True for an answer \
                 per token"
            )));
        }
        let mut answers: Vec<Vec<f32>> = vec![Vec::new(); streams];
        if streams == 1 {
            run(py, &mut sessions[0], samples, &mut answers[0])?;
        } else {
            run_all(py, &mut sessions, samples, rows, &mut answers)?;
        }
        if let Samples::Features(x) = samples
            && !raw
        {
            let mut beyond = Beyond::new(model).fitted_to(&written(&self.loaded));
            py.detach(|| {
                x.chunks_exact(model.inputs()).for_each(|x| beyond.meet(x));
                let answers = answers.iter().flat_map(|of| of.chunks_exact(outputs));
                answers.for_each(|y| beyond.answer(y));
            });
            beyond.notes().iter().try_for_each(|note| warn(py, note))?;
        }
        if of_text.is_some() {
            answers
                .iter_mut()
                .for_each(|of| drop(of.drain(..of.len() - outputs)));
        }
        let each = answers.first().map_or(0, Vec::len) / outputs;
        let answers = match answers.len() {
            1 => answers.swap_remove(0),
            _ => answers.concat(),
        };
        let shape = match x.axes.len() {
            1 => &[each, outputs][..],
            _ => &[streams, each, outputs],
        };
        Ok(shaped(py, shape, answers)?.into_any())
    }

    /// What is to be said of samples, (rows, inputs): values beyond what the model holds.
    fn _notes(&self, x: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let model = self.model();
        let x = array(model, x, [1, 1])?;
        let mut beyond = Beyond::new(model).fitted_to(&written(&self.loaded));
        if let Samples::Features(x) = x.samples()? {
            x.chunks_exact(model.inputs()).for_each(|x| beyond.meet(x));
        }
        Ok(beyond.notes())
    }

    /// Numbers that stand for a gap in the tables that the model was trained on.
    #[getter]
    fn _gaps(&self) -> Vec<f64> {
        written(&self.loaded).format.sentinels()
    }

    /// A new stream, from a reset on. raw and every_step are as in `predict`.
    #[pyo3(signature = (*, raw=false, every_step=false))]
    fn stream(&self, raw: bool, every_step: bool) -> PyResult<Stream> {
        Ok(Stream::new(self.session(How { raw, every_step })?))
    }

    /// So many new streams, which may be none, that are stepped together over all cores. raw and every_step are as in `predict`.
    #[pyo3(signature = (streams, *, raw=false, every_step=false))]
    fn batch(&self, streams: isize, raw: bool, every_step: bool) -> PyResult<Batch> {
        let streams = usize::try_from(streams)
            .map_err(|_| Error::new_err(format!("{streams} streams; expected 0 or more")))?;
        let batch = Batch::new(self.loaded.clone(), streams, How { raw, every_step });
        batch.map_err(|error| told(&error))
    }

    /// A new front end of a model that listens, in silence.
    ///
    /// Raises kinglet.Error if the model `listens` to nothing.
    fn log_mel(&self) -> PyResult<LogMel> {
        LogMel::new(&self.loaded)
    }

    /// A new watch for the word that the model waits for.
    ///
    /// Raises kinglet.Error if it waits for none.
    fn spotter(&self) -> PyResult<Spotter> {
        Spotter::new(&self.loaded)
    }

    /// A new watch for what the model did not foretell.
    ///
    /// Raises kinglet.Error if it has no alarm: `alarms` is False.
    fn detector(&self) -> PyResult<Detector> {
        Detector::new(&self.loaded)
    }

    /// A new reader of what a model of transcripts says.
    ///
    /// Raises kinglet.Error if it is none.
    fn greedy(&self) -> PyResult<Greedy> {
        Greedy::new(self.model())
    }

    /// What the model hears sound through: its "rate" in samples a second, samples of a "frame" and from one to the next, its "hop", and its
    /// "bands" from "low" to "high", in Hz. None if a sample is something else.
    #[getter]
    fn listens<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        settings(py, &self.loaded)
    }

    /// Whether the file has a threshold for how far samples may be from what the model foretold, so that there is a `detector`.
    #[getter]
    fn alarms(&self) -> bool {
        engine::Detector::new(self.model()).is_some()
    }

    /// Whether the outputs are probabilities of classes, whose names are `output_names`.
    #[getter]
    fn classifies(&self) -> bool {
        matches!(self.model().header().output, Output::Classes { .. })
    }

    /// The word that the model waits for, one of its classes.
    #[getter]
    fn wakes(&self) -> Option<String> {
        written(&self.loaded).wake
    }

    /// Samples a second, of a model whose samples are those of sound themselves.
    #[getter]
    fn rate(&self) -> Option<u32> {
        written(&self.loaded).rate
    }

    /// Digest of the test steps that are in the file, run on this machine, as `kinglet verify` prints it. That of an integer
    /// model is the same on every machine.
    ///
    /// Raises kinglet.Error if their results are not those in the file.
    #[getter]
    fn digest(&self) -> PyResult<String> {
        let path = self.loaded.file().path.display();
        if self.model().header().test.steps == 0 {
            return Err(Error::new_err(format!(
                "{path}: there are no test steps in it; export it again"
            )));
        }
        let mut state = AlignedBytes::zeroed(self.model().state_len());
        let runner = AnyRunner::bind(self.model(), &mut state);
        let digest = runner.map_err(|error| told(&error.into()))?.self_test();
        let digest = digest.map_err(|failure| Error::new_err(format!("{path}: {failure}")))?;
        Ok(digest.to_string())
    }

    /// What the model is called.
    #[getter]
    fn name(&self) -> &str {
        self.model().header().name
    }

    /// Where the file was read from.
    #[getter]
    fn path(&self) -> PathBuf {
        self.loaded.file().path.clone()
    }

    /// Number format of the layers: "f32", "f16", "w8a16", "w8a8", "w4a8" or "mixed".
    #[getter]
    fn format(&self) -> &'static str {
        format_name(self.model())
    }

    /// Numbers in a sample, or tokens in the alphabet.
    #[getter]
    fn inputs(&self) -> usize {
        self.model().inputs()
    }

    /// Numbers in an answer.
    #[getter]
    fn outputs(&self) -> usize {
        self.model().outputs()
    }

    /// Whether a sample is a token, not numbers.
    #[getter]
    fn takes_tokens(&self) -> bool {
        takes_tokens(self.model())
    }

    /// Whether a gap (NaN) repeats the number before it; other models take no gaps.
    #[getter]
    fn holds(&self) -> bool {
        self.model().holds()
    }

    /// Names of the inputs, or the tokens.
    #[getter]
    fn input_names(&self) -> Vec<&str> {
        input_names(self.model())
            .iter()
            .map(|name| name.0)
            .collect()
    }

    /// Units of the inputs, "" where none is known.
    #[getter]
    fn input_units(&self) -> Vec<&str> {
        input_names(self.model())
            .iter()
            .map(|name| name.1)
            .collect()
    }

    /// Names of the outputs, classes or tokens.
    #[getter]
    fn output_names(&self) -> Vec<&str> {
        output_names(self.model())
            .iter()
            .map(|name| name.0)
            .collect()
    }

    /// Units of the outputs, "" where none is known.
    #[getter]
    fn output_units(&self) -> Vec<&str> {
        output_names(self.model())
            .iter()
            .map(|name| name.1)
            .collect()
    }

    /// Samples per answer; None if every sample is answered.
    #[getter]
    fn window(&self) -> Option<u32> {
        match self.model().header().shape {
            Shape::EveryStep => None,
            Shape::Window { window, .. } => Some(window),
        }
    }

    /// Samples from one answer to the next.
    #[getter]
    fn hop(&self) -> u32 {
        match self.model().header().shape {
            Shape::EveryStep => 1,
            Shape::Window { hop, .. } => hop,
        }
    }

    /// Bytes of a stream's state in the engine.
    #[getter]
    fn state_bytes(&self) -> usize {
        self.model().state_len()
    }

    /// Bytes of the file.
    #[getter]
    fn flash_bytes(&self) -> usize {
        self.loaded.file().bytes.len()
    }

    /// Multiplications in a step.
    #[getter]
    fn macs(&self) -> usize {
        self.model().macs()
    }

    /// Checksum of the file, as `kinglet inspect` shows it.
    #[getter]
    fn crc(&self) -> String {
        format!("{:08x}", self.model().preamble().crc)
    }

    fn __repr__(&self) -> String {
        format!(
            "<kinglet.Model {:?}: {}, {} inputs, {} outputs, {} bytes>",
            self.name(),
            self.format(),
            self.inputs(),
            self.outputs(),
            self.flash_bytes()
        )
    }
}

/// A sample of a session, and its answer.
pub fn step<'py>(
    session: &mut Session,
    x: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyArray1<f32>>>> {
    let loaded = session.loaded().clone();
    let x_step = array(loaded.model(), x, [0, 0])?;
    let answer = session
        .step(x_step.samples()?)
        .map_err(|error| told(&error))?;
    Ok(answer.map(|y| PyArray1::from_slice(x.py(), y)))
}

/// Goes on over samples without the interpreter's lock, over all of them or none.
pub fn run(
    py: Python<'_>,
    session: &mut Session,
    samples: Samples<'_>,
    answers: &mut Vec<f32>,
) -> PyResult<()> {
    let loaded = session.loaded().clone();
    let each = slice(loaded.model()) * width(loaded.model());
    let mut onward = session.clone();
    for at in (0..samples.len()).step_by(each) {
        let part = samples.part(at..samples.len().min(at + each));
        py.detach(|| onward.run(part, answers))
            .map_err(|error| told(&error))?;
        py.check_signals()?;
    }
    *session = onward;
    Ok(())
}

/// The same for several streams of so many rows, over all cores.
fn run_all(
    py: Python<'_>,
    sessions: &mut [Session],
    samples: Samples<'_>,
    rows: usize,
    answers: &mut [Vec<f32>],
) -> PyResult<()> {
    let Some(first) = sessions.first() else {
        return Ok(());
    };
    let loaded = first.loaded().clone();
    let (model, width) = (loaded.model(), width(loaded.model()));
    let pool = cores::pool().map_err(|error| told(&error))?;
    let each = (slice(model) * pool.current_num_threads() / sessions.len()).max(16);
    for at in (0..rows).step_by(each) {
        let until = rows.min(at + each);
        py.detach(|| {
            let streams = sessions.par_iter_mut().zip(&mut *answers).enumerate();
            pool.install(|| {
                streams.try_for_each(|(n, (session, answers))| {
                    let row = |row| (n * rows + row) * width;
                    session.run(samples.part(row(at)..row(until)), answers)
                })
            })
        })
        .map_err(|error| told(&error))?;
        py.check_signals()?;
    }
    Ok(())
}

/// Answers as an array of this shape, which takes them over.
pub fn shaped<'py>(
    py: Python<'py>,
    shape: &[usize],
    answers: Vec<f32>,
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    PyArray1::from_vec(py, answers).reshape(shape.to_vec())
}

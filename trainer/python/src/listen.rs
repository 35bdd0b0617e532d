//! What a model hears sound through, and the transcript that it says: `kinglet.LogMel` and `kinglet.Greedy`.

use engine::Model;
use kinglet_trainer::data::Written;
use kinglet_trainer::data::audio::{Audio, Front, Recording};
use kinglet_trainer::model_file::{is_of_transcripts, output_names};
use numpy::{PyArray1, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use crate::arrays::{answers, numbers};
use crate::loaded::Loaded;
use crate::model::shaped;
use crate::{Error, alone, warn};

/// Samples that are heard between two looks for a signal.
const SLICE: usize = 1 << 20;

/// More than any sound has, however far it is over full scale: numbers of 16 bits have more.
const LOUDEST: f32 = 16.0;

/// What the model's file says about its data.
pub fn written(loaded: &Loaded) -> Written {
    Written::in_model(&loaded.file().bytes).unwrap_or_default()
}

/// The front end of a model that listens: rows of log-mel energies from sound, the bytes of the device. Made by `Model.log_mel()`.
#[pyclass(module = "kinglet")]
pub struct LogMel {
    audio: Audio,
    front: Box<Front>,
}

impl LogMel {
    pub fn new(loaded: &Loaded) -> PyResult<Self> {
        let Some(audio) = written(loaded).audio else {
            return Err(Error::new_err(
                "the model does not listen through a front end: its samples are not rows of log-mel energies",
            ));
        };
        let front = audio.front().map_err(|e| Error::new_err(e.to_string()))?;
        Ok(LogMel { audio, front })
    }

    fn rows<'py>(&self, py: Python<'py>, rows: Vec<f32>) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        shaped(py, &[rows.len() / self.audio.bands, self.audio.bands], rows)
    }
}

#[pymethods]
impl LogMel {
    /// Takes sound, and goes on where the last left off.
    ///
    /// sound: (samples,) at `Model.listens["rate"]`: floats whose full scale is 1, or int16.
    ///
    /// Returns (rows, bands) float32, the rows of the frames that end in it, as `Model.predict` and `Stream.run` take them.
    #[pyo3(signature = (sound, /))]
    fn push<'py>(
        slf: &Bound<'py, Self>,
        sound: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let mut ear = alone(slf)?;
        let sound = numbers(sound, "fi", "floats whose full scale is 1, or int16")?;
        let dtype = sound.dtype();
        let scale = match (dtype.kind(), dtype.itemsize()) {
            _ if sound.len() == 0 => 1.0,
            (b'f', _) => 1.0,
            (_, 2) => 1.0 / 32768.0,
            _ => {
                return Err(Error::new_err(format!(
                    "sound of type {dtype}; expected floats whose full scale is 1, or int16"
                )));
            }
        };
        if sound.ndim() != 1 {
            return Err(Error::new_err(format!(
                "sound of shape {:?}; expected (samples,) of one channel: take one, or their mean",
                sound.shape()
            )));
        }
        let sound = sound.call_method1("astype", ("float32", "C"))?;
        let sound = sound.cast_into::<PyArray1<f32>>()?;
        let samples = sound.readonly();
        let samples = samples.as_slice()?;
        let unfit = |x: &f32| !x.is_finite() || (x * scale).abs() > LOUDEST;
        if let Some(at) = samples.iter().position(unfit) {
            let cure = match samples[at].is_finite() {
                true => {
                    "whose full scale is 1: divide what came from int16 by 32768, or pass it as int16"
                }
                false => "expected a finite number",
            };
            return Err(Error::new_err(format!(
                "sound[{at}] is {}, {cure}",
                samples[at]
            )));
        }
        let (py, mut rows) = (sound.py(), Vec::new());
        for slice in samples.chunks(SLICE) {
            let front = &mut ear.front;
            py.detach(|| {
                for sample in slice {
                    if let Some(row) = front.push(sample * scale) {
                        rows.extend_from_slice(row);
                    }
                }
            });
            py.check_signals()?;
        }
        ear.rows(py, rows)
    }

    /// The rows of a whole WAV file, from silence on; what `push` has heard is left alone.
    ///
    /// Returns (rows, bands) float32. Raises kinglet.Error if the file is cut, or of another rate than `Model.listens["rate"]`. That several
    /// channels became one is a warning.
    #[pyo3(signature = (path, /))]
    fn read<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let shown = path.display().to_string();
        let wrong = |what: String| Error::new_err(format!("{shown}: {what}"));
        let file = File::open(&path).map_err(|e| wrong(e.to_string()))?;
        let heard = Recording::new(BufReader::new(file), self.audio.rate, &shown);
        let mut recording = heard.map_err(wrong)?;
        let mut front = self.front.clone();
        front.reset();
        let mut rows = Vec::new();
        while let Some(sample) = recording.next_sample().map_err(wrong)? {
            if let Some(row) = front.push(sample) {
                rows.extend_from_slice(row);
            }
        }
        if recording.channels > 1 {
            let channels = recording.channels;
            warn(
                py,
                &format!("{shown}: of {channels} channels the mean is taken"),
            )?;
        }
        if rows.is_empty() {
            let frame = self.audio.frame;
            return Err(wrong(format!("shorter than a frame of {frame} samples")));
        }
        self.rows(py, rows)
    }

    /// Begins anew, in silence.
    fn reset(&mut self) {
        self.front.reset();
    }
}

/// The settings of a front end, by name.
pub fn settings<'py>(py: Python<'py>, loaded: &Loaded) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(audio) = written(loaded).audio else {
        return Ok(None);
    };
    let (all, dict) = (audio.settings(), PyDict::new(py));
    dict.set_item("rate", all.rate)?;
    dict.set_item("frame", all.frame)?;
    dict.set_item("hop", all.hop)?;
    dict.set_item("bands", all.bands)?;
    dict.set_item("low", all.low)?;
    dict.set_item("high", all.high)?;
    Ok(Some(dict))
}

/// Says the tokens of a transcript, each once. Made by `Model.greedy()`.
#[pyclass(module = "kinglet")]
pub struct Greedy {
    names: Vec<String>,
    greedy: engine::Greedy,
}

impl Greedy {
    pub fn new(model: &Model<'_>) -> PyResult<Self> {
        if !is_of_transcripts(model) {
            return Err(Error::new_err("the model says no transcripts"));
        }
        let names = output_names(model);
        Ok(Greedy {
            names: names.iter().map(|name| name.0.to_owned()).collect(),
            greedy: engine::Greedy::new(),
        })
    }
}

#[pymethods]
impl Greedy {
    /// Takes answers of the model, and goes on where the last left off.
    ///
    /// y: (answers, outputs), or one of (outputs,).
    ///
    /// Returns the tokens that are known with them.
    #[pyo3(signature = (y, /))]
    fn push(&mut self, y: &Bound<'_, PyAny>) -> PyResult<Vec<&str>> {
        let y = answers(y, self.names.len())?;
        let all = y.readonly();
        let each = all.as_slice()?.chunks_exact(self.names.len());
        let tokens = each.filter_map(|y| self.greedy.push(y));
        Ok(tokens.map(|token| &self.names[token][..]).collect())
    }

    /// Starts anew: nothing was said.
    fn reset(&mut self) {
        self.greedy = engine::Greedy::new();
    }
}

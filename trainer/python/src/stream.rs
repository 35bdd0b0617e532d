//! `kinglet.Stream`.

use numpy::{PyArray1, PyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::array;
use crate::model::{run, shaped};
use crate::session::Session;
use crate::{Error, alone, bytes, model, told};

/// One stream of a model, with a state of its own. Made by `Model.stream()`.
///
/// A stream goes on where it was: `step` and `run` may be mixed, and give the same answers however the samples are cut.
#[pyclass(module = "kinglet")]
pub struct Stream {
    session: Session,
}

impl Stream {
    pub fn new(session: Session) -> Self {
        Stream { session }
    }
}

#[pymethods]
impl Stream {
    /// What goes to other processes is the model, and what its methods save.
    fn __reduce__(&self) -> PyResult<()> {
        Err(Error::new_err(
            "a Stream goes on where it is, and is not pickled: save() gives its state as bytes, which restore() of another stream takes",
        ))
    }

    /// Another stream that goes on from where this one is.
    fn __copy__(&self) -> Self {
        Stream::new(self.session.clone())
    }

    /// Takes one sample.
    ///
    /// x: (inputs,) numbers in the units of `Model.input_units`, NaN where one is missing; of a model of tokens one whole number.
    ///
    /// Returns (outputs,) float32 in the units of `Model.output_units`, or None where a window is not complete.
    #[pyo3(signature = (x, /))]
    fn step<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyArray1<f32>>>> {
        model::step(&mut alone(slf)?.session, x)
    }

    /// Goes on over samples.
    ///
    /// x: (rows, inputs), or (rows,) tokens.
    ///
    /// Returns (answers, outputs) float32: an answer per row or, of a model of windows, per window that ended in them. An error, and
    /// Ctrl-C, leave the stream as it was.
    #[pyo3(signature = (x, /))]
    fn run<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let mut stream = alone(slf)?;
        let loaded = stream.session.loaded().clone();
        let x_rows = array(loaded.model(), x, [1, 1])?;
        let mut answers = Vec::new();
        run(x.py(), &mut stream.session, x_rows.samples()?, &mut answers)?;
        let outputs = loaded.model().outputs();
        shaped(x.py(), &[answers.len() / outputs, outputs], answers)
    }

    /// Starts anew.
    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        alone(slf)?.session.reset().map_err(|error| told(&error))
    }

    /// The state as bytes, for `restore` of a stream of the same model, also in another process. Of a model that answers every
    /// step they are what the engine saves on a device.
    fn save<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let saved = alone(slf)?.session.save().map_err(|error| told(&error))?;
        Ok(PyBytes::new(slf.py(), &saved))
    }

    /// Goes on from a saved state. An error leaves the stream as it was.
    #[pyo3(signature = (state, /))]
    fn restore(slf: &Bound<'_, Self>, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let restored = alone(slf)?.session.restore(bytes(state)?.as_bytes());
        restored.map_err(|error| told(&error))
    }

    /// Bytes of memory that a stream's state takes in the engine.
    #[getter]
    fn state_bytes(&self) -> usize {
        self.session.loaded().model().state_len()
    }
}

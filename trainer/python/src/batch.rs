//! `kinglet.Batch`.

use anyhow::Context;
use engine::Model;
use numpy::PyArrayDyn;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::prelude::*;
use std::sync::Arc;

use crate::arrays::array;
use crate::cores;
use crate::loaded::Loaded;
use crate::model::shaped;
use crate::session::{How, Samples, Session, width};
use crate::{Error, alone, bytes, told};

/// Multiplications that are worth another core.
const WORTH: usize = 1 << 18;

/// Many streams of a model, stepped together over all cores. Made by `Model.batch(streams)`.
#[pyclass(module = "kinglet")]
pub struct Batch {
    loaded: Arc<Loaded>,
    sessions: Vec<Session>,
}

impl Batch {
    pub fn new(loaded: Arc<Loaded>, streams: usize, how: How) -> anyhow::Result<Self> {
        how.suits(loaded.model())?;
        let bytes = streams.saturating_mul(loaded.model().state_len() + size_of::<Session>());
        Vec::<u8>::new().try_reserve_exact(bytes).with_context(|| {
            format!(
                "{streams} streams take {:.1} GB, which is more than there is",
                bytes as f64 / 1e9
            )
        })?;
        let session = |_| Session::new(loaded.clone(), how);
        Ok(Batch {
            sessions: (0..streams).map(session).collect::<anyhow::Result<_>>()?,
            loaded,
        })
    }

    fn session(&mut self, stream: isize) -> PyResult<&mut Session> {
        let streams = self.sessions.len();
        let place = usize::try_from(stream).ok();
        let session = place.and_then(|place| self.sessions.get_mut(place));
        session.ok_or_else(|| {
            PyIndexError::new_err(format!(
                "no stream {stream}: there are {streams}, from 0 on"
            ))
        })
    }
}

#[pymethods]
impl Batch {
    /// What goes to other processes is the model, and what its methods save.
    fn __reduce__(&self) -> PyResult<()> {
        Err(Error::new_err(
            "a Batch goes on where it is, and is not pickled: save(row) gives the state of one as bytes, which restore(row, state) of another batch takes",
        ))
    }

    /// Takes one sample of every stream, without the interpreter's lock.
    ///
    /// x: (streams, inputs), or (streams,) tokens.
    ///
    /// Returns (streams, outputs) float32, NaN in the rows of streams whose window is not complete.
    #[pyo3(signature = (x, /))]
    fn step<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let (py, mut batch) = (x.py(), alone(slf)?);
        let loaded = batch.loaded.clone();
        let model = loaded.model();
        let taken = array(model, x, [1, 1])?;
        let streams = batch.sessions.len();
        if taken.axes[0] != streams {
            return Err(Error::new_err(format!(
                "samples of {} streams; the batch has {streams}",
                taken.axes[0]
            )));
        }
        let samples = taken.samples()?;
        let mut answers = vec![f32::NAN; streams * model.outputs()];
        let sessions = &mut batch.sessions;
        py.detach(|| {
            let worth = streams * model.macs() / WORTH;
            if worth <= 1 {
                return step(model, sessions, samples, &mut answers);
            }
            let pool = cores::pool()?;
            let cores = worth.min(pool.current_num_threads());
            let each = streams.div_ceil(cores);
            let parts = sessions.par_chunks_mut(each).enumerate();
            let parts = parts.zip(answers.par_chunks_mut(each * model.outputs()));
            pool.install(|| {
                parts.try_for_each(|((part, sessions), answers)| {
                    let first = part * each * width(model);
                    let samples = samples.part(first..first + sessions.len() * width(model));
                    step(model, sessions, samples, answers)
                })
            })
        })
        .map_err(|error| told(&error))?;
        shaped(py, &[streams, model.outputs()], answers)
    }

    /// Starts a stream anew; all of them by default.
    #[pyo3(signature = (stream=None))]
    fn reset(slf: &Bound<'_, Self>, stream: Option<isize>) -> PyResult<()> {
        let mut batch = alone(slf)?;
        match stream {
            Some(stream) => batch.session(stream)?.reset(),
            None => batch.sessions.iter_mut().try_for_each(Session::reset),
        }
        .map_err(|error| told(&error))
    }

    /// The state of a stream, as `Stream.save` gives it.
    fn save<'py>(slf: &Bound<'py, Self>, stream: isize) -> PyResult<Bound<'py, PyBytes>> {
        let mut batch = alone(slf)?;
        let saved = batch.session(stream)?.save();
        Ok(PyBytes::new(
            slf.py(),
            &saved.map_err(|error| told(&error))?,
        ))
    }

    /// A stream goes on from a saved state.
    fn restore(slf: &Bound<'_, Self>, stream: isize, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut batch = alone(slf)?;
        let restored = batch.session(stream)?.restore(bytes(state)?.as_bytes());
        restored.map_err(|error| told(&error))
    }

    /// Bytes of memory that all states take in the engine.
    #[getter]
    fn state_bytes(&self) -> usize {
        self.sessions.len() * self.loaded.model().state_len()
    }

    fn __len__(&self) -> usize {
        self.sessions.len()
    }
}

/// A sample of each.
fn step(
    model: &Model<'_>,
    sessions: &mut [Session],
    samples: Samples<'_>,
    answers: &mut [f32],
) -> anyhow::Result<()> {
    let Some(first) = sessions.first() else {
        return Ok(());
    };
    // Weights are loaded once for several streams, where all of them step.
    if first.is_plain() {
        let raw = first.how().raw;
        let mut batch = model.bind_batch(sessions)?;
        match samples {
            Samples::Features(x) if raw => batch.step_batch_raw(x, answers),
            Samples::Features(x) => batch.step_batch(x, answers),
            Samples::Tokens(tokens) => batch.step_batch_tokens(tokens, answers),
        }
        return Ok(());
    }
    let width = width(model);
    let answers = answers.chunks_exact_mut(model.outputs());
    for (n, (session, y)) in sessions.iter_mut().zip(answers).enumerate() {
        if let Some(answer) = session.step(samples.part(n * width..(n + 1) * width))? {
            y.copy_from_slice(answer);
        }
    }
    Ok(())
}

//! What says in a stream whether there is an alarm: `kinglet.Spotter` and `kinglet.Detector`, by what the model is for.

use engine::{Detector as EngineDetector, Spotter as EngineSpotter, Verdict};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use std::sync::Arc;

use crate::Error;
use crate::arrays::{answers, array, numbers};
use crate::listen::written;
use crate::loaded::Loaded;
use crate::session::Samples;

/// Scores and alarms.
type Verdicts<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<bool>>);

fn arrays<'py>(py: Python<'py>, verdicts: impl Iterator<Item = Verdict>) -> Verdicts<'py> {
    let (scores, alarms): (Vec<f32>, Vec<bool>) = verdicts.map(|v| (v.score, v.alarm)).unzip();
    (
        PyArray1::from_vec(py, scores),
        PyArray1::from_vec(py, alarms),
    )
}

/// Says when the word was said that a model waits for. Made by `Model.spotter()`.
#[pyclass(module = "kinglet")]
#[derive(Clone)]
pub struct Spotter {
    outputs: usize,
    spotter: EngineSpotter,
}

impl Spotter {
    pub fn new(loaded: &Loaded) -> PyResult<Self> {
        let model = loaded.model();
        let word = written(loaded).wake;
        let spotter = word.and_then(|word| EngineSpotter::new(model, &word));
        let spotter = spotter
            .ok_or_else(|| Error::new_err("the model waits for no word: Model.wakes is None"))?;
        Ok(Spotter {
            outputs: model.outputs(),
            spotter,
        })
    }
}

#[pymethods]
impl Spotter {
    /// What goes to other processes is the model, and what its methods save.
    fn __reduce__(&self) -> PyResult<()> {
        Err(Error::new_err(
            "a Spotter goes on where it is, and is not pickled: its score is all that it keeps, and may be set",
        ))
    }

    /// Another one that goes on from where this one is.
    fn __copy__(&self) -> Self {
        self.clone()
    }

    /// Takes answers of the model, and goes on where the last left off.
    ///
    /// y: (answers, outputs), or one of (outputs,).
    ///
    /// Returns (answers,) float32, the word's smoothed probability, and (answers,) bool, whether that is an alarm: above the model's threshold.
    #[pyo3(signature = (y, /))]
    fn push<'py>(&mut self, y: &Bound<'py, PyAny>) -> PyResult<Verdicts<'py>> {
        let y = answers(y, self.outputs)?;
        let (all, py) = (y.readonly(), y.py());
        let each = all.as_slice()?.chunks_exact(self.outputs);
        Ok(arrays(py, each.map(|y| self.spotter.push(y))))
    }

    /// The word's smoothed probability so far; may be set, to go on from it.
    #[getter]
    fn score(&self) -> f32 {
        self.spotter.score()
    }

    #[setter]
    fn set_score(&mut self, score: f32) -> PyResult<()> {
        if !(0.0..=1.0).contains(&score) {
            return Err(Error::new_err(format!(
                "a score of {score}, expected 0 to 1"
            )));
        }
        self.spotter.resume(score);
        Ok(())
    }

    /// Starts anew: nothing was said.
    fn reset(&mut self) {
        self.spotter.reset();
    }
}

/// Says how far samples are from what a model foretold, and when that is an alarm. Made by `Model.detector()`.
#[pyclass(module = "kinglet")]
#[derive(Clone)]
pub struct Detector {
    loaded: Arc<Loaded>,
    score: f32,
    /// The newest answer, NaN before the first.
    last: Vec<f32>,
}

impl Detector {
    pub fn new(loaded: &Arc<Loaded>) -> PyResult<Self> {
        of_engine(loaded)?;
        Ok(Detector {
            loaded: loaded.clone(),
            score: 0.0,
            last: vec![f32::NAN; loaded.model().outputs()],
        })
    }
}

/// Calm.
fn of_engine(loaded: &Loaded) -> PyResult<EngineDetector<'_>> {
    EngineDetector::new(loaded.model()).ok_or_else(|| {
        Error::new_err(
            "the model has no alarm: no threshold is in its file, or none of its outputs is an input's next value; [anomaly] in its \
             task has it trained with one",
        )
    })
}

#[pymethods]
impl Detector {
    /// What goes to other processes is the model, and what its methods save.
    fn __reduce__(&self) -> PyResult<()> {
        Err(Error::new_err(
            "a Detector goes on where it is, and is not pickled: its score and last are all that it keeps, and may be set",
        ))
    }

    /// Another one that goes on from where this one is.
    fn __copy__(&self) -> Self {
        self.clone()
    }

    /// Takes samples and the model's answers to them, and goes on where the last left off.
    ///
    /// x: (rows, inputs), as `Stream.run` took them.
    ///
    /// y: (answers, outputs), as it gave them: an answer per row, or where windows answer some only those in `answered`.
    ///
    /// answered: (rows,) bool, which rows have an answer; all of them by default.
    ///
    /// Returns (rows,) float32, the smoothed error in the unit of the outputs, and (rows,) bool, whether that is an alarm: above the
    /// model's threshold. A row is compared with what was foretold for it: by the answer before.
    #[pyo3(signature = (x, y, /, answered=None))]
    fn push<'py>(
        &mut self,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        answered: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Verdicts<'py>> {
        let (py, loaded) = (x.py(), self.loaded.clone());
        let model = loaded.model();
        let (inputs, outputs) = (model.inputs(), model.outputs());
        let x = array(model, x, [1, 1])?;
        let Samples::Features(x) = x.samples()? else {
            return Err(Error::new_err(
                "the model takes tokens, which nothing is compared with",
            ));
        };
        let rows = x.len() / inputs;
        let y = answers(y, outputs)?.readonly();
        let y = y.as_slice()?;
        let answered = match answered {
            Some(answered) => bools(answered)?,
            None => vec![true; rows],
        };
        let expected = answered.iter().filter(|&&is| is).count();
        if answered.len() != rows || expected * outputs != y.len() {
            return Err(Error::new_err(format!(
                "{rows} samples, {} answers, and {expected} of {} rows that are answered: where windows answer some rows only, answered= says which",
                y.len() / outputs,
                answered.len()
            )));
        }
        let mut detector = of_engine(&loaded)?;
        detector.resume(self.score);
        let mut y = y.chunks_exact(outputs);
        let last = &mut self.last;
        let verdicts = x.chunks_exact(inputs).zip(answered).map(|(x, answered)| {
            let verdict = detector.compare(last, x);
            match answered.then(|| y.next()).flatten() {
                Some(y) => last.copy_from_slice(y),
                None => last.fill(f32::NAN),
            }
            verdict
        });
        let verdicts: Vec<Verdict> = verdicts.collect();
        self.score = detector.score();
        Ok(arrays(py, verdicts.into_iter()))
    }

    /// The smoothed error so far; may be set, to go on from it.
    #[getter]
    fn score(&self) -> f32 {
        self.score
    }

    #[setter]
    fn set_score(&mut self, score: f32) -> PyResult<()> {
        if !(score >= 0.0 && score.is_finite()) {
            return Err(Error::new_err(format!(
                "a score of {score}, expected a number from 0 on"
            )));
        }
        self.score = score;
        Ok(())
    }

    /// The answer to the newest row, (outputs,) float32, NaN where it had none; may be set, to go on from it.
    #[getter]
    fn last<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_slice(py, &self.last)
    }

    #[setter]
    fn set_last(&mut self, last: &Bound<'_, PyAny>) -> PyResult<()> {
        let last = answers(last, self.last.len())?.readonly();
        let last = last.as_slice()?;
        if last.len() != self.last.len() {
            return Err(Error::new_err("several answers; expected one"));
        }
        self.last.copy_from_slice(last);
        Ok(())
    }

    /// Starts anew, calm.
    fn reset(&mut self) {
        self.score = 0.0;
        self.last.fill(f32::NAN);
    }
}

/// An array of truth.
fn bools(x: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
    let numbers = numbers(x, "b", "bool")?;
    let numbers = numbers.call_method1("astype", ("bool", "C"))?;
    Ok(numbers
        .cast_into::<PyArrayDyn<bool>>()?
        .readonly()
        .as_slice()?
        .to_vec())
}

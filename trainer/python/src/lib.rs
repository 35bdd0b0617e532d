//! The Python module `kinglet`: model files, run by the engine on NumPy arrays.
//!
//! A Python object owns what it works on: a [`Model`] the file, a [`Stream`] one state, a [`Batch`] many. Long work is done
//! in slices without the interpreter's lock, and a signal is looked for between them.

mod arrays;
mod batch;
mod command;
mod listen;
mod loaded;
mod model;
mod session;
mod stream;
mod table;
mod watch;

use pyo3::create_exception;
use pyo3::exceptions::{PyUserWarning, PyValueError};
use pyo3::prelude::*;

create_exception!(
    kinglet,
    Error,
    PyValueError,
    "What is wrong with a file or an argument, in the words of the command line."
);

#[pymodule(name = "_kinglet")]
mod python {
    #[pymodule_export]
    use crate::Error;
    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::command::{command, task_text, write_csv};
    #[pymodule_export]
    use crate::listen::{Greedy, LogMel};
    #[pymodule_export]
    use crate::model::{Model, load};
    #[pymodule_export]
    use crate::stream::Stream;
    #[pymodule_export]
    use crate::watch::{Detector, Spotter};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// An error as Python meets it.
fn told(error: &anyhow::Error) -> PyErr {
    Error::new_err(kinglet_trainer::causes::InOneLine(error).to_string())
}

/// What the command line would note on standard error.
fn warn(py: Python<'_>, note: &str) -> PyResult<()> {
    let note = std::ffi::CString::new(note.replace('\0', " "))?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &note, 1)
}

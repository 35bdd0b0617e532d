//! The Python module `kinglet`: model files, run by the engine on NumPy arrays.
//!
//! A Python object owns what it works on: a [`Model`] the file, a [`Stream`] one state, a [`Batch`] many. Long work is done
//! in slices without the interpreter's lock, and a signal is looked for between them.

mod arrays;
mod batch;
mod command;
mod cores;
mod listen;
mod loaded;
mod model;
mod session;
mod stream;
mod table;
mod watch;

use pyo3::PyClass;
use pyo3::create_exception;
use pyo3::exceptions::{PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::False;
use pyo3::types::{PyBytes, PyMemoryView};

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
    use crate::table::keys;
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

/// What goes on where it was, for a call that moves it on.
fn alone<'py, T: PyClass<Frozen = False>>(slf: &Bound<'py, T>) -> PyResult<PyRefMut<'py, T>> {
    slf.try_borrow_mut().map_err(|_| {
        let name = T::NAME;
        Error::new_err(format!(
            "another thread is using this {name}: a {name} is one thread's at a time; give every thread one of its own, or hold a lock"
        ))
    })
}

/// Bytes, or what else has some: a bytearray, a memoryview.
fn bytes<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = x.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let Ok(view) = PyMemoryView::from(x) else {
        let name = x.get_type().name()?;
        return Err(Error::new_err(format!("expected bytes, not {name}")));
    };
    Ok(view.call_method0("tobytes")?.cast_into()?)
}

/// What the command line would note on standard error.
fn warn(py: Python<'_>, note: &str) -> PyResult<()> {
    let note = std::ffi::CString::new(note.replace('\0', " "))?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &note, 1)
}

//! What a call came to.

use core::ffi::{c_char, c_int};
use kinglet::{BindError, LoadError, StateError};

/// What a call came to; kgl_strerror() says it in words. More may be added.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum kgl_status {
    /// Done.
    KGL_OK = 0,
    /// A pointer is null.
    KGL_NULL = 1,
    /// The program was compiled for another version of kinglet.h than the library's.
    KGL_ABI_MISMATCH = 2,
    /// The kgl_model was not opened, or for another KGL_ABI.
    KGL_NOT_OPEN = 3,
    /// The memory of the kgl_model is not aligned to 8.
    KGL_MODEL_MISALIGNED = 4,
    /// The model file does not lie at a multiple of 16; see KGL_ALIGNED.
    KGL_FILE_MISALIGNED = 5,
    /// The first bytes are not a model file's.
    KGL_NOT_A_MODEL = 6,
    /// The file is of a version that this library does not read.
    KGL_FILE_VERSION = 7,
    /// The file is cut short, too long, or its checksum differs.
    KGL_FILE_DAMAGED = 8,
    /// What the file says of the network does not fit together.
    KGL_FILE_INVALID = 9,
    /// The state has fewer than kgl_state_size() bytes.
    KGL_STATE_SIZE = 10,
    /// The state does not lie at a multiple of 16; see KGL_ALIGNED.
    KGL_STATE_MISALIGNED = 11,
    /// The state is that of a model with other recurrent layers. (A bidirectional model keeps nothing, and does not look.)
    KGL_OTHER_STATE = 12,
    /// A length is not the one that the model has.
    KGL_LENGTH = 13,
    /// An array of numbers is not aligned as its type.
    KGL_NUMBERS_MISALIGNED = 14,
    /// What is written overlaps what is read.
    KGL_OVERLAP = 15,
    /// The model is not of the kind that this function steps.
    KGL_WRONG_KIND = 16,
    /// The saved state is none, was cut or changed, has a number that is NaN, or is another model's of another length.
    KGL_SAVED_DAMAGED = 17,
    /// The state was saved with another model.
    KGL_SAVED_BY_OTHER = 18,
    /// The self-test gave other results than the file's.
    KGL_TEST_FAILED = 19,
}

/// A status in words: a constant text in English, also for numbers that are no status.
#[unsafe(no_mangle)]
pub extern "C" fn kgl_strerror(status: c_int) -> *const c_char {
    let text = match status {
        0 => c"done",
        1 => c"a pointer is null",
        2 => c"kinglet.h and the library are of different versions",
        3 => c"the model was not opened: call kgl_model_open first",
        4 => c"the memory of the kgl_model is not aligned to 8",
        5 => c"the model file does not lie at a multiple of 16: declare the array KGL_ALIGNED",
        6 => c"not a model file: the first bytes differ",
        7 => c"the model file is of a version that this library does not read",
        8 => c"the model file is damaged: its length or its checksum differs",
        9 => c"the model file is invalid: kinglet verify says where",
        10 => c"the state has fewer than kgl_state_size() bytes",
        11 => c"the state does not lie at a multiple of 16: declare it KGL_ALIGNED",
        12 => c"the state was not reset for this model, or is another model's: call kgl_reset first",
        13 => c"a length is not the model's: kgl_inputs(), kgl_outputs(), kgl_window() and kgl_saved_size() tell",
        14 => c"an array of numbers is not aligned as its type",
        15 => c"what is written overlaps what is read: give memory of its own to outputs, states and models",
        16 => c"the model is of another kind: samples or tokens, integers or floats, samples or whole windows",
        17 => c"the saved state is damaged, or saved by another model: it is none, is cut or longer, was changed, or holds a NaN",
        18 => c"the state was saved with another model",
        19 => c"the self-test failed: this machine computes something else",
        _ => c"not a status of this library",
    };
    text.as_ptr()
}

impl From<LoadError> for kgl_status {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::NotAModel => kgl_status::KGL_NOT_A_MODEL,
            LoadError::Version { .. } | LoadError::Layout { .. } => kgl_status::KGL_FILE_VERSION,
            LoadError::Truncated { .. }
            | LoadError::TrailingBytes { .. }
            | LoadError::Checksum { .. } => kgl_status::KGL_FILE_DAMAGED,
            LoadError::Misaligned { .. } => kgl_status::KGL_FILE_MISALIGNED,
            _ => kgl_status::KGL_FILE_INVALID,
        }
    }
}

impl From<BindError> for kgl_status {
    fn from(error: BindError) -> Self {
        match error {
            BindError::TooSmall { .. } => kgl_status::KGL_STATE_SIZE,
            BindError::Misaligned { .. } => kgl_status::KGL_STATE_MISALIGNED,
            BindError::OtherModel => kgl_status::KGL_OTHER_STATE,
            _ => kgl_status::KGL_WRONG_KIND,
        }
    }
}

impl From<StateError> for kgl_status {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Length { .. } => kgl_status::KGL_LENGTH,
            StateError::OtherModel { .. } => kgl_status::KGL_SAVED_BY_OTHER,
            StateError::Layer { .. } => kgl_status::KGL_OTHER_STATE,
            _ => kgl_status::KGL_SAVED_DAMAGED,
        }
    }
}

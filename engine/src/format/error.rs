use core::fmt;

/// Why bytes are not a model this engine can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes end too early.
    Truncated {
        /// Bytes that the file says it has.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// More bytes than the file says it has.
    TrailingBytes {
        /// Bytes that the file says it has.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// The first eight bytes are not a model's.
    NotAModel,
    /// A file version this engine does not read.
    Version {
        /// In the file.
        found: u16,
        /// Understood here.
        supported: u16,
    },
    /// A weight layout this engine does not have.
    Layout {
        /// The tag in the file.
        found: u16,
    },
    /// The bytes changed since they were written.
    Checksum {
        /// CRC-32 in the file.
        stored: u32,
        /// CRC-32 of the bytes.
        computed: u32,
    },
    /// The bytes do not start at a multiple of 16; see [`include_model!`](crate::include_model).
    Misaligned {
        /// Required alignment.
        need: usize,
        /// Address modulo that.
        remainder: usize,
    },
    /// The header does not decode.
    Header,
    /// The model has layers that this build of the engine leaves out.
    Feature {
        /// The cargo feature of `kinglet` that puts them in.
        name: &'static str,
    },
    /// A size is zero or above its limit.
    Size {
        /// Of what.
        what: &'static str,
        /// In the file.
        found: usize,
        /// Largest possible.
        max: usize,
    },
    /// A layer does not fit what comes before it.
    Mismatch {
        /// Number of the layer, from 0.
        layer: usize,
        /// What disagrees.
        what: &'static str,
        /// In the file.
        found: usize,
        /// What would fit.
        need: usize,
    },
    /// A number outside its range.
    Value {
        /// Of what.
        what: &'static str,
        /// Which one, from 0.
        index: usize,
    },
    /// The tensors take another number of bytes than the file has for them.
    Payload {
        /// Bytes the header implies.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// The state size in the preamble is not the one the header implies.
    StateSize {
        /// In the preamble.
        stored: usize,
        /// Implied.
        need: usize,
    },
}

impl LoadError {
    /// Ends a constant's evaluation, which can print no numbers.
    pub(crate) const fn stop(self) -> ! {
        match self {
            LoadError::NotAModel => panic!("not a kinglet model: the first bytes differ"),
            LoadError::Version { .. } => panic!("a kinglet model of another file version"),
            LoadError::Truncated { .. } => panic!("the file is cut short"),
            LoadError::TrailingBytes { .. } => panic!("the file is too long"),
            LoadError::Layout { .. } => panic!("the weight layout is unknown to this engine"),
            LoadError::Checksum { .. } => panic!("the file is damaged: its checksum differs"),
            LoadError::Misaligned { .. } => panic!("the file lies askew: use `include_model!`"),
            LoadError::Header => panic!("the header does not decode"),
            LoadError::Feature { .. } => {
                panic!(
                    "the model has layers that need a feature of the crate kinglet: their cell, or `conv`"
                )
            }
            LoadError::Size { what, .. }
            | LoadError::Mismatch { what, .. }
            | LoadError::Value { what, .. } => panic!("{}", what),
            LoadError::Payload { .. } => panic!("the tensors need another number of bytes"),
            LoadError::StateSize { .. } => panic!("the layers need a state of another size"),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LoadError::Truncated { need, have } => {
                write!(
                    f,
                    "the file is cut short: {need} bytes expected, {have} found"
                )
            }
            LoadError::TrailingBytes { need, have } => {
                write!(
                    f,
                    "the file is too long: {need} bytes expected, {have} found"
                )
            }
            LoadError::NotAModel => f.write_str("not a kinglet model: the first bytes differ"),
            LoadError::Version { found, supported } => {
                write!(
                    f,
                    "file version {found}, this engine reads version {supported}"
                )
            }
            LoadError::Layout { found } => {
                write!(f, "weight layout {found} is unknown to this engine")
            }
            LoadError::Checksum { stored, computed } => write!(
                f,
                "the file is damaged: checksum {computed:08x}, {stored:08x} when it was written"
            ),
            LoadError::Misaligned { need, remainder } => {
                write!(
                    f,
                    "the bytes lie {remainder} past a multiple of {need} in memory"
                )
            }
            LoadError::Header => f.write_str("the header does not decode"),
            LoadError::Feature { name } => write!(
                f,
                "the model has layers that need the cargo feature `{name}` of kinglet"
            ),
            LoadError::Size { what, found, max } => {
                write!(f, "{what} is {found}, must be 1 to {max}")
            }
            LoadError::Mismatch {
                layer,
                what,
                found,
                need,
            } => {
                write!(f, "layer {layer}: {what} is {found}, {need} would fit")
            }
            LoadError::Value { what, index } => {
                write!(f, "{what} {index} has an impossible value")
            }
            LoadError::Payload { need, have } => {
                write!(f, "the tensors need {need} bytes, the file has {have}")
            }
            LoadError::StateSize { stored, need } => {
                write!(
                    f,
                    "the state size is given as {stored} bytes, the layers need {need}"
                )
            }
        }
    }
}

impl core::error::Error for LoadError {}

//! The memory of a stream, and what can be wrong with it.

use core::fmt;

/// Memory of one stream: `N` bytes from [`state_len`](crate::state_len). May live in a `static`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct State<const N: usize> {
    pub(super) bytes: [u8; N],
}

impl<const N: usize> State<N> {
    /// All zero: the start of a stream.
    pub const fn new() -> Self {
        State { bytes: [0; N] }
    }
}

impl<const N: usize> Default for State<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> AsMut<[u8]> for State<N> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// A [`State`], of whatever length.
pub trait Memory: sealed::Memory + AsMut<[u8]> + Clone {}

impl<const N: usize> Memory for State<N> {}

pub(super) mod sealed {
    /// What a network needs of its memory.
    pub trait Memory {
        /// Bytes.
        const LEN: usize;
        /// The start of a stream.
        const START: Self;
        /// All of it.
        fn as_words(&self) -> &[i32];
        /// All of it.
        fn words(&mut self) -> &mut [i32];
    }
}

impl<const N: usize> sealed::Memory for State<N> {
    const LEN: usize = N;
    const START: Self = State::new();

    #[inline(always)]
    fn as_words(&self) -> &[i32] {
        // SAFETY: as below.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), N / 4) }
    }

    #[inline(always)]
    fn words(&mut self) -> &mut [i32] {
        // SAFETY: a state is aligned to 16, has so many words, and any bytes are words.
        unsafe { core::slice::from_raw_parts_mut(self.bytes.as_mut_ptr().cast(), N / 4) }
    }
}

/// Why a state cannot be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// Too few bytes.
    TooSmall {
        /// Bytes the model needs.
        need: usize,
        /// Bytes of the state.
        have: usize,
    },
    /// The bytes do not start at a multiple of 16.
    Misaligned {
        /// Required alignment.
        need: usize,
        /// Address modulo that.
        remainder: usize,
    },
    /// The state belongs to a model with other recurrent layers; [`State::new`] or zeros start a stream anew.
    OtherModel,
    /// The model is bidirectional, so it takes whole windows: [`Model::bind_window`](super::Model::bind_window).
    Bidirectional,
    /// The model is not bidirectional: [`Model::bind`](super::Model::bind).
    NotBidirectional,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BindError::TooSmall { need, have } => {
                write!(f, "the model needs {need} bytes of state, got {have}")
            }
            BindError::Misaligned { need, remainder } => {
                write!(
                    f,
                    "the state lies {remainder} past a multiple of {need} in memory"
                )
            }
            BindError::OtherModel => f.write_str(
                "the state belongs to a model with other layers: a new one must be all zero",
            ),
            BindError::Bidirectional => f.write_str(
                "the model is bidirectional: it takes whole windows and cannot be stepped",
            ),
            BindError::NotBidirectional => {
                f.write_str("the model is not bidirectional: it takes samples one by one")
            }
        }
    }
}

impl core::error::Error for BindError {}

/// Why saved bytes, or another model's state, cannot be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The buffer is too small for the saved state, or the saved bytes are not whole.
    Length {
        /// Bytes needed.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// The bytes were not saved by [`Runner::save`](super::Runner::save).
    NotAState,
    /// The bytes were saved with another model.
    OtherModel {
        /// CRC-32 of the model they were saved with.
        saved: u32,
        /// CRC-32 of this model.
        this: u32,
    },
    /// The bytes changed since they were saved.
    Checksum {
        /// CRC-32 that was saved.
        stored: u32,
        /// CRC-32 of the bytes.
        computed: u32,
    },
    /// A state of a float layer is NaN, which it would remain.
    NotANumber {
        /// Which number of the layers' states, from 0.
        index: usize,
    },
    /// The recurrent layers of the two models differ, counted from 0.
    Layer {
        /// The first that differs.
        index: usize,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StateError::Length { need, have } => {
                write!(
                    f,
                    "a saved state of this model has {need} bytes, not {have}"
                )
            }
            StateError::NotAState => f.write_str("not a saved kinglet state"),
            StateError::OtherModel { saved, this } => write!(
                f,
                "the state belongs to the model with checksum {saved:08x}, this one has {this:08x}"
            ),
            StateError::Checksum { stored, computed } => write!(
                f,
                "the saved state is damaged, or saved by another model: checksum {computed:08x}, {stored:08x} when it was saved"
            ),
            StateError::NotANumber { index } => {
                write!(f, "number {index} of the state is NaN, and would remain so")
            }
            StateError::Layer { index } => {
                write!(f, "recurrent layer {index} differs in cell, size or format")
            }
        }
    }
}

impl core::error::Error for StateError {}

/// A self-test that does not give the known results.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum TestFailure {
    /// An output differs.
    Output {
        /// In this step.
        step: usize,
        /// At this place of the output.
        index: usize,
        /// The network's output here; the integer itself in an integer model.
        found: f32,
        /// The one in the file.
        want: f32,
    },
    /// The outputs agree, the final state does not.
    State {
        /// Digest here.
        found: u32,
        /// Digest in the file.
        want: u32,
    },
}

impl fmt::Display for TestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            TestFailure::Output {
                step,
                index,
                found,
                want,
            } => write!(
                f,
                "self-test: output {index} of step {step} is {found}, {want} expected"
            ),
            TestFailure::State { found, want } => {
                write!(f, "self-test: digest {found:08x}, {want:08x} expected")
            }
        }
    }
}

impl core::error::Error for TestFailure {}

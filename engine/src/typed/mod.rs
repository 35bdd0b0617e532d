//! The typed door: layers whose sizes, number format and layout are types.
//!
//! ```
//! use kinglet::include_model;
//! use kinglet::typed::{Layers, LstmState, W8A8};
//!
//! static MODEL: &[u8] = include_model!("../../tests/models/lstm_w8a8.kgl");
//!
//! let mut layers = Layers::<W8A8>::open(MODEL)?; // length, place in memory, checksum
//! let lstm = layers.lstm::<5, 17>()?; // cell, format, layout and sizes
//! let dense = layers.dense::<17, 2>()?;
//!
//! let mut state = LstmState::<17>::new();
//! let (mut h, mut y) = ([0; 17], [0; 2]);
//! for x in [[13, 26, 38, 51, 64], [26, 38, 51, 64, 77]] {
//!     lstm.step_q(&mut state, &x, &mut h);
//!     dense.apply_q(&h, &mut y);
//! }
//! # Ok::<(), kinglet::LoadError>(())
//! ```
//!
//! Against [`Model`](crate::Model): the file is the same, and so are the cells behind both doors and the bytes that they give.
//! What a model finds out at run time is here in the type, so a wrong length does not compile, a step has nothing to check,
//! and in firmware only the kernel and the activation tables of the layers in use are linked, without the decoder of
//! headers. What is not here: floats, embeddings, normalisation, windows. A step takes and gives integers: the
//! samples of a [`W8A8`] network have 7 fraction bits, everything else 12, as in
//! [`Runner::step_q`](crate::Runner::step_q).
//!
//! A file laid out by `--for cortex-m4` opens as `Layers::<W8A8, CortexM4>`, one for `cortex-m55` with [`CortexM55`].

mod layers;
mod room;

pub use layers::Layers;

use crate::cell;
use crate::format::{self, Format};
use crate::kernel::{Detected, Hidden, Inputs, LANES, LayerState};
use crate::num::narrow;
use bytemuck::Pod;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use room::Room;

/// Who may be a type of this door: a step trusts them with facts that were checked when its layer was taken.
///
/// ```compile_fail,E0277
/// #[derive(Clone, Copy)]
/// struct Mine;
/// impl kinglet::typed::Cell for Mine {
///     const CELL: kinglet::format::Cell = kinglet::format::Cell::LstmPeephole;
/// }
/// ```
/// ```compile_fail,E0277
/// #[derive(Clone, Copy)]
/// struct Mine;
/// impl kinglet::typed::Layout for Mine {
///     const LAYOUT: kinglet::format::Layout = kinglet::format::Layout::Portable;
/// }
/// ```
/// ```compile_fail,E0277
/// #[derive(Clone, Copy)]
/// struct Mine;
/// impl kinglet::typed::Activation for Mine {
///     const ACTIVATION: kinglet::format::Activation = kinglet::format::Activation::Relu;
/// }
/// ```
/// ```compile_fail,E0277
/// #[derive(Clone, Copy)]
/// struct Mine;
/// impl kinglet::typed::Numbers for Mine {
///     const FORMAT: kinglet::format::Format = kinglet::format::Format::W8A16;
///     type Element = i8;
///     fn hidden(h: &mut [i8]) -> kinglet::kernel::Hidden<'_> {
///         kinglet::kernel::Hidden::I8(h)
///     }
/// }
/// ```
mod sealed {
    pub trait Sealed: Copy + 'static {}
}
use sealed::Sealed;

/// An integer number format, as a type.
pub trait Numbers: Sealed {
    /// The format.
    const FORMAT: Format;
    /// A state's element as a matrix input.
    type Element: Pod + fmt::Debug;
    #[doc(hidden)]
    fn hidden(h: &mut [Self::Element]) -> Hidden<'_>;
}

/// 8-bit weights, 8-bit activations.
#[derive(Debug, Clone, Copy)]
pub struct W8A8;

impl Sealed for W8A8 {}
impl Numbers for W8A8 {
    const FORMAT: Format = Format::W8A8;
    type Element = i8;
    fn hidden(h: &mut [i8]) -> Hidden<'_> {
        Hidden::I8(h)
    }
}

/// 4-bit weights, 8-bit activations.
#[derive(Debug, Clone, Copy)]
pub struct W4A8;

impl Sealed for W4A8 {}
impl Numbers for W4A8 {
    const FORMAT: Format = Format::W4A8;
    type Element = i8;
    fn hidden(h: &mut [i8]) -> Hidden<'_> {
        Hidden::I8(h)
    }
}

/// 8-bit weights, 16-bit activations.
#[derive(Debug, Clone, Copy)]
pub struct W8A16;

impl Sealed for W8A16 {}
impl Numbers for W8A16 {
    const FORMAT: Format = Format::W8A16;
    type Element = i16;
    fn hidden(h: &mut [i16]) -> Hidden<'_> {
        Hidden::I16(h)
    }
}

/// How rows lie in the file, as a type.
pub trait Layout: Sealed {
    /// The layout.
    const LAYOUT: format::Layout;
}

/// The layout that runs everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

impl Sealed for Portable {}
impl Layout for Portable {
    const LAYOUT: format::Layout = format::Layout::Portable;
}

/// Rows packed for Cortex-M with DSP instructions.
#[derive(Debug, Clone, Copy)]
pub struct CortexM4;

impl Sealed for CortexM4 {}
impl Layout for CortexM4 {
    const LAYOUT: format::Layout = format::Layout::CortexM4;
}

/// Rows one after the other, for Cortex-M with Helium.
#[derive(Debug, Clone, Copy)]
pub struct CortexM55;

impl Sealed for CortexM55 {}
impl Layout for CortexM55 {
    const LAYOUT: format::Layout = format::Layout::CortexM55;
}

/// Weights stored as `w + 128`, for Cortex-M0 and M0+.
#[derive(Debug, Clone, Copy)]
pub struct CortexM0;

impl Sealed for CortexM0 {}
impl Layout for CortexM0 {
    const LAYOUT: format::Layout = format::Layout::CortexM0;
}

/// A recurrence, as a type.
pub trait Cell: Sealed {
    /// The cell.
    const CELL: format::Cell;
}

macro_rules! cells {
    ($($name:ident, $cell:ident, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Sealed for $name {}
        impl Cell for $name {
            const CELL: format::Cell = format::Cell::$cell;
        }
    )*};
}

cells! {
    LstmCell, Lstm, "Long short-term memory.";
    GruCell, GruResetAfter, "Gated recurrent unit, reset after the product.";
    RnnCell, RnnTanh, "Elman network with tanh.";
    RnnReluCell, RnnRelu, "Elman network with `max(0, ·)`.";
}

/// What follows a dense layer's sum, as a type.
pub trait Activation: Sealed {
    /// The function.
    const ACTIVATION: format::Activation;
}

macro_rules! activations {
    ($($name:ident)*) => {$(
        #[doc = concat!("[`format::Activation::", stringify!($name), "`].")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Sealed for $name {}
        impl Activation for $name {
            const ACTIVATION: format::Activation = format::Activation::$name;
        }
    )*};
}

activations! { Identity Relu Tanh Sigmoid Softmax }

/// State of a layer of `H` units.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct State<C, const H: usize, F: Numbers = W8A8> {
    master: Room<i32, H>,
    h: Room<F::Element, H>,
    cell: PhantomData<C>,
}

/// State of an [`Lstm`].
pub type LstmState<const H: usize, F = W8A8> = State<LstmCell, H, F>;
/// State of a [`Gru`].
pub type GruState<const H: usize, F = W8A8> = State<GruCell, H, F>;
/// State of an [`Rnn`].
pub type RnnState<const H: usize, F = W8A8> = State<RnnCell, H, F>;

impl<C: Cell, const H: usize, F: Numbers> State<C, H, F> {
    /// All zero: the start of a stream.
    pub fn new() -> Self {
        State {
            master: Room::zeroed(),
            h: Room::zeroed(),
            cell: PhantomData,
        }
    }

    /// What is stored of each unit: an LSTM's cell, or the master state, and the state as a matrix input.
    pub fn parts(&mut self) -> (&mut [i32; H], &mut [F::Element; H]) {
        (self.master.first(), self.h.first())
    }
}

impl<C: Cell, const H: usize, F: Numbers> Default for State<C, H, F> {
    fn default() -> Self {
        Self::new()
    }
}

/// A recurrent layer of `H` units over `I` inputs.
#[derive(Debug, Clone, Copy)]
pub struct Recurrent<'a, C, const I: usize, const H: usize, F, L> {
    layer: cell::Recurrent<'a>,
    /// Its inputs are the outputs of another layer (2^-12) and become 2^-7.
    narrows: bool,
    kernels: Detected,
    kind: PhantomData<(C, F, L)>,
}

/// A long short-term memory.
pub type Lstm<'a, const I: usize, const H: usize, F = W8A8, L = Portable> =
    Recurrent<'a, LstmCell, I, H, F, L>;
/// A gated recurrent unit, reset after the product.
pub type Gru<'a, const I: usize, const H: usize, F = W8A8, L = Portable> =
    Recurrent<'a, GruCell, I, H, F, L>;
/// A plain recurrent layer with tanh.
pub type Rnn<'a, const I: usize, const H: usize, F = W8A8, L = Portable> =
    Recurrent<'a, RnnCell, I, H, F, L>;

impl<C: Cell, const I: usize, const H: usize, F: Numbers, L: Layout> Recurrent<'_, C, I, H, F, L> {
    const fn spec(requant_shift: u8) -> cell::Spec {
        cell::Spec {
            format: F::FORMAT,
            layout: L::LAYOUT,
            inputs: I,
            hidden: H,
            requant_shift,
            // A file of a slow layer is refused for its cell shift.
            slow: false,
        }
    }

    /// One step: the sample, or the outputs of the layer before, to the outputs (2^-12).
    #[inline]
    pub fn step_q(&self, state: &mut State<C, H, F>, x: &[i16; I], y: &mut [i16; H]) {
        let spec = Self::spec(0);
        let whole = H.is_multiple_of(LANES);
        let mut padded = Room::<i16, H>::zeroed();
        let (mut narrowed, mut whole_blocks);
        let mut work = MaybeUninit::<Room<i16, I, H, 10>>::uninit();
        let work: &mut [i32] = if spec.is_packed() {
            Room::anything(&mut work).words()
        } else {
            &mut []
        };
        let outputs = if whole { &mut y[..] } else { padded.panels() };
        let state = LayerState::new(
            state.master.panels().as_chunks_mut().0,
            F::hidden(state.h.panels()),
            outputs.as_chunks_mut().0,
        );
        let (k, columns) = (self.kernels.table(), F::FORMAT.columns(I));
        let x = if self.narrows {
            narrowed = Room::<i8, I>::zeroed();
            for (narrowed, &x) in narrowed.all().iter_mut().zip(x) {
                *narrowed = narrow(x);
            }
            Inputs::I8(&narrowed.all()[..columns])
        } else if I == columns || spec.is_packed() && F::FORMAT.is_a8() {
            Inputs::I16(x)
        } else {
            whole_blocks = Room::<i16, I>::zeroed();
            whole_blocks.all()[..I].copy_from_slice(x);
            Inputs::I16(&whole_blocks.all()[..columns])
        };
        // SAFETY: the only way to this type is `Layers::recurrent`, which takes the layer with these; they are `Sealed`.
        unsafe { self.layer.step_known((C::CELL, spec), k, x, state, work) };
        if !whole {
            y.copy_from_slice(&padded.all()[..H]);
        }
    }
}

/// A dense layer.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a, const I: usize, const O: usize, F = W8A8, A = Identity> {
    layer: cell::Dense<'a>,
    kernels: Detected,
    kind: PhantomData<(F, A)>,
}

impl<const I: usize, const O: usize, F: Numbers, A: Activation> Dense<'_, I, O, F, A> {
    /// Fraction bits of the outputs.
    pub fn output_frac(&self) -> i8 {
        self.layer.output_frac()
    }

    /// From the outputs of the layer before (2^-12), or the sample, to the outputs, with [`Self::output_frac`]
    /// fraction bits.
    #[inline]
    pub fn apply_q(&self, x: &[i16; I], y: &mut [i16; O]) {
        // SAFETY: the only way to this type is `Layers::dense_with`, which takes the layer with these; they are `Sealed`.
        let layer = unsafe { self.layer.known_as(F::FORMAT, (I, O), A::ACTIVATION) };
        let (mut columns, mut outputs) = (Room::<i16, I>::zeroed(), Room::<i16, O>::zeroed());
        columns.all()[..I].copy_from_slice(x);
        let x = &columns.all()[..F::FORMAT.columns(I)];
        layer.apply_q(self.kernels.table(), x, outputs.panels().as_chunks_mut().0);
        y.copy_from_slice(&outputs.all()[..O]);
    }
}

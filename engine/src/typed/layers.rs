//! From a file to typed layers, in the order of the file.

use super::{
    Activation, Cell, Dense, GruCell, Layout, LstmCell, Numbers, Portable, Recurrent, RnnCell,
};
use crate::cell::{self, DenseSpec};
use crate::format::{
    self, Feature, Format, Layer, LoadError, MAX_VOCAB, MAX_WIDTH, Preamble, Target, Walk,
};
use crate::kernel::Detected;
use core::marker::PhantomData;

/// The layers of a file, to be taken first to last. `F` is the number format of all of them, `L` how their rows lie.
#[derive(Debug, Clone)]
pub struct Layers<'a, F, L = Portable> {
    walk: Walk<'a>,
    layout: format::Layout,
    kind: PhantomData<(F, L)>,
}

/// An error unless two properties of a layer are the same.
#[inline(always)]
fn same<T: PartialEq + Copy>(
    (layer, what): (usize, &'static str),
    found: T,
    need: T,
    name: impl Fn(T) -> &'static str,
) -> Result<(), LoadError> {
    if found == need {
        Ok(())
    } else {
        Err(unlike(layer, what, name(found), name(need)))
    }
}

fn unlike(layer: usize, what: &'static str, found: &'static str, need: &'static str) -> LoadError {
    LoadError::Unlike {
        layer,
        what,
        found,
        need,
    }
}

#[inline(always)]
fn fits(layer: usize, what: &'static str, found: u16, need: usize) -> Result<(), LoadError> {
    let found = found as usize;
    if found == need {
        return Ok(());
    }
    Err(LoadError::Mismatch {
        layer,
        what,
        found,
        need,
    })
}

const fn kind(layer: &Layer) -> &'static str {
    match layer {
        Layer::Embedding { .. } => "embedding",
        Layer::Recurrent { .. } => "recurrent",
        Layer::Dense { .. } => "dense",
        Layer::Bidirectional { .. } => "bidirectional",
    }
}

impl<'a, F: Numbers, L: Layout> Layers<'a, F, L> {
    /// Checks a file's length, place in memory and checksum, and finds its layers.
    ///
    /// # Errors
    /// A [`LoadError`] that names what is wrong, with the numbers.
    #[inline]
    pub fn open(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let (preamble, header, payload) = Preamble::split(bytes)?;
        Ok(Layers {
            walk: Walk::new(header, payload)?,
            layout: preamble.layout,
            kind: PhantomData,
        })
    }

    /// Normalisation of each input.
    pub fn features(&self) -> &'a [Feature] {
        self.walk.features
    }

    /// Meaning of each output.
    pub fn targets(&self) -> &'a [Target] {
        self.walk.targets
    }

    /// The next layer, an LSTM.
    ///
    /// # Errors
    /// As [`Self::recurrent`].
    #[inline]
    pub fn lstm<const I: usize, const H: usize>(
        &mut self,
    ) -> Result<Recurrent<'a, LstmCell, I, H, F, L>, LoadError> {
        self.recurrent()
    }

    /// The next layer, a GRU that resets after the product.
    ///
    /// # Errors
    /// As [`Self::recurrent`].
    #[inline]
    pub fn gru<const I: usize, const H: usize>(
        &mut self,
    ) -> Result<Recurrent<'a, GruCell, I, H, F, L>, LoadError> {
        self.recurrent()
    }

    /// The next layer, a plain recurrent one with tanh.
    ///
    /// # Errors
    /// As [`Self::recurrent`].
    #[inline]
    pub fn rnn<const I: usize, const H: usize>(
        &mut self,
    ) -> Result<Recurrent<'a, RnnCell, I, H, F, L>, LoadError> {
        self.recurrent()
    }

    /// The next layer.
    ///
    /// # Errors
    /// If there is none, its cell, sizes, format or layout are others, or its numbers are not in the file.
    #[inline]
    pub fn recurrent<C: Cell, const I: usize, const H: usize>(
        &mut self,
    ) -> Result<Recurrent<'a, C, I, H, F, L>, LoadError> {
        const { assert!(1 <= I && I <= MAX_WIDTH && 1 <= H && H <= MAX_WIDTH) };
        let number = self.walk.taken;
        let layer = self.walk.next()?;
        let Layer::Recurrent {
            format,
            cell,
            inputs,
            hidden,
            requant_shift,
            cell_shift,
        } = layer
        else {
            return Err(unlike(number, "kind", kind(&layer), C::CELL.name()));
        };
        same((number, "cell"), cell, C::CELL, format::Cell::name)?;
        same((number, "format"), format, F::FORMAT, Format::name)?;
        same(
            (number, "layout"),
            self.layout,
            L::LAYOUT,
            format::Layout::name,
        )?;
        fits(number, "input width", inputs, I)?;
        fits(number, "hidden size", hidden, H)?;
        let spec = Recurrent::<C, I, H, F, L>::spec(requant_shift);
        let tensors = &mut self.walk.tensors;
        Ok(Recurrent {
            layer: cell::Recurrent::take(tensors, C::CELL, spec, cell_shift)?,
            narrows: F::FORMAT.is_a8() && number > 0,
            kernels: Detected::new(),
            kind: PhantomData,
        })
    }

    /// The next layer, dense and with nothing behind its sum.
    ///
    /// # Errors
    /// As [`Self::recurrent`].
    #[inline]
    pub fn dense<const I: usize, const O: usize>(
        &mut self,
    ) -> Result<Dense<'a, I, O, F>, LoadError> {
        self.dense_with()
    }

    /// The next layer, dense with an activation: `layers.dense_with::<Sigmoid, 32, 1>()`.
    ///
    /// # Errors
    /// As [`Self::recurrent`].
    #[inline]
    pub fn dense_with<A: Activation, const I: usize, const O: usize>(
        &mut self,
    ) -> Result<Dense<'a, I, O, F, A>, LoadError> {
        const { assert!(1 <= I && I <= MAX_WIDTH && 1 <= O && O <= MAX_VOCAB) };
        let number = self.walk.taken;
        let layer = self.walk.next()?;
        let Layer::Dense {
            format,
            inputs,
            outputs,
            activation,
            requant_shift,
            frac,
        } = layer
        else {
            return Err(unlike(number, "kind", kind(&layer), "dense"));
        };
        let name = format::Activation::name;
        same((number, "activation"), activation, A::ACTIVATION, name)?;
        same((number, "format"), format, F::FORMAT, Format::name)?;
        fits(number, "input width", inputs, I)?;
        fits(number, "output width", outputs, O)?;
        let spec = DenseSpec {
            format: F::FORMAT,
            inputs: I,
            outputs: O,
            activation: A::ACTIVATION,
            requant_shift,
            frac,
            last: self.walk.taken == self.walk.layers,
        };
        Ok(Dense {
            layer: cell::Dense::take(&mut self.walk.tensors, spec)?,
            kernels: Detected::new(),
            kind: PhantomData,
        })
    }
}

//! The walk over a model's layers when it is loaded: what each is, and where its weights and its state lie.

use crate::cell::{Conv, Dense, DenseSpec, Embedding, Join, Keep, Norm, Recurrent, Spec, panels};
use crate::format::{Format, Layer, Layout, LoadError, RECORDS, SLOW, Tensors, attempt, pad};
use crate::kernel::LANES;

/// A layer, or one direction of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage<'a> {
    Embedding(Embedding<'a>),
    Recurrent(Recurrent<'a>, Place),
    /// And the panels of its outputs.
    Dense(Dense<'a>, usize),
    Conv(Conv<'a>, ConvPlace),
    Norm(Norm<'a>),
    Keep(Keep),
    Join(Join),
}

/// Where a convolution's past lies, what it needs, and what it gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvPlace {
    /// First word of the past.
    pub(super) at: usize,
    /// Words of the past.
    pub(super) past: usize,
    /// Words behind it of answers that the next one may be made of.
    pub(super) answers: usize,
    /// Words behind those of the count, if there is not an answer at every sample.
    pub(super) count: usize,
    /// Words of scratch.
    pub(super) work: usize,
    /// Numbers that it gives.
    pub(super) outputs: usize,
}

impl ConvPlace {
    /// Words that outlast a step.
    pub(super) const fn kept(&self) -> usize {
        self.past + self.answers + self.count
    }
}

/// Where a recurrent layer's state lies, and what it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// First word of the layer's state.
    pub(super) at: usize,
    /// Panels of units.
    pub(super) units: usize,
    pub(super) format: Format,
    /// Elements it takes from the layer before.
    pub(super) columns: usize,
    /// Takes the outputs of another layer (2^-12) and narrows them.
    pub(super) narrow: bool,
    /// Words of scratch, behind those for narrowed inputs.
    pub(super) work: usize,
    /// Has a master part besides the matrix input: a float GRU or RNN has none.
    masters: bool,
}

impl Place {
    /// Words of the master part, which comes first.
    #[inline(always)]
    pub(super) const fn master(&self) -> usize {
        self.units * LANES
    }

    /// Words of the matrix input, which comes behind it.
    #[inline(always)]
    pub(super) const fn hidden(&self) -> usize {
        match self.format {
            Format::F32 | Format::F16 => self.units * LANES,
            Format::W8A16 => self.units * LANES / 2,
            Format::W8A8 | Format::W4A8 => self.units * LANES / 4,
        }
    }

    /// Words of scratch for narrowed inputs.
    #[inline(always)]
    pub(super) const fn narrowed(&self) -> usize {
        if self.narrow { self.columns / 4 } else { 0 }
    }

    /// The word behind the state.
    #[inline(always)]
    pub(super) const fn end(&self) -> usize {
        let master = if self.masters { self.master() } else { 0 };
        self.at + master + self.hidden()
    }
}

/// Words of so many numbers between layers.
pub(super) const fn words(format: Format, elements: usize) -> usize {
    if format.is_integer() {
        elements.div_ceil(2)
    } else {
        elements
    }
}

/// Whether the first layer's integers go into a buffer: only a recurrent layer reads an embedding where it lies. Firmware without feature
/// `conv` has no other.
pub(super) const fn widens(layers: &[Layer]) -> bool {
    cfg!(conv)
        && !matches!(
            layers,
            [_, Layer::Recurrent { .. } | Layer::Bidirectional { .. }, ..]
        )
}

/// How many of these layers keep what arrives.
pub(super) const fn keeps(layers: &[Layer]) -> usize {
    let mut keeps = 0;
    while keep(layers, keeps).is_some() {
        keeps += 1;
    }
    keeps
}

/// Of all that is kept, the one of this number.
#[inline(never)]
pub(super) const fn keep(mut layers: &[Layer], number: usize) -> Option<Keep> {
    let (mut back, mut before) = (0, 0);
    while let Some((layer, rest)) = layers.split_first() {
        if let Layer::Keep { format, width } = *layer {
            let keep = Keep::new(width, words(format, pad(width.get(), LANES)), back);
            if before == number {
                return Some(keep);
            }
            (back, before) = (keep.back(), before + 1);
        }
        layers = rest;
    }
    None
}

/// The layers that are left, and their tensors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'m, 'a> {
    all: &'m [Layer],
    layers: &'m [Layer],
    layout: Layout,
    pub(super) tensors: Tensors<'a>,
    /// First word of the next state.
    at: usize,
    /// No recurrent or dense layer yet.
    first: bool,
    /// The first direction of the next layer has been.
    half: bool,
}

impl<'m, 'a> Walk<'m, 'a> {
    /// From the first layer on, whose state begins at a word.
    pub(super) const fn new(
        layers: &'m [Layer],
        layout: Layout,
        tensors: Tensors<'a>,
        at: usize,
    ) -> Self {
        Walk {
            all: layers,
            layers,
            layout,
            tensors,
            at,
            first: true,
            half: false,
        }
    }

    /// The next layer, of a bidirectional one the next direction, into its place.
    ///
    /// # Errors
    /// If its tensors are not those of a model.
    pub(super) const fn next(&mut self, stage: &mut Option<Stage<'a>>) -> Result<(), LoadError> {
        if let Some((layer, rest)) = self.layers.split_first() {
            attempt!(self.take(layer, rest.is_empty(), stage));
            if !self.half {
                self.layers = rest;
            }
        }
        Ok(())
    }

    /// The tensors of a layer, and where its state is.
    const fn take(
        &mut self,
        layer: &Layer,
        last: bool,
        stage: &mut Option<Stage<'a>>,
    ) -> Result<(), LoadError> {
        *stage = Some(match *layer {
            Layer::Embedding { format, vocab, dim } => {
                let (vocab, dim) = (vocab as usize, dim as usize);
                let t = &mut self.tensors;
                let widens = widens(self.layers);
                let embedding = attempt!(Embedding::take(t, format, vocab, dim, widens));
                *stage = Some(Stage::Embedding(embedding));
                return Ok(());
            }
            Layer::Recurrent {
                format,
                cell,
                inputs,
                hidden,
                requant_shift,
                cell_shift,
            } => {
                let spec = Spec {
                    cell,
                    format,
                    layout: self.layout,
                    inputs: inputs as usize,
                    hidden: hidden as usize,
                    requant_shift: requant_shift & !RECORDS,
                    slow: cell_shift & SLOW != 0,
                    records: requant_shift & RECORDS != 0,
                };
                let (recurrent, place) = attempt!(self.recurrent(spec, cell_shift));
                self.at = place.end();
                Stage::Recurrent(recurrent, place)
            }
            Layer::Bidirectional {
                format,
                cell,
                inputs,
                hidden,
                requant_shift: [forward, backward],
                cell_shift,
            } => {
                let requant_shift = if self.half { backward } else { forward };
                let spec = Spec {
                    cell,
                    format,
                    layout: self.layout,
                    inputs: inputs as usize,
                    hidden: hidden as usize,
                    requant_shift: requant_shift & !RECORDS,
                    slow: cell_shift & SLOW != 0,
                    records: requant_shift & RECORDS != 0,
                };
                // Both directions, and all layers, have their states in one place: each begins anew.
                let (recurrent, place) = attempt!(self.recurrent(spec, cell_shift));
                self.half = !self.half;
                Stage::Recurrent(recurrent, place)
            }
            Layer::Dense {
                format,
                inputs,
                outputs,
                activation,
                requant_shift,
                frac,
            } => {
                let spec = DenseSpec {
                    format,
                    inputs: inputs as usize,
                    outputs: outputs as usize,
                    activation,
                    requant_shift,
                    frac,
                    last,
                };
                let dense = attempt!(Dense::take(&mut self.tensors, spec));
                Stage::Dense(dense, panels(outputs as usize))
            }
            Layer::Conv {
                format,
                shape,
                filters,
                activation,
                requant_shift,
                frac,
            } => {
                let filters = filters as usize;
                let spec = DenseSpec {
                    format,
                    inputs: shape.taps(),
                    outputs: filters,
                    activation,
                    requant_shift,
                    frac,
                    last,
                };
                let conv = attempt!(Conv::take(&mut self.tensors, shape, spec));
                let place = ConvPlace {
                    at: self.at,
                    past: words(format, conv.remembered()),
                    answers: words(format, conv.answers()),
                    count: conv.is_pooled() as usize,
                    work: words(format, conv.work()),
                    outputs: shape.positions() * activation.outputs(filters),
                };
                self.at += place.kept();
                Stage::Conv(conv, place)
            }
            Layer::Norm { format, width } => {
                Stage::Norm(attempt!(Norm::take(&mut self.tensors, format, width)))
            }
            // The one behind those that were before.
            Layer::Keep { .. } => match keep(self.all, keeps(self.all) - keeps(self.layers)) {
                Some(keep) => Stage::Keep(keep),
                None => return Err(LoadError::Header),
            },
            Layer::Join {
                width, with, how, ..
            } => match keep(self.all, with as usize) {
                Some(keep) => Stage::Join(Join { width, keep, how }),
                None => return Err(LoadError::Header),
            },
        });
        if !self.half {
            self.first = false;
        }
        Ok(())
    }

    /// A recurrent layer with these sizes.
    const fn recurrent(
        &mut self,
        spec: Spec,
        cell_shift: u8,
    ) -> Result<(Recurrent<'a>, Place), LoadError> {
        let Spec {
            cell,
            format,
            inputs,
            hidden,
            ..
        } = spec;
        if spec.slow && !(format.is_integer() && cell.may_be_slow()) {
            return Err(LoadError::Value {
                what: "slow gates in layer without",
                index: 0,
            });
        }
        if cfg!(not(long_memory)) && spec.slow {
            return Err(LoadError::Feature {
                name: "long-memory",
            });
        }
        let place = Place {
            at: self.at,
            units: panels(hidden),
            format,
            columns: format.columns(inputs),
            narrow: format.is_a8() && !self.first,
            work: Recurrent::work(spec, panels(hidden) * LANES),
            masters: format.is_integer() || cell.has_cell(),
        };
        let t = &mut self.tensors;
        let recurrent = attempt!(Recurrent::take(t, spec, cell_shift & !SLOW));
        Ok((recurrent, place))
    }
}

//! Convolutions, magnitudes, and the padding before them.

use super::{Affine, Known, Open, Role, View, Walk, is_uniform, kept_in, zeros};
use crate::import::graph::{Binary, Convolution, Node, Pooling, Tensor};
use crate::import::interpret;
use crate::net::{Activation, Conv, ConvShape, Dense, Layer, Pool, PoolKind, answers};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;

impl Walk<'_> {
    /// A dense layer or a convolution at the end of the chain that has no activation yet, and whose answers are not pooled.
    pub(super) fn bare(&mut self) -> Option<&mut Dense> {
        self.without_activation(|pool| pool.kernel == 1)
    }

    /// The same, or one of whose answers the largest are taken: to that a function that rises may be applied before.
    pub(super) fn rising(&mut self) -> Option<&mut Dense> {
        self.without_activation(|pool| pool.kernel == 1 || pool.kind == PoolKind::Max)
    }

    fn without_activation(&mut self, fits: impl Fn(Pool) -> bool) -> Option<&mut Dense> {
        let dense = match self.layers.last_mut() {
            Some(Layer::Dense(dense)) => dense,
            Some(Layer::Conv(Conv { dense, shape })) if shape.pool.is_none_or(fits) => dense,
            _ => return None,
        };
        (dense.activation == Activation::Identity).then_some(dense)
    }

    /// Several samples become one: the last convolution pools its answers, or one that changes nothing.
    pub(super) fn pool(&mut self, node: &Node, view: View, of: Pooling) -> Result<View> {
        let mut view = self.brought(node, view)?;
        ensure!(!view.tokens, "tokens enter it as numbers");
        let &[(first, many), (kind, channels), (along, len)] = &view.axes[..] else {
            bail!(
                "its input has the axes {:?}, expected samples, channels, length",
                view.roles()
            )
        };
        // What it takes for the batch is time, if that is the file's first axis.
        self.misread |= first == Role::Time && self.time == Some(0);
        ensure!(
            along == Role::Time && kind == Role::Features && first == Role::Batch && many == 1,
            "its input has the axes {:?}: the engine pools samples along time, and not positions within one",
            view.roles()
        );
        let [kernel, every] = [narrow("kernel", of.kernel)?, narrow("stride", of.stride)?];
        ensure!(of.kernel <= len, "it pools {} of {len} samples", of.kernel);
        let rises = |(scale, _): &Affine| scale.iter().all(|&s| s > 0.0);
        let stays = of.kind == PoolKind::Mean || view.affine.as_ref().is_none_or(rises);
        // Samples before the first answer of the convolution that can pool them itself.
        let own = match self.layers.last() {
            Some(Layer::Conv(Conv { shape, .. })) if stays && shape.past && shape.rows == 1 => {
                match shape.pool {
                    None => Some(0),
                    Some(pool) => (pool.kernel == 1 && pool.every == 1).then_some(pool.first),
                }
            }
            _ => None,
        };
        if own.is_none() {
            let mut dense = Dense {
                inputs: channels,
                outputs: channels,
                weight: vec![0.0; channels * channels],
                bias: vec![0.0; channels],
                activation: Activation::Identity,
            };
            let (scale, offset) = self.before_conv(&mut view, channels)?;
            for (c, scale) in scale.into_iter().enumerate() {
                dense.weight[c * channels + c] = scale;
            }
            dense.bias.copy_from_slice(&offset);
            let shape = ConvShape::causal(narrow("number of channels", channels)?, 1, 1);
            self.notes.push(format!(
                "{}: before it the engine needs a convolution, {channels} × {channels}",
                node.label()
            ));
            self.push(Layer::Conv(Conv { shape, dense }), node, view.roles());
        }
        if let Some(Layer::Conv(conv)) = self.layers.last_mut() {
            conv.shape.pool = Some(Pool {
                kind: of.kind,
                kernel,
                first: narrow("kernel", usize::from(own.unwrap_or(0)) + of.kernel - 1)?,
                every,
            });
        }
        view.axes[2].1 = (len - of.kernel) / of.stride + 1;
        view.state_of = None;
        view.stage = self.grown(node, view.roles());
        if view.affine.is_some() {
            // What the file pools has been scaled, the engine's layer not yet.
            self.taps.pop_if(|tap| tap.layer + 1 == self.layers.len());
        }
        Ok(view)
    }

    /// Tells where not every sample has an answer.
    pub(super) fn note_answers(&mut self) {
        let [first, every] = answers(self.layers.iter().map(Layer::pool));
        if first > 0 {
            self.notes.push(format!(
                "the first answer comes with sample {}, when every kernel is full",
                first + 1
            ));
        }
        if every > 1 {
            self.notes.push(format!(
                "there is an answer at every {every} samples: what is behind a stride or a pool steps only then"
            ));
        }
    }

    /// What is put around an axis waits for the convolution that sees it.
    pub(super) fn padded(
        &self,
        mut view: View,
        mirror: bool,
        [pads, value, axes]: [Option<&Tensor>; 3],
    ) -> Result<View> {
        let pads = pads.context("how much it pads is missing")?;
        let around = interpret::pads(view.axes.len(), pads, axes)?;
        let zero = value.is_none_or(|v| v.floats().is_ok_and(|v| v.iter().all(|&x| x == 0.0)));
        ensure!(mirror || zero, "it pads with another number than 0");
        let mut wide = around.iter().enumerate().filter(|(_, n)| **n != [0, 0]);
        let Some((axis, &[before, after])) = wide.next() else {
            return Ok(view);
        };
        ensure!(wide.next().is_none(), "it pads several axes");
        self.whole(&view)?;
        let (role, len) = view.axes[axis];
        ensure!(
            !mirror || role != Role::Time,
            "it mirrors samples in time: a stream does not know what comes"
        );
        view.axes[axis].1 = len + before + after;
        view.open = Open::Padded {
            role,
            pads: [before, after],
            mirror,
            kept: None,
        };
        Ok(view)
    }

    /// Samples behind those before them that an input holds, as files have it that convolve sample by sample: the engine's convolution keeps these itself.
    pub(super) fn behind_kept(
        &self,
        (input, before): (usize, &Tensor),
        view: &View,
        axis: i64,
    ) -> Option<View> {
        let at = interpret::axis(axis, view.axes.len()).ok()?;
        let (role, len) = view.axes[at];
        let along = role == Role::Time || self.time.is_none() && (role, len) == (Role::Batch, 1);
        let mut shape = before.shape.clone();
        let n = std::mem::replace(shape.get_mut(at)?, len);
        if !along || shape != view.shape() || view.open != Open::Nothing || view.tokens {
            return None;
        }
        let mut view = view.clone();
        view.axes[at] = (Role::Time, n + len);
        view.state_of = None;
        view.open = Open::Padded {
            role: Role::Time,
            pads: [n, 0],
            mirror: false,
            kept: Some(input),
        };
        Some(view)
    }

    /// One half of what a layer without an activation gave: the real or the imaginary parts of a spectrum.
    pub(super) fn half(
        &mut self,
        view: &View,
        axis: usize,
        start: i64,
        len: usize,
    ) -> Option<View> {
        let (role, whole) = view.axes[axis];
        let halves = role == Role::Features && 2 * len == whole && whole > 2;
        let second = match usize::try_from(start) {
            Ok(0) => false,
            Ok(start) if start == len => true,
            _ => return None,
        };
        let open = halves && view.open == Open::Nothing && view.affine.is_none();
        // Of what an earlier layer gave, or of the samples, it is no magnitude.
        let open = open && view.stage == self.stage;
        if !open || self.bare().is_none() {
            return None;
        }
        let mut view = view.clone();
        view.axes[axis].1 = len;
        view.open = Open::Half {
            second,
            squared: false,
            skipped: 0,
        };
        Some(view)
    }

    /// A convolution without its first positions, if they see more padding than there is at the others.
    pub(super) fn later(
        &mut self,
        node: &Node,
        view: &View,
        axis: usize,
        start: i64,
        len: usize,
    ) -> Option<View> {
        let (role, whole) = view.axes[axis];
        let skipped = usize::try_from(start).ok()?;
        let ends = role == Role::Positions && len > 0 && skipped + len == whole;
        if !ends || view.affine.is_some() || self.at_end(view).is_err() {
            return None;
        }
        let Some(Layer::Conv(conv)) = self.layers.last_mut() else {
            return None;
        };
        leave_out(&mut conv.shape, skipped)?;
        let mut view = view.clone();
        view.axes[axis].1 = len;
        view.stage = self.grown(node, view.roles());
        Some(view)
    }

    /// A half without its first positions.
    pub(super) fn behind(&self, view: &View, axis: usize, start: i64, len: usize) -> Option<View> {
        let Open::Half {
            second,
            squared: false,
            skipped: 0,
        } = view.open
        else {
            return None;
        };
        let (role, whole) = view.axes[axis];
        let skipped = usize::try_from(start).ok()?;
        if role != Role::Positions || len == 0 || skipped + len != whole {
            return None;
        }
        let mut view = view.clone();
        view.axes[axis].1 = len;
        view.open = Open::Half {
            second,
            squared: false,
            skipped,
        };
        Some(view)
    }

    /// `x²` of a half, or `re² + im²`, on the way to a magnitude.
    pub(super) fn power(&self, binary: Binary, a: &View, b: Operand<'_>) -> Option<View> {
        let mut view = a.clone();
        let square = matches!((binary, &b), (Binary::Pow, Operand::Number(2.0)))
            || matches!((binary, &b), (Binary::Mul, Operand::View(b)) if a.open == b.open && a.stage == b.stage);
        match (a.open, b) {
            (
                Open::Half {
                    second,
                    squared: false,
                    skipped,
                },
                _,
            ) if square => {
                view.open = Open::Half {
                    second,
                    squared: true,
                    skipped,
                };
            }
            (
                Open::Half {
                    second,
                    squared: true,
                    skipped,
                },
                Operand::View(b),
            ) if binary == Binary::Add && a.stage == b.stage && a.axes == b.axes => {
                let other = Open::Half {
                    second: !second,
                    squared: true,
                    skipped,
                };
                if b.open != other {
                    return None;
                }
                view.open = Open::Power { skipped };
            }
            _ => return None,
        }
        Some(view)
    }

    /// The square root of `re² + im²`.
    pub(super) fn magnitude(&mut self, node: &Node, mut view: View) -> Result<View> {
        let skipped = match std::mem::replace(&mut view.open, Open::Nothing) {
            Open::Power { skipped } => skipped,
            _ => 0,
        };
        self.at_end(&view)?;
        let last = self.layers.pop().context("there is no layer before it")?;
        let mut conv = match last {
            Layer::Conv(conv) => conv,
            Layer::Dense(dense) => Conv {
                shape: ConvShape::causal(narrow("width", dense.inputs)?, 1, 1),
                dense,
            },
            _ => bail!("its parts are not those of a dense layer or a convolution"),
        };
        conv.dense.activation = Activation::Magnitude;
        leave_out(&mut conv.shape, skipped)
            .context("it leaves out positions that see more than padding")?;
        self.layers.push(Layer::Conv(conv));
        view.stage = self.grown(node, view.roles());
        Ok(view)
    }

    pub(super) fn conv(
        &mut self,
        node: &Node,
        mut view: View,
        of: &Convolution,
        (weight, bias): (&Tensor, Option<&Tensor>),
    ) -> Result<View> {
        let mut pads = of.pads;
        let mut mirror = false;
        let around = std::mem::replace(&mut view.open, Open::Nothing);
        ensure!(!view.tokens, "tokens enter it as numbers");
        let mut view = self.brought(node, view)?;
        let &[filters, seen, kernel] = &weight.shape[..] else {
            bail!(
                "weights of shape {:?}, expected [filters, channels, kernel]: the engine convolves along one axis",
                weight.shape
            )
        };
        let &[(first, many), (kind, channels), (along, mut len)] = &view.axes[..] else {
            bail!(
                "its input has the axes {:?}, expected samples, channels, length",
                view.roles()
            )
        };
        ensure!(
            seen.checked_mul(of.groups) == Some(channels)
                && of.groups > 0
                && filters % of.groups == 0,
            "{filters} filters over {seen} of {channels} channels in {} groups",
            of.groups
        );
        match around {
            Open::Nothing => {}
            Open::Padded {
                role,
                pads: own,
                mirror: mirrored,
                kept,
            } if role == along => {
                if let Some(input) = kept {
                    ensure!(
                        of.stride == 1,
                        "attribute `strides`: {} of a convolution whose samples before are a state of the file: the engine answers only every {0}th time then",
                        of.stride
                    );
                    self.taken.push((input, kept_in(input)));
                }
                ensure!(
                    !mirrored || pads == [0, 0],
                    "it pads with zeros what is mirrored already"
                );
                mirror = mirrored;
                len -= own[0] + own[1];
                pads = [pads[0] + own[0], pads[1] + own[1]];
            }
            _ => {
                bail!("what enters it is padded along another axis, or a part of what a layer gave")
            }
        }
        let batch = |role: Role, n: usize| role == Role::Batch && n == 1;
        let streams = along == Role::Time;
        // A sample's numbers one after the other, or its channels at several positions.
        let fits = match (streams, kind, along) {
            (true, Role::Features, _) => batch(first, many),
            (false, Role::Features, Role::Positions | Role::Batch) => true,
            (false, Role::Batch, Role::Features) => channels == 1,
            _ => false,
        };
        ensure!(
            fits && (streams || first == Role::Time || batch(first, many)),
            "its input has the axes {:?}: expected the channels of samples along time, or positions within a sample. What goes into the network \
             has to be [batch, time, features]: where nn.Conv1d is to have [batch, channels, time], transpose in the network, x.transpose(1, 2)",
            view.roles()
        );
        let [channels_u, kernel_u, stride, dilation] = [
            narrow("number of channels", channels)?,
            narrow("kernel", kernel)?,
            narrow("stride", of.stride)?,
            narrow("dilation", of.dilation)?,
        ];
        let mut shape = ConvShape::causal(channels_u, kernel_u, dilation);
        if streams {
            let needed = (kernel - 1) * of.dilation;
            ensure!(
                pads[1] == 0,
                "attribute `pads`: it sees {} samples that are still to come (padding \"same\"); train it with {needed} zeros on the left only, \
                 nn.functional.pad(x, ({needed}, 0)) in PyTorch or padding=\"causal\" in Keras, or without padding",
                pads[1]
            );
            ensure!(
                pads[0] <= needed,
                "attribute `pads`: {} on the left, more than the {needed} samples that are seen before one: it would answer before a stream begins",
                pads[0]
            );
            if pads[0] < needed || of.stride > 1 {
                shape.pool = Some(Pool::stride(narrow("kernel", needed - pads[0])?, stride));
            }
        } else {
            shape.rows = narrow("length", len)?;
            shape.stride = stride;
            [shape.before, shape.after] =
                [narrow("padding", pads[0])?, narrow("padding", pads[1])?];
            shape.past = false;
            shape.mirror = mirror;
        }
        let positions = match streams {
            true => Convolution { pads, ..*of }.positions(len, kernel)?,
            false => shape.positions(),
        };
        ensure!(positions > 0, "its kernel is longer than its input");
        let w = weight.floats()?;
        let groups = filters / of.groups;
        let tap = |f: usize, j: usize, c: usize| match c.checked_sub(f / groups * seen) {
            Some(c) if c < seen => w[(f * seen + c) * kernel + j],
            _ => 0.0,
        };
        let mut dense = Dense {
            inputs: kernel * channels,
            outputs: filters,
            weight: Vec::with_capacity(filters * kernel * channels),
            bias: bias.map_or_else(
                || Ok(vec![0.0; filters]),
                |b| b.floats().map(<[f32]>::to_vec),
            )?,
            activation: Activation::Identity,
        };
        ensure!(
            dense.bias.len() == filters,
            "a bias of {} numbers for {filters} filters",
            dense.bias.len()
        );
        // Zeros that a stream begins with stand for what is normalised already.
        let offsets = |affine: &Affine| affine.1.iter().any(|&o| o != 0.0);
        if streams && pads[0] > 0 && view.affine.as_ref().is_some_and(offsets) {
            view.open = Open::Nothing;
            view = self.as_it_is(node, view)?;
            // It is no value of this node.
            self.taps.pop();
            self.notes.push(format!(
                "{}: what it pads with zeros has an offset added before, so a dense layer stands before it, {channels} × {channels}",
                node.label()
            ));
        }
        let (scale, offset) = self.before_conv(&mut view, channels)?;
        for f in 0..filters {
            let mut sum = 0.0;
            for j in 0..kernel {
                for c in 0..channels {
                    dense.weight.push(tap(f, j, c) * scale[c]);
                    sum += tap(f, j, c) * offset[c];
                }
            }
            dense.bias[f] += sum;
        }
        let edges = pads != [0, 0] && !mirror;
        ensure!(
            !edges || offset.iter().all(|&o| o == 0.0),
            "what it pads with zeros has an offset added before (a normalisation, or a difference from a constant): leave that out and give its numbers \
             as --input-mean and --input-std, where it is the network's input, or put it behind the convolution"
        );
        if of.groups > 1 {
            self.notes.push(format!(
                "{}: its {} groups are written out with zeros, {} weights for {}",
                node.label(),
                of.groups,
                filters * kernel * channels,
                w.len()
            ));
        }
        let alone = kernel == 1 && pads == [0, 0] && shape.pool.is_none();
        let layer = if alone && (streams || len == 1 && of.stride == 1) {
            Layer::Dense(dense)
        } else {
            Layer::Conv(Conv { shape, dense })
        };
        let along = match streams {
            true => (Role::Time, positions),
            false if positions == 1 => (Role::Batch, 1),
            false => (Role::Positions, positions),
        };
        view.axes = vec![(first, many), (Role::Features, filters), along];
        view.state_of = None;
        view.stage = self.push(layer, node, view.roles());
        Ok(view)
    }

    /// What still scales the channels that enter.
    fn before_conv(&self, view: &mut View, channels: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let Some((scale, offset)) = view.affine.take() else {
            return Ok((vec![1.0; channels], vec![0.0; channels]));
        };
        if scale.len() == channels {
            let narrow = |all: Vec<f64>| all.into_iter().map(|x| x as f32).collect();
            return Ok((narrow(scale), narrow(offset)));
        }
        ensure!(
            channels == 1 && is_uniform(&(scale.clone(), offset.clone())),
            "the numbers that it goes over are scaled one by one"
        );
        Ok((vec![scale[0] as f32], vec![offset[0] as f32]))
    }
}

/// Leaves out so many of the first positions, if what they see more than the others is padding.
fn leave_out(shape: &mut ConvShape, positions: usize) -> Option<()> {
    let rows = positions.checked_mul(shape.stride.into())?;
    shape.before = shape.before.checked_sub(u16::try_from(rows).ok()?)?;
    Some(())
}

/// The last of the samples and of those before them, which are a state again; none if it is something else that is cut out.
pub(super) fn kept(view: &View, slices: &[interpret::Slice]) -> Result<Option<Known>> {
    let (
        Open::Padded {
            role,
            kept: Some(input),
            ..
        },
        [slice],
    ) = (view.open, slices)
    else {
        return Ok(None);
    };
    let (along, len) = view.axes[slice.axis];
    let ends = usize::try_from(slice.start).is_ok_and(|start| start + slice.len == len);
    if along != role || slice.step != 1 || !ends {
        return Ok(None);
    }
    let mut shape = view.shape();
    shape[slice.axis] = slice.len;
    Ok(Some(Known::StateOut(
        BTreeSet::from([kept_in(input)]),
        zeros(&shape)?,
    )))
}

/// What a half is combined with.
pub(super) enum Operand<'a> {
    View(&'a View),
    Number(f32),
}

fn narrow(what: &str, n: usize) -> Result<u16> {
    u16::try_from(n)
        .ok()
        .filter(|&n| n < 1 << 15)
        .with_context(|| format!("a {what} of {n} is more than the engine has"))
}

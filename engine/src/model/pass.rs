//! What a layer does with a stream: takes its inputs from one buffer, updates its state, and leaves its outputs in the other.

use super::stages::{ConvPlace, Place, Stage};
use super::{Model, Plan};
use crate::cell::{Conv, Recurrent, Rows};
use crate::kernel::{FloatState, Hidden, Inputs, Kernels, LayerState, Panel};
use crate::num::narrow;

/// The parts of a state during a step.
pub(super) struct Parts<'s> {
    pub(super) persistent: &'s mut [i32],
    pub(super) a: &'s mut [i32],
    pub(super) b: &'s mut [i32],
    pub(super) work: &'s mut [i32],
}

impl Parts<'_> {
    #[inline(always)]
    fn again(&mut self) -> Parts<'_> {
        Parts {
            persistent: &mut *self.persistent,
            a: &mut *self.a,
            b: &mut *self.b,
            work: &mut *self.work,
        }
    }
}

#[inline(always)]
pub(super) fn parts<'s>(state: &'s mut [i32], plan: &Plan) -> Parts<'s> {
    let (persistent, scratch) = state.split_at_mut(plan.persistent);
    let (a, scratch) = scratch.split_at_mut(plan.buffer);
    let (b, work) = scratch.split_at_mut(plan.buffer);
    Parts {
        persistent,
        a,
        b,
        work,
    }
}

/// A recurrent layer's input and state. What comes from another layer is narrowed into the scratch where the format
/// says so; the scratch behind that is left.
#[inline(always)]
pub(super) fn layer<'s>(
    parts: Parts<'s>,
    place: &Place,
    embedded: Option<Inputs<'s>>,
) -> (Inputs<'s>, LayerState<'s>, &'s mut [i32]) {
    let Parts {
        persistent,
        a,
        b,
        work,
    } = parts;
    let outputs: &[i16] = bytemuck::cast_slice(a);
    let (narrowed, work) = work.split_at_mut(place.narrowed());
    let x = match embedded {
        Some(row) => row,
        None if place.narrow => {
            let narrowed: &mut [i8] = bytemuck::cast_slice_mut(narrowed);
            for (narrowed, &y) in narrowed.iter_mut().zip(outputs) {
                *narrowed = narrow(y);
            }
            Inputs::I8(narrowed)
        }
        None => Inputs::I16(&outputs[..place.columns]),
    };
    let (master, h) = layer_parts(persistent, place);
    let y: &mut [i16] = bytemuck::cast_slice_mut(b);
    let state = LayerState::new(master, h, &mut y.as_chunks_mut().0[..place.units]);
    (x, state, work)
}

/// One step of a float layer, from the first buffer to the second; `back` as of [`FloatState::new`].
#[inline(always)]
pub(super) fn float_layer(
    k: &Kernels,
    (recurrent, place): (&Recurrent<'_>, &Place),
    parts: Parts<'_>,
    back: bool,
) {
    let Parts {
        persistent,
        a,
        b,
        work,
    } = parts;
    let x: &[f32] = bytemuck::cast_slice(a);
    let y: &mut [f32] = bytemuck::cast_slice_mut(b);
    let cell = if recurrent.has_cell() {
        place.master()
    } else {
        0
    };
    let (c, h) = persistent[place.at..].split_at_mut(cell);
    let (c, h): (&mut [f32], &mut [f32]) = (
        bytemuck::cast_slice_mut(c),
        bytemuck::cast_slice_mut(&mut h[..place.master()]),
    );
    let y = &mut y.as_chunks_mut().0[..place.units];
    let state = FloatState::new(c.as_chunks_mut().0, h.as_chunks_mut().0, y, back);
    recurrent.step(k, &x[..place.columns], state, work);
}

/// One step of a float convolution, from the first buffer to the second; whether there is an answer.
pub(super) fn conv(k: &Kernels, (conv, place): (&Conv<'_>, &ConvPlace), parts: Parts<'_>) -> bool {
    conv.apply(k, rows((conv, place), parts, &mut 0))
}

/// What a convolution reads and writes; where it counts nothing, `no_count` is not looked at.
#[inline(always)]
fn rows<'s, T: bytemuck::Pod>(
    (conv, place): (&Conv<'_>, &ConvPlace),
    parts: Parts<'s>,
    no_count: &'s mut i32,
) -> Rows<'s, T> {
    let kept = &mut parts.persistent[place.at..][..place.kept()];
    let (past, kept) = kept.split_at_mut(place.past);
    let (answers, count) = kept.split_at_mut(place.answers);
    let (past, answers): (&mut [T], &mut [T]) = (
        bytemuck::cast_slice_mut(past),
        bytemuck::cast_slice_mut(answers),
    );
    Rows {
        x: bytemuck::cast_slice(parts.a),
        past: &mut past[..conv.remembered()],
        answers: &mut answers[..conv.answers()],
        count: count.first_mut().unwrap_or(no_count),
        work: bytemuck::cast_slice_mut(parts.work),
        y: bytemuck::cast_slice_mut(parts.b),
    }
}

/// As [`conv_q`], of a layer that is not known before it is loaded: once in an image.
#[inline(never)]
pub(super) fn conv_q_apart(k: &Kernels, layer: (&Conv<'_>, &ConvPlace), parts: Parts<'_>) -> bool {
    conv_q(k, layer, parts)
}

/// One step of an integer convolution; whether there is an answer.
#[inline(always)]
fn conv_q(k: &Kernels, (conv, place): (&Conv<'_>, &ConvPlace), parts: Parts<'_>) -> bool {
    conv.apply_q(k, rows((conv, place), parts, &mut 0))
}

/// A normalisation or a part of a skip, from the first buffer to the second; true if what it gives is there. Once in an image.
#[inline(never)]
pub(super) fn plain<const INTEGER: bool>(stage: &Stage<'_>, parts: Parts<'_>) -> bool {
    let Parts { a, b, work, .. } = parts;
    match (stage, INTEGER) {
        (Stage::Norm(norm), true) => {
            norm.apply_q(bytemuck::cast_slice(a), bytemuck::cast_slice_mut(b));
        }
        (Stage::Norm(norm), false) => {
            norm.apply(bytemuck::cast_slice(a), bytemuck::cast_slice_mut(b));
        }
        (Stage::Join(join), true) => join.apply_q(a, work, b),
        (Stage::Join(join), false) => join.apply(a, work, b),
        (Stage::Keep(keep), _) => {
            keep.keep(a, work);
            return false;
        }
        _ => {}
    }
    true
}

/// Master and matrix-input part of a layer's state.
#[inline(always)]
pub(super) fn layer_parts<'s>(
    persistent: &'s mut [i32],
    place: &Place,
) -> (&'s mut [Panel<i32>], Hidden<'s>) {
    let (master, rest) = persistent[place.at..].split_at_mut(place.master());
    let hidden = &mut rest[..place.hidden()];
    let hidden = if place.format.is_a8() {
        Hidden::I8(bytemuck::cast_slice_mut(hidden))
    } else {
        Hidden::I16(bytemuck::cast_slice_mut(hidden))
    };
    (master.as_chunks_mut().0, hidden)
}

/// A step of one stream, layer by layer. What is next to read is always in the first buffer.
pub(super) struct Pass<'s> {
    k: &'s Kernels,
    pub(super) parts: Parts<'s>,
    token: Option<usize>,
    /// The token's vector, until a layer takes it.
    embedded: Option<Inputs<'s>>,
    /// A convolution has no answer at this sample: the layers behind it do not step.
    pub(super) waits: bool,
}

impl<'s> Pass<'s> {
    /// Begins with what is in the first buffer, or a token.
    #[inline(always)]
    pub(super) fn new(
        k: &'s Kernels,
        state: &'s mut [i32],
        plan: &Plan,
        token: Option<usize>,
    ) -> Self {
        Pass {
            k,
            parts: parts(state, plan),
            token,
            embedded: None,
            waits: false,
        }
    }

    /// The next layer, in f32; `back` as of [`FloatState::new`].
    #[inline(always)]
    pub(super) fn layer(&mut self, stage: &Stage<'s>, back: bool) {
        if self.waits {
            return self.leave_out(stage);
        }
        match stage {
            Stage::Embedding(embedding) => {
                return embedding.look_up(self.token, bytemuck::cast_slice_mut(self.parts.a));
            }
            Stage::Recurrent(recurrent, place) => {
                float_layer(self.k, (recurrent, place), self.parts.again(), back);
            }
            Stage::Dense(dense, panels) => {
                let y: &mut [f32] = bytemuck::cast_slice_mut(self.parts.b);
                let y: &mut [Panel<f32>] = y.as_chunks_mut().0;
                dense.apply(
                    self.k,
                    bytemuck::cast_slice(self.parts.a),
                    &mut y[..*panels],
                );
            }
            Stage::Conv(layer, place) => {
                self.waits = !conv(self.k, (layer, place), self.parts.again());
            }
            Stage::Norm(_) | Stage::Keep(_) | Stage::Join(_) => {
                if !plain::<false>(stage, self.parts.again()) {
                    return;
                }
            }
        }
        self.turn();
    }

    /// The next layer, in integers; `APART` if it is not known before it is loaded.
    #[inline(always)]
    pub(super) fn layer_q<const APART: bool>(&mut self, stage: &Stage<'s>) {
        if self.waits {
            return self.leave_out(stage);
        }
        let embedded = self.embedded.take();
        let parts = self.parts.again();
        match stage {
            Stage::Embedding(embedding) => {
                if !embedding.widen(self.token, bytemuck::cast_slice_mut(parts.a)) {
                    self.embedded = Some(embedding.row(self.token));
                }
                return;
            }
            Stage::Recurrent(recurrent, place) => {
                let (x, state, work) = layer(parts, place, embedded);
                if APART {
                    recurrent.step_q_apart(self.k, x, state, work);
                } else {
                    recurrent.step_q(self.k, x, state, work);
                }
            }
            Stage::Dense(dense, panels) => {
                let y: &mut [i16] = bytemuck::cast_slice_mut(parts.b);
                let y: &mut [Panel<i16>] = y.as_chunks_mut().0;
                dense.apply_q(self.k, bytemuck::cast_slice(parts.a), &mut y[..*panels]);
            }
            Stage::Conv(layer, place) if APART => {
                self.waits = !conv_q_apart(self.k, (layer, place), parts);
            }
            Stage::Conv(layer, place) => self.waits = !conv_q(self.k, (layer, place), parts),
            Stage::Norm(_) | Stage::Keep(_) | Stage::Join(_) => {
                if !plain::<true>(stage, parts) {
                    return;
                }
            }
        }
        self.turn();
    }

    /// A layer that does not step; its buffers change places all the same.
    #[inline(always)]
    fn leave_out(&mut self, stage: &Stage<'_>) {
        if !matches!(stage, Stage::Embedding(_) | Stage::Keep(_)) {
            self.turn();
        }
    }

    /// After the last layer.
    #[inline(always)]
    pub(super) fn finish(self, model: &Model<'_>) {
        let Parts {
            persistent, a, b, ..
        } = self.parts;
        leave_mark(model, b);
        if cfg!(conv)
            && let Some([new, answer @ ..]) = persistent.get_mut(model.plan.answer..)
        {
            *new = !self.waits as i32;
            // Only the outputs: what is behind them in a buffer is left from anything.
            let halves = model.outputs() << !model.is_integer() as u32;
            let (answer, a): (&mut [i16], &mut [i16]) = (
                bytemuck::cast_slice_mut(answer),
                bytemuck::cast_slice_mut(a),
            );
            let (answer, a) = (&mut answer[..halves], &mut a[..halves]);
            if self.waits {
                a.copy_from_slice(answer);
            } else {
                answer.copy_from_slice(a);
            }
        }
    }

    /// What was written is read next.
    #[inline(always)]
    fn turn(&mut self) {
        core::mem::swap(&mut self.parts.a, &mut self.parts.b);
    }
}

/// Says in the buffer without an output whose state this is.
#[inline(always)]
pub(super) fn leave_mark(model: &Model<'_>, buffer: &mut [i32]) {
    if let Some(first) = buffer.first_mut() {
        *first = model.plan.mark;
    }
}

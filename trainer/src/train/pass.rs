//! Forward and backward passes over a shard: a few sequences of equal length, side by side.
//!
//! Every buffer is time-major, `[step, sequence, width]`, so one step of all sequences is one
//! contiguous matrix and the whole pass is one tall matrix. Hence the products: the inputs of all
//! steps in one, the gates of one step in one, a weight gradient over all steps in one.
//! Activations are saved once, in the forward pass; the backward pass overwrites them with their
//! gradients. All memory is allocated when the shard is made.
//!
//! Layers behind the last recurrent one see only the last step when only that one counts
//! ([`Counted::Last`]): a window of 64 steps costs one head, not 64. Layers behind a convolution with a pool see as many steps
//! as there are answers.

mod bidirectional;
mod cell;
mod conv;
mod dense;
mod embedding;
mod join;
mod norm;
mod pool;

use std::borrow::Cow;
use std::ops::Range;

use super::gemm::{Matrix, MatrixMut, Panels};
use super::loss::Objective;
use super::params::{RecurrentSize, ranges};
use super::real::Real;
use super::vectorise::vectorised;
use crate::net::{Layer, Network, Pool, answers, keeper};

/// How many steps and sequences a pass runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Time steps.
    pub steps: usize,
    /// Sequences side by side.
    pub lanes: usize,
}

impl Size {
    fn rows(self) -> usize {
        self.steps * self.lanes
    }
}

/// Which steps have an output that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Only the last of a sequence: many-to-one.
    Last,
    /// Every one: many-to-many.
    Every,
}

/// What the engine computed in a layer.
#[derive(Clone, Copy)]
struct Given<'a, T> {
    /// `[steps, lanes, outputs]`.
    output: &'a [T],
    /// `[steps, lanes, hidden]` of a layer that has a cell.
    cell: &'a [T],
}

/// One layer's pass. `p` and `g` are the layer's own parameters and gradients, flat.
trait Pass<T>: Send + Sync {
    /// `x: [steps, lanes, inputs]`; the output is kept for [`Pass::output`].
    fn forward(&mut self, p: &[T], x: &[T], size: Size);

    /// In place of [`Pass::forward`]: takes over what the engine computed from the same input, and finds the gates
    /// that belong to it, so that [`Pass::backward`] is at the quantized network's values.
    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size);

    /// `[steps, lanes, outputs]` of the last forward pass.
    fn output(&self, size: Size) -> &[T];

    /// Adds to `g`; `dy: [steps, lanes, outputs]`; sets `dx: [steps, lanes, inputs]` where the layer
    /// below wants it.
    fn backward(
        &mut self,
        p: &[T],
        x: &[T],
        dy: &[T],
        g: &mut [T],
        dx: Option<&mut [T]>,
        size: Size,
    );

    /// The layer whose output it takes besides.
    fn keep(&self) -> Option<usize> {
        None
    }

    /// That output, before a pass.
    fn take_kept(&mut self, _kept: &[T]) {}

    /// Its gradient, after a backward pass.
    fn kept_gradient(&self, _size: Size) -> &[T] {
        &[]
    }

    /// The state starts at zero.
    fn reset(&mut self) {}

    /// The state after the last pass becomes the state before the next.
    fn carry(&mut self, _size: Size) {}

    /// The memory of the state, where there is one that can be handed over.
    fn memory(&mut self) -> Option<Memory<'_, T>> {
        None
    }

    /// Nothing behind the last step has a gradient.
    fn begin_backward(&mut self)
    where
        T: Real,
    {
        for gradient in self.memory().into_iter().flat_map(|m| m.gradient) {
            gradient.fill(T::ZERO);
        }
    }
}

/// The state of a recurrent layer, `h` and `c`, which only some have; and its gradient.
struct Memory<'a, T> {
    hidden: usize,
    /// `[1 + steps, lanes, hidden]`: before the first step, then after every step.
    state: [&'a mut [T]; 2],
    /// `[lanes, hidden]`: after the last step when a backward pass begins, before the first one when it has ended.
    gradient: [&'a mut [T]; 2],
}

/// The pass of layer `k`.
fn pass<T: Real>(net: &Network, k: usize, max: Size) -> Box<dyn Pass<T>> {
    match &net.layers[k] {
        Layer::Embedding(e) => Box::new(embedding::EmbeddingPass::new(e, max)),
        Layer::Dense(d) => Box::new(dense::DensePass::new(d, max)),
        Layer::Recurrent(r) => cell::recurrent(r, max),
        Layer::Conv(c) => {
            let conv = Box::new(conv::ConvPass::new(c, max));
            match c.shape.pool {
                Some(pool) => Box::new(pool::PoolPass::new(conv, pool, c.outputs(), max)),
                None => conv,
            }
        }
        Layer::Norm(n) => Box::new(norm::NormPass::new(n, max)),
        Layer::Keep(width) => Box::new(join::KeepPass::new(*width, max)),
        Layer::Join(j) => {
            let keep = keeper(&net.layers[..k], j.with).unwrap_or_default();
            Box::new(join::JoinPass::new(j, keep, max))
        }
        Layer::Bidirectional(b) => {
            let mut above = net.layers[k + 1..].iter();
            let inner = above.any(|layer| matches!(layer, Layer::Bidirectional(_)));
            let halves = b.halves().map(|half| cell::recurrent(half, max));
            Box::new(bidirectional::BidirectionalPass::new(b, halves, inner, max))
        }
    }
}

/// What it gives depends on the samples before.
fn remembers(layer: &Layer) -> bool {
    match layer {
        Layer::Recurrent(_) | Layer::Bidirectional(_) => true,
        Layer::Conv(c) => c.shape.past,
        Layer::Embedding(_)
        | Layer::Dense(_)
        | Layer::Norm(_)
        | Layer::Keep(_)
        | Layer::Join(_) => false,
    }
}

/// The passes of a network over one shard, with their memory.
pub struct Shard<T> {
    layers: Vec<Box<dyn Pass<T>>>,
    ranges: Vec<Range<usize>>,
    widths: Vec<usize>,
    /// Gradient of each layer's output.
    dy: Vec<Vec<T>>,
    /// What leaves out steps behind a layer.
    pools: Vec<Option<Pool>>,
    /// Layers from here on see the counted steps only.
    head: usize,
    counted: Counted,
    inputs: usize,
    /// `[steps, lanes, inputs]`; a token is its number.
    pub input: Vec<T>,
    /// `[counted steps, lanes, goal width]`, in network units; a class is its number.
    pub goal: Vec<T>,
    /// Gradient of the loss for all parameters; added to by [`Shard::backward`].
    pub grad: Vec<T>,
}

impl<T: Real> Shard<T> {
    /// Memory for passes up to `max`.
    pub fn new(net: &Network, counted: Counted, max: Size) -> Self {
        let inputs = match &net.layers[0] {
            Layer::Embedding(_) => 1,
            _ => net.input_width(),
        };
        let layers = (0..net.layers.len()).map(|k| pass(net, k, max)).collect();
        let widths: Vec<usize> = net.layers.iter().map(Layer::outputs).collect();
        let ranges = ranges(net);
        let head = net
            .layers
            .iter()
            .rposition(remembers)
            .map_or(0, |last| last + 1);
        Shard {
            pools: net.layers.iter().map(Layer::pool).collect(),
            dy: widths
                .iter()
                .map(|w| vec![T::ZERO; w * max.rows()])
                .collect(),
            head,
            counted,
            inputs,
            input: vec![T::ZERO; inputs * max.rows()],
            goal: vec![T::ZERO; widths[widths.len() - 1] * max.rows()],
            grad: vec![T::ZERO; ranges.last().map_or(0, |r| r.end)],
            layers,
            ranges,
            widths,
        }
    }

    /// The size that layer `k` sees.
    fn size_of(&self, k: usize, size: Size) -> Size {
        match self.counted {
            Counted::Last if k >= self.head => Size { steps: 1, ..size },
            _ => answered(&self.pools[..k], size),
        }
    }

    /// The size of what layer `k` reads.
    fn size_under(&self, k: usize, size: Size) -> Size {
        match k.checked_sub(1) {
            Some(below) => answered(&self.pools[below..k], self.size_of(below, size)),
            None => size,
        }
    }

    /// Of every layer that joins, the layer that keeps what it takes.
    fn kept(&self) -> Vec<Option<usize>> {
        self.layers.iter().map(|layer| layer.keep()).collect()
    }

    /// And the size that that one sees.
    fn sizes_of_kept(&self, size: Size) -> Vec<Option<(usize, Size)>> {
        let with_size = |keep: usize| (keep, self.size_of(keep, size));
        (self.kept().into_iter().map(|keep| keep.map(with_size))).collect()
    }

    /// Runs the forward pass over [`Shard::input`].
    pub fn forward(&mut self, params: &[T], size: Size) {
        let kept = self.sizes_of_kept(size);
        for k in 0..self.layers.len() {
            let here = self.size_of(k, size);
            let under = self.size_under(k, size);
            let fed = self.size_of(k.saturating_sub(1), size);
            let (below, rest) = self.layers.split_at_mut(k);
            let x = input_of(&self.input[..self.inputs * size.rows()], below, fed);
            let x = last_rows(x, here, under);
            give_kept(&mut rest[0], below, kept[k], here);
            rest[0].forward(&params[self.ranges[k].clone()], x, here);
        }
    }

    /// In place of [`Shard::forward`]: the outputs and cells of every layer are the engine's. `params` are the
    /// parameters after quantization.
    pub fn follow(&mut self, params: &[T], trace: &Trace<T>, size: Size) {
        let kept = self.sizes_of_kept(size);
        for k in 0..self.layers.len() {
            let here = self.size_of(k, size);
            let under = self.size_under(k, size);
            let fed = self.size_of(k.saturating_sub(1), size);
            let (below, rest) = self.layers.split_at_mut(k);
            let x = input_of(&self.input[..self.inputs * size.rows()], below, fed);
            let x = last_rows(x, here, under);
            give_kept(&mut rest[0], below, kept[k], here);
            let behind = answered(&self.pools[k..=k], here);
            let answers = answers(self.pools[..=k].iter().copied());
            let [output, cell] = [&trace.outputs[k], &trace.cells[k]].map(|values: &Vec<T>| {
                let values = &values[..values.len() / trace.rows * size.rows()];
                given(values, answers, (behind, size))
            });
            let params = &params[self.ranges[k].clone()];
            let given = Given {
                output: &output,
                cell: &cell,
            };
            rest[0].follow(params, x, given, here);
        }
    }

    /// `[counted steps, lanes, outputs]` of the last forward pass.
    pub fn output(&self, size: Size) -> &[T] {
        let last = self.layers.len() - 1;
        self.layers[last].output(self.size_of(last, size))
    }

    /// The loss over [`Shard::goal`], times `scale`.
    pub fn loss(&self, loss: &Objective, scale: f64, size: Size) -> f64 {
        let shape = (size.lanes, self.output_width());
        loss.value(self.output(size), &self.goal, shape) * scale
    }

    /// Numbers per row of [`Shard::input`].
    pub fn input_width(&self) -> usize {
        self.inputs
    }

    fn output_width(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    /// Runs the backward pass of the loss times `scale`, adding to [`Shard::grad`].
    pub fn backward(&mut self, params: &[T], loss: &Objective, scale: f64, size: Size) {
        let last = self.layers.len() - 1;
        let width = self.output_width();
        let counted = self.size_of(last, size).rows() * width;
        loss.gradient(
            (
                self.layers[last].output(self.size_of(last, size)),
                &self.goal,
            ),
            (size.lanes, width),
            T::from_f64(scale),
            &mut self.dy[last][..counted],
        );
        self.layers.iter_mut().for_each(|l| l.begin_backward());
        self.backward_layers(params, size);
    }

    /// As [`Shard::backward`] for an encoder, which has no loss but its decoder's: after the decoder's backward pass.
    pub fn backward_from(&mut self, decoder: &mut Shard<T>, params: &[T], size: Size) {
        for (ours, theirs) in self.memories().zip(decoder.memories()) {
            let used = size.lanes * ours.hidden;
            for (ours, theirs) in ours.gradient.into_iter().zip(theirs.gradient) {
                let used = used.min(ours.len());
                ours[..used].copy_from_slice(&theirs[..used]);
            }
        }
        if let Some(dy) = self.dy.last_mut() {
            dy.fill(T::ZERO);
        }
        self.backward_layers(params, size);
    }

    fn backward_layers(&mut self, params: &[T], size: Size) {
        let kept = self.kept();
        let sizes: Vec<Size> = (0..kept.len()).map(|k| self.size_of(k, size)).collect();
        for k in (0..self.layers.len()).rev() {
            let here = self.size_of(k, size);
            let under = self.size_under(k, size);
            let fed = self.size_of(k.saturating_sub(1), size);
            let (below, rest) = self.layers.split_at_mut(k);
            let x = input_of(&self.input[..self.inputs * size.rows()], below, fed);
            let x = last_rows(x, here, under);
            let (dy_below, dy) = self.dy.split_at_mut(k);
            // What joins found, of the last steps only where they have only these.
            for (join, _) in kept
                .iter()
                .enumerate()
                .filter(|(_, keep)| **keep == Some(k))
            {
                let there = sizes[join];
                let own = &mut dy[0][..self.widths[k] * here.rows()];
                let from = own.len() - self.widths[k] * there.rows();
                let found = rest[join - k].kept_gradient(there);
                (own[from..].iter_mut().zip(found)).for_each(|(dy, &found)| *dy += found);
            }
            let dx = dy_below.last_mut().map(|dx| {
                let dx = &mut dx[..self.widths[k - 1] * under.rows()];
                let skipped = dx.len() - self.widths[k - 1] * here.rows();
                let (uncounted, dx) = dx.split_at_mut(skipped);
                uncounted.fill(T::ZERO);
                dx
            });
            rest[0].backward(
                &params[self.ranges[k].clone()],
                x,
                &dy[0][..self.widths[k] * answered(&self.pools[k..=k], here).rows()],
                &mut self.grad[self.ranges[k].clone()],
                dx,
                here,
            );
        }
    }

    fn memories(&mut self) -> impl Iterator<Item = Memory<'_, T>> {
        self.layers.iter_mut().filter_map(|layer| layer.memory())
    }

    /// The states start where an encoder's pass over `size` has ended.
    pub fn seed_from(&mut self, encoder: &mut Shard<T>, size: Size) {
        for (ours, theirs) in self.memories().zip(encoder.memories()) {
            let (lane, end) = (size.lanes * ours.hidden, size.rows() * ours.hidden);
            for (ours, theirs) in ours.state.into_iter().zip(theirs.state) {
                if !ours.is_empty() {
                    ours[..lane].copy_from_slice(&theirs[end..end + lane]);
                }
            }
        }
    }

    /// All states start at zero.
    pub fn reset(&mut self) {
        self.layers.iter_mut().for_each(|l| l.reset());
    }

    /// The states after the last pass become the states before the next (truncated BPTT).
    pub fn carry(&mut self, size: Size) {
        self.layers.iter_mut().for_each(|l| l.carry(size));
    }
}

/// What the engine computed over a shard: `[steps, lanes, width]` for every layer.
pub struct Trace<T> {
    rows: usize,
    /// Outputs; of an embedding none.
    pub outputs: Vec<Vec<T>>,
    /// Cells of layers that have one.
    pub cells: Vec<Vec<T>>,
}

impl<T: Real> Trace<T> {
    /// Memory for passes up to `max`.
    pub fn new(net: &Network, max: Size) -> Self {
        let rows = max.rows();
        let memory = |width: usize| vec![T::ZERO; width * rows];
        let output = |layer: &Layer| match layer {
            Layer::Embedding(_) => 0,
            layer => layer.outputs(),
        };
        let cell = |layer: &Layer| match layer {
            Layer::Recurrent(r) if r.cell.has_cell() => r.hidden,
            Layer::Bidirectional(b) if b.forward.cell.has_cell() => 2 * b.forward.hidden,
            _ => 0,
        };
        Trace {
            rows,
            outputs: net.layers.iter().map(|l| memory(output(l))).collect(),
            cells: net.layers.iter().map(|l| memory(cell(l))).collect(),
        }
    }
}

/// What pools leave of a size.
fn answered(pools: &[Option<Pool>], size: Size) -> Size {
    let pools = pools.iter().flatten();
    Size {
        steps: pools.fold(size.steps, |steps, &pool| pool::left(pool, steps)),
        ..size
    }
}

/// Of rows of every step of `all`, the last ones that answers leave of them.
fn given<T: Copy>(
    rows: &[T],
    [first, every]: [usize; 2],
    (here, all): (Size, Size),
) -> Cow<'_, [T]> {
    if [first, every] == [0, 1] {
        return Cow::Borrowed(last_rows(rows, here, all));
    }
    let row = rows.len() / all.steps.max(1);
    let steps = (first..all.steps).step_by(every);
    let left = steps.len().saturating_sub(here.steps);
    let rows = steps.skip(left).flat_map(|step| &rows[step * row..][..row]);
    Cow::Owned(rows.copied().collect())
}

/// What the layer above `below` reads: the network's input, or the output of the last of them, which was fed so much.
fn input_of<'a, T>(input: &'a [T], below: &'a [Box<dyn Pass<T>>], fed: Size) -> &'a [T] {
    below.last().map_or(input, |layer| layer.output(fed))
}

/// What a layer joins, from the layer that keeps it.
fn give_kept<T>(
    layer: &mut Box<dyn Pass<T>>,
    below: &[Box<dyn Pass<T>>],
    kept: Option<(usize, Size)>,
    here: Size,
) {
    if let Some((keep, there)) = kept {
        layer.take_kept(last_rows(below[keep].output(there), here, there));
    }
}

/// The rows of the last `here.steps` steps.
fn last_rows<T>(x: &[T], here: Size, under: Size) -> &[T] {
    let width = x.len() / under.rows();
    &x[x.len() - width * here.rows()..]
}

/// Writes `bias` into every row.
fn fill_rows<T: Copy>(rows: &mut [T], bias: &[T]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
}

vectorised! {
    /// Adds the sum of all rows.
    fn add_row_sums(rows: &[T], sum: &mut [T]) {
        for row in rows.chunks_exact(sum.len()) {
            for (s, &x) in sum.iter_mut().zip(row) {
                *s += x;
            }
        }
    }
}

/// `z = x W_ihᵀ + bias` for all steps at once.
fn input_products<T: Real>(w_ih: &Panels<T>, bias: &[T], x: &[T], z: &mut [T], of: RecurrentSize) {
    let rows = z.len() / of.rows;
    fill_rows(z, bias);
    T::gemm(
        Matrix::new(x, rows, of.inputs),
        w_ih.view(),
        T::ONE,
        MatrixMut::new(z, rows, of.rows),
    );
}

/// Gradients of `z = x W_ihᵀ + b_ih` for all steps at once.
fn input_gradients<T: Real>(
    w_ih: &[T],
    x: &[T],
    dz: &[T],
    (g_w, g_b): (&mut [T], &mut [T]),
    dx: Option<&mut [T]>,
    of: RecurrentSize,
) {
    let rows = dz.len() / of.rows;
    T::gemm(
        Matrix::new(dz, rows, of.rows).t(),
        Matrix::new(x, rows, of.inputs),
        T::ONE,
        MatrixMut::new(g_w, of.rows, of.inputs),
    );
    add_row_sums(dz, g_b);
    if let Some(dx) = dx {
        T::gemm(
            Matrix::new(dz, rows, of.rows),
            Matrix::new(w_ih, of.rows, of.inputs),
            T::ZERO,
            MatrixMut::new(dx, rows, of.inputs),
        );
    }
}

#[cfg(test)]
mod tests;

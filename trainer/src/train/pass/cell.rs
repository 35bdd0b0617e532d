//! The pass of a recurrent layer. A cell says what one unit computes, forward and backward ([`UnitMath`]); products, the
//! walk over steps and sequences, and what is saved between the two passes are here, once.
//!
//! A unit's work goes unit by unit over slices, one for every quantity, because that is what a compiler makes vector
//! instructions of: loops over a unit's own arrays it leaves scalar. What a cell does not have is an empty slice, and
//! its constants make the loads and stores of it go away.

mod fastgrnn;
mod gru_after;
mod gru_before;
mod lstm;
mod lstm_coupled;
mod lstm_relu;
mod mingru;
mod rnn;

use std::marker::PhantomData;
use std::ops::Range;

use super::super::gemm::{Matrix, MatrixMut, Panels};
use super::super::params::{RecurrentParams, RecurrentSize};
use super::super::real::Real;
use super::super::vectorise::vectorised;
use super::{Given, Memory, Pass, Size, add_row_sums, fill_rows, input_gradients, input_products};
use crate::net::{Cell, Recurrent, extra};

/// One unit at one step of one sequence.
struct Unit<T> {
    /// Sums, then gates, then gradients of the sums.
    z: [T; 4],
    /// Sums over the state where these are apart, then their gradients.
    u: [T; 3],
    /// What the forward pass keeps for the backward pass.
    kept: T,
    /// The unit's parameters besides weights.
    p: [T; 3],
    h_prev: T,
    h: T,
    c_prev: T,
    c: T,
}

/// Gradients at a unit, from the output and the next step; then for the step before.
struct Gradients<T> {
    h: T,
    c: T,
    /// Of the unit's parameters, over all steps and sequences.
    p: [T; 3],
}

/// What a cell is.
trait UnitMath<T: Real>: Send + Sync + 'static {
    /// Sums of a unit, at most four.
    const SUMS: usize;
    /// Parameters of a unit, and how many of them are learned.
    const PARAMETERS: usize = 0;
    const LEARNED: usize = 0;
    /// The unit has a cell state.
    const CELL: bool = false;
    /// The sums are over the state too.
    const RECURS: bool = true;
    /// Sums over input and state are wanted apart.
    const APART: bool = false;
    /// [`Unit::kept`] is used, and becomes a gradient.
    const KEEPS: bool = false;
    const KEEPS_GRADIENT: bool = false;
    /// The last sum is not over the state, but over what [`UnitMath::reset`] makes of it and keeps.
    const RESETS: bool = false;
    /// The state before reaches the state also beside the sums.
    const DIRECT: bool = false;
    /// The backward pass needs the output alone.
    const FROM_OUTPUT: bool = false;

    /// The cell state, from the sums.
    fn cell(_unit: &mut Unit<T>) {}

    /// The output, from the sums and the cell state.
    fn output(unit: &mut Unit<T>);

    /// From the gates, and the gradients after this step.
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>);

    /// In the forward pass, before the last sum is known.
    fn reset(_unit: &mut Unit<T>) {}

    /// In the backward pass, when the gradient of what was kept is known.
    fn reset_backward(_unit: &mut Unit<T>, _d_kept: T, _d: &mut Gradients<T>) {}

    /// What sums start with, and the parameters of the units, one kind after the other.
    fn parameters(w: RecurrentParams<'_, T>, bias: &mut [T], p: &mut [T]) {
        bias.copy_from_slice(w.b_ih);
        for (b, &b_hh) in bias.iter_mut().zip(w.b_hh) {
            *b += b_hh;
        }
        p.copy_from_slice(w.extra);
    }

    /// Adds the gradients of the parameters to those of the layer.
    fn parameter_gradients(_p: &[T], d_p: &[T], extra: &mut [T]) {
        for (g, &d) in extra.iter_mut().zip(d_p) {
            *g += d;
        }
    }

    /// Adds the gradients of both biases, but for the sums over the input in `b_ih`. `dz` are the gradients of the sums
    /// over the state.
    fn bias_gradients(dz: &[T], _kept: &[T], _b_ih: &mut [T], b_hh: &mut [T]) {
        add_row_sums(dz, b_hh);
    }
}

/// A gate: the logistic function, or where gates are hard three straight lines.
#[inline(always)]
fn gate<const HARD: bool, T: Real>(z: T) -> T {
    if !HARD {
        return z.sigmoid();
    }
    let line = T::from_f64(0.25) * z + T::from_f64(0.5);
    let line = if line > T::ONE { T::ONE } else { line };
    if line < T::ZERO { T::ZERO } else { line }
}

/// The derivative of [`gate`], from the gate.
#[inline(always)]
fn gate_slope<const HARD: bool, T: Real>(gate: T) -> T {
    if !HARD {
        return gate * (T::ONE - gate);
    }
    let inside = gate > T::ZERO && gate < T::ONE;
    if inside { T::from_f64(0.25) } else { T::ZERO }
}

/// The pass of a layer.
pub fn recurrent<T: Real>(r: &Recurrent, max: Size) -> Box<dyn Pass<T>> {
    fn pass<C: UnitMath<T>, T: Real>(r: &Recurrent, max: Size) -> Box<dyn Pass<T>> {
        Box::new(CellPass::<C, T>::new(r, max))
    }
    match r.cell {
        Cell::RnnTanh => pass::<rnn::Rnn<false>, T>(r, max),
        Cell::RnnRelu => pass::<rnn::Rnn<true>, T>(r, max),
        Cell::Lstm => pass::<lstm::Lstm<false, false>, T>(r, max),
        Cell::LstmHard => pass::<lstm::Lstm<false, true>, T>(r, max),
        Cell::LstmPeephole => pass::<lstm::Lstm<true, false>, T>(r, max),
        Cell::LstmRelu => pass::<lstm_relu::LstmRelu, T>(r, max),
        Cell::LstmCoupled => pass::<lstm_coupled::LstmCoupled, T>(r, max),
        Cell::FastGrnn => pass::<fastgrnn::FastGrnn, T>(r, max),
        Cell::GruResetAfter => pass::<gru_after::GruAfter<false, false>, T>(r, max),
        Cell::GruReluResetAfter => pass::<gru_after::GruAfter<true, false>, T>(r, max),
        Cell::GruHardResetAfter => pass::<gru_after::GruAfter<false, true>, T>(r, max),
        Cell::GruResetBefore => pass::<gru_before::GruBefore<false, false>, T>(r, max),
        Cell::GruReluResetBefore => pass::<gru_before::GruBefore<true, false>, T>(r, max),
        Cell::GruHardResetBefore => pass::<gru_before::GruBefore<false, true>, T>(r, max),
        Cell::MinGru => pass::<mingru::MinGru<false, false>, T>(r, max),
        Cell::MinGruTanh => pass::<mingru::MinGru<true, false>, T>(r, max),
        Cell::MinGruHard => pass::<mingru::MinGru<false, true>, T>(r, max),
    }
}

/// Right sides of a layer's products, as these read them fastest: copied once per pass, for all its steps.
#[derive(Default)]
struct Operands<T> {
    /// Forward, from the state to sums.
    forward: Panels<T>,
    /// Backward, from the gradients of the sums to that of the state.
    backward: Panels<T>,
    /// The states, for the gradient of the weights.
    states: Panels<T>,
}

impl<T: Real> Operands<T> {
    /// Gradients of the weights, for all steps at once: of so many sums among so many.
    fn gradients(&mut self, states: &[T], dz: &[T], g_w: &mut [T], [sums, among]: [usize; 2]) {
        let hidden = g_w.len() / sums;
        let rows = states.len() / hidden;
        self.states.set(Matrix::new(states, rows, hidden));
        T::gemm(
            Matrix::block(dz, rows, sums, among).t(),
            self.states.view(),
            T::ONE,
            MatrixMut::new(g_w, sums, hidden),
        );
    }
}

struct CellPass<C, T> {
    of: RecurrentSize,
    w_ih: Panels<T>,
    /// Sums over the state; and over what a reset makes of it.
    over: [Operands<T>; 2],
    bias: Vec<T>,
    p: Vec<T>,
    d_p: Vec<T>,
    /// `[steps, lanes, sums of all units]`; see [`Unit`].
    z: Vec<T>,
    u: Vec<T>,
    /// `[steps, lanes, hidden]`.
    kept: Vec<T>,
    /// State before the first step, then after every step.
    h: Vec<T>,
    /// Cell, likewise.
    c: Vec<T>,
    dh: Vec<T>,
    dc: Vec<T>,
    d_kept: Vec<T>,
    cell: PhantomData<C>,
}

vectorised! {
    /// The units of a sequence at a step, from their sums. `GIVEN`: cell and output are, and the gates are wanted.
    fn forward_units<C: UnitMath, const GIVEN: bool>(
        z0: &mut [T], z1: &mut [T], z2: &mut [T], z3: &mut [T], u0: &[T], u1: &[T], u2: &[T], kept: &mut [T],
        p0: &[T], p1: &[T], p2: &[T], h_prev: &[T], c_prev: &[T], given: &[T], c: &mut [T], h: &mut [T],
    ) {
        let n = h_prev.len();
        let there = |there: bool| if there { n } else { 0 };
        let sums = |k: usize| there(C::SUMS > k);
        let (z0, z1, z2, z3) = (&mut z0[..n], &mut z1[..sums(1)], &mut z2[..sums(2)], &mut z3[..sums(3)]);
        let apart = |k: usize| there(C::APART && C::SUMS > k);
        let (u0, u1, u2) = (&u0[..apart(0)], &u1[..apart(1)], &u2[..apart(2)]);
        let p = |k: usize| there(C::PARAMETERS > k);
        let (p0, p1, p2) = (&p0[..p(0)], &p1[..p(1)], &p2[..p(2)]);
        let (kept, h) = (&mut kept[..there(C::KEEPS)], &mut h[..there(!GIVEN)]);
        let (c_prev, given) = (&c_prev[..there(C::CELL)], &given[..there(C::CELL && GIVEN)]);
        let c = &mut c[..there(C::CELL && !GIVEN)];
        let at = |x: &[T], j: usize| if x.is_empty() { T::ZERO } else { x[j] };
        for j in 0..n {
            let mut unit = Unit {
                z: [z0[j], at(z1, j), at(z2, j), at(z3, j)],
                u: [at(u0, j), at(u1, j), at(u2, j)],
                kept: at(kept, j),
                p: [at(p0, j), at(p1, j), at(p2, j)],
                h_prev: h_prev[j],
                h: T::ZERO,
                c_prev: at(c_prev, j),
                c: T::ZERO,
            };
            C::cell(&mut unit);
            if GIVEN {
                unit.c = at(given, j);
            }
            C::output(&mut unit);
            z0[j] = unit.z[0];
            if C::SUMS > 1 { z1[j] = unit.z[1]; }
            if C::SUMS > 2 { z2[j] = unit.z[2]; }
            if C::SUMS > 3 { z3[j] = unit.z[3]; }
            if C::KEEPS { kept[j] = unit.kept; }
            if !GIVEN && C::CELL { c[j] = unit.c; }
            if !GIVEN { h[j] = unit.h; }
        }
    }
}

vectorised! {
    /// The units of a sequence at a step: gates in, gradients of their sums out.
    fn backward_units<C: UnitMath>(
        z0: &mut [T], z1: &mut [T], z2: &mut [T], z3: &mut [T], u0: &mut [T], u1: &mut [T], u2: &mut [T],
        kept: &mut [T], p0: &[T], p1: &[T], p2: &[T], h_prev: &[T], h: &[T], c_prev: &[T], c: &[T],
        dy: &[T], dh: &mut [T], dc: &mut [T], d_p0: &mut [T], d_p1: &mut [T], d_p2: &mut [T],
    ) {
        let n = dh.len();
        let there = |there: bool| if there { n } else { 0 };
        let sums = |k: usize| there(C::SUMS > k);
        let (z0, z1, z2, z3) = (&mut z0[..n], &mut z1[..sums(1)], &mut z2[..sums(2)], &mut z3[..sums(3)]);
        let apart = |k: usize| there(C::APART && C::SUMS > k);
        let (u0, u1, u2) = (&mut u0[..apart(0)], &mut u1[..apart(1)], &mut u2[..apart(2)]);
        let p = |k: usize| there(C::PARAMETERS > k);
        let (p0, p1, p2) = (&p0[..p(0)], &p1[..p(1)], &p2[..p(2)]);
        let d_p = |k: usize| there(C::LEARNED > k);
        let (d_p0, d_p1, d_p2) = (&mut d_p0[..d_p(0)], &mut d_p1[..d_p(1)], &mut d_p2[..d_p(2)]);
        let (kept, h_prev, h, dy) = (&mut kept[..there(C::KEEPS)], &h_prev[..n], &h[..n], &dy[..n]);
        let cell = there(C::CELL);
        let (c_prev, c, dc) = (&c_prev[..cell], &c[..cell], &mut dc[..cell]);
        let at = |x: &[T], j: usize| if x.is_empty() { T::ZERO } else { x[j] };
        for j in 0..n {
            let mut unit = Unit {
                z: [z0[j], at(z1, j), at(z2, j), at(z3, j)],
                u: [at(u0, j), at(u1, j), at(u2, j)],
                kept: at(kept, j),
                p: [at(p0, j), at(p1, j), at(p2, j)],
                h_prev: h_prev[j],
                h: h[j],
                c_prev: at(c_prev, j),
                c: at(c, j),
            };
            let mut d = Gradients {
                h: dy[j] + dh[j],
                c: at(dc, j),
                p: [at(d_p0, j), at(d_p1, j), at(d_p2, j)],
            };
            C::backward(&mut unit, &mut d);
            z0[j] = unit.z[0];
            if C::SUMS > 1 { z1[j] = unit.z[1]; }
            if C::SUMS > 2 { z2[j] = unit.z[2]; }
            if C::SUMS > 3 { z3[j] = unit.z[3]; }
            if C::APART { u0[j] = unit.u[0]; }
            if C::APART && C::SUMS > 1 { u1[j] = unit.u[1]; }
            if C::APART && C::SUMS > 2 { u2[j] = unit.u[2]; }
            if C::KEEPS_GRADIENT { kept[j] = unit.kept; }
            if C::DIRECT { dh[j] = d.h; }
            if C::CELL { dc[j] = d.c; }
            if C::LEARNED > 0 { d_p0[j] = d.p[0]; }
            if C::LEARNED > 1 { d_p1[j] = d.p[1]; }
            if C::LEARNED > 2 { d_p2[j] = d.p[2]; }
        }
    }
}

vectorised! {
    /// The units of a sequence at a step, from all sums but the last: what that one is over.
    fn reset_units<C: UnitMath>(z0: &mut [T], z1: &mut [T], kept: &mut [T], h_prev: &[T]) {
        let n = h_prev.len();
        let (z0, z1, kept) = (&mut z0[..n], &mut z1[..n], &mut kept[..n]);
        for j in 0..n {
            let mut unit = Unit {
                z: [z0[j], z1[j], T::ZERO, T::ZERO],
                u: [T::ZERO; 3],
                kept: T::ZERO,
                p: [T::ZERO; 3],
                h_prev: h_prev[j],
                h: T::ZERO,
                c_prev: T::ZERO,
                c: T::ZERO,
            };
            C::reset(&mut unit);
            (z0[j], z1[j], kept[j]) = (unit.z[0], unit.z[1], unit.kept);
        }
    }
}

vectorised! {
    /// The units of a sequence at a step, when the gradient of what the last sum was over is known.
    fn reset_units_backward<C: UnitMath>(z0: &mut [T], d_kept: &[T], h_prev: &[T], dh: &mut [T]) {
        let n = dh.len();
        let (z0, d_kept, h_prev) = (&mut z0[..n], &d_kept[..n], &h_prev[..n]);
        for j in 0..n {
            let mut unit = Unit {
                z: [z0[j], T::ZERO, T::ZERO, T::ZERO],
                u: [T::ZERO; 3],
                kept: T::ZERO,
                p: [T::ZERO; 3],
                h_prev: h_prev[j],
                h: T::ZERO,
                c_prev: T::ZERO,
                c: T::ZERO,
            };
            let mut d = Gradients { h: dh[j], c: T::ZERO, p: [T::ZERO; 3] };
            C::reset_backward(&mut unit, d_kept[j], &mut d);
            (z0[j], dh[j]) = (unit.z[0], d.h);
        }
    }
}

impl<C: UnitMath<T>, T: Real> CellPass<C, T> {
    fn new(r: &Recurrent, max: Size) -> Self {
        let of = RecurrentSize {
            rows: r.cell.products() * r.hidden,
            state_rows: r.cell.state_products() * r.hidden,
            inputs: r.inputs,
            hidden: r.hidden,
            extra: extra(r.cell, r.hidden),
        };
        let zeros = |there: bool, len: usize| vec![T::ZERO; if there { len } else { 0 }];
        let (rows, states) = (max.rows(), (max.rows() + max.lanes) * of.hidden);
        CellPass {
            of,
            w_ih: Panels::default(),
            over: Default::default(),
            bias: zeros(true, of.rows),
            p: zeros(true, C::PARAMETERS * of.hidden),
            d_p: zeros(true, C::LEARNED * of.hidden),
            z: zeros(true, rows * of.rows),
            u: zeros(C::APART, rows * of.rows),
            kept: zeros(C::KEEPS, rows * of.hidden),
            h: zeros(true, states),
            c: zeros(C::CELL, states),
            dh: zeros(true, max.lanes * of.hidden),
            dc: zeros(C::CELL, max.lanes * of.hidden),
            d_kept: zeros(C::RESETS, max.lanes * of.hidden),
            cell: PhantomData,
        }
    }

    /// Sums over the state: those before a reset, and that behind it.
    fn sums(&self) -> [usize; 2] {
        let last = if C::RESETS { self.of.hidden } else { 0 };
        [self.of.state_rows - last, last]
    }

    /// How many units lie one after the other, and the sums of how many; and how often. Sequences of one sum a unit, which
    /// needs no parameters, are one long one.
    fn runs(&self, sequences: usize) -> ([usize; 2], usize) {
        if C::SUMS == 1 && C::PARAMETERS == 0 {
            ([sequences * self.of.hidden; 2], 1)
        } else {
            ([self.of.hidden, self.of.rows], sequences)
        }
    }

    /// The sums over the input, and what those over the state start with.
    fn begin(&mut self, w: RecurrentParams<'_, T>, x: &[T], size: Size) {
        let of = self.of;
        C::parameters(w, &mut self.bias, &mut self.p);
        self.w_ih.set(Matrix::new(w.w_ih, of.rows, of.inputs).t());
        let [first, last] = self.sums();
        let (w_first, w_last) = w.w_hh.split_at(first * of.hidden);
        let [over, behind] = &mut self.over;
        if C::RECURS {
            over.forward.set(Matrix::new(w_first, first, of.hidden).t());
        }
        if C::RESETS {
            behind.forward.set(Matrix::new(w_last, last, of.hidden).t());
        }
        let z = &mut self.z[..size.rows() * of.rows];
        if C::APART {
            input_products(&self.w_ih, w.b_ih, x, z, of);
            fill_rows(&mut self.u[..size.rows() * of.rows], w.b_hh);
        } else {
            input_products(&self.w_ih, &self.bias, x, z, of);
        }
    }

    /// From sums over the input to gates, of the sequences of a step, or with `GIVEN` states of all steps: they are counted
    /// as rows.
    fn units<const GIVEN: bool>(&mut self, rows: Range<usize>, lanes: usize) {
        let (of, [first, last], n) = (self.of, self.sums(), rows.len());
        let ([width, wide], runs) = self.runs(n);
        let after = (rows.start + lanes) * of.hidden;
        let units = rows.start * of.hidden..rows.end * of.hidden;
        let rows = rows.start * of.rows..rows.end * of.rows;
        let (z, kept) = (
            &mut self.z[rows.clone()],
            cut_mut(&mut self.kept, units.clone()),
        );
        let u = cut_mut(&mut self.u, rows);
        let (h_prev, _, h) = around::<GIVEN, T>(&mut self.h, units.clone(), after);
        let (c_prev, given, c) = around::<GIVEN, T>(&mut self.c, units, after);
        if C::RECURS {
            let sums = if C::APART { &mut *u } else { &mut *z };
            T::gemm(
                Matrix::new(h_prev, n, of.hidden),
                self.over[0].forward.view(),
                T::ONE,
                MatrixMut::block(sums, n, first, of.rows),
            );
        }
        if C::RESETS {
            for s in 0..runs {
                let at = s * width..(s + 1) * width;
                let [z0, z1] = by_sum(&mut z[s * wide..][..2 * width], width);
                reset_units::<T, C>(z0, z1, &mut kept[at.clone()], &h_prev[at]);
            }
            T::gemm(
                Matrix::new(kept, n, of.hidden),
                self.over[1].forward.view(),
                T::ONE,
                MatrixMut::block(&mut z[first..], n, last, of.rows),
            );
        }
        let [p0, p1, p2] = by_sum(&mut self.p, of.hidden);
        for s in 0..runs {
            let (at, sums) = (s * width..(s + 1) * width, s * wide..(s + 1) * wide);
            let [z0, z1, z2, z3] = by_sum(&mut z[sums.clone()], width);
            let [u0, u1, u2] = by_sum(cut_mut(u, sums), width);
            forward_units::<T, C, GIVEN>(
                z0,
                z1,
                z2,
                z3,
                u0,
                u1,
                u2,
                cut_mut(kept, at.clone()),
                p0,
                p1,
                p2,
                &h_prev[at.clone()],
                cut(c_prev, at.clone()),
                cut(given, at.clone()),
                cut_mut(c, at.clone()),
                cut_mut(h, at),
            );
        }
    }
}

/// What is there of a slice; what a cell does not have is empty.
fn cut<T>(x: &[T], at: Range<usize>) -> &[T] {
    if x.is_empty() { x } else { &x[at] }
}

fn cut_mut<T>(x: &mut [T], at: Range<usize>) -> &mut [T] {
    if x.is_empty() { x } else { &mut x[at] }
}

/// A slice for every sum, or every kind of parameter.
fn by_sum<const N: usize, T>(mut all: &mut [T], width: usize) -> [&mut [T]; N] {
    std::array::from_fn(|_| {
        let width = width.min(all.len());
        let (one, rest) = std::mem::take(&mut all).split_at_mut(width);
        all = rest;
        one
    })
}

/// The states before some steps, those after them if they are given, and those to be written if not.
fn around<const GIVEN: bool, T>(
    states: &mut [T],
    before: Range<usize>,
    after: usize,
) -> (&[T], &[T], &mut [T]) {
    if states.is_empty() {
        (&[], &[], states)
    } else if GIVEN {
        let states = &*states;
        (&states[before], &states[after..], &mut [])
    } else {
        let (past, future) = states.split_at_mut(after);
        (&past[before], &[], future)
    }
}

impl<C: UnitMath<T>, T: Real> Pass<T> for CellPass<C, T> {
    fn forward(&mut self, p: &[T], x: &[T], size: Size) {
        self.begin(self.of.params(p), x, size);
        for t in 0..size.steps {
            self.units::<false>(t * size.lanes..(t + 1) * size.lanes, size.lanes);
        }
    }

    fn follow(&mut self, p: &[T], x: &[T], given: Given<'_, T>, size: Size) {
        let step = size.lanes * self.of.hidden;
        self.h[step..][..given.output.len()].copy_from_slice(given.output);
        if C::CELL {
            self.c[step..][..given.cell.len()].copy_from_slice(given.cell);
        }
        if !C::FROM_OUTPUT {
            self.begin(self.of.params(p), x, size);
            self.units::<true>(0..size.rows(), size.lanes);
        }
    }

    fn output(&self, size: Size) -> &[T] {
        let step = size.lanes * self.of.hidden;
        &self.h[step..step * (size.steps + 1)]
    }

    fn backward(
        &mut self,
        p: &[T],
        x: &[T],
        dy: &[T],
        g: &mut [T],
        dx: Option<&mut [T]>,
        size: Size,
    ) {
        let (w, g, of, n) = (self.of.params(p), self.of.grads(g), self.of, size.lanes);
        let [first, last] = self.sums();
        let ([width, wide], runs) = self.runs(n);
        let (step, all) = (n * of.hidden, size.rows() * of.hidden);
        let (w_first, w_last) = w.w_hh.split_at(first * of.hidden);
        let [over, behind] = &mut self.over;
        if C::RECURS {
            over.backward.set(Matrix::new(w_first, first, of.hidden));
        }
        if C::RESETS {
            behind.backward.set(Matrix::new(w_last, last, of.hidden));
        }
        let sums = size.rows() * of.rows;
        let (z, u) = (&mut self.z[..sums], cut_mut(&mut self.u, 0..sums));
        let kept = cut_mut(&mut self.kept, 0..all);
        let (dh, dc) = (&mut self.dh[..step], cut_mut(&mut self.dc, 0..step));
        self.d_p.fill(T::ZERO);
        let [p0, p1, p2] = by_sum(&mut self.p, of.hidden);
        let [d_p0, d_p1, d_p2] = by_sum(&mut self.d_p, of.hidden);
        for t in (0..size.steps).rev() {
            let of_step = t * n * of.rows..(t + 1) * n * of.rows;
            let (z, u) = (&mut z[of_step.clone()], cut_mut(u, of_step));
            for s in 0..runs {
                let (at, sums) = (s * width..(s + 1) * width, s * wide..(s + 1) * wide);
                let before = t * step + at.start..t * step + at.end;
                let after = before.start + step..before.end + step;
                let [z0, z1, z2, z3] = by_sum(&mut z[sums.clone()], width);
                let [u0, u1, u2] = by_sum(cut_mut(u, sums), width);
                backward_units::<T, C>(
                    z0,
                    z1,
                    z2,
                    z3,
                    u0,
                    u1,
                    u2,
                    cut_mut(kept, before.clone()),
                    p0,
                    p1,
                    p2,
                    &self.h[before.clone()],
                    &self.h[after.clone()],
                    cut(&self.c, before.clone()),
                    cut(&self.c, after),
                    &dy[before],
                    &mut dh[at.clone()],
                    cut_mut(dc, at),
                    d_p0,
                    d_p1,
                    d_p2,
                );
            }
            if C::RESETS {
                let d_kept = &mut self.d_kept[..step];
                T::gemm(
                    Matrix::block(&z[first..], n, last, of.rows),
                    behind.backward.view(),
                    T::ZERO,
                    MatrixMut::new(d_kept, n, of.hidden),
                );
                for s in 0..runs {
                    let at = s * width..(s + 1) * width;
                    let h_prev = &self.h[t * step..][at.clone()];
                    let z0 = &mut z[s * wide..][..width];
                    reset_units_backward::<T, C>(z0, &d_kept[at.clone()], h_prev, &mut dh[at]);
                }
            }
            if C::RECURS {
                T::gemm(
                    Matrix::block(if C::APART { u } else { z }, n, first, of.rows),
                    over.backward.view(),
                    if C::DIRECT { T::ONE } else { T::ZERO },
                    MatrixMut::new(dh, n, of.hidden),
                );
            }
        }
        let dz = if C::APART { &*u } else { &*z };
        let (g_first, g_last) = g.w_hh.split_at_mut(first * of.hidden);
        if C::RECURS {
            over.gradients(&self.h[..all], dz, g_first, [first, of.rows]);
            C::bias_gradients(dz, kept, g.b_ih, g.b_hh);
        }
        if C::RESETS {
            behind.gradients(kept, &dz[first..], g_last, [last, of.rows]);
        }
        C::parameter_gradients(&self.p, &self.d_p, g.extra);
        input_gradients(w.w_ih, x, z, (g.w_ih, g.b_ih), dx, of);
    }

    fn reset(&mut self) {
        self.h.fill(T::ZERO);
        self.c.fill(T::ZERO);
    }

    fn carry(&mut self, size: Size) {
        let step = size.lanes * self.of.hidden;
        let last = size.steps * step..(size.steps + 1) * step;
        self.h.copy_within(last.clone(), 0);
        if C::CELL {
            self.c.copy_within(last, 0);
        }
    }

    fn memory(&mut self) -> Option<Memory<'_, T>> {
        Some(Memory {
            hidden: self.of.hidden,
            state: [&mut self.h[..], &mut self.c[..]],
            gradient: [&mut self.dh[..], &mut self.dc[..]],
        })
    }
}

//! A whole step of a float layer with AVX-512, some units at a time: enough rows for their sums not to wait for each other, and a
//! gate of two panels in a register. Bit for bit what the other primitives of the same table give, as several streams together
//! use them.

use super::float_step256::{self, SMALL, by_weights, expect, panel};
use super::float256::{is_crowded, load, store};
use super::float512::{
    Stored, accumulate, first_half, halves, load_two, narrow_tanh, sigmoid, store_two, tanh,
    tanh_sigmoid, total, totals,
};
use crate::kernel::{CellF, FloatState, Gates, Kernels, Panel};
use core::arch::x86_64::*;

#[target_feature(enable = "avx512f,avx512vl,f16c,fma")]
pub(super) fn step_f(
    k: &Kernels,
    cell: CellF,
    state: FloatState<'_>,
    gates: &Gates<'_>,
    x: &[f32],
) {
    match gates.units {
        // All waits for one chain of operations, which are sooner done in narrow registers.
        1 => float_step256::step_f(k, cell, state, gates, x),
        _ => some_units(cell, state, gates, x),
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512vl,f16c,fma")]
fn some_units(cell: CellF, state: FloatState<'_>, gates: &Gates<'_>, x: &[f32]) {
    // SAFETY: the method that calls has checked lengths, and this function has the instructions.
    unsafe { by_weights!(gates, w => step(cell, state, gates, w, x)) }
}

/// # Safety
/// State, gates and inputs belong together, as `FloatState::check` sees, these are the weights of the gates, and the CPU has AVX-512.
#[inline(always)]
unsafe fn step<W: Stored>(
    cell: CellF,
    state: FloatState<'_>,
    gates: &Gates<'_>,
    [ih, hh]: [&[W]; 2],
    x: &[f32],
) {
    let mut layer = Layer {
        state,
        bias: gates.bias,
        ih,
        hh,
        x: x.as_ptr(),
        columns: gates.columns,
        units: gates.units,
        panels: gates.order.panels()[1] * gates.units,
    };
    let crowded = is_crowded::<W>(layer.columns[1]);
    // SAFETY: `Gates::new` has seen that there are as many panels of weights and biases as such units have, of so many columns, and
    // the check of the call that there are as many inputs and states. `Groups` goes through the units that there are.
    unsafe {
        match cell {
            CellF::Lstm => {
                for group in layer.groups(if crowded { 1 } else { 2 }) {
                    // Rows have the sums that they have in a batch, where those of two units go together.
                    let in_pair = group.first | 1 < layer.units;
                    match group.units {
                        2 => layer.lstm_two(group),
                        _ if in_pair && !is_crowded::<W>(layer.columns[0]) => {
                            layer.lstm_one::<1>(group);
                        }
                        _ => layer.lstm_one::<2>(group),
                    }
                }
            }
            CellF::Gru => {
                // Twelve rows at once are faster while their weights lie in the first cache.
                let most = match layer.units {
                    _ if crowded => 1,
                    ..=4 => 4,
                    _ => 2,
                };
                for group in layer.groups(most) {
                    match group.units {
                        4 => layer.gru_four(group),
                        2 => layer.gru_two(group),
                        _ => layer.gru_one(group),
                    }
                }
            }
            CellF::Rnn => {
                // Several streams of a layer that is not near are gone through four panels at a time.
                for group in layer.groups(if gates.are_near() && !crowded { 8 } else { 4 }) {
                    match group.units {
                        8 => layer.rnn::<8, 1>(group),
                        4 => layer.rnn::<4, 2>(group),
                        2 => layer.rnn::<2, 2>(group),
                        _ => layer.rnn::<1, 2>(group),
                    }
                }
            }
        }
    }
}

/// Units that are computed together.
#[derive(Clone, Copy)]
struct Group {
    /// The first of them.
    first: usize,
    units: usize,
    /// No other group comes after it.
    last: bool,
}

/// All groups, from the first to the last or the other way round: as large as possible, and what is left over in powers of two.
struct Groups {
    from: usize,
    until: usize,
    back: bool,
    most: usize,
}

impl Iterator for Groups {
    type Item = Group;

    #[inline(always)]
    fn next(&mut self) -> Option<Group> {
        let left = self.until - self.from;
        if left == 0 {
            return None;
        }
        let odd = self.until % self.most;
        let units = match self.back {
            true if odd > 0 => 1 << odd.trailing_zeros(),
            false if left < self.most => 1 << left.ilog2(),
            _ => self.most,
        };
        let first = match self.back {
            true => {
                self.until -= units;
                self.until
            }
            false => {
                self.from += units;
                self.from - units
            }
        };
        Some(Group {
            first,
            units,
            last: left == units,
        })
    }
}

/// A layer in a step. Its methods are for a CPU with AVX-512, and for units that there are.
struct Layer<'s, 'g, W> {
    /// `h` is the state before the step, which stays until all groups have used it.
    state: FloatState<'s>,
    bias: &'g [Panel<f32>],
    ih: &'g [W],
    hh: &'g [W],
    x: *const f32,
    /// Of inputs and of states.
    columns: [usize; 2],
    units: usize,
    /// Of the states' matrix.
    panels: usize,
}

impl<W: Stored> Layer<'_, '_, W> {
    fn groups(&self, most: usize) -> Groups {
        Groups {
            from: 0,
            until: self.units,
            back: self.state.back,
            most,
        }
    }

    /// Adds the inputs' part to the sums of `N` panels, from number `at` on, `K` sums a row as `float_product` has them.
    ///
    /// # Safety
    /// There are so many.
    #[inline(always)]
    unsafe fn of_inputs<const N: usize, const K: usize>(
        &self,
        sums: [__m256; N],
        at: usize,
    ) -> [__m512; N] {
        let columns = self.columns[0];
        // SAFETY: as the caller promises.
        unsafe {
            let mut sums = first_halves::<N, K>(sums);
            accumulate(&mut sums, panel(self.ih, at, columns), [self.x], columns);
            sums[0][0]
        }
    }

    /// The same of the states' part, and looks ahead to the next group's weights.
    ///
    /// # Safety
    /// There are so many.
    #[inline(always)]
    unsafe fn of_states<const N: usize, const K: usize>(
        &self,
        sums: [__m256; N],
        at: usize,
        group: Group,
    ) -> [__m512; N] {
        let columns = self.columns[1];
        // SAFETY: as the caller promises, and the other panels are those of the next groups.
        unsafe {
            let mut sums = first_halves::<N, K>(sums);
            let old = self.state.h.as_flattened().as_ptr();
            accumulate(&mut sums, panel(self.hh, at, columns), [old], columns);
            if columns >= SMALL && !group.last {
                let (next, count) = match self.state.back {
                    true => (at.saturating_sub(N), N.min(at)),
                    false => (at + N, N.min(self.panels - at - N)),
                };
                expect(panel(self.hh, next, columns), count, columns);
            }
            sums[0][0]
        }
    }

    /// `N` biases.
    ///
    /// # Safety
    /// There are so many.
    #[inline(always)]
    unsafe fn biases<const N: usize>(&self, at: usize) -> [__m256; N] {
        // SAFETY: as the caller promises.
        unsafe {
            array!([_mm256_setzero_ps(); N], |n| load(
                self.bias.get_unchecked(at + n)
            ))
        }
    }

    /// Keeps the outputs of a unit. What comes last is what the next step waits for: it becomes the state from its register.
    ///
    /// # Safety
    /// There is such a unit.
    #[inline(always)]
    unsafe fn keep(&mut self, unit: usize, y: __m256, last: bool) {
        // SAFETY: as the caller promises.
        unsafe {
            store(self.state.y.get_unchecked_mut(unit), y);
            if last {
                self.publish(unit, 1);
                store(self.state.h.get_unchecked_mut(unit), y);
            }
        }
    }

    /// The same of two.
    ///
    /// # Safety
    /// There are such units.
    #[inline(always)]
    unsafe fn keep_two(&mut self, unit: usize, y: __m512, last: bool) {
        // SAFETY: as the caller promises.
        unsafe {
            store_two(two_mut(self.state.y, unit), y);
            if last {
                self.publish(unit, 2);
                store_two(two_mut(self.state.h, unit), y);
            }
        }
    }

    /// The outputs of all but `count` units from `but` on as their next states. In registers, which the compiler does not take for a
    /// call of `memcpy`: that would load what was stored last by other loads, which have to wait for it.
    ///
    /// # Safety
    /// The CPU has AVX-512.
    #[inline(always)]
    unsafe fn publish(&mut self, but: usize, count: usize) {
        if self.units == count {
            return;
        }
        let FloatState { h, y, .. } = &mut self.state;
        for units in [0..but, but + count..self.units] {
            let (h, last_h) = h[units.clone()].as_chunks_mut::<2>();
            let (y, last_y) = y[units].as_chunks::<2>();
            // SAFETY: as the caller promises.
            unsafe {
                for (h, y) in h.iter_mut().zip(y) {
                    store_two(h, load_two(y));
                }
                if let ([h], [y]) = (last_h, last_y) {
                    store(h, load(y));
                }
            }
        }
    }

    /// # Safety
    /// As of the layer.
    #[inline(always)]
    unsafe fn lstm_two(&mut self, group: Group) {
        let at = 4 * group.first;
        // SAFETY: as the caller promises.
        unsafe {
            let sums = all_totals(self.of_inputs::<8, 1>(self.biases(at), at));
            let [i, f, g, o, i2, f2, g2, o2] = self.of_states::<8, 1>(sums, at, group);
            let c = two_mut(self.state.c, group.first);
            let new = _mm512_mul_ps(sigmoid(totals(i, i2)), tanh(totals(g, g2)));
            let cell = _mm512_fmadd_ps(sigmoid(totals(f, f2)), load_two(c), new);
            store_two(c, cell);
            let y = _mm512_mul_ps(sigmoid(totals(o, o2)), tanh(cell));
            self.keep_two(group.first, y, group.last);
        }
    }

    /// # Safety
    /// As of the layer.
    #[inline(always)]
    unsafe fn lstm_one<const K: usize>(&mut self, group: Group) {
        let at = 4 * group.first;
        // SAFETY: as the caller promises.
        unsafe {
            let sums = all_totals(self.of_inputs::<4, K>(self.biases(at), at));
            let [i, f, g, o] = self.of_states::<4, 2>(sums, at, group);
            let [i, f] = halves(sigmoid(totals(i, f)));
            let [g, o] = halves(tanh_sigmoid(totals(g, o)));
            let c = self.state.c.get_unchecked_mut(group.first);
            let cell = _mm256_fmadd_ps(f, load(c), _mm256_mul_ps(i, g));
            store(c, cell);
            let y = _mm256_mul_ps(o, narrow_tanh(cell));
            self.keep(group.first, y, group.last);
        }
    }

    /// # Safety
    /// As of the layer.
    #[inline(always)]
    unsafe fn gru_four(&mut self, group: Group) {
        let (at, unit) = (3 * group.first, group.first);
        // SAFETY: as the caller promises.
        unsafe {
            let bias = self.biases::<16>(4 * group.first);
            let sums = array!([bias[0]; 12], |n| bias[n / 3 * 4 + n % 3]);
            let x = self.of_inputs::<12, 1>(sums, at);
            let sums = array!([bias[0]; 12], |n| match n % 3 {
                2 => bias[n / 3 * 4 + 3],
                _ => total(x[n + 1]),
            });
            // No loop, which would have all of them in memory.
            let [r, z, nh, r2, z2, nh2, r3, z3, nh3, r4, z4, nh4] =
                self.of_states::<12, 1>(sums, at, group);
            let first = [r, z, nh, r2, z2, nh2];
            self.gru_update([x[0], x[3]], first, unit, false);
            let second = [r3, z3, nh3, r4, z4, nh4];
            self.gru_update([x[6], x[9]], second, unit + 2, group.last);
        }
    }

    /// # Safety
    /// As of the layer.
    #[inline(always)]
    unsafe fn gru_two(&mut self, group: Group) {
        let at = 3 * group.first;
        // SAFETY: as the caller promises.
        unsafe {
            let [nx, r, z, nh, nx2, r2, z2, nh2] = self.biases(4 * group.first);
            let [nx, r, z, nx2, r2, z2] = self.of_inputs::<6, 1>([nx, r, z, nx2, r2, z2], at);
            let sums = [total(r), total(z), nh, total(r2), total(z2), nh2];
            let sums = self.of_states::<6, 1>(sums, at, group);
            self.gru_update([nx, nx2], sums, group.first, group.last);
        }
    }

    /// New states of two units.
    ///
    /// # Safety
    /// As of the layer.
    #[inline(always)]
    unsafe fn gru_update(
        &mut self,
        [nx, nx2]: [__m512; 2],
        [r, z, nh, r2, z2, nh2]: [__m512; 6],
        unit: usize,
        last: bool,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            let r = sigmoid(totals(r, r2));
            let n = tanh(_mm512_fmadd_ps(r, totals(nh, nh2), totals(nx, nx2)));
            let difference = _mm512_sub_ps(load_two(two(self.state.h, unit)), n);
            let y = _mm512_fmadd_ps(sigmoid(totals(z, z2)), difference, n);
            self.keep_two(unit, y, last);
        }
    }

    /// # Safety
    /// As of the layer.
    #[inline(always)]
    unsafe fn gru_one(&mut self, group: Group) {
        let at = 3 * group.first;
        // SAFETY: as the caller promises.
        unsafe {
            let [nx, r, z, nh] = self.biases(4 * group.first);
            let [nx, r, z] = self.of_inputs::<3, 1>([nx, r, z], at);
            let [r, z, nh] = self.of_states::<3, 1>([total(r), total(z), nh], at, group);
            let [r, z] = halves(sigmoid(totals(r, z)));
            let n = narrow_tanh(_mm256_fmadd_ps(r, total(nh), total(nx)));
            let h = self.state.h.get_unchecked(group.first);
            let y = _mm256_fmadd_ps(z, _mm256_sub_ps(load(h), n), n);
            self.keep(group.first, y, group.last);
        }
    }

    /// `N` units.
    ///
    /// # Safety
    /// As of the layer.
    #[inline(always)]
    unsafe fn rnn<const N: usize, const K: usize>(&mut self, group: Group) {
        let unit = group.first;
        // SAFETY: as the caller promises.
        unsafe {
            let sums = all_totals(self.of_inputs::<N, K>(self.biases(unit), unit));
            let sums = self.of_states::<N, K>(sums, unit, group);
            if N == 1 {
                return self.keep(unit, narrow_tanh(total(sums[0])), group.last);
            }
            for n in (0..N).step_by(2) {
                let y = tanh(totals(sums[n], sums[n + 1]));
                self.keep_two(unit + n, y, group.last && n + 2 == N);
            }
        }
    }
}

/// # Safety
/// There are two from `unit` on.
#[inline(always)]
unsafe fn two(panels: &[Panel<f32>], unit: usize) -> &[Panel<f32>; 2] {
    // SAFETY: as the caller promises; an array of panels is laid out as they are in a slice.
    unsafe { &*panels.as_ptr().add(unit).cast() }
}

/// # Safety
/// There are two from `unit` on.
#[inline(always)]
unsafe fn two_mut(panels: &mut [Panel<f32>], unit: usize) -> &mut [Panel<f32>; 2] {
    // SAFETY: as the caller promises; an array of panels is laid out as they are in a slice.
    unsafe { &mut *panels.as_mut_ptr().add(unit).cast() }
}

/// What sums start at.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn first_halves<const N: usize, const K: usize>(sums: [__m256; N]) -> [[[__m512; N]; 1]; K] {
    // SAFETY: as the caller promises.
    unsafe {
        let mut halves = [[[_mm512_setzero_ps(); N]]; K];
        halves[0][0] = array!([_mm512_setzero_ps(); N], |n| first_half(sums[n]));
        halves
    }
}

/// All sums, from their halves.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn all_totals<const N: usize>(sums: [__m512; N]) -> [__m256; N] {
    // SAFETY: as the caller promises.
    unsafe { array!([_mm256_setzero_ps(); N], |n| total(sums[n])) }
}

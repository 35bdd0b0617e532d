//! A whole step of a float layer in one call: sums stay in registers from the bias to the new state. Bit for bit what the
//! other primitives of the same table give, as several streams together use them.

use super::float256::{load, store};
use crate::kernel::Curve::{self, Sigmoid, Tanh};
use crate::kernel::{CellF, FloatMatrix, FloatState, Gates, LANES, Panel};
use core::arch::x86_64::*;
use half::f16;

/// States from which on the weights of a layer do not fit the first cache.
const SMALL: usize = 48;

/// What an instruction set does with panels whose weights are stored as `W`.
pub(super) trait Lanes<W> {
    /// `sums += W x` of `N` panels from `w` on.
    ///
    /// # Safety
    /// The panels have weights for `columns` columns, as many inputs there are, and the CPU has the instructions.
    unsafe fn add<const N: usize>(
        sums: [__m256; N],
        w: *const W,
        x: *const f32,
        columns: usize,
    ) -> [__m256; N];

    /// [`crate::num::tanh`] and [`crate::num::sigmoid`], but for rounding.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn curve(curve: Curve, x: __m256) -> __m256;
}

/// A step, however the weights are stored.
///
/// # Safety
/// State, gates and inputs belong together, as `FloatState::check` sees, and the CPU has the instructions.
#[inline(always)]
pub(super) unsafe fn step<L: Lanes<f32> + Lanes<f16>>(
    cell: CellF,
    state: FloatState<'_>,
    gates: &Gates<'_>,
    x: &[f32],
) {
    // SAFETY: as the caller promises.
    unsafe {
        match (gates.w_ih, gates.w_hh) {
            (FloatMatrix::F32(ih), FloatMatrix::F32(hh)) => {
                each_unit::<_, L>(cell, state, gates, [ih, hh], x);
            }
            (FloatMatrix::F16(ih), FloatMatrix::F16(hh)) => {
                each_unit::<_, L>(cell, state, gates, [ih, hh], x);
            }
            // `Gates::new` has seen that they are of one kind.
            _ => {}
        }
    }
}

/// Where a panel starts.
///
/// # Safety
/// There are so many.
#[inline(always)]
unsafe fn panel<W>(w: &[W], number: usize, columns: usize) -> *const W {
    // SAFETY: as the caller promises.
    unsafe { w.as_ptr().add(number * LANES * columns) }
}

/// Loads the first weights of a unit that comes next: while this one's activations are computed, no other loads would go out.
///
/// # Safety
/// There are `panels` panels of so many columns from `w` on.
#[inline(always)]
unsafe fn expect<W>(w: *const W, panels: usize, columns: usize) {
    const LINE: usize = 64;
    let line = LINE / size_of::<W>();
    for panel in 0..panels {
        for line in (0..4 * line).step_by(line) {
            // SAFETY: a panel has more weights: `SMALL` columns of eight.
            unsafe {
                let at = w.add(panel * LANES * columns + line);
                _mm_prefetch::<_MM_HINT_T0>(at.cast());
            }
        }
    }
}

/// # Safety
/// As of [`step`], and these are the weights of the gates.
#[inline(always)]
unsafe fn each_unit<W, L: Lanes<W>>(
    cell: CellF,
    state: FloatState<'_>,
    gates: &Gates<'_>,
    [ih, hh]: [&[W]; 2],
    x: &[f32],
) {
    let FloatState { c, h, y, back } = state;
    let (units, [columns, state]) = (gates.units, gates.columns);
    let old = h.as_flattened().as_ptr();
    // SAFETY: the caller promises AVX.
    let mut last = unsafe { _mm256_setzero_ps() };
    let place = |index: usize| if back { units - 1 - index } else { index };
    let following = |unit: usize| if back { unit.wrapping_sub(1) } else { unit + 1 };
    // SAFETY: `Gates::new` has seen that there are so many panels of so many columns in each matrix, the check of the
    // call that there are as many inputs and states.
    unsafe {
        match cell {
            CellF::Lstm => {
                for unit in (0..units).map(place) {
                    let bias = &gates.bias.as_chunks::<4>().0[unit];
                    let sums = [
                        load(&bias[0]),
                        load(&bias[1]),
                        load(&bias[2]),
                        load(&bias[3]),
                    ];
                    let w = panel(ih, 4 * unit, columns);
                    let sums = L::add(sums, w, x.as_ptr(), columns);
                    let w = panel(hh, 4 * unit, state);
                    let [i, f, g, o] = L::add(sums, w, old, state);
                    if state >= SMALL && following(unit) < units {
                        expect(panel(hh, 4 * following(unit), state), 4, state);
                    }
                    let new = _mm256_mul_ps(L::curve(Sigmoid, i), L::curve(Tanh, g));
                    let cell = _mm256_fmadd_ps(L::curve(Sigmoid, f), load(&c[unit]), new);
                    store(&mut c[unit], cell);
                    last = _mm256_mul_ps(L::curve(Sigmoid, o), L::curve(Tanh, cell));
                    store(&mut y[unit], last);
                }
            }
            CellF::Gru => {
                for unit in (0..units).map(place) {
                    let bias = &gates.bias.as_chunks::<4>().0[unit];
                    let sums = [load(&bias[0]), load(&bias[1]), load(&bias[2])];
                    let w = panel(ih, 3 * unit, columns);
                    let [nx, r, z] = L::add(sums, w, x.as_ptr(), columns);
                    let w = panel(hh, 3 * unit, state);
                    let [r, z, nh] = L::add([r, z, load(&bias[3])], w, old, state);
                    if state >= SMALL && following(unit) < units {
                        expect(panel(hh, 3 * following(unit), state), 3, state);
                    }
                    let candidate = _mm256_fmadd_ps(L::curve(Sigmoid, r), nh, nx);
                    let n = L::curve(Tanh, candidate);
                    let difference = _mm256_sub_ps(load(&h[unit]), n);
                    last = _mm256_fmadd_ps(L::curve(Sigmoid, z), difference, n);
                    store(&mut y[unit], last);
                }
            }
            CellF::Rnn => {
                let (fours, rest) = y.as_chunks_mut::<4>();
                let (of_fours, of_rest) = gates.bias.as_chunks::<4>();
                let count = fours.len();
                for four in (0..count).map(|index| if back { count - 1 - index } else { index }) {
                    let bias = &of_fours[four];
                    let sums = [
                        load(&bias[0]),
                        load(&bias[1]),
                        load(&bias[2]),
                        load(&bias[3]),
                    ];
                    let w = panel(ih, 4 * four, columns);
                    let sums = L::add(sums, w, x.as_ptr(), columns);
                    let w = panel(hh, 4 * four, state);
                    let sums = L::add(sums, w, old, state);
                    for (y, sum) in fours[four].iter_mut().zip(sums) {
                        last = L::curve(Tanh, sum);
                        store(y, last);
                    }
                }
                for (unit, (y, bias)) in (4 * count..).zip(rest.iter_mut().zip(of_rest)) {
                    let w = panel(ih, unit, columns);
                    let sums = L::add([load(bias)], w, x.as_ptr(), columns);
                    let [sum] = L::add(sums, panel(hh, unit, state), old, state);
                    last = L::curve(Tanh, sum);
                    store(y, last);
                }
            }
        }
        // What comes last is what the next step waits for: stored from its register, it is there sooner.
        match h {
            [only] => store(only, last),
            h => publish(h, y),
        }
    }
}

/// The outputs as the next state. Two registers at a time, which the compiler does not take for a call of `memcpy`: that
/// would load what was stored last by wider loads, which have to wait for it.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
unsafe fn publish(h: &mut [Panel<f32>], y: &[Panel<f32>]) {
    let ((h, last_h), (y, last_y)) = (h.as_chunks_mut::<2>(), y.as_chunks::<2>());
    // SAFETY: as the caller promises.
    unsafe {
        for ([h0, h1], [y0, y1]) in h.iter_mut().zip(y) {
            let (first, second) = (load(y0), load(y1));
            store(h0, first);
            store(h1, second);
        }
        if let ([h], [y]) = (last_h, last_y) {
            store(h, load(y));
        }
    }
}

//! A whole step of a float layer with AVX2 in one call: sums stay in registers from the bias to the new state. Bit for bit what the
//! other primitives of the same table give, as several streams together use them.

use super::float256::{Stored, accumulate, load, sigmoid, store, tanh};
use crate::kernel::{CellF, FloatState, Gates, Kernels, LANES, Panel};
use core::arch::x86_64::*;

/// States from which on the weights of a layer do not fit the first cache.
pub(super) const SMALL: usize = 48;

/// Does what is asked with both matrices, however the weights are stored.
macro_rules! by_weights {
    ($gates:ident, $w:ident => $step:expr) => {{
        use $crate::kernel::FloatMatrix::{F16, F32};
        match ($gates.w_ih, $gates.w_hh) {
            (F32(ih), F32(hh)) => {
                let $w = [ih, hh];
                $step
            }
            (F16(ih), F16(hh)) => {
                let $w = [ih, hh];
                $step
            }
            // `Gates::new` has seen that they are of one kind.
            _ => {}
        }
    }};
}
pub(super) use by_weights;

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn step_f(
    _: &Kernels,
    cell: CellF,
    state: FloatState<'_>,
    gates: &Gates<'_>,
    x: &[f32],
) {
    // SAFETY: the method that calls has checked lengths, and this function has the instructions.
    unsafe { by_weights!(gates, w => step(cell, state, gates, w, x)) }
}

/// Where a panel starts.
///
/// # Safety
/// There are so many.
#[inline(always)]
pub(super) unsafe fn panel<W>(w: &[W], number: usize, columns: usize) -> *const W {
    // SAFETY: as the caller promises.
    unsafe { w.as_ptr().add(number * LANES * columns) }
}

/// Loads the first weights of a unit that comes next: while this one's activations are computed, no other loads would go out.
///
/// # Safety
/// There are `panels` panels of so many columns from `w` on.
#[inline(always)]
pub(super) unsafe fn expect<W>(w: *const W, panels: usize, columns: usize) {
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
/// State, gates and inputs belong together, as `FloatState::check` sees, these are the weights of the gates, and the CPU has AVX2.
#[inline(always)]
unsafe fn step<W: Stored>(
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
                    let sums = accumulate(sums, w, x.as_ptr(), columns);
                    let w = panel(hh, 4 * unit, state);
                    let [i, f, g, o] = accumulate(sums, w, old, state);
                    if state >= SMALL && following(unit) < units {
                        expect(panel(hh, 4 * following(unit), state), 4, state);
                    }
                    let new = _mm256_mul_ps(sigmoid(i), tanh(g));
                    let cell = _mm256_fmadd_ps(sigmoid(f), load(&c[unit]), new);
                    store(&mut c[unit], cell);
                    last = _mm256_mul_ps(sigmoid(o), tanh(cell));
                    store(&mut y[unit], last);
                }
            }
            CellF::Gru => {
                for unit in (0..units).map(place) {
                    let bias = &gates.bias.as_chunks::<4>().0[unit];
                    let sums = [load(&bias[0]), load(&bias[1]), load(&bias[2])];
                    let w = panel(ih, 3 * unit, columns);
                    let [nx, r, z] = accumulate(sums, w, x.as_ptr(), columns);
                    let w = panel(hh, 3 * unit, state);
                    let [r, z, nh] = accumulate([r, z, load(&bias[3])], w, old, state);
                    if state >= SMALL && following(unit) < units {
                        expect(panel(hh, 3 * following(unit), state), 3, state);
                    }
                    let candidate = _mm256_fmadd_ps(sigmoid(r), nh, nx);
                    let n = tanh(candidate);
                    let difference = _mm256_sub_ps(load(&h[unit]), n);
                    last = _mm256_fmadd_ps(sigmoid(z), difference, n);
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
                    let sums = accumulate(sums, w, x.as_ptr(), columns);
                    let w = panel(hh, 4 * four, state);
                    let sums = accumulate(sums, w, old, state);
                    for (y, sum) in fours[four].iter_mut().zip(sums) {
                        last = tanh(sum);
                        store(y, last);
                    }
                }
                for (unit, (y, bias)) in (4 * count..).zip(rest.iter_mut().zip(of_rest)) {
                    let w = panel(ih, unit, columns);
                    let sums = accumulate([load(bias)], w, x.as_ptr(), columns);
                    let [sum] = accumulate(sums, panel(hh, unit, state), old, state);
                    last = tanh(sum);
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

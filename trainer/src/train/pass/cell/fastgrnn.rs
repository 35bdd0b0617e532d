//! FastGRNN: `a = W x + U h`, `z = σ(a + b_z)`, `n = tanh(a + b_n)`, `h' = (ζ (1 − z) + ν) ⊙ n + z ⊙ h`, with ζ and ν
//! themselves logistic functions of what is trained.
//!
//! Backward, with `d` from above and from the next step: `dz = d ⊙ (h − ζ n)`, `dn = d ⊙ (ζ (1 − z) + ν)`, each times the
//! derivative of its own nonlinearity; their sum is the gradient of `a`. `dζ = Σ d (1 − z) n`, `dν = Σ d n`.

use super::{Gradients, Unit, UnitMath, add_row_sums};
use crate::train::params::RecurrentParams;
use crate::train::real::Real;

pub struct FastGrnn;

impl<T: Real> UnitMath<T> for FastGrnn {
    const SUMS: usize = 1;
    /// ζ and ν, the same for all units, and `b_n − b_z`.
    const PARAMETERS: usize = 3;
    const LEARNED: usize = 2;
    /// The candidate.
    const KEEPS: bool = true;
    const KEEPS_GRADIENT: bool = true;
    const DIRECT: bool = true;

    #[inline(always)]
    fn output(unit: &mut Unit<T>) {
        let (z, [zeta, nu, apart]) = (&mut unit.z[0], unit.p);
        unit.kept = (*z + apart).tanh();
        *z = z.sigmoid();
        unit.h = (zeta * (T::ONE - *z) + nu) * unit.kept + *z * unit.h_prev;
    }

    #[inline(always)]
    fn backward(unit: &mut Unit<T>, d: &mut Gradients<T>) {
        let (z, n, [zeta, nu, _]) = (unit.z[0], unit.kept, unit.p);
        let left = T::ONE - z;
        d.p[0] += d.h * left * n;
        d.p[1] += d.h * n;
        let dz = d.h * (unit.h_prev - zeta * n) * z * left;
        unit.kept = d.h * (zeta * left + nu) * (T::ONE - n * n);
        unit.z[0] = dz + unit.kept;
        d.h = d.h * z;
    }

    fn parameters(w: RecurrentParams<'_, T>, bias: &mut [T], p: &mut [T]) {
        bias.copy_from_slice(w.b_ih);
        let (zeta, rest) = p.split_at_mut(bias.len());
        let (nu, apart) = rest.split_at_mut(bias.len());
        zeta.fill(w.extra[0].sigmoid());
        nu.fill(w.extra[1].sigmoid());
        for (apart, (&b_z, &b_n)) in apart.iter_mut().zip(w.b_ih.iter().zip(w.b_hh)) {
            *apart = b_n - b_z;
        }
    }

    fn parameter_gradients(p: &[T], d_p: &[T], extra: &mut [T]) {
        let hidden = d_p.len() / 2;
        let shares = p.chunks_exact(hidden).zip(d_p.chunks_exact(hidden));
        for (g, (share, by_unit)) in extra.iter_mut().zip(shares) {
            let sum = by_unit.iter().fold(T::ZERO, |sum, &d| sum + d);
            *g += sum * share[0] * (T::ONE - share[0]);
        }
    }

    /// The gradients of `a` are those of the gate's sums and of the candidate's.
    fn bias_gradients(_dz: &[T], kept: &[T], b_ih: &mut [T], b_hh: &mut [T]) {
        for row in kept.chunks_exact(b_ih.len()) {
            for (g, &d) in b_ih.iter_mut().zip(row) {
                *g += -d;
            }
        }
        add_row_sums(kept, b_hh);
    }
}

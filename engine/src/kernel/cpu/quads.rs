//! Four panels at a time: the gates of a unit's panel share each input, and hide each other's latency.
//!
//! A backend writes its product for `N` panels, `fn(&mut [Panel<S>; N], Weights<'_, W, N>, &[X])`, and
//! `by_four!` runs it over all panels of a matrix, wherever they add into the sums.

/// Runs a kernel for `N` panels at a time over all panels: four while there are four, then what is left. A panel has
/// eight numbers per input, or as many as are given.
macro_rules! by_four {
    ($kernel:ident, $sums:ident, $w:ident, $x:ident, $panels:ident) => {
        by_four!(
            $kernel,
            $sums,
            $w,
            $x,
            $panels,
            $crate::kernel::LANES * $x.len()
        )
    };
    ($kernel:ident, $sums:ident, $w:ident, $x:ident, $panels:ident, $panel:expr) => {{
        use $crate::kernel::cpu::quads::Weights;
        let panel = $panel;
        let $crate::kernel::Panels { group, stride } = $panels.joined($w.len() / panel);
        for (sums, w) in $sums.chunks_mut(stride).zip($w.chunks_exact(group * panel)) {
            let (quads, rest) = sums[..group].as_chunks_mut::<4>();
            let (quad_weights, rest_weights) = w.split_at(quads.len() * 4 * panel);
            for (sums, w) in quads.iter_mut().zip(quad_weights.chunks_exact(4 * panel)) {
                $kernel(sums, Weights::new(w, panel), $x);
            }
            if let Ok(sums) = <&mut [_; 3]>::try_from(&mut *rest) {
                $kernel(sums, Weights::new(rest_weights, panel), $x);
            } else if let Ok(sums) = <&mut [_; 2]>::try_from(&mut *rest) {
                $kernel(sums, Weights::new(rest_weights, panel), $x);
            } else if let Ok(sums) = <&mut [_; 1]>::try_from(&mut *rest) {
                $kernel(sums, Weights::new(rest_weights, panel), $x);
            }
        }
    }};
}

pub(super) use by_four;

/// Runs a kernel for four-bit weights, which also takes what their offset adds to each row.
macro_rules! by_four_w4 {
    ($kernel:ident, $sums:ident, $w:ident, $x:ident, $panels:ident) => {{
        let panel = $crate::kernel::LANES * $x.len() / 2;
        let x = ($x, $crate::kernel::cpu::quads::offset($x));
        $crate::kernel::cpu::quads::by_four!($kernel, $sums, $w, x, $panels, panel)
    }};
}

pub(super) use by_four_w4;

/// `8 Σ x`: what the offset of four-bit weights adds to the sum of a row.
#[inline(always)]
pub(super) fn offset<X: Copy + Into<i32>>(x: &[X]) -> i32 {
    let sum = x.iter().fold(0i32, |sum, &x| sum.wrapping_add(x.into()));
    sum.wrapping_mul(8)
}

/// The weights of `N` panels of the same size, read `B` numbers at a time.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, W, const N: usize> {
    all: &'a [W],
    panel: usize,
}

impl<'a, W: Copy, const N: usize> Weights<'a, W, N> {
    #[inline(always)]
    pub(super) fn new(all: &'a [W], panel: usize) -> Self {
        assert!(all.len() == N * panel);
        Weights { all, panel }
    }

    /// Numbers `B · at` and on of panel `n`.
    ///
    /// # Safety
    /// `n` is below `N`, and the panel has at least `B · (at + 1)` numbers.
    #[inline(always)]
    pub(super) unsafe fn read<const B: usize>(&self, n: usize, at: usize) -> [W; B] {
        debug_assert!(n < N && B * (at + 1) <= self.panel);
        // SAFETY: the whole has `N` panels, as checked when it was made, and the caller stays inside one.
        // A slice index costs a compare per panel and block, a tenth of a whole step.
        unsafe { *self.all.as_ptr().add(n * self.panel + B * at).cast() }
    }
}

//! Matrix products over slices: shapes in the arguments' types, checked once, then a kernel: in single precision
//! our own (`x86`) where the CPU has FMA and the columns of `b` are side by side, else `matrixmultiply`.
//!
//! A view carries two strides, so a transpose or a block of columns (some gates of all gates) needs no copy. A
//! `b` that many products use is worth a copy in [`Panels`].

#[cfg(target_arch = "x86_64")]
mod x86;

/// A matrix in a borrowed slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    shape: (usize, usize),
    strides: (usize, usize),
    /// Columns that stand together; all of them, but in [`Panels`].
    panel: usize,
}

/// A matrix in a mutably borrowed slice.
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    shape: (usize, usize),
    strides: (usize, usize),
}

/// Whether elements from the first to the last one are no more than these.
fn fits(shape: (usize, usize), strides: (usize, usize), len: usize) -> bool {
    if shape.0 == 0 || shape.1 == 0 {
        return true;
    }
    let down = (shape.0 - 1).checked_mul(strides.0);
    let along = (shape.1 - 1).checked_mul(strides.1);
    let last = down
        .zip(along)
        .and_then(|(down, along)| down.checked_add(along));
    last.is_some_and(|last| last < len)
}

impl<'a, T> Matrix<'a, T> {
    /// The first `rows · cols` elements, row-major.
    ///
    /// # Panics
    /// If the slice is shorter.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::block(data, rows, cols, cols)
    }

    /// A block of `cols` columns of a row-major matrix that has `stride` columns.
    ///
    /// # Panics
    /// If the slice is shorter.
    pub fn block(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        let (shape, strides) = ((rows, cols), (stride, 1));
        assert!(fits(shape, strides, data.len()), "matrix {shape:?}");
        Matrix {
            data,
            shape,
            strides,
            panel: usize::MAX,
        }
    }

    /// Rows and columns exchanged.
    ///
    /// # Panics
    /// If these are panels.
    pub fn t(self) -> Self {
        assert!(self.panel == usize::MAX, "panels stand as they are");
        Matrix {
            shape: (self.shape.1, self.shape.0),
            strides: (self.strides.1, self.strides.0),
            ..self
        }
    }
}

/// A matrix for the right side of many products: panels of so many columns that a kernel takes at once, each in one
/// piece, so that a product reads straight on. A row of a wide row-major matrix would be a page of its own.
#[derive(Clone, Default)]
pub struct Panels<T> {
    data: Vec<T>,
    shape: (usize, usize),
}

/// Columns of a panel: two vectors of AVX2, one of AVX-512. `matrixmultiply` has panels of its own.
const PANEL: usize = if cfg!(target_arch = "x86_64") {
    16
} else {
    usize::MAX
};

impl<T: Copy + Default> Panels<T> {
    /// Takes a copy. Allocates only for a matrix larger than all before.
    ///
    /// # Panics
    /// If these are panels already, or there is no memory for as many elements.
    pub fn set(&mut self, from: Matrix<'_, T>) {
        assert!(from.panel == usize::MAX, "panels of panels");
        let ((rows, cols), (down, along)) = (from.shape, from.strides);
        // Rows may lie in one place, so that their number is not bounded by the slice.
        let len = rows.checked_mul(cols).expect("elements of the panels");
        self.data.resize(len, T::default());
        self.shape = from.shape;
        let mut rest = &mut self.data[..];
        for start in (0..cols).step_by(PANEL) {
            let width = PANEL.min(cols - start);
            let (panel, after) = rest.split_at_mut(rows * width);
            rest = after;
            let from = &from.data[start * along..];
            if along == 1 {
                for (i, to) in panel.chunks_exact_mut(width).enumerate() {
                    to.copy_from_slice(&from[i * down..][..width]);
                }
                continue;
            }
            // Strips of a cache line of `from`, so that what is read is read whole.
            for (strip, to) in panel.chunks_mut(16 * width).enumerate() {
                for j in 0..width {
                    let from = &from[j * along + strip * 16 * down..];
                    let from = from.iter().step_by(down);
                    for (to, &x) in to[j..].iter_mut().step_by(width).zip(from) {
                        *to = x;
                    }
                }
            }
        }
    }

    /// For the right side of a product.
    pub fn view(&self) -> Matrix<'_, T> {
        Matrix {
            data: &self.data,
            shape: self.shape,
            strides: (self.shape.1, 1),
            panel: PANEL,
        }
    }
}

impl<'a, T> MatrixMut<'a, T> {
    /// The first `rows · cols` elements, row-major.
    ///
    /// # Panics
    /// If the slice is shorter.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self::block(data, rows, cols, cols)
    }

    /// A block of `cols` columns of a row-major matrix that has `stride` columns.
    ///
    /// # Panics
    /// If the slice is shorter.
    pub fn block(data: &'a mut [T], rows: usize, cols: usize, stride: usize) -> Self {
        let (shape, strides) = ((rows, cols), (stride, 1));
        assert!(fits(shape, strides, data.len()), "matrix {shape:?}");
        assert!(cols <= stride, "rows overlap");
        MatrixMut {
            data,
            shape,
            strides,
        }
    }
}

/// No CPU has a kernel of ours for this type.
fn no_kernel<T>(_: &Matrix<'_, T>, _: &Matrix<'_, T>, _: T, _: &mut MatrixMut<'_, T>) -> bool {
    false
}

/// Does the product, if our kernel can; says whether. The shapes fit.
#[cfg(target_arch = "x86_64")]
fn kernel(a: &Matrix<'_, f32>, b: &Matrix<'_, f32>, beta: f32, c: &mut MatrixMut<'_, f32>) -> bool {
    let (m, k) = a.shape;
    let n = b.shape.1;
    if k == 0 || !(b.strides.1 == 1 || n == 1) || c.strides.1 != 1 {
        return false;
    }
    let product = x86::Product {
        m,
        k,
        n,
        a: a.data.as_ptr(),
        a_strides: a.strides,
        b: b.data.as_ptr(),
        b_stride: b.strides.0,
        b_panel: b.panel,
        beta,
        c: c.data.as_mut_ptr(),
        c_stride: c.strides.0,
    };
    // SAFETY: the views' constructors checked that every index of the shape lies inside the slice, which panels fill as
    // well; the rows of `c` do not overlap, and `c` is borrowed mutably.
    unsafe { x86::product(&product) }
}

#[cfg(not(target_arch = "x86_64"))]
use no_kernel as kernel;

macro_rules! gemm {
    ($name:ident, $t:ty, $kernel:ident, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Panics
        /// If the shapes do not fit, or `a` is panels.
        pub fn $name(a: Matrix<'_, $t>, b: Matrix<'_, $t>, beta: $t, mut c: MatrixMut<'_, $t>) {
            let (m, k) = a.shape;
            let n = b.shape.1;
            assert!(
                b.shape.0 == k && c.shape == (m, n) && a.panel == usize::MAX,
                "gemm {:?} x {:?} into {:?}",
                a.shape,
                b.shape,
                c.shape
            );
            // Nothing to write, and perhaps no place for it.
            if m == 0 || n == 0 || $kernel(&a, &b, beta, &mut c) {
                return;
            }
            for start in (0..n).step_by(b.panel) {
                let width = b.panel.min(n - start);
                let (first, stride) = match b.panel {
                    usize::MAX => (0, b.strides.0),
                    _ => (start * k, width),
                };
                // SAFETY: the views' constructors checked that every index of the shape lies inside
                // the slice, which panels fill as well; the rows of `c` do not overlap, and `c` is borrowed mutably.
                unsafe {
                    matrixmultiply::$name(
                        m,
                        k,
                        width,
                        1.0,
                        a.data.as_ptr(),
                        a.strides.0 as isize,
                        a.strides.1 as isize,
                        b.data.as_ptr().add(first),
                        stride as isize,
                        b.strides.1 as isize,
                        beta,
                        c.data.as_mut_ptr().add(start * c.strides.1),
                        c.strides.0 as isize,
                        c.strides.1 as isize,
                    );
                }
            }
        }
    };
}

gemm!(
    sgemm,
    f32,
    kernel,
    "`c = a b + beta c` in single precision."
);
gemm!(
    dgemm,
    f64,
    no_kernel,
    "`c = a b + beta c` in double precision."
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::init::Rng;

    #[test]
    fn blocks_and_transposes_are_what_they_say() {
        // a: the right 2x2 block of 2x3; b: 2x2, transposed.
        let a = [9.0f32, 1.0, 2.0, 9.0, 3.0, 4.0];
        let b = [5.0f32, 6.0, 7.0, 8.0];
        let mut c = [1.0f32; 6];
        sgemm(
            Matrix::block(&a[1..], 2, 2, 3),
            Matrix::new(&b, 2, 2).t(),
            1.0,
            MatrixMut::block(&mut c[1..], 2, 2, 3),
        );
        assert_eq!(c, [1.0, 18.0, 24.0, 1.0, 40.0, 54.0]);
    }

    #[test]
    fn views_of_what_is_not_there_are_refused() {
        const HALF: usize = 1 << (usize::BITS - 1);
        let panics = |f: fn() -> (usize, usize)| std::panic::catch_unwind(f).is_err();
        assert!(panics(|| Matrix::new(&[0f32; 5], 2, 3).shape));
        // The product of rows and stride wraps to something small.
        assert!(!panics(|| Matrix::block(&[0f32; 8], 1, 8, HALF).shape));
        assert!(panics(|| Matrix::block(&[0f32; 8], 3, 8, HALF).shape));
        assert!(panics(|| MatrixMut::block(&mut [0f32; 8], 3, 8, HALF).shape));
        // Panels of rows that all lie in one place, and panels that are turned or stand on the left.
        assert!(panics(|| {
            let mut panels = Panels::default();
            panels.set(Matrix::block(&[0f32; 8], HALF / 4, 8, 0));
            panels.shape
        }));
        let panels = || {
            let mut panels = Panels::default();
            panels.set(Matrix::new(&[0f32; 600], 20, 30));
            panels
        };
        let turned = std::panic::catch_unwind(|| panels().view().t().shape);
        let left = std::panic::catch_unwind(|| {
            let (b, mut c) = ([0f32; 30], [0f32; 20]);
            let (b, c) = (Matrix::new(&b, 30, 1), MatrixMut::new(&mut c, 20, 1));
            sgemm(panels().view(), b, 0.0, c);
        });
        assert!(turned.is_err() && left.is_err());
        // Nothing times something is nothing.
        sgemm(
            Matrix::new(&[], 0, 3),
            Matrix::new(&[1.0; 120], 3, 40),
            0.0,
            MatrixMut::new(&mut [], 0, 40),
        );
    }

    /// Against `matrixmultiply`, which is used instead where there is no kernel: bits are equal where both fuse.
    #[test]
    fn the_kernels_are_matrixmultiply_in_every_shape() {
        let mut rng = Rng::new(1);
        let mut values = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.normal()).collect() };
        for (m, k, n) in [
            (1, 1, 1),
            (3, 7, 5),
            (16, 32, 128),
            (17, 24, 24),
            (29, 9, 33),
            (7, 600, 15),
            (64, 513, 7),
            (12, 256, 1),
            (150, 300, 90),
            (19, 1024, 70),
        ] {
            let (a, b, c) = (values(m * k), values(k * n), values(m * n));
            for beta in [0.0, 1.0] {
                for across in [false, true] {
                    let view = match across {
                        false => Matrix::new(&a, m, k),
                        true => Matrix::new(&a, k, m).t(),
                    };
                    let mut ours = c.clone();
                    if beta == 0.0 {
                        ours.fill(f32::NAN);
                    }
                    sgemm(
                        view,
                        Matrix::new(&b, k, n),
                        beta,
                        MatrixMut::new(&mut ours, m, n),
                    );
                    let mut columns = vec![0.0; k * n];
                    for (at, &x) in b.iter().enumerate() {
                        columns[at % n * k + at / n] = x;
                    }
                    let mut panels = Panels::default();
                    panels.set(Matrix::new(&columns, n, k).t());
                    let mut panelled = c.clone();
                    sgemm(
                        view,
                        panels.view(),
                        beta,
                        MatrixMut::new(&mut panelled, m, n),
                    );
                    assert_eq!(panelled, ours, "{m} x {k} x {n}, {beta}, {across}");
                    panels.set(Matrix::new(&b, k, n));
                    let mut panelled = c.clone();
                    sgemm(
                        view,
                        panels.view(),
                        beta,
                        MatrixMut::new(&mut panelled, m, n),
                    );
                    assert_eq!(panelled, ours, "{m} x {k} x {n}, {beta}, {across}");
                    let mut theirs = c.clone();
                    // Columns that stand across are left to the crate.
                    let b = Matrix::new(&columns, n, k).t();
                    sgemm(view, b, beta, MatrixMut::new(&mut theirs, m, n));
                    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
                    assert!(ours.iter().zip(&theirs).all(close), "{m} x {k} x {n}");
                    #[cfg(target_arch = "x86_64")]
                    if is_x86_feature_detected!("fma") {
                        assert_eq!(ours, theirs, "{m} x {k} x {n}, {beta}, {across}");
                    }
                }
            }
        }
    }
}

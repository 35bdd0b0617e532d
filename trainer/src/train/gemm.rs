//! Matrix products over slices: shapes in the arguments' types, checked once, then a kernel: in single precision
//! our own (`x86`) where the CPU has FMA and the columns of `b` are side by side, else `matrixmultiply`.
//!
//! A view carries two strides, so a transpose or a block of columns (some gates of all gates) needs no copy. A
//! `b` that stands across is worth a [transposed copy](transpose) where many products use it.

#[cfg(target_arch = "x86_64")]
mod x86;

/// A matrix in a borrowed slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    shape: (usize, usize),
    strides: (usize, usize),
}

/// A matrix in a mutably borrowed slice.
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    shape: (usize, usize),
    strides: (usize, usize),
}

/// Elements from the first to the last one, both included.
fn extent(shape: (usize, usize), strides: (usize, usize)) -> usize {
    if shape.0 == 0 || shape.1 == 0 {
        0
    } else {
        (shape.0 - 1) * strides.0 + (shape.1 - 1) * strides.1 + 1
    }
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
        assert!(extent(shape, strides) <= data.len(), "matrix {shape:?}");
        Matrix {
            data,
            shape,
            strides,
        }
    }

    /// Rows and columns exchanged.
    pub fn t(self) -> Self {
        Matrix {
            data: self.data,
            shape: (self.shape.1, self.shape.0),
            strides: (self.strides.1, self.strides.0),
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
        assert!(extent(shape, strides) <= data.len(), "matrix {shape:?}");
        assert!(cols <= stride, "rows overlap");
        MatrixMut {
            data,
            shape,
            strides,
        }
    }
}

/// Writes a row-major matrix of `cols` columns with rows and columns exchanged.
///
/// # Panics
/// If the lengths differ, or are not a multiple of `cols`.
pub fn transpose<T: Copy>(from: &[T], cols: usize, to: &mut [T]) {
    let rows = from.len() / cols.max(1);
    assert!(
        rows * cols == from.len() && to.len() == from.len(),
        "transpose"
    );
    // Strips of a cache line, so that what is written is written whole.
    for start in (0..rows).step_by(16) {
        for (j, to) in to.chunks_exact_mut(rows).enumerate() {
            let strip = &mut to[start..rows.min(start + 16)];
            for (i, x) in strip.iter_mut().enumerate() {
                *x = from[(start + i) * cols + j];
            }
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
        beta,
        c: c.data.as_mut_ptr(),
        c_stride: c.strides.0,
    };
    // SAFETY: the views' constructors checked that every index of the shape lies inside the slice; the rows of `c` do
    // not overlap, and `c` is borrowed mutably.
    unsafe { x86::product(&product) }
}

#[cfg(not(target_arch = "x86_64"))]
use no_kernel as kernel;

macro_rules! gemm {
    ($name:ident, $t:ty, $kernel:ident, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Panics
        /// If the shapes do not fit.
        pub fn $name(a: Matrix<'_, $t>, b: Matrix<'_, $t>, beta: $t, mut c: MatrixMut<'_, $t>) {
            let (m, k) = a.shape;
            let n = b.shape.1;
            assert!(
                b.shape.0 == k && c.shape == (m, n),
                "gemm {:?} x {:?} into {:?}",
                a.shape,
                b.shape,
                c.shape
            );
            if $kernel(&a, &b, beta, &mut c) {
                return;
            }
            // SAFETY: the views' constructors checked that every index of the shape lies inside
            // the slice; the rows of `c` do not overlap, and `c` is borrowed mutably.
            unsafe {
                matrixmultiply::$name(
                    m,
                    k,
                    n,
                    1.0,
                    a.data.as_ptr(),
                    a.strides.0 as isize,
                    a.strides.1 as isize,
                    b.data.as_ptr(),
                    b.strides.0 as isize,
                    b.strides.1 as isize,
                    beta,
                    c.data.as_mut_ptr(),
                    c.strides.0 as isize,
                    c.strides.1 as isize,
                );
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
                    transpose(&b, n, &mut columns);
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

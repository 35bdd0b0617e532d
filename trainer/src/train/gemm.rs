//! Matrix products over slices: shapes in the arguments' types, checked once, then `matrixmultiply`.
//!
//! A view carries two strides, so a transpose or a block of columns (some gates of all gates) costs
//! nothing: the product packs its operands anyway.

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

macro_rules! gemm {
    ($name:ident, $t:ty, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Panics
        /// If the shapes do not fit.
        pub fn $name(a: Matrix<'_, $t>, b: Matrix<'_, $t>, beta: $t, c: MatrixMut<'_, $t>) {
            let (m, k) = a.shape;
            let n = b.shape.1;
            assert!(
                b.shape.0 == k && c.shape == (m, n),
                "gemm {:?} x {:?} into {:?}",
                a.shape,
                b.shape,
                c.shape
            );
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

gemm!(sgemm, f32, "`c = a b + beta c` in single precision.");
gemm!(dgemm, f64, "`c = a b + beta c` in double precision.");

#[cfg(test)]
mod tests {
    use super::*;

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
}

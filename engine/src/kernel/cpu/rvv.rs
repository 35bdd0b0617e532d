//! RISC-V with the vector extension (RVV 1.0) and registers of any length, detected at run time under feature `std`.

use crate::kernel::definition::{SCALAR, products};
use crate::kernel::table::Table;
use crate::kernel::{BLOCK, Inputs, IntMatrix, LANES, Panel, Panels};
use core::arch::global_asm;

global_asm!(
    ".option push",
    ".option arch, +v",
    include_str!("rvv.s"),
    ".option pop",
    options(raw)
);

pub(super) const RVV: Table = Table {
    name: "rvv",
    product,
    ..SCALAR
};

/// This CPU runs [`RVV`].
pub(super) fn has_rvv() -> bool {
    #[cfg(all(feature = "std", target_os = "linux"))]
    {
        use core::ffi::c_ulong;
        unsafe extern "C" {
            safe fn getauxval(kind: c_ulong) -> c_ulong;
        }
        const HWCAP: c_ulong = 16;
        const V: c_ulong = 1 << (b'v' - b'a');
        // SAFETY: the system says that there are vectors.
        getauxval(HWCAP) & V != 0 && unsafe { kinglet_rvv_bytes() } >= 16
    }
    #[cfg(not(all(feature = "std", target_os = "linux")))]
    {
        cfg!(rvv)
    }
}

fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    match (w, x) {
        (IntMatrix::I8(w), Inputs::I8(x)) => gemv(sums, w, x, panels, BLOCK, kinglet_rvv_i8_a8),
        (IntMatrix::I8(w), Inputs::I16(x)) => gemv(sums, w, x, panels, BLOCK, kinglet_rvv_i8_a16),
        (IntMatrix::I4(w), Inputs::I8(x)) => gemv(sums, w, x, panels, 2 * BLOCK, kinglet_rvv_i4_a8),
        (IntMatrix::I4(w), Inputs::I16(x)) => {
            gemv(sums, w, x, panels, 2 * BLOCK, kinglet_rvv_i4_a16)
        }
        (w, x) => products::product(sums, w, x, panels),
    }
}

/// Numbers of a panel that are loaded together.
const VECTOR: usize = LANES * BLOCK;

/// Sums, panels one after the other, inputs, vectors of a panel, and panels.
type Product<S, W, X> = unsafe extern "C" fn(*mut Panel<S>, *const W, *const X, usize, usize);

/// `sums += W x`, with so many columns to a vector of a panel.
fn gemv<S, W, X>(
    sums: &mut [Panel<S>],
    w: &[W],
    x: &[X],
    panels: Panels,
    columns: usize,
    product: Product<S, W, X>,
) {
    let vectors = x.len() / columns;
    let panel = vectors * VECTOR;
    let Panels { group, stride } = panels.joined(w.len() / panel);
    for (sums, w) in sums.chunks_mut(stride).zip(w.chunks_exact(group * panel)) {
        let sums = &mut sums[..group];
        // SAFETY: there are as many panels of so many vectors as sums, and the inputs are so many columns for each vector.
        unsafe { product(sums.as_mut_ptr(), w.as_ptr(), x.as_ptr(), vectors, group) };
    }
}

// They keep to the calling convention, by which no vector register outlives a call.
unsafe extern "C" {
    /// Bytes of a register, or 0 where the CPU has an earlier version of the extension, whose types do not say what becomes
    /// of lanes beyond their number.
    fn kinglet_rvv_bytes() -> usize;
    fn kinglet_rvv_i8_a8(
        sums: *mut Panel<i32>,
        w: *const i8,
        x: *const i8,
        vectors: usize,
        panels: usize,
    );
    fn kinglet_rvv_i8_a16(
        sums: *mut Panel<i32>,
        w: *const i8,
        x: *const i16,
        vectors: usize,
        panels: usize,
    );
    fn kinglet_rvv_i4_a8(
        sums: *mut Panel<i32>,
        w: *const u8,
        x: *const i8,
        vectors: usize,
        panels: usize,
    );
    fn kinglet_rvv_i4_a16(
        sums: *mut Panel<i32>,
        w: *const u8,
        x: *const i16,
        vectors: usize,
        panels: usize,
    );
}

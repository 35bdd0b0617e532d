//! The list of CPUs: for each a table of what it does better than the table that it starts from.

/// `float_product` by a module's own `gemv_f32` and `gemv_f16`, one stream after the other.
#[cfg(any(wide_vectors, rvv))]
macro_rules! float_product {
    ($(#[$attribute:meta])*) => {
        $(#[$attribute])*
        pub(super) fn float_product(
            sums: &mut [$crate::kernel::Panel<f32>],
            w: $crate::kernel::FloatMatrix<'_>,
            streams: $crate::kernel::Streams<'_>,
            panels: $crate::kernel::Panels,
        ) {
            for (stream, x) in streams.x.iter().enumerate() {
                let sums = &mut sums[stream * streams.pitch..];
                match w {
                    $crate::kernel::FloatMatrix::F32(w) => gemv_f32(sums, w, x, panels),
                    $crate::kernel::FloatMatrix::F16(w) => gemv_f16(sums, w, x, panels),
                }
            }
        }
    };
}

/// `update_q` by a module's own `lstm`, `gru` and `curve_q`.
#[cfg(any(wide_vectors, cortex_m_helium, rvv))]
macro_rules! update_q {
    ($(#[$attribute:meta])*) => {
        $(#[$attribute])*
        fn update_q(
            cell: $crate::kernel::CellQ,
            master: &mut [$crate::kernel::Panel<i32>],
            y: &mut [$crate::kernel::Panel<i16>],
            z: &[$crate::kernel::Panel<i16>],
            tables: &$crate::num::Tables,
        ) {
            match cell {
                $crate::kernel::CellQ::Lstm { cell_shift } => {
                    lstm(master, y, z, tables, cell_shift);
                }
                $crate::kernel::CellQ::Gru => gru(master, z, tables),
                $crate::kernel::CellQ::Rnn => {
                    curve_q($crate::kernel::Curve::Tanh, master, z, tables);
                    $crate::kernel::definition::cells::quarter(master);
                }
            }
        }
    };
}

#[cfg(armv7_neon)]
mod armv7;
#[cfg(cortex_m_dsp)]
mod cortex_m;
#[cfg(cortex_m_helium)]
mod helium;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod i8mm;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
#[cfg(any(no_simd, cortex_m_dsp))]
mod plain;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
))]
mod quads;
#[cfg(rvv)]
mod rvv;
#[cfg(has_sve)]
mod sve;
#[cfg(wide_vectors)]
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(not(one_table))]
use super::Kernels;
#[cfg(target_os = "none")]
use super::table::Table;
#[cfg(one_walk)]
pub(super) use plain::walk;
#[cfg(wide_vectors)]
pub(super) use wide::WIDE;

/// A table, and whether this CPU runs it.
#[cfg(not(one_table))]
type Candidate = (Kernels, fn() -> bool);

/// Every table of this build: the scalar one first, then each faster than those before it.
#[cfg(not(one_table))]
pub(super) const TABLES: &[Candidate] = &[
    (Kernels::SCALAR, || true),
    #[cfg(no_simd)]
    (Kernels::of(plain::PLAIN), || true),
    #[cfg(wide_vectors)]
    (Kernels::WIDE, || true),
    #[cfg(target_arch = "x86_64")]
    (Kernels::of(x86::AVX2), x86::has_avx2),
    #[cfg(target_arch = "x86_64")]
    (Kernels::of(x86::AVXVNNI), x86::has_avxvnni),
    #[cfg(target_arch = "x86_64")]
    (Kernels::of(x86::AVX512VNNI), x86::has_avx512vnni),
    #[cfg(target_arch = "x86_64")]
    (Kernels::of(x86::AVX512VBMI), x86::has_avx512vbmi),
    #[cfg(has_amx)]
    (Kernels::of(x86::AMX), x86::has_amx),
    #[cfg(armv7_neon)]
    (Kernels::of(armv7::ARMV7_NEON), || true),
    #[cfg(cortex_m_dsp)]
    (Kernels::of(cortex_m::CORTEX_M_DSP), || true),
    #[cfg(cortex_m_helium)]
    (Kernels::of(helium::HELIUM), || true),
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    (Kernels::of(neon::NEON), || true),
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    (Kernels::of(neon::NEON_DOTPROD), neon::has_dotprod),
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    (Kernels::of(i8mm::NEON_I8MM), i8mm::has_i8mm),
    #[cfg(rvv)]
    (Kernels::of(rvv::RVV), rvv::has_rvv),
    #[cfg(has_sve)]
    (Kernels::of(sve::SVE), sve::has_sve),
];

/// The table that firmware uses.
#[cfg(target_os = "none")]
pub(super) const FIRMWARE: Table = {
    #[cfg(cortex_m_helium)]
    {
        helium::HELIUM
    }
    #[cfg(all(cortex_m_dsp, not(cortex_m_helium)))]
    {
        cortex_m::CORTEX_M_DSP
    }
    #[cfg(no_simd)]
    {
        plain::PLAIN
    }
    #[cfg(not(any(cortex_m_dsp, no_simd)))]
    {
        crate::kernel::definition::SCALAR
    }
};

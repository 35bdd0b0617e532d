//! Whole integer steps in 256-bit registers, one panel of units at a time: its sums, requantized, are the gates of
//! its update.
//!
//! The same text for AVX2 and AVX-VNNI, which differ in their products: a function takes over another one's body only
//! if it may use all of its instructions. Weights of four bits take the way of the definition. So does an LSTM of four
//! panels of units and more: up to 128 units it was up to 8 percent quicker to have all products of a tile, then all its
//! gathers.

macro_rules! steps {
    ($table:ident, $features:literal, $panels_a8:ident, $beyond:ident, $panels_a16:ident) => {
        pub(super) mod $table {
            use crate::kernel::cpu::quads::Weights;
            use crate::kernel::cpu::x86::{
                gru_panel, lookup, lstm_panel, mulhi_round, saturate16, $beyond, $panels_a8,
                $panels_a16,
            };
            use crate::kernel::definition::steps;
            use crate::kernel::{
                CellQ, GateRows, Inputs, IntMatrix, Kernels, LANES, LayerState, Panel, TILE,
            };
            use crate::num::Tables;
            use core::arch::x86_64::*;

            /// What is multiplied, and what products go beyond their sums by where it has eight bits.
            #[derive(Clone, Copy)]
            struct Multiplied<'a> {
                x: Inputs<'a>,
                beyond: i32,
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn multiplied(x: Inputs<'_>) -> Multiplied<'_> {
                let beyond = match x {
                    Inputs::I8(x) => $beyond(x),
                    Inputs::I16(_) => 0,
                };
                Multiplied { x, beyond }
            }

            /// Adds the product with the `N` panels from `first` on.
            #[inline]
            #[target_feature(enable = $features)]
            fn add<const N: usize>(
                sums: &mut [Panel<i32>; N],
                w: &[i8],
                first: usize,
                Multiplied { x, beyond }: Multiplied<'_>,
            ) {
                let panel = LANES * x.columns();
                let w = Weights::new(&w[first * panel..(first + N) * panel], panel);
                match x {
                    Inputs::I8(x) => $panels_a8(sums, w, (x, beyond)),
                    Inputs::I16(x) => $panels_a16(sums, w, x),
                }
            }

            /// Pre-activations of `N` sum panels.
            #[inline]
            #[target_feature(enable = $features)]
            fn requant<const N: usize>(
                sums: [Panel<i32>; N],
                m: &[Panel<i32>; N],
                shift: u8,
            ) -> [Panel<i16>; N] {
                let shift = _mm_cvtsi32_si128(shift as i32);
                array!([[0; LANES]; N], |n| {
                    let sum = _mm256_sll_epi32(bytemuck::cast(sums[n]), shift);
                    saturate16(mulhi_round(sum, bytemuck::cast(m[n])))
                })
            }

            #[target_feature(enable = $features)]
            pub(in crate::kernel::cpu::x86) fn step_q(
                k: &Kernels,
                cell: CellQ,
                states: &mut [LayerState<'_>],
                gates: &GateRows<'_>,
                x: &[Inputs<'_>],
                tables: &Tables,
            ) {
                let (IntMatrix::I8(w_ih), IntMatrix::I8(w_hh)) = (gates.w_ih, gates.w_hh) else {
                    return steps::step_q(k, cell, states, gates, x, tables);
                };
                let w = (w_ih, w_hh);
                for (state, &x) in states.iter_mut().zip(x) {
                    match cell {
                        CellQ::Lstm { cell_shift } if gates.units < TILE => {
                            lstm(state, gates, w, x, tables, cell_shift);
                        }
                        CellQ::Lstm { .. } => steps::step(k, cell, state, gates, x, tables),
                        CellQ::Gru => gru(state, gates, w, x, tables),
                        CellQ::Rnn => rnn(state, gates, w, x, tables),
                    }
                }
            }

            #[target_feature(enable = $features)]
            fn lstm(
                state: &mut LayerState<'_>,
                gates: &GateRows<'_>,
                (w_ih, w_hh): (&[i8], &[i8]),
                x: Inputs<'_>,
                tables: &Tables,
                cell_shift: u8,
            ) {
                let (x, h) = (multiplied(x), multiplied(state.h.inputs(gates.columns[1])));
                let rows = gates
                    .bias
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .zip(gates.m.as_chunks().0);
                let units = state.master.iter_mut().zip(state.y.iter_mut());
                for (unit, ((c, y), (&bias, m))) in units.zip(rows).enumerate() {
                    let mut sums = bias;
                    add(&mut sums, w_ih, 4 * unit, x);
                    add(&mut sums, w_hh, 4 * unit, h);
                    *y = lstm_panel(c, requant(sums, m, gates.shift), tables, cell_shift);
                }
                state.publish();
            }

            #[target_feature(enable = $features)]
            fn gru(
                state: &mut LayerState<'_>,
                gates: &GateRows<'_>,
                (w_ih, w_hh): (&[i8], &[i8]),
                x: Inputs<'_>,
                tables: &Tables,
            ) {
                let (x, h) = (multiplied(x), multiplied(state.h.inputs(gates.columns[1])));
                let rows = gates
                    .bias
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .zip(gates.m.as_chunks().0);
                for (unit, (master, (&bias, m))) in state.master.iter_mut().zip(rows).enumerate() {
                    let [nx, r, z, nh] = bias;
                    let mut sums = [nx, r, z];
                    add(&mut sums, w_ih, 3 * unit, x);
                    let [nx, r, z] = sums;
                    let mut sums = [r, z, nh];
                    add(&mut sums, w_hh, 3 * unit, h);
                    let [r, z, nh] = sums;
                    gru_panel(master, requant([nx, r, z, nh], m, gates.shift), tables);
                }
                state.publish_master();
            }

            #[target_feature(enable = $features)]
            fn rnn(
                state: &mut LayerState<'_>,
                gates: &GateRows<'_>,
                (w_ih, w_hh): (&[i8], &[i8]),
                x: Inputs<'_>,
                tables: &Tables,
            ) {
                let (x, h) = (multiplied(x), multiplied(state.h.inputs(gates.columns[1])));
                let (quads, rest) = state.master.as_chunks_mut::<4>();
                for (quad, master) in quads.iter_mut().enumerate() {
                    tanh_panels(master, gates, (w_ih, w_hh), 4 * quad, (x, h), tables);
                }
                let first = 4 * quads.len();
                for (n, master) in rest.iter_mut().enumerate() {
                    tanh_panels(
                        core::array::from_mut(master),
                        gates,
                        (w_ih, w_hh),
                        first + n,
                        (x, h),
                        tables,
                    );
                }
                state.publish_master();
            }

            /// States of `N` panels of units from `first` on.
            #[inline]
            #[target_feature(enable = $features)]
            fn tanh_panels<const N: usize>(
                master: &mut [Panel<i32>; N],
                gates: &GateRows<'_>,
                w: (&[i8], &[i8]),
                first: usize,
                (x, h): (Multiplied<'_>, Multiplied<'_>),
                tables: &Tables,
            ) {
                let (bias, m) = (&gates.bias[first..], &gates.m[first..]);
                if let (Some(&bias), Some(m)) = (bias.first_chunk(), m.first_chunk()) {
                    let mut sums: [_; N] = bias;
                    add(&mut sums, w.0, first, x);
                    add(&mut sums, w.1, first, h);
                    let z = requant(sums, m, gates.shift);
                    *master = array!([[0; LANES]; N], |n| {
                        let y = lookup(tables.tanh_entries(), tables.bits(), z[n]);
                        bytemuck::cast(_mm256_srai_epi32::<2>(y))
                    });
                }
            }
        }
    };
}

steps!(avx2, "avx2", panels_a8_avx2, beyond_avx2, panels_a16_avx2);
steps!(
    avxvnni,
    "avx2,avxvnni",
    panels_a8_avxvnni,
    beyond_avxvnni,
    panels_a16_avxvnni
);

//! CPUs without SIMD: Armv6-M, Armv7-M, RV32IM; and Armv7E-M for layers that are not packed.
//!
//! A panel's eight rows are summed together, so that an input is loaded once for eight weights; the product is written
//! in assembly, because compilers move loads ahead of sums until these no longer fit the registers. Per
//! multiplication of the product: 2.2 instructions on Armv7-M, 3.2 on RV32IM; on Armv7E-M 1.2, in two halves of a panel (`paired`).
//! Armv6-M takes 4.4, because it loads signed bytes only with an offset in a register, and 3.3 where they are stored
//! as `w + 128`.
//!
//! A byte `b` with two weights of four bits is multiplied as it is: the lower weight is `b − 16 (b >> 4)`, so the two times
//! their inputs are `b x + (b >> 4) (y − 16 x)`, and `y − 16 x` serves eight rows. That is 2.2 instructions per multiplication
//! on Armv7-M, 3.3 on RV32IM, 3.5 on Armv6-M, with half of the loads. Armv7E-M masks pairs of weights instead: 1.4.
//!
//! A step goes from panel to panel of units. Look-ups know their table, which makes its address and the shifts
//! constants and its bounds check go away.

#[cfg(one_walk)]
use crate::kernel::GATES;
use crate::kernel::definition::{SCALAR, cells, products};
use crate::kernel::table::Table;
use crate::kernel::{
    CellQ, Curve, GateRows, Inputs, IntMatrix, Kernels, LANES, LayerState, Panel, Panels,
};
use crate::num::{SEGMENTS_256, SEGMENTS_512, Tables};
#[cfg(not(armv6m))]
use crate::num::{mulhi_round, saturate16};
use core::slice;

#[cfg(cortex_m_dsp)]
mod paired;
#[cfg(cortex_m_dsp)]
use paired::{Operand, Room};
#[cfg(not(cortex_m_dsp))]
mod unpaired;
#[cfg(not(cortex_m_dsp))]
use unpaired::{Operand, Room};
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
#[cfg_attr(armv6m, path = "armv6m.rs")]
#[cfg_attr(not(any(target_arch = "riscv32", armv6m)), path = "armv7.rs")]
mod panel;

pub(super) const PLAIN: Table = Table {
    name: panel::NAME,
    product,
    #[cfg(cortex_m_dsp)]
    products: paired::products,
    gates_q,
    curve_q,
    update_q,
    step_q,
    ..SCALAR
};

#[cfg_attr(one_table, inline(always))]
unsafe fn product(sums: &mut [Panel<i32>], w: IntMatrix<'_>, x: Inputs<'_>, panels: Panels) {
    // SAFETY: the table's method has checked what these ask for.
    unsafe {
        match (w, x) {
            (IntMatrix::I8(w), x) => gemv_i8(sums, w, x, panels),
            // What the loader refused: no kernel for it is linked.
            (IntMatrix::I4(_), _) if cfg!(not(w4a8)) => {}
            (IntMatrix::I4(w), Inputs::I8(x)) => gemv_w4a8(sums, w, x, panels),
            (IntMatrix::I4(w), Inputs::I16(x)) => gemv_w4a16(sums, w, x, panels),
            (w, x) => products::product(sums, w, x, panels),
        }
    }
}

unsafe fn gemv_i8(sums: &mut [Panel<i32>], w: &[i8], x: Inputs<'_>, panels: Panels) {
    let mut room = Room::new();
    let x = Operand::new(IntMatrix::I8(w), x, &mut room.rest());
    // SAFETY: there are whole panels over whole blocks of columns, and a place for each.
    unsafe { gemv(sums, w, panels, |sums, w| x.add(sums, w)) };
}

unsafe fn gemv_w4a8(sums: &mut [Panel<i32>], w: &[u8], x: &[i8], panels: Panels) {
    let excess = excess_i4(Inputs::I8(x));
    // SAFETY: as `gemv_i8`, of double blocks.
    unsafe {
        gemv(sums, w, panels, |sums, w| {
            *sums = sums.map(|sum| sum.wrapping_sub(excess));
            panel::i4_a8(sums, w, x)
        });
    }
}

unsafe fn gemv_w4a16(sums: &mut [Panel<i32>], w: &[u8], x: &[i16], panels: Panels) {
    let excess = excess_i4(Inputs::I16(x));
    // SAFETY: as `gemv_w4a8`.
    unsafe {
        gemv(sums, w, panels, |sums, w| {
            *sums = sums.map(|sum| sum.wrapping_sub(excess));
            panel::i4_a16(sums, w, x)
        });
    }
}

/// Goes from panel to panel.
///
/// # Safety
/// The matrix has whole panels, and the sums a place for each.
#[inline(always)]
unsafe fn gemv<W>(
    sums: &mut [Panel<i32>],
    w: &[W],
    panels: Panels,
    product: impl Fn(&mut Panel<i32>, *const u8) -> *const u8,
) {
    let w = w.as_ptr_range();
    let (mut at, end) = (w.start.cast(), w.end.cast());
    let (mut place, mut left) = (0, panels.group);
    while at != end {
        // SAFETY: the caller's.
        at = product(unsafe { sums.get_unchecked_mut(place) }, at);
        (place, left) = (place + 1, left - 1);
        if left == 0 {
            (place, left) = (place + (panels.stride - panels.group), panels.group);
        }
    }
}

/// How the bytes of a matrix hold its weights.
#[derive(Clone, Copy)]
enum Bytes {
    I8,
    /// `w + 128`.
    U8,
    /// Two of `w + 8`.
    I4,
    /// Row after row, for another CPU.
    Rows,
}

/// One of a layer's matrices, from some panel on.
struct Matrix<'a> {
    x: Operand<'a>,
    w: *const u8,
    bytes: Bytes,
    /// What every sum has too much because of what is added to weights: so many times the sum of the inputs.
    excess: i32,
}

impl<'a> Matrix<'a> {
    #[inline(always)]
    fn new(w: IntMatrix<'_>, operand: Operand<'a>) -> Self {
        let x = operand.other();
        let (w, bytes, excess) = match w {
            IntMatrix::I8(w) => (w.as_ptr().cast(), Bytes::I8, 0),
            IntMatrix::U8(w) => (w.as_ptr(), Bytes::U8, total(x).wrapping_mul(128)),
            IntMatrix::I4(w) => (w.as_ptr(), Bytes::I4, excess_i4(x)),
            IntMatrix::Rows(w) => (w.as_ptr().cast(), Bytes::Rows, 0),
        };
        Matrix {
            x: operand,
            w,
            bytes,
            excess,
        }
    }

    /// Adds the product of the next panel to its sums, and gives the excess.
    ///
    /// # Safety
    /// There is a next panel.
    #[inline(always)]
    unsafe fn add(&mut self, sums: &mut Panel<i32>) -> i32 {
        // SAFETY: the panel has as many columns; they are whole blocks, or double ones of four bits, one at least.
        self.w = unsafe {
            match (self.x.other(), self.bytes) {
                (_, Bytes::I8) => self.x.add(sums, self.w),
                (_, Bytes::I4) if cfg!(not(w4a8)) => self.w,
                (Inputs::I8(x), Bytes::U8) => panel::u8_a8(sums, self.w, x),
                (Inputs::I8(x), Bytes::I4) => panel::i4_a8(sums, self.w, x),
                (Inputs::I16(x), Bytes::U8) => panel::u8_a16(sums, self.w, x),
                (Inputs::I16(x), Bytes::I4) => panel::i4_a16(sums, self.w, x),
                (Inputs::I8(x), Bytes::Rows) => along_rows(sums, self.w, x),
                (Inputs::I16(x), Bytes::Rows) => along_rows(sums, self.w, x),
            }
        };
        self.excess
    }
}

/// Adds the product of a panel whose rows lie one after the other; gives its end.
///
/// # Safety
/// The panel has a weight of each row for every input.
unsafe fn along_rows<X: Copy + Into<i32>>(
    sums: &mut Panel<i32>,
    w: *const u8,
    x: &[X],
) -> *const u8 {
    // SAFETY: the caller's.
    let w = unsafe { slice::from_raw_parts(w.cast::<i8>(), LANES * x.len()) };
    products::by_rows(slice::from_mut(sums), w, x, Panels::DENSE);
    w.as_ptr_range().end.cast()
}

/// What every sum over weights stored as `w + 8` has too much.
pub(super) fn excess_i4(x: Inputs<'_>) -> i32 {
    total(x).wrapping_mul(8)
}

fn total(x: Inputs<'_>) -> i32 {
    match x {
        Inputs::I8(x) => x.iter().map(|&x| x as i32).fold(0, i32::wrapping_add),
        Inputs::I16(x) => x.iter().map(|&x| x as i32).fold(0, i32::wrapping_add),
    }
}

/// A way along the rows of a layer, from some panel of units on.
struct Walk<'a> {
    gates: &'a GateRows<'a>,
    input: Matrix<'a>,
    state: Matrix<'a>,
    bias: slice::Iter<'a, Panel<i32>>,
    m: slice::Iter<'a, Panel<i32>>,
}

impl<'a> Walk<'a> {
    #[inline(always)]
    fn new(gates: &'a GateRows<'a>, x: Inputs<'a>, h: Inputs<'a>, room: &'a mut Room) -> Self {
        let mut room = room.rest();
        Walk {
            gates,
            input: Matrix::new(gates.w_ih, Operand::new(gates.w_ih, x, &mut room)),
            state: Matrix::new(gates.w_hh, Operand::new(gates.w_hh, h, &mut room)),
            bias: gates.bias.iter(),
            m: gates.m.iter(),
        }
    }

    /// Pre-activations of the next panel of units.
    ///
    /// # Safety
    /// There is one, and `z` has its gates.
    // Part of a step where only one kind of weights and inputs is known to be there: what others need is then not linked.
    #[cfg_attr(one_table, inline(always))]
    #[cfg_attr(not(one_table), inline(never))]
    unsafe fn next(&mut self, z: &mut [Panel<i16>]) {
        let ([ih, hh, stride], shift) = (self.gates.order.panels(), self.gates.shift);
        for (gate, ((z, bias), m)) in z
            .iter_mut()
            .zip(&mut self.bias)
            .zip(&mut self.m)
            .enumerate()
        {
            let (mut sums, mut excess) = (*bias, 0);
            // SAFETY: so many gates of every panel of units have weights for either.
            unsafe {
                if gate < ih {
                    excess = self.input.add(&mut sums);
                }
                if gate >= stride - hh {
                    excess = excess.wrapping_add(self.state.add(&mut sums));
                }
            }
            requant(z, &sums, m, (excess, shift));
        }
    }
}

/// Pre-activations of all units, panel by panel: once in an image, for every layer that is no step of its own.
///
/// # Panics
/// If the gates do not take such inputs.
#[cfg(one_walk)]
#[inline(never)]
pub(in crate::kernel) fn walk(
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
    update: &mut dyn FnMut(usize, &mut [Panel<i16>]),
) {
    gates.check(x, h.columns());
    let mut room = Room::new();
    let mut walk = Walk::new(gates, x, h, &mut room);
    let [_, _, stride] = gates.order.panels();
    let mut z = [[0; LANES]; GATES];
    let z = &mut z[..stride];
    for panel in 0..gates.units {
        // SAFETY: there are so many panels of units, and the inputs are as many as their rows have columns.
        unsafe { walk.next(z) }
        update(panel, z);
    }
}

unsafe fn gates_q(
    _: &Kernels,
    z: &mut [Panel<i16>],
    gates: GateRows<'_>,
    x: Inputs<'_>,
    h: Inputs<'_>,
) {
    let mut room = Room::new();
    let mut walk = Walk::new(&gates, x, h, &mut room);
    let [_, _, stride] = gates.order.panels();
    let mut left = z;
    while !left.is_empty() {
        let (z, others) = left.split_at_mut(stride);
        // SAFETY: the table's method has checked that `z` has as many whole panels of units as the rows.
        unsafe { walk.next(z) }
        left = others;
    }
}

#[cfg_attr(one_table, inline(always))]
unsafe fn step_q(
    _: &Kernels,
    cell: CellQ,
    states: &mut [LayerState<'_>],
    gates: &GateRows<'_>,
    x: &[Inputs<'_>],
    tables: &Tables,
) {
    for (state, &x) in states.iter_mut().zip(x) {
        // A loop for each cell: one that chooses inside took 9 % more instructions of a tanh layer.
        // SAFETY: the table's method has checked that a layer of a cell has rows for every panel of units.
        unsafe {
            match cell {
                CellQ::Lstm { cell_shift } => step::<4>(state, gates, x, |master, y, z| {
                    update_panel(CellQ::Lstm { cell_shift }, master, y, z, tables);
                }),
                CellQ::Gru => step::<4>(state, gates, x, |master, y, z| {
                    update_panel(CellQ::Gru, master, y, z, tables);
                }),
                CellQ::Rnn => step::<1>(state, gates, x, |master, y, z| {
                    update_panel(CellQ::Rnn, master, y, z, tables);
                }),
            }
        }
        state.publish_step(cell);
    }
}

/// Once in an image that is built small.
#[cfg_attr(small, inline(never))]
#[cfg_attr(not(small), inline(always))]
fn update_panel(
    cell: CellQ,
    master: &mut Panel<i32>,
    y: &mut Panel<i16>,
    z: &[Panel<i16>],
    tables: &Tables,
) {
    let (master, y) = (slice::from_mut(master), slice::from_mut(y));
    known(tables, |tables| cells::update_q(cell, master, y, z, tables));
}

/// Updates all panels of units by their gates.
///
/// # Safety
/// The layer has rows of `N` gates for every panel of units.
#[cfg_attr(one_table, inline(always))]
#[cfg_attr(not(one_table), inline(never))]
unsafe fn step<const N: usize>(
    state: &mut LayerState<'_>,
    gates: &GateRows<'_>,
    x: Inputs<'_>,
    update: impl Fn(&mut Panel<i32>, &mut Panel<i16>, &[Panel<i16>]),
) {
    let mut room = Room::new();
    let mut walk = Walk::new(gates, x, state.h.inputs(gates.columns[1]), &mut room);
    let mut z = [[0; LANES]; N];
    for (master, y) in state.master.iter_mut().zip(&mut *state.y) {
        // SAFETY: the caller's.
        unsafe { walk.next(&mut z) }
        update(master, y, &z);
    }
}

#[cfg(armv6m)]
use panel::requant;

/// A panel of pre-activations from its sums, which exceed what they should be.
#[cfg(not(armv6m))]
#[inline(always)]
fn requant(z: &mut Panel<i16>, sums: &Panel<i32>, m: &Panel<i32>, (excess, shift): (i32, u8)) {
    for ((z, sum), &m) in z.iter_mut().zip(sums).zip(m) {
        let sum = sum.wrapping_sub(excess).wrapping_shl(shift as u32);
        *z = saturate16(mulhi_round(sum, m));
    }
}

/// There are two tables, or one; the call is compiled for each.
#[inline(always)]
fn known(tables: &Tables, call: impl FnOnce(&Tables)) {
    if cfg!(not(w8a16)) || tables.bits() == SEGMENTS_256.bits() {
        call(&SEGMENTS_256)
    } else {
        call(&SEGMENTS_512)
    }
}

/// Of whatever table, so that its caller is what links it.
#[inline(never)]
fn curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
    cells::curve_q(curve, y, z, tables);
}

#[cfg_attr(one_table, inline(always))]
fn update_q(
    cell: CellQ,
    master: &mut [Panel<i32>],
    y: &mut [Panel<i16>],
    z: &[Panel<i16>],
    tables: &Tables,
) {
    if cfg!(small) {
        let [_, _, sums] = cell.order().panels();
        for ((master, y), z) in master.iter_mut().zip(y).zip(z.chunks_exact(sums)) {
            update_panel(cell, master, y, z, tables);
        }
        return;
    }
    known(tables, |tables| cells::update_q(cell, master, y, z, tables))
}

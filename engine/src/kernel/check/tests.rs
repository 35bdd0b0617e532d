//! The checker finds what is wrong: sabotaged primitives, right but for one rare case.

extern crate std;
use super::*;
use crate::kernel::{
    CellQ, Curve, FloatMatrix, GateRows, Hidden, IntMatrix, LayerState, MAX_CELL_SHIFT, StateF,
    Streams,
};
use crate::num::Tables;
use std::string::ToString;

const SCALAR: Kernels = Kernels::SCALAR;

#[test]
fn scalar_equals_itself() {
    let checked = check(&SCALAR, 50, 1).unwrap();
    assert_eq!(checked.table, "scalar");
    // The sweeps alone are 2 · 2 · 65,536 activations and 65,536 weights.
    assert!(checked.values > 5 * 65536 + 50 * 15 * 8, "{checked}");
}

/// A sabotaged copy of a primitive: right but for one rare case.
macro_rules! sabotage {
    ($field:ident($first:ident: $first_type:ty $(, $arg:ident: $type:ty)*) $wrong:block) => {{
        fn $field($first: $first_type $(, $arg: $type)*) {
            SCALAR.$field($first $(, $arg)*);
            $wrong
        }
        let mismatch = check(&Kernels::of(Table { name: "sabotaged", $field, ..*SCALAR.table() }), 2000, 7).unwrap_err();
        assert_eq!(mismatch.table, "sabotaged");
        assert_eq!(mismatch.primitive, stringify!($field));
        // One round with the seed reported is enough to see it again.
        let table = Kernels::of(Table { name: "sabotaged", $field, ..*SCALAR.table() });
        let again = check(&table, 1, mismatch.seed).unwrap_err();
        assert_eq!(again.to_string(), mismatch.to_string());
        mismatch
    }};
}

#[test]
fn a_wrong_matrix_product_is_found() {
    type Sums<'a, T> = &'a mut [Panel<T>];
    let found = sabotage!(product(sums: Sums<'_, i32>, _w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
        if x.columns() == 68 {
            sums[0][7] ^= 1;
        }
    });
    assert_eq!((found.shape.columns, found.index), (68, 7));
    sabotage!(product(sums: Sums<'_, i32>, _w: IntMatrix<'_>, _x: Inputs<'_>, p: Panels) {
        // A gap that belongs to another matrix.
        if p.group < p.stride && sums.len() > p.group {
            sums[p.group][0] = 0;
        }
    });
    sabotage!(product(sums: Sums<'_, i32>, w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
        // An unsigned weight.
        if let (IntMatrix::Rows(&[-128, ..]), Inputs::I16(x)) = (w, x) {
            sums[0][0] += 256 * x[0] as i32;
        }
    });
    sabotage!(product(sums: Sums<'_, i32>, w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
        // A product that does not fit in eight bits.
        if let (IntMatrix::I4(&[w, ..]), Inputs::I8(&[-128, ..])) = (w, x) {
            sums[0][0] += (w & 15 == 15) as i32;
        }
    });
    sabotage!(product(sums: Sums<'_, i32>, w: IntMatrix<'_>, x: Inputs<'_>, _p: Panels) {
        // A column too few.
        if let (IntMatrix::I4(_), Inputs::I16(x)) = (w, x) && x.len() == 17 * 8 {
            sums[0][3] -= x[135] as i32 | 1;
        }
    });
    sabotage!(float_product(sums: Sums<'_, f32>, w: FloatMatrix<'_>, s: Streams<'_>, _p: Panels) {
        // Another order of summation.
        if let (FloatMatrix::F32(w), [x]) = (w, s.x) && x.len() > 16 {
            sums[0][0] -= w[0] * x[0];
            sums[0][0] += w[0] * x[0];
        }
    });
    let found = sabotage!(float_product(sums: Sums<'_, f32>, w: FloatMatrix<'_>, _s: Streams<'_>, _p: Panels) {
        // One subnormal flushed to zero.
        if let FloatMatrix::F16(w) = w && w[0].to_bits() == 0x0020 {
            sums[0][0] = 0.0;
        }
    });
    assert_eq!(found.want, Value::Float(f32::from_bits(0x3600_0000)));
}

#[test]
fn a_stream_with_the_input_of_another_is_found() {
    fn step_q(
        _: &Kernels,
        cell: CellQ,
        states: &mut [LayerState<'_>],
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        tables: &Tables,
    ) {
        for state in states {
            SCALAR.step_q(cell, core::slice::from_mut(state), gates, &x[..1], tables);
        }
    }
    let table = Kernels::of(Table {
        step_q,
        ..*SCALAR.table()
    });
    let found = check(&table, 2000, 7).unwrap_err();
    assert_eq!((found.primitive, found.output), ("step_q", "master"));
}

#[test]
fn a_stream_with_the_sums_of_another_is_found() {
    fn float_product(sums: &mut [Panel<f32>], w: FloatMatrix<'_>, s: Streams<'_>, p: Panels) {
        let others = s.x.len() - 1;
        let sums_of_last = &mut sums[others * s.pitch..];
        SCALAR.float_product(sums_of_last, w, Streams::new(&s.x[..1], 0), p);
        SCALAR.float_product(sums, w, Streams::new(&s.x[..others], s.pitch), p);
    }
    let found = check(
        &Kernels::of(Table {
            float_product,
            ..*SCALAR.table()
        }),
        2000,
        7,
    )
    .unwrap_err();
    assert_eq!((found.primitive, found.output), ("float_product", "sums"));
}

#[test]
fn wrong_gates_are_found() {
    fn gates_q(_: &Kernels, z: &mut [Panel<i16>], g: GateRows<'_>, x: Inputs<'_>, h: Inputs<'_>) {
        SCALAR.gates_q(z, g, x, h);
        z[0][5] = z[0][5].wrapping_add((g.order.panels()[2] == 4) as i16);
    }
    let found = check(
        &Kernels::of(Table {
            gates_q,
            ..*SCALAR.table()
        }),
        2000,
        7,
    )
    .unwrap_err();
    assert_eq!(found.primitive, "gates_q");
    assert_eq!((found.output, found.index), ("z", 5));
}

#[test]
fn a_wrong_requantization_or_activation_is_found() {
    let found = sabotage!(requant(z: &mut [Panel<i16>], s: &[Panel<i32>], m: &[Panel<i32>], shift: u8) {
        // No rounding.
        let product = (s[0][3].wrapping_shl(shift as u32) as i64 * m[0][3] as i64) >> 32;
        z[0][3] = product.clamp(-32768, 32767) as i16;
    });
    assert_eq!(found.index, 3);
    let found = sabotage!(curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], tables: &Tables) {
        for (y, z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
            *y += (curve == Curve::Tanh && *z == -12345 && tables.bits() == 9) as i32;
        }
    });
    assert_eq!(found.output, "y");
    sabotage!(curve_q(curve: Curve, y: &mut [Panel<i32>], z: &[Panel<i16>], _t: &Tables) {
        for (y, z) in y.as_flattened_mut().iter_mut().zip(z.as_flattened()) {
            *y -= (curve == Curve::Sigmoid && *z == i16::MAX) as i32;
        }
    });
    sabotage!(curve_f(curve: Curve, z: &mut [Panel<f32>]) {
        for z in z.as_flattened_mut().iter_mut().filter(|z| **z == 0.0) {
            *z = if curve == Curve::Tanh { 0.0 } else { *z };
        }
    });
    sabotage!(curve_f(curve: Curve, z: &mut [Panel<f32>]) {
        for z in z.as_flattened_mut().iter_mut().filter(|z| z.is_nan()) {
            *z = if curve == Curve::Sigmoid { 1.0 } else { *z };
        }
    });
}

#[test]
fn a_wrong_cell_is_found() {
    type Out<'a, T> = &'a mut [Panel<T>];
    let found = sabotage!(update_q(cell: CellQ, c: Out<'_, i32>, y: Out<'_, i16>, _z: &[Panel<i16>], _t: &Tables) {
        if cell == (CellQ::Lstm { cell_shift: MAX_CELL_SHIFT }) && c[0][0] == -(1 << 30) {
            y[0][5] += 1;
        }
    });
    assert_eq!((found.output, found.index), ("y", 5));
    sabotage!(update_q(cell: CellQ, h: Out<'_, i32>, _y: Out<'_, i16>, z: &[Panel<i16>], _t: &Tables) {
        h[0][0] ^= (cell == CellQ::Gru && z[1][0] == i16::MIN) as i32;
    });
    fn update_f(state: StateF<'_>, y: Out<'_, f32>, z: &[Panel<f32>]) {
        // A state that no network has.
        let small = matches!(&state, StateF::Gru(h) if h[0][0].is_subnormal());
        SCALAR.update_f(state, y, z);
        if small {
            y[0][0] += 1e-7;
        }
    }
    let table = Table {
        update_f,
        ..*SCALAR.table()
    };
    let found = check(&Kernels::of(table), 2000, 7).unwrap_err();
    assert_eq!(
        (found.primitive, found.output, found.index),
        ("update_f", "y", 0)
    );
}

#[test]
fn a_wrong_step_is_found() {
    fn step_q(
        _: &Kernels,
        cell: CellQ,
        states: &mut [LayerState<'_>],
        gates: &GateRows<'_>,
        x: &[Inputs<'_>],
        tables: &Tables,
    ) {
        SCALAR.step_q(cell, states, gates, x, tables);
        // A state that is published in part.
        if let (CellQ::Gru, Hidden::I8(h), 5) = (cell, &mut states[0].h, gates.units) {
            h[39] ^= 1;
        }
    }
    let found = check(
        &Kernels::of(Table {
            step_q,
            ..*SCALAR.table()
        }),
        2000,
        7,
    )
    .unwrap_err();
    assert_eq!(found.primitive, "step_q");
    assert_eq!((found.output, found.index), ("h", 39));
}

#[test]
fn a_write_beside_the_output_is_found() {
    let mut outputs = Outputs::<SECOND_OUTPUT>::NEW;
    outputs.fill::<i16>(&mut Random::new(3), 2);
    assert_eq!(outputs.compare::<i16>(0.0), Ok(16));
    let before = outputs.start - 2;
    outputs.got.0[before] ^= 1;
    assert_eq!(outputs.compare::<i16>(0.0).unwrap_err().0, -1);
    outputs.got.0[before] ^= 1;
    let after = outputs.start + outputs.len;
    outputs.got.0[after] ^= 1;
    assert_eq!(outputs.compare::<i16>(0.0).unwrap_err().0, 16);
}

#[test]
fn a_mismatch_names_everything() {
    let mismatch = Mismatch {
        table: "wide",
        primitive: "gemv_f32",
        shape: Shape {
            panels: 3,
            columns: 17,
            placed: Panels::new(3, 4),
        },
        output: "sums",
        index: 9,
        want: Value::Float(-0.0),
        got: Value::Float(0.5),
        seed: 11,
    };
    assert_eq!(
        mismatch.to_string(),
        "wide: gemv_f32 of 3 panels of 17 columns, groups of 3 in 4: sums[9] is 5e-1 \
         (0x3f000000), -0e0 (0x80000000) in the scalar table (seed 11)"
    );
}

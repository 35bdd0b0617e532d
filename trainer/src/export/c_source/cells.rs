//! Recurrent layers in C: the equations, then one loop over the units.
//!
//! Every cell is a loop that sums up its gates' rows (`$gates`), then updates a unit. What the updates compute is defined
//! by the engine's `cell` folder; the names are the same.

use super::super::portable::{Recurrent, Rows};
use super::arrays::Array;
use super::{Code, Element, fill, product};
use kinglet::format::{Cell, Format, Reset};

/// A cell as generated code has it: the equations, and how a unit is updated from its pre-activations `z`.
struct Text {
    name: &'static str,
    equations: &'static str,
    float: &'static str,
    integer: &'static str,
    /// In integers with gates up to ±16.
    slow: &'static str,
}

/// Of an integer cell's output.
const OUTPUT_OF_CELL: &str = "
        /* h' = o tanh(c') */
        y[u] = (int16_t)shift_round(mulhi(o, $tanh(saturate16(s->c$n[u] >> $to_z))), 18);
";
const OUTPUT_OF_STATE: &str = "
        y[u] = (int16_t)shift_round(s->fine$n[u], 17);
";

const RNN_TANH: Text = Text {
    name: "tanh RNN",
    equations: "h' = tanh(W_ih x + W_hh h + b)",
    float: "
        y[u] = tanh_f32(z[0]);
",
    integer: "
        s->fine$n[u] = $tanh(z[0]) >> 2;
",
    slow: "",
};

const RNN_RELU: Text = Text {
    name: "RNN with relu",
    equations: "h' = max(0, W_ih x + W_hh h + b)",
    float: "
        y[u] = z[0] > 0.0f ? z[0] : 0.0f;
",
    integer: "
        /* Held below 4. */
        s->fine$n[u] = clamp(z[0], 0, 16383) * (INT32_C(1) << 17);
",
    slow: "",
};

const LSTM: Text = Text {
    name: "LSTM",
    equations: "i = sigmoid(W_ii x + W_hi h + b_i)      c' = f c + i g
f = sigmoid(W_if x + W_hf h + b_f)      h' = o tanh(c')
g = tanh(W_ig x + W_hg h + b_g)
o = sigmoid(W_io x + W_ho h + b_o)",
    float: "
        /* c' = f c + i g, h' = o tanh(c') */
        const float kept = sigmoid_f32(z[1]) * s->c$n[u];
        s->c$n[u] = kept + sigmoid_f32(z[0]) * tanh_f32(z[2]);
        y[u] = sigmoid_f32(z[3]) * tanh_f32(s->c$n[u]);
",
    integer: "
        const int32_t i = $sigmoid(z[0]);
        const int32_t f = $sigmoid(z[1]);
        const int32_t g = $tanh(z[2]);
        const int32_t o = $sigmoid(z[3]);
        /* c' = f c + i g. The high half of a product with a gate is half the product. */
        const int32_t kept = 2 * mulhi(f, s->c$n[u]);
        s->c$n[u] = clamp_cell(kept + (mulhi(i, g) >> $new));
",
    slow: "
        const int32_t i = slow_sigmoid(z[0]);
        const int32_t f = slow_sigmoid(z[1]);
        const int32_t g = $tanh(twice(z[2]));
        const int32_t o = slow_sigmoid(z[3]);
        /* c' = f c + i g */
        s->c$n[u] = accumulate(s->c$n[u], f, i, g, $new_slow);
",
};

const LSTM_RELU: Text = Text {
    name: "LSTM, rectified",
    equations: "i = sigmoid(W_ii x + W_hi h + b_i)      c' = f c + i g
f = sigmoid(W_if x + W_hf h + b_f)      h' = o max(0, c')
g = max(0, W_ig x + W_hg h + b_g)
o = sigmoid(W_io x + W_ho h + b_o)",
    float: "
        /* c' = f c + i g, h' = o max(0, c') */
        const float kept = sigmoid_f32(z[1]) * s->c$n[u];
        s->c$n[u] = kept + sigmoid_f32(z[0]) * (z[2] > 0.0f ? z[2] : 0.0f);
        y[u] = sigmoid_f32(z[3]) * (s->c$n[u] > 0.0f ? s->c$n[u] : 0.0f);
",
    integer: "
        const int32_t i = $sigmoid(z[0]);
        const int32_t f = $sigmoid(z[1]);
        const int32_t g = clamp(z[2], 0, INT16_MAX) * (INT32_C(1) << 16);
        const int32_t o = $sigmoid(z[3]);
        /* c' = f c + i g, h' = o max(0, c'), held below 4. The high half of a product with a gate is half the product. */
        const int32_t kept = 2 * mulhi(f, s->c$n[u]);
        s->c$n[u] = clamp_cell(kept + (mulhi(i, g) >> $narrower));
        y[u] = (int16_t)clamp(shift_round(mulhi(o, s->c$n[u] > 0 ? s->c$n[u] : 0), $to_y), 0, 16383);
",
    slow: "",
};

const GRU_AFTER: Text = Text {
    name: "GRU, reset after the product",
    equations: "r = sigmoid(W_ir x + W_hr h + b_r)
z = sigmoid(W_iz x + W_hz h + b_z)
n = tanh(W_in x + b_in + r (W_hn h + b_hn))
h' = n + z (h - n)
The pre-activations are n over x, r, z, n over h.",
    float: "
        const float n = tanh_f32(z[0] + sigmoid_f32(z[1]) * z[3]);
        y[u] = n + sigmoid_f32(z[2]) * (s->h$n[u] - n);
",
    integer: "
        const int32_t r = $sigmoid(z[1]) >> 16;
        const int32_t n = $tanh(saturate16(z[0] + shift_round(r * z[3], 15)));
        s->fine$n[u] = blend(s->fine$n[u], $sigmoid(z[2]), n);
",
    slow: "
        const int32_t r = $sigmoid(twice(z[1]));
        /* The high half of a product with a gate is half the product: 2^-12. */
        const int32_t reset = mulhi(r, (int32_t)z[3] * 4);
        const int32_t n = $tanh(saturate16((int32_t)z[0] * 2 + reset));
        s->fine$n[u] = approach(s->fine$n[u], rest_of(slow_sigmoid(z[2])), n);
",
};

const GRU_RELU_AFTER: Text = Text {
    name: "GRU, reset after the product, rectified",
    equations: "r = sigmoid(W_ir x + W_hr h + b_r)
z = sigmoid(W_iz x + W_hz h + b_z)
n = max(0, W_in x + b_in + r (W_hn h + b_hn))
h' = n + z (h - n)
The pre-activations are n over x, r, z, n over h.",
    float: "
        const float sum = z[0] + sigmoid_f32(z[1]) * z[3];
        const float n = sum > 0.0f ? sum : 0.0f;
        y[u] = n + sigmoid_f32(z[2]) * (s->h$n[u] - n);
",
    integer: "
        const int32_t r = $sigmoid(z[1]) >> 16;
        /* Held below 4. The high half of a product with a gate is half the product. */
        const int32_t n = clamp(z[0] + shift_round(r * z[3], 15), 0, 16383) * (INT32_C(1) << 17);
        s->fine$n[u] = n + 2 * mulhi($sigmoid(z[2]), s->fine$n[u] - n);
",
    slow: "",
};

const GRU_BEFORE: Text = Text {
    name: "GRU, reset before the product",
    equations: "r = sigmoid(W_ir x + W_hr h + b_r)
z = sigmoid(W_iz x + W_hz h + b_z)
n = tanh(W_in x + W_hn (r h) + b_n)
h' = n + z (h - n)
All of r must be known before any n: one loop for r and z, another for n.",
    float: "
        const float n = tanh_f32(z[0]);
        y[u] = n + s->update$n[u] * (s->h$n[u] - n);
",
    integer: "
        s->fine$n[u] = blend(s->fine$n[u], $sigmoid(s->update$n[u]), $tanh(z[0]));
",
    slow: "
        const int32_t share = rest_of(slow_sigmoid(s->update$n[u]));
        s->fine$n[u] = approach(s->fine$n[u], share, $tanh(twice(z[0])));
",
};

const GRU_RELU_BEFORE: Text = Text {
    name: "GRU, reset before the product, rectified",
    equations: "r = sigmoid(W_ir x + W_hr h + b_r)
z = sigmoid(W_iz x + W_hz h + b_z)
n = max(0, W_in x + W_hn (r h) + b_n)
h' = n + z (h - n)
All of r must be known before any n: one loop for r and z, another for n.",
    float: "
        const float n = z[0] > 0.0f ? z[0] : 0.0f;
        y[u] = n + s->update$n[u] * (s->h$n[u] - n);
",
    integer: "
        /* Held below 4. The high half of a product with a gate is half the product. */
        const int32_t n = clamp(z[0], 0, 16383) * (INT32_C(1) << 17);
        s->fine$n[u] = n + 2 * mulhi($sigmoid(s->update$n[u]), s->fine$n[u] - n);
",
    slow: "
        const int32_t share = rest_of(slow_sigmoid(s->update$n[u]));
        const int32_t n = clamp(twice(z[0]), 0, 16383) * (INT32_C(1) << 17);
        const int64_t way = (int64_t)share * ((int64_t)n - s->fine$n[u]);
        s->fine$n[u] += (int32_t)((way + (INT64_C(1) << 30)) >> 31);
",
};

const COUPLED: Text = Text {
    name: "LSTM with coupled gates",
    equations: "f = sigmoid(W_if x + W_hf h + b_f)      c' = f c + (1 - f) g
g = tanh(W_ig x + W_hg h + b_g)         h' = o tanh(c')
o = sigmoid(W_io x + W_ho h + b_o)",
    float: "
        const float g = tanh_f32(z[1]);
        /* c' = f c + (1 - f) g, h' = o tanh(c') */
        s->c$n[u] = g + sigmoid_f32(z[0]) * (s->c$n[u] - g);
        y[u] = sigmoid_f32(z[2]) * tanh_f32(s->c$n[u]);
",
    integer: "
        const int32_t o = $sigmoid(z[2]);
        /* c' = g + f (c - g) */
        s->c$n[u] = blend(s->c$n[u], $sigmoid(z[0]), $tanh(z[1]));
",
    slow: "
        const int32_t o = $sigmoid(twice(z[2]));
        /* c' = c + (1 - f) (g - c) */
        s->c$n[u] = approach(s->c$n[u], rest_of(slow_sigmoid(z[0])), $tanh(twice(z[1])));
",
};

const PEEPHOLE: Text = Text {
    name: "LSTM with peepholes",
    equations: "i = sigmoid(W_ii x + W_hi h + b_i + p_i c)      c' = f c + i g
f = sigmoid(W_if x + W_hf h + b_f + p_f c)      h' = o tanh(c')
g = tanh(W_ig x + W_hg h + b_g)
o = sigmoid(W_io x + W_ho h + b_o + p_o c')",
    float: "
        const float *p = peepholes$n$half[u];
        const float i = sigmoid_f32(z[0] + p[0] * s->c$n[u]);
        const float f = sigmoid_f32(z[1] + p[1] * s->c$n[u]);
        const float g = tanh_f32(z[2]);
        /* c' = f c + i g, h' = o tanh(c') */
        s->c$n[u] = f * s->c$n[u] + i * g;
        y[u] = sigmoid_f32(z[3] + p[2] * s->c$n[u]) * tanh_f32(s->c$n[u]);
",
    integer: "
        const int32_t *p = peepholes$n$half[u];
        const int32_t i = $sigmoid(saturate16(z[0] + mulhi(p[0], s->c$n[u])));
        const int32_t f = $sigmoid(saturate16(z[1] + mulhi(p[1], s->c$n[u])));
        const int32_t g = $tanh(z[2]);
        /* c' = f c + i g. The high half of a product with a gate is half the product. */
        const int32_t kept = 2 * mulhi(f, s->c$n[u]);
        s->c$n[u] = clamp_cell(kept + (mulhi(i, g) >> $new));
        /* o sees c'. */
        const int32_t o = $sigmoid(saturate16(z[3] + mulhi(p[2], s->c$n[u])));
",
    slow: "
        const int32_t *p = peepholes$n$half[u];
        const int32_t i = slow_sigmoid(saturate16(z[0] + mulhi(p[0], s->c$n[u])));
        const int32_t f = slow_sigmoid(saturate16(z[1] + mulhi(p[1], s->c$n[u])));
        const int32_t g = $tanh(twice(z[2]));
        /* c' = f c + i g */
        s->c$n[u] = accumulate(s->c$n[u], f, i, g, $new_slow);
        /* o sees c'. */
        const int32_t o = $sigmoid(twice(saturate16(z[3] + mulhi(p[2], s->c$n[u]))));
",
};

const FASTGRNN: Text = Text {
    name: "FastGRNN",
    equations: "a = W x + U h
z = sigmoid(a + b_z)      h' = (zeta (1 - z) + nu) n + z h
n = tanh(a + b_n)",
    float: "
        const float gate = sigmoid_f32(z[0]);
        const float n = tanh_f32(z[0] + apart$n$half[u]);
        y[u] = ($zeta * (1.0f - gate) + $nu) * n + gate * s->h$n[u];
",
    integer: "
        const int32_t gate = $sigmoid(z[0]);
        const int32_t n = $tanh(saturate16((int32_t)z[0] + apart$n$half[u]));
        /* zeta is Q31, nu Q30. */
        const int32_t share = mulhi($zeta, INT32_MAX - gate) + $nu;
        const int32_t kept = 2 * mulhi(gate, s->fine$n[u]);
        s->fine$n[u] = clamp_cell(kept + mulhi(share, n));
",
    slow: "
        const int32_t gate = slow_sigmoid(z[0]);
        const int32_t n = $tanh(saturate16(((int32_t)z[0] + apart$n$half[u]) * 2));
        /* Rounded once: zeta is Q31, nu Q30. */
        const int64_t share = (((int64_t)$zeta * rest_of(gate)) >> 31) + 2 * (int64_t)$nu;
        const int64_t sum = share * (n >> 2) + (int64_t)gate * s->fine$n[u];
        s->fine$n[u] = clamp_cell((int32_t)((sum + (INT64_C(1) << 30)) >> 31));
",
};

const MIN_GRU: Text = Text {
    name: "minGRU",
    equations: "z = sigmoid(W_z x + b_z)
n = W_n x + b_n
h' = h + z (n - h)",
    float: "
        y[u] = s->h$n[u] + sigmoid_f32(z[0]) * (z[1] - s->h$n[u]);
",
    integer: "
        /* Held within 2. The high half of a product with a gate is half the product. */
        const int32_t n = clamp(z[1], -8192, 8191) * (INT32_C(1) << 17);
        s->fine$n[u] += 2 * mulhi($sigmoid(z[0]), n - s->fine$n[u]);
",
    slow: "
        const int32_t n = clamp(twice(z[1]), -8192, 8191) * (INT32_C(1) << 17);
        const int64_t way = (int64_t)slow_sigmoid(z[0]) * ((int64_t)n - s->fine$n[u]);
        s->fine$n[u] += (int32_t)((way + (INT64_C(1) << 30)) >> 31);
",
};

const MIN_GRU_TANH: Text = Text {
    name: "tanh minGRU",
    equations: "z = sigmoid(W_z x + b_z)
n = tanh(W_n x + b_n)
h' = h + z (n - h)",
    float: "
        y[u] = s->h$n[u] + sigmoid_f32(z[0]) * (tanh_f32(z[1]) - s->h$n[u]);
",
    integer: "
        /* The high half of a product with a gate is half the product. */
        const int32_t n = $tanh(z[1]) >> 2;
        s->fine$n[u] += 2 * mulhi($sigmoid(z[0]), n - s->fine$n[u]);
",
    slow: "
        s->fine$n[u] = approach(s->fine$n[u], slow_sigmoid(z[0]), $tanh(twice(z[1])));
",
};

/// Of a cell with hard gates that of the one with the usual gates, in which other functions stand.
fn text(cell: Cell) -> &'static Text {
    match cell {
        Cell::RnnTanh => &RNN_TANH,
        Cell::RnnRelu => &RNN_RELU,
        Cell::Lstm | Cell::LstmHard => &LSTM,
        Cell::GruResetAfter | Cell::GruHardResetAfter => &GRU_AFTER,
        Cell::GruReluResetAfter => &GRU_RELU_AFTER,
        Cell::GruResetBefore | Cell::GruHardResetBefore => &GRU_BEFORE,
        Cell::GruReluResetBefore => &GRU_RELU_BEFORE,
        Cell::FastGrnn => &FASTGRNN,
        Cell::LstmCoupled => &COUPLED,
        Cell::LstmRelu => &LSTM_RELU,
        Cell::LstmPeephole => &PEEPHOLE,
        Cell::MinGru | Cell::MinGruHard => &MIN_GRU,
        Cell::MinGruTanh => &MIN_GRU_TANH,
    }
}

const LAYER: &str = "
/* Layer $n$direction: $cell, $inputs inputs, $units units, $format.
 *
$equations
$numbers */
static void layer$n$half($model_state *s, const $x_type *x, $y_type *y)
{
$first
    for (int u = 0; u < $units; u++) {
$gates$update    }
    for (int u = 0; u < $units; u++) {
        s->h$n[u] = $published;
    }
}
";

/// The loop for `r` and `z` of a GRU that resets before the product: the gate, or its pre-activation, is kept, and `r h` as a
/// matrix input.
const RESET_FLOAT: &str = "    for (int u = 0; u < $units; u++) {
$gates
        s->update$n[u] = sigmoid_f32(z[1]);
        s->reset$n[u] = sigmoid_f32(z[0]) * s->h$n[u];
    }
";
const RESET_INTEGER: &str = "    for (int u = 0; u < $units; u++) {
$gates
        s->update$n[u] = z[1];
        y[u] = (int16_t)shift_round(mulhi($sigmoid($r), s->fine$n[u]), 16);
    }
    for (int u = 0; u < $units; u++) {
        s->reset$n[u] = $published;
    }
";

/// Sums of a unit whose gates are all over both.
const GATES: &str = "        $type z[$all];
        for (int gate = 0; gate < $all; gate++) {
            $sum_type sum = $bias[u][gate];
            sum = $add_x(sum, $wx[u][gate], x, $inputs);
            sum = $add_h(sum, $wh[u][gate], s->$h$n, $units);
            z[gate] = $z;
        }
";
/// Where none is over the state.
const GATES_OF_INPUT: &str = "        $type z[$all];
        for (int gate = 0; gate < $all; gate++) {
            $sum_type sum = $bias[u][gate];
            sum = $add_x(sum, $wx[u][gate], x, $inputs);
            z[gate] = $z;
        }
";
/// Where some are over the input alone, which come first, and some over the state alone, which come last.
const GATES_APART: &str = "        $type z[$all];
        for (int gate = 0; gate < $all; gate++) {
            $sum_type sum = $bias[u][gate];
            if (gate < $of_x) {
                sum = $add_x(sum, $wx[u][gate], x, $inputs);
            }
            if (gate >= $first_h) {
                sum = $add_h(sum, $wh[u][gate - $first_h], s->$h$n, $units);
            }
            z[gate] = $z;
        }
";

/// Which layer, and what is behind its number in the names of a direction's function and arrays. Both directions have one
/// state, as each begins anew.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) number: usize,
    pub(super) half: &'static str,
}

/// A layer's function, arrays and part of the state.
pub(super) fn recurrent(code: &mut Code<'_>, layer: &Recurrent, place: Place, x: Element) {
    let Place { number, half } = place;
    let Recurrent {
        format,
        cell,
        inputs,
        hidden,

        cell_shift,
        slow,
        ..
    } = *layer;
    let integer = format.is_integer();
    let text = text(cell);
    let h = code.matrix_input(format);
    let before = cell.resets() == Some(Reset::Before);

    let update = match (integer, slow) {
        (false, _) => text.float.to_owned(),
        (true, slow) => {
            let update = if slow { text.slow } else { text.integer };
            let output = if cell == Cell::LstmRelu {
                ""
            } else if cell.has_cell() {
                OUTPUT_OF_CELL
            } else {
                OUTPUT_OF_STATE
            };
            format!("{update}{output}")
        }
    };
    let published = match (integer, format.is_a8()) {
        (true, true) => "narrow(y[u])",
        _ => "y[u]",
    };
    let numbers = match (integer, cell.has_cell()) {
        (false, _) => String::new(),
        (true, has_cell) => {
            let z = if slow { 11 } else { 12 };
            let kept = if !has_cell {
                "the state 2^-29".to_owned()
            } else if cell == Cell::LstmCoupled {
                "c 2^-29".to_owned()
            } else {
                format!("c 2^-{}", 27 - i32::from(cell_shift))
            };
            let h = if format.is_a8() { 7 } else { 12 };
            format!(
                " *\n * Pre-activations z are multiples of 2^-{z}, gates of 2^-31, {kept}, y 2^-12, h as an input 2^-{h}.\n"
            )
        }
    };
    let (mut name, mut equations) = (text.name.to_owned(), text.equations.to_owned());
    if cell.hard_gates() {
        name.push_str(", hard gates");
        equations = equations.replace("sigmoid(", "hard(");
        equations.push_str("\nhard(z) = z / 4 + 1 / 2, held within 0 and 1");
    }
    let equations: Vec<String> = equations
        .lines()
        .map(|line| format!(" *     {line}"))
        .collect();
    // A coupled cell stays in ±1 and is Q29.
    let to_z = if cell == Cell::LstmCoupled {
        17
    } else {
        15 - i32::from(cell_shift)
    };
    let [zeta, nu] = layer
        .mix
        .as_ref()
        .map_or_else(Default::default, super::arrays::literals);

    let mut first = String::new();
    let rows = &layer.stages[0];
    let own = (if before { "_gates" } else { "" }, "h");
    let mut gates = stage(code, layer, (rows, place), (x, h), own);
    if before {
        let reset = if integer { RESET_INTEGER } else { RESET_FLOAT };
        let r = if slow { "twice(z[0])" } else { "z[0]" };
        first = reset
            .replace("$gates", &gates)
            .replace("$r)", &format!("{r})"));
        let own = ("_candidate", "reset");
        gates = stage(code, layer, (&layer.stages[1], place), (x, h), own);
    }
    let mut body = LAYER
        .replace("$first\n", &first)
        .replace("$gates", &gates)
        .replace("$update", &update);
    if cell.hard_gates() {
        body = body
            .replace("sigmoid_f32(", "hard_f32(")
            .replace("$sigmoid(", "hard_gate(");
    }
    let bits = if format.is_a8() { 256 } else { 512 };
    code.functions.push(fill(
        &body,
        &[
            ("n", number.to_string()),
            ("half", half.to_owned()),
            ("direction", half.replace('_', ", ")),
            ("cell", name),
            ("inputs", inputs.to_string()),
            ("units", hidden.to_string()),
            ("format", format.name().to_owned()),
            ("equations", equations.join("\n")),
            ("numbers", numbers),
            ("model", code.name.to_owned()),
            ("x_type", x.c().to_owned()),
            (
                "y_type",
                if integer { Element::I16 } else { Element::F32 }
                    .c()
                    .to_owned(),
            ),
            ("published", published.to_owned()),
            ("tanh", format!("tanh_{bits}")),
            ("sigmoid", format!("sigmoid_{bits}")),
            ("to_z", to_z.to_string()),
            ("new", (3 + cell_shift).to_string()),
            ("narrower", cell_shift.to_string()),
            ("to_y", 14u8.saturating_sub(cell_shift).to_string()),
            ("new_slow", (4 + cell_shift).to_string()),
            ("zeta", zeta),
            ("nu", nu),
        ],
    ));
    if let Some(extra) = &layer.extra {
        let (name, comment) = match cell {
            Cell::LstmPeephole => ("peepholes", "weights of i, f, o that see the cell"),
            _ => ("apart", "b_n - b_z"),
        };
        let shape: &[usize] = if cell == Cell::LstmPeephole {
            &[hidden, 3]
        } else {
            &[hidden]
        };
        code.arrays.push(Array::new(
            &format!("{name}{number}{half}"),
            shape,
            extra,
            comment,
        ));
    }
    let exact = if integer { Element::I32 } else { Element::F32 };
    if cell.has_cell() {
        code.keep(
            exact,
            &format!("c{number}"),
            hidden,
            &format!("layer {number}: cells"),
        );
    } else if integer {
        let comment = format!("layer {number}: states, exactly (2^-29)");
        code.keep(exact, &format!("fine{number}"), hidden, &comment);
    }
    code.keep(
        h,
        &format!("h{number}"),
        hidden,
        &format!("layer {number}: states, as an input"),
    );
    if before {
        let y = if integer { Element::I16 } else { Element::F32 };
        code.lend(y, &format!("update{number}"), hidden);
        code.lend(h, &format!("reset{number}"), hidden);
    }
}

/// The sums of a unit, and the arrays with their rows.
fn stage(
    code: &mut Code<'_>,
    layer: &Recurrent,
    (rows, Place { number, half }): (&Rows, Place),
    (x, h): (Element, Element),
    (suffix, state): (&str, &str),
) -> String {
    let Recurrent {
        format,
        inputs,
        hidden,
        shift,
        ..
    } = *layer;
    let [of_x, of_h, all] = rows.counts();
    let array = |name: &str| format!("{name}{number}{half}{suffix}");
    let names = [array("w_x"), array("w_h"), array("bias"), array("m")];
    let [wx, wh, bias, m] = &names;
    let mut add = |name: &str, shape: &[usize], numbers, comment| {
        code.arrays.push(Array::new(name, shape, numbers, comment));
    };
    add(
        wx,
        &[hidden, of_x, inputs],
        &rows.x,
        "weights of the input, [unit][gate]",
    );
    if of_h > 0 {
        add(
            wh,
            &[hidden, of_h, hidden],
            &rows.h,
            "weights of the state, [unit][gate]",
        );
    }
    add(bias, &[hidden, all], &rows.bias, "what a sum starts with");
    let integer = format.is_integer();
    if integer {
        let scale = super::super::portable::Numbers::I32(rows.m.clone());
        add(
            m,
            &[hidden, all],
            &scale,
            "2^32 times what a 1 of a sum is in z",
        );
    }
    let z = if integer {
        format!("requant(sum, {shift}, {m}[u][gate])")
    } else {
        "sum".to_owned()
    };
    let bias = if integer {
        format!("(uint32_t){bias}")
    } else {
        bias.clone()
    };
    let sums = match (of_x == all, of_h) {
        (true, 0) => GATES_OF_INPUT,
        (true, of_h) if of_h == all => GATES,
        _ => GATES_APART,
    };
    fill(
        sums,
        &[
            ("type", if integer { "int16_t" } else { "float" }.to_owned()),
            (
                "sum_type",
                if integer { "uint32_t" } else { "float" }.to_owned(),
            ),
            ("all", all.to_string()),
            ("of_x", of_x.to_string()),
            ("first_h", (all - of_h).to_string()),
            ("bias", bias),
            ("wx", wx.clone()),
            ("wh", wh.clone()),
            ("add_x", product(format, x).to_owned()),
            ("add_h", product(format, h).to_owned()),
            ("inputs", inputs.to_string()),
            ("units", hidden.to_string()),
            ("h", state.to_owned()),
            ("n", number.to_string()),
            ("z", z),
        ],
    )
}

/// Whether a layer's outputs before it are narrowed to be its inputs.
pub(super) fn narrows(format: Format, first: bool) -> bool {
    format.is_a8() && !first
}

//! Convolutions: what is seen at a position is gathered, and a dense layer's function sums it up.

use super::super::portable::Conv;
use super::{Code, Element, dense, fill};
use kinglet::format::{Activation, ConvShape};

/// A convolution's functions and its past; gives the number of its outputs.
pub(super) fn convolution(code: &mut Code<'_>, c: &Conv, number: usize, last: bool) -> usize {
    let Conv { shape, dense: d } = c;
    let integer = d.format.is_integer();
    let element = if integer { Element::I16 } else { Element::F32 };
    let magnitude = d.activation == Activation::Magnitude;
    let outputs = d.activation.outputs(d.outputs);
    let named = (&*format!("filters{number}"), "the sums at a position");
    dense(code, d, named, number, last);
    code.lend(element, "seen", shape.taps());
    let sum = if magnitude {
        code.lend(element, "sums", d.outputs);
        let root = if integer {
            "magnitude_q(s->sums[i], s->sums[i + $outputs])"
        } else {
            "root_f32(s->sums[i] * s->sums[i] + s->sums[i + $outputs] * s->sums[i + $outputs])"
        };
        format!(
            "filters$n(s->seen, s->sums);
        for (int i = 0; i < $outputs; i++) {{
            y[p * $outputs + i] = {root};
        }}"
        )
    } else {
        "filters$n(s->seen, y + p * $outputs);".to_owned()
    };
    let kept = shape.remembered();
    if kept > 0 {
        // The engine's words hold two integers.
        let multiple = if integer { 2 } else { 1 };
        let comment = format!("layer {number}, the samples before, the oldest first");
        code.keep_in(multiple, element, &format!("past{number}"), kept, &comment);
    }
    let before = match shape.before {
        0 => String::new(),
        before => format!(" - {before}"),
    };
    let of = if magnitude {
        "\n * y_i is the magnitude of z_i and the sum $outputs behind it."
    } else {
        ""
    };
    let template = format!(
        "
/* Layer $n: convolution, $kernel of $rows rows of $channels at each of $positions positions.{of} */
static void layer$n($model_state *s, const $type *x, $type *y)
{{
    for (int p = 0; p < $positions; p++) {{
        for (int j = 0; j < $kernel; j++) {{
            const int row = p * $stride + j * $dilation{before};
            for (int c = 0; c < $channels; c++) {{
                s->seen[j * $channels + c] = {};
            }}
        }}
        {sum}
    }}
{}}}
",
        seen(shape, integer),
        remember(shape),
    );
    code.functions.push(fill(
        &template,
        &[
            ("n", number.to_string()),
            ("positions", shape.positions().to_string()),
            ("kernel", shape.kernel.to_string()),
            ("rows", shape.rows.to_string()),
            ("channels", shape.channels.to_string()),
            ("stride", shape.stride.to_string()),
            ("dilation", shape.dilation.to_string()),
            ("outputs", outputs.to_string()),
            ("type", element.c().to_owned()),
            ("model", code.name.to_owned()),
        ],
    ));
    shape.positions() * outputs
}

/// Number `c` of a row that is counted from the first of the sample.
fn seen(shape: &ConvShape, integer: bool) -> String {
    let rows = shape.rows;
    let zero = if integer { "0" } else { "0.0f" };
    let mut value = "x[row * $channels + c]".to_owned();
    if shape.after > 0 {
        let behind = if shape.mirror {
            format!("x[({} - row) * $channels + c]", 2 * usize::from(rows) - 2)
        } else {
            zero.to_owned()
        };
        value = format!("row < {rows} ? {value} : {behind}");
    }
    if shape.before > 0 {
        let in_front = match (shape.past, shape.mirror) {
            (true, _) => format!("s->past$n[(row + {}) * $channels + c]", shape.before),
            (false, true) => "x[-row * $channels + c]".to_owned(),
            (false, false) => zero.to_owned(),
        };
        value = format!("row < 0 ? {in_front} : {value}");
    }
    if integer && value.contains('?') {
        format!("(int16_t)({value})")
    } else {
        value
    }
}

/// The sample becomes the newest of the past.
fn remember(shape: &ConvShape) -> String {
    let (len, inputs) = (shape.remembered(), shape.inputs());
    if len == 0 {
        return String::new();
    }
    let mut text = String::new();
    let kept = len.saturating_sub(inputs);
    if kept > 0 {
        text += &format!(
            "    for (int k = 0; k < {kept}; k++) {{\n        s->past$n[k] = s->past$n[k + {inputs}];\n    }}\n"
        );
    }
    let (newest, skipped) = (len - kept, inputs - (len - kept));
    let to = if kept > 0 {
        format!("k + {kept}")
    } else {
        "k".to_owned()
    };
    let from = if skipped > 0 {
        format!("k + {skipped}")
    } else {
        "k".to_owned()
    };
    text += &format!(
        "    for (int k = 0; k < {newest}; k++) {{\n        s->past$n[{to}] = x[{from}];\n    }}\n"
    );
    text
}

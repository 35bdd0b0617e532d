//! Convolutions: what is seen at a position is gathered, and a dense layer's function sums it up.

use super::super::portable::Conv;
use super::{Code, Element, dense, fill};
use kinglet::format::{Activation, ConvShape, PoolKind};

/// A convolution's functions and its past; gives the number of its outputs. Where its answers are pooled, the function says whether
/// there is one.
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
    if let Some(pool) = shape.pool {
        let kept = pool.remembered(outputs);
        if kept > 0 {
            let multiple = if integer { 2 } else { 1 };
            let comment = format!("layer {number}, its answers, the oldest first");
            code.keep_in(
                multiple,
                element,
                &format!("answers{number}"),
                kept,
                &comment,
            );
        }
        let comment = format!("layer {number}, samples so far, as far as they count");
        code.keep_in(1, Element::I32, &format!("count{number}"), 1, &comment);
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
/* Layer $n: convolution, $kernel of $rows rows of $channels at each of $positions positions.{of}{} */
static $result layer$n($model_state *s, const $type *x, $type *y)
{{
{}    for (int p = 0; p < $times; p++) {{
        for (int j = 0; j < $kernel; j++) {{
            const int row = p * $stride + j * $dilation{before};
            for (int c = 0; c < $channels; c++) {{
                s->seen[j * $channels + c] = {};
            }}
        }}
        {sum}
    }}
{}{}}}
",
        pool_in_words(shape),
        due(shape),
        seen(shape, integer),
        remember(shape),
        pool(shape, outputs, integer),
    );
    // An answer that nobody asks for is not computed.
    let times = match shape.pool {
        Some(pool) if pool.kernel == 1 => "due".to_owned(),
        _ => shape.positions().to_string(),
    };
    code.functions.push(fill(
        &template,
        &[
            ("n", number.to_string()),
            ("positions", shape.positions().to_string()),
            ("times", times),
            (
                "result",
                if shape.pool.is_some() { "int" } else { "void" }.to_owned(),
            ),
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

/// Which answers there are, for a comment.
fn pool_in_words(shape: &ConvShape) -> String {
    let Some(pool) = shape.pool else {
        return String::new();
    };
    let of = match pool.kernel {
        1 => String::new(),
        n => format!(", the {} of {n}", pool.kind.name()),
    };
    format!(
        "\n * There is an answer{of}, after {} samples, then at every {}: 1 if there is one now.",
        u32::from(pool.first) + 1,
        pool.every
    )
}

/// Whether there is an answer now.
fn due(shape: &ConvShape) -> String {
    let Some(pool) = shape.pool else {
        return String::new();
    };
    let first = u32::from(pool.first);
    format!(
        "    const int32_t count = s->count$n[0];
    const int due = count == {first} || count >= {};
    s->count$n[0] = due ? {} : count + 1;
",
        first + u32::from(pool.every),
        first + 1,
    )
}

/// What becomes of several answers.
fn pool(shape: &ConvShape, outputs: usize, integer: bool) -> String {
    let Some(pool) = shape.pool else {
        return String::new();
    };
    let all = pool.remembered(outputs);
    if all == 0 {
        return "    return due;\n".to_owned();
    }
    let kernel = pool.kernel;
    let (begin, each, end) = match (pool.kind, integer) {
        (PoolKind::Max, _) => (
            "$type most = y[i];",
            "most = a > most ? a : most;",
            "most".to_owned(),
        ),
        (PoolKind::Mean, true) => (
            "uint32_t sum = 0; /* of numbers counted from the lowest */",
            "sum += (uint32_t)(a + 32768);",
            format!(
                "(int16_t)((int32_t)((sum + {}) / {kernel}) - 32768)",
                kernel / 2
            ),
        ),
        (PoolKind::Mean, false) => (
            "float sum = 0.0f;",
            "sum = sum + a;",
            format!("sum / {kernel}.0f"),
        ),
    };
    let kept = all - outputs;
    format!(
        "    for (int k = 0; k < {kept}; k++) {{
        s->answers$n[k] = s->answers$n[k + $outputs];
    }}
    for (int i = 0; i < $outputs; i++) {{
        s->answers$n[{kept} + i] = y[i];
    }}
    for (int i = 0; due && i < $outputs; i++) {{
        {begin}
        for (int j = 0; j < {kernel}; j++) {{
            const $type a = s->answers$n[j * $outputs + i];
            {each}
        }}
        y[i] = {end};
    }}
    return due;
"
    )
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

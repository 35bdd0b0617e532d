//! Bidirectional models in C: a function for each direction of a layer, one that takes both over a window, and whole windows
//! in place of steps. What it computes is defined by the engine's `model/bidirectional.rs`.
//!
//! Rows between layers are kept as the next one reads them, narrowed where it takes 8 bits, and so in half the engine's room.

use super::super::portable::{PortableLayer, Recurrent};
use super::cells::{Place, narrows, recurrent};
use super::{Code, Element, fill};
use kinglet::Model;
use kinglet::format::Input;
use std::fmt::Write;

/// What a layer reads, and where.
pub(super) struct Rows {
    /// The expression for all of it in `run`.
    pub(super) from: String,
    /// Of a number; none are tokens.
    pub(super) element: Option<Element>,
    /// The expression for what is read at sample `t` of `x`.
    pub(super) at: String,
}

/// What a bidirectional layer's outputs are read by.
pub(super) enum Reader<'p> {
    /// Another such layer: a row for each sample.
    Window(&'p Recurrent),
    /// Dense layers or the caller: one row, either direction's last state.
    Last,
}

impl<'p> Reader<'p> {
    /// Of the layer in front of this one.
    pub(super) fn of(next: Option<&'p PortableLayer>) -> Self {
        match next {
            Some(PortableLayer::Bidirectional([next, _])) => Reader::Window(next),
            _ => Reader::Last,
        }
    }
}

/// Both directions of layer `number` and the loops over a window, for inputs of `x`; gives the type of its outputs.
pub(super) fn layer(
    code: &mut Code<'_>,
    halves: &[Recurrent; 2],
    number: usize,
    (rows, x, reader): (&Rows, Element, &Reader<'_>),
) -> Element {
    let [first, _] = halves;
    for (layer, half) in halves.iter().zip(["_forward", "_backward"]) {
        recurrent(code, layer, Place { number, half }, x);
    }
    let integer = first.format.is_integer();
    let exact = if integer { Element::I16 } else { Element::F32 };
    let narrow = matches!(reader, Reader::Window(next) if narrows(next.format, false));
    let y = if narrow { Element::I8 } else { exact };
    let (row, what) = match reader {
        Reader::Window(_) => (
            " + t * $both",
            "At each sample y has the first one's\n * state, then the second one's.",
        ),
        Reader::Last => (
            "",
            "y has what they leave: the first one's state\n * after the last sample, then the second one's after the first sample.",
        ),
    };
    let direction = |half: &str, place: &str| {
        if narrow {
            format!(
                "layer$n_{half}(s, $row, s->wide);
        for (int u = 0; u < $units; u++) {{
            y[t * $both{place} + u] = narrow(s->wide[u]);
        }}"
            )
        } else {
            format!("layer$n_{half}(s, $row, y{row}{place});")
        }
    };
    if narrow {
        code.lend(Element::I16, "wide", first.hidden);
    }
    let states = ["c", "fine", "h"].map(|state| format!("{state}{number}"));
    let states = states.iter().filter(|state| {
        let mut members = code.members.iter();
        members.any(|member| member.name == **state)
    });
    let cleared: String = states
        .map(|state| format!("        s->{state}[u] = 0;\n"))
        .collect();
    let template = format!(
        "
/* Either direction of layer $n begins at zero. */
static void clear$n($model_state *s)
{{
    for (int u = 0; u < $units; u++) {{
{cleared}    }}
}}

/* Layer $n over a window: one direction from its first sample on, one from its last. {what} */
static void layer$n($model_state *s, const $x_type *x, $y_type *y)
{{
    clear$n(s);
    for (int t = 0; t < $MODEL_WINDOW; t++) {{
        {}
    }}
    clear$n(s);
    for (int t = $MODEL_WINDOW - 1; t >= 0; t--) {{
        {}
    }}
}}
",
        direction("forward", ""),
        direction("backward", " + $units"),
    );
    // The row's own keys are filled with the template's.
    let template = template.replace("$row", &rows.at);
    code.functions.push(fill(
        &template,
        &[
            ("n", number.to_string()),
            ("units", first.hidden.to_string()),
            ("both", (2 * first.hidden).to_string()),
            ("inputs", first.inputs.to_string()),
            ("model", code.name.to_owned()),
            ("MODEL", code.name.to_uppercase()),
            (
                "x_type",
                rows.element.map_or("uint32_t", Element::c).to_owned(),
            ),
            ("y_type", y.c().to_owned()),
        ],
    ));
    y
}

/// The doors for whole windows without normalisation.
pub(super) fn doors(text: &mut String, (tokens, embeds): (bool, bool), model: &Model<'_>) {
    let integer = model.is_integer();
    if !tokens {
        if integer {
            text.push_str(
                "
void $model_step_window_q($model_state *s, const int16_t in[$MODEL_WINDOW * $MODEL_INPUTS], int16_t out[$MODEL_OUTPUTS])
{
    run(s, in, out);
}
",
            );
        }
        return;
    }
    let run = if embeds { "run" } else { "run_tokens" };
    if !embeds {
        let (y, one) = super::one_hot(model);
        let _ = write!(
            text,
            "
/* 1 for each token of the window, 0 for all others. */
static void run_tokens($model_state *s, const uint32_t *tokens, {y} *y)
{{
    for (uint32_t t = 0; t < $MODEL_WINDOW; t++) {{
        for (uint32_t i = 0; i < $MODEL_TOKENS; i++) {{
            s->x[t * $MODEL_TOKENS + i] = 0;
        }}
        if (tokens[t] < $MODEL_TOKENS) {{
            s->x[t * $MODEL_TOKENS + tokens[t]] = {one};
        }}
    }}
    run(s, s->x, y);
}}
"
        );
    }
    if integer {
        let _ = write!(
            text,
            "
void $model_step_window_tokens_q($model_state *s, const uint32_t tokens[$MODEL_WINDOW], int16_t out[$MODEL_OUTPUTS])
{{
    {run}(s, tokens, out);
}}
"
        );
    }
    let body = if integer {
        format!("{run}(s, tokens, s->y);\n    to_units(s, out);")
    } else {
        format!("{run}(s, tokens, out);")
    };
    let _ = write!(
        text,
        "
void $model_step_window_tokens($model_state *s, const uint32_t tokens[$MODEL_WINDOW], float out[$MODEL_OUTPUTS])
{{
    {body}
}}
"
    );
}

/// A sample of a window that arrives, and a whole window of raw samples; `units` brings the outputs into their units, and
/// `take` normalises a sample that may have gaps.
pub(super) fn samples(model: &Model<'_>, units: &str, take: &str) -> String {
    let y = if model.is_integer() { "s->y" } else { "out" };
    format!(
        "
/* A sample of a window without gaps; with the last one it is run, and there is an output. */
static void step_held($model_state *s, const float *in, float *out)
{{
    normalise(s, in);
    s->taken[0]++;
    if (s->taken[0] < $MODEL_WINDOW) {{
        return;
    }}
    s->taken[0] = 0;
    run(s, s->x, {y});
{units}}}

/* A sample of a window. */
static void step($model_state *s, const float *in, float *out)
{{
{take}}}

void $model_step_window($model_state *s, const float in[$MODEL_WINDOW * $MODEL_INPUTS], float out[$MODEL_OUTPUTS])
{{
    $model_reset(s);
    for (int t = 0; t < $MODEL_WINDOW; t++) {{
        step(s, in + t * $MODEL_INPUTS, out);
    }}
}}
"
    )
}

/// The declarations of whole windows; `gaps` is what is said of missing values.
pub(super) fn declarations(model: &Model<'_>, gaps: &str) -> String {
    let integer = model.is_integer();
    let mut text = String::new();
    match model.header().input {
        Input::Features { .. } => {
            let _ = write!(
                text,
                "
/* A window of raw samples in, one after the other, the prediction in its unit out. Nothing is known of what was before the
 * window. A missing value is NaN{gaps}. */
void $model_step_window($model_state *s, const float in[$MODEL_WINDOW * $MODEL_INPUTS], float out[$MODEL_OUTPUTS]);
"
            );
            if integer {
                text.push_str(
                    "
/* The same without normalisation and without float instructions: normalised numbers in, times 2^$MODEL_INPUT_FRAC, and the
 * network's output out, times 2^$MODEL_OUTPUT_FRAC. */
void $model_step_window_q($model_state *s, const int16_t in[$MODEL_WINDOW * $MODEL_INPUTS], int16_t out[$MODEL_OUTPUTS]);
",
                );
            }
        }
        Input::Tokens { .. } => {
            text.push_str(
                "
/* The numbers of a window's tokens in, scores out. What is no token enters as zeros. */
void $model_step_window_tokens($model_state *s, const uint32_t tokens[$MODEL_WINDOW], float out[$MODEL_OUTPUTS]);
",
            );
            if integer {
                text.push_str(
                    "
/* The same without float instructions: scores times 2^$MODEL_OUTPUT_FRAC. */
void $model_step_window_tokens_q($model_state *s, const uint32_t tokens[$MODEL_WINDOW], int16_t out[$MODEL_OUTPUTS]);
",
                );
            }
        }
    }
    text
}

//! An output for every window of samples, in C. What it computes is defined by the engine's `window.rs`.
//!
//! The generated network keeps a ring of samples, as the engine does. The engine's library takes windows as a whole: for it samples lie in
//! their order, gaps filled before they are kept, as what stands in for them may be older than the window.

use kinglet::Model;
use kinglet::format::{Input, Shape};
use std::cmp::Ordering;
use std::fmt::Write;

use super::arrays::Array;
use super::{fill, normalise};

/// The functions and their declarations; empty for a model that answers after every step.
#[derive(Default)]
pub(super) struct Window {
    pub(super) header: String,
    pub(super) arrays: Vec<Array>,
    pub(super) source: String,
    /// Of RAM beside the network's state.
    pub(super) bytes: usize,
}

/// `NAME_WINDOW` and `NAME_HOP`, and what they mean.
pub(in crate::export) fn sizes(name: &str, model: &Model<'_>) -> String {
    let Shape::Window { window, hop, exact } = model.header().shape else {
        return String::new();
    };
    let upper = name.to_uppercase();
    if let Input::Tokens { .. } = model.header().input {
        let what = match model.is_bidirectional() {
            true => "Tokens of a text, which is read at once, from both ends.",
            false => {
                "Most tokens of a text. A text begins with a reset, and the output counts after its last token."
            }
        };
        return format!("\n/* {what} */\n#define {upper}_WINDOW {window}\n");
    }
    let every = match hop {
        1 => "with every one".to_owned(),
        _ => format!("every {hop}"),
    };
    let when = match window {
        1 if hop == 1 => "with every sample".to_owned(),
        1 => format!("with the first sample, then {every}"),
        _ => format!("after {window} samples, then {every}"),
    };
    let begins = match exact {
        true => "Every window starts at zero, as in training.",
        false => "The state runs on.",
    };
    format!(
        "
/* This model answers once a window: {when}. {begins} */
#define {upper}_WINDOW {window}
#define {upper}_HOP {hop}
"
    )
}

pub(super) fn function(name: &str, model: &Model<'_>) -> Window {
    let Shape::Window { window, hop, exact } = model.header().shape else {
        return Window::default();
    };
    let upper = name.to_uppercase();
    let sizes = sizes(name, model);
    if let Input::Tokens { .. } = model.header().input {
        // Of a text that is read at once, its tokens.
        let tokens = if model.is_bidirectional() { window } else { 0 };
        return Window {
            header: sizes,
            bytes: 4 * tokens as usize,
            ..Window::default()
        };
    }
    let overlaps = exact && hop < window;
    let holds = model.holds();
    let kept = if overlaps {
        format!(
            "    float kept[{upper}_WINDOW][{upper}_INPUTS]; /* the last samples: {} bytes */\n    uint32_t oldest;\n",
            window as usize * model.inputs() * 4
        )
    } else {
        String::new()
    };
    let until = if exact {
        ""
    } else {
        "    uint32_t until; /* with so many there is an output, less a window */\n"
    };
    let header = format!(
        "{sizes}
/* A stream of samples in windows. All zero at first. */
typedef struct {{
    {name}_state net;
{kept}{until}    uint32_t seen; /* samples since the window began */
}} {name}_windows;

/* A new stream. */
void {name}_windows_reset({name}_windows *w);

/* A raw sample in; 1 if a window ended with it, and then the prediction out. */
int {name}_push({name}_windows *w, const float in[{upper}_INPUTS], float out[{upper}_OUTPUTS]);
"
    );
    // What stands in for gaps outlasts a window.
    let restart = if !exact {
        String::new()
    } else if holds {
        format!(
            "
/* A new window of the same stream: what stands in for gaps stays. */
static void restart({name}_state *s)
{{
    float held[{upper}_INPUTS];
    const int8_t known = s->known[0];
    for (int i = 0; i < {upper}_INPUTS; i++) {{
        held[i] = s->held[i];
    }}
    {name}_reset(s);
    for (int i = 0; i < {upper}_INPUTS; i++) {{
        s->held[i] = held[i];
    }}
    s->known[0] = known;
}}
"
        )
    } else {
        format!(
            "
/* A new window of the same stream. */
static void restart({name}_state *s)
{{
    {name}_reset(s);
}}
"
        )
    };
    let body = if overlaps {
        let (hold, held) = if holds {
            ("    hold(&w->net, in);\n", "w->net.held[i]")
        } else {
            ("", "in[i]")
        };
        format!(
            "{hold}    for (int i = 0; i < {upper}_INPUTS; i++) {{
        w->kept[w->oldest][i] = {held};
    }}
    w->oldest = (w->oldest + 1) % {upper}_WINDOW;
    w->seen++;
    if (w->seen < {upper}_WINDOW) {{
        return 0;
    }}
    w->seen = {upper}_WINDOW - {upper}_HOP;
    restart(&w->net);
    for (uint32_t t = 0; t < {upper}_WINDOW; t++) {{
        step_held(&w->net, w->kept[(w->oldest + t) % {upper}_WINDOW], out);
    }}
    return 1;
"
        )
    } else if exact {
        let gap = if window < hop && holds {
            " else {\n        hold(&w->net, in);\n    }"
        } else {
            ""
        };
        let most = window.max(hop);
        let step = if model.is_bidirectional() {
            "step".to_owned()
        } else {
            format!("{name}_step")
        };
        format!(
            "    const uint32_t seen = ++w->seen;
    if (seen == 1) {{
        restart(&w->net);
    }}
    if (seen <= {upper}_WINDOW) {{
        {step}(&w->net, in, out);
    }}{gap}
    if (seen == {most}) {{
        w->seen = 0;
    }}
    return seen == {upper}_WINDOW;
"
        )
    } else {
        let step = format!("{name}_step(&w->net, in, out);");
        running(&upper, &step, answers(model, "w->net.answered[0]"))
    };
    let reset = reset(name);
    let source = format!(
        "{restart}{reset}
int {name}_push({name}_windows *w, const float in[{upper}_INPUTS], float out[{upper}_OUTPUTS])
{{
{body}}}
"
    );
    let kept = if overlaps {
        window as usize * model.inputs() * 4 + 4
    } else {
        0
    };
    Window {
        header,
        source,
        bytes: kept + if exact { 4 } else { 8 },
        ..Window::default()
    }
}

fn reset(name: &str) -> String {
    format!(
        "
void {name}_windows_reset({name}_windows *w)
{{
    unsigned char *bytes = (unsigned char *)w;
    for (unsigned i = 0; i < sizeof *w; i++) {{
        bytes[i] = 0;
    }}
}}
"
    )
}

/// What says whether a window's last step has an answer: where every sample would, those that a pool leaves out have none.
fn answers<'c>(model: &Model<'_>, answered: &'c str) -> &'c str {
    match model.header().shape {
        Shape::Window { hop: 1, .. } if model.answers() != [0, 1] => answered,
        _ => "1",
    }
}

/// The body of `NAME_push` where the state runs on, and windows only say which steps have an answer.
fn running(upper: &str, step: &str, answered: &str) -> String {
    format!(
        "    const uint32_t until = {upper}_WINDOW + w->until;
    {step}
    w->seen++;
    if (w->seen < until) {{
        return 0;
    }}
    w->seen = until > {upper}_HOP ? until - {upper}_HOP : 0;
    /* The next output is a hop away. Modulo 2^32. */
    w->until = w->seen + {upper}_HOP - {upper}_WINDOW;
    return {answered};
"
    )
}

/// The same beside the engine's library.
pub(super) fn of_library(name: &str, model: &Model<'_>) -> Window {
    let (Shape::Window { window, hop, exact }, Input::Features { .. }) =
        (model.header().shape, model.header().input)
    else {
        return Window::default();
    };
    let upper = name.to_uppercase();
    let holds = exact && model.holds();
    let (arrays, hold) = match holds {
        true => normalise::hold(&format!("{name}_windows"), &upper, model),
        false => Default::default(),
    };
    let (mut members, mut bytes) = (String::new(), 4);
    if exact {
        let kept = 4 * window as usize * model.inputs();
        let _ = writeln!(
            members,
            "    float kept[$MODEL_WINDOW * $MODEL_INPUTS]; /* the window's samples, oldest first: {kept} bytes */"
        );
        bytes += kept;
    } else {
        members
            .push_str("    uint32_t until; /* with so many there is an output, less a window */\n");
        bytes += 4;
    }
    if holds {
        members.push_str("    float held[$MODEL_INPUTS]; /* the last sample, its gaps filled */\n");
        bytes += 4 * model.inputs() + 4;
    }
    members.push_str("    uint32_t seen; /* samples since the window began */\n");
    if holds {
        members.push_str("    int8_t known[1]; /* there is one that is held */\n");
    }
    let (remember, held) = match holds {
        true => ("    hold(w, in);\n", "w->held[i]"),
        false => ("", "in[i]"),
    };
    let run = "const kgl_status status = kgl_step_window(model, state, state_size, w->kept, $MODEL_WINDOW * $MODEL_INPUTS, out, $MODEL_OUTPUTS);";
    let (gap, behind) = match hop.cmp(&window) {
        Ordering::Less => (
            "",
            "    for (uint32_t i = 0; i < ($MODEL_WINDOW - $MODEL_HOP) * $MODEL_INPUTS; i++) {
        w->kept[i] = w->kept[i + $MODEL_HOP * $MODEL_INPUTS];
    }
    w->seen = $MODEL_WINDOW - $MODEL_HOP;
",
        ),
        Ordering::Equal => ("", "    w->seen = 0;\n"),
        // Samples between windows are only held.
        Ordering::Greater => (
            "    if (at >= $MODEL_WINDOW) {
        w->seen = at + 1 < $MODEL_HOP ? at + 1 : 0;
        return 0;
    }
",
            "",
        ),
    };
    let body = match exact {
        true => format!(
            "{remember}    const uint32_t at = w->seen;
{gap}    for (uint32_t i = 0; i < $MODEL_INPUTS; i++) {{
        w->kept[at * $MODEL_INPUTS + i] = {held};
    }}
    w->seen = at + 1;
    if (w->seen < $MODEL_WINDOW) {{
        return 0;
    }}
    {run}
{behind}    return status == KGL_OK ? 1 : -(int)status;
"
        ),
        false => running(
            &upper,
            "const kgl_status status = kgl_step(model, state, state_size, in, $MODEL_INPUTS, out, $MODEL_OUTPUTS);
    if (status != KGL_OK) {
        return -(int)status;
    }",
            answers(model, "kgl_answered(model, state, state_size) != 0"),
        ),
    };
    let keys = [("model", name.to_owned()), ("MODEL", upper)];
    let push = "int $model_push($model_windows *w, const kgl_model *model, void *state, size_t state_size, const float in[$MODEL_INPUTS],
    float out[$MODEL_OUTPUTS])";
    let header = format!(
        "{}
/* A stream of samples in windows, beside its state of the library. All zero at first. */
typedef struct {{
{members}}} $model_windows;

/* A new stream, with kgl_reset() of its state. */
void $model_windows_reset($model_windows *w);

/* A raw sample in; 1 if a window ended with it, and then the prediction out, 0 if none did. Less than 0 is what
 * the library refuses: a kgl_status, negative. */
{push};
",
        sizes(name, model)
    );
    Window {
        header: fill(&header, &keys),
        arrays,
        source: hold + &fill(&format!("{}\n{push}\n{{\n{body}}}\n", reset(name)), &keys),
        bytes,
    }
}

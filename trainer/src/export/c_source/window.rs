//! An output for every window of samples, in C. What it computes is defined by the engine's `window.rs`.

use kinglet::Model;
use kinglet::format::{Input, Shape};

/// The function and its declaration; empty for a model that answers after every step.
#[derive(Default)]
pub(super) struct Window {
    pub(super) header: String,
    pub(super) source: String,
    /// Of RAM beside the network's state.
    pub(super) bytes: usize,
}

pub(super) fn function(name: &str, model: &Model<'_>) -> Window {
    let Shape::Window { window, hop, exact } = model.header().shape else {
        return Window::default();
    };
    let upper = name.to_uppercase();
    if let Input::Tokens { .. } = model.header().input {
        let what = if model.is_bidirectional() {
            "Tokens of a window."
        } else {
            "Most tokens of a text. The output counts after the last token of a text, from a reset on."
        };
        return Window {
            header: format!("\n/* {what} */\n#define {upper}_WINDOW {window}\n"),
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
        "
/* This model answers once a window: after {window} samples, then every {hop}.{} */
#define {upper}_WINDOW {window}
#define {upper}_HOP {hop}

/* A stream of samples in windows. All zero at first. */
typedef struct {{
    {name}_state net;
{kept}{until}    uint32_t seen; /* samples since the window began */
}} {name}_windows;

/* A new stream. */
void {name}_windows_reset({name}_windows *w);

/* A raw sample in; 1 if a window ended with it, and then the prediction out. */
int {name}_push({name}_windows *w, const float in[{upper}_INPUTS], float out[{upper}_OUTPUTS]);
",
        if exact {
            " Every window starts at zero, as in training."
        } else {
            " The state runs on."
        }
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
        format!(
            "    const uint32_t until = {upper}_WINDOW + w->until;
    {name}_step(&w->net, in, out);
    w->seen++;
    if (w->seen < until) {{
        return 0;
    }}
    w->seen = until > {upper}_HOP ? until - {upper}_HOP : 0;
    /* The next output is a hop away. Modulo 2^32. */
    w->until = w->seen + {upper}_HOP - {upper}_WINDOW;
    return 1;
"
        )
    };
    let source = format!(
        "{restart}
void {name}_windows_reset({name}_windows *w)
{{
    unsigned char *bytes = (unsigned char *)w;
    for (unsigned i = 0; i < sizeof *w; i++) {{
        bytes[i] = 0;
    }}
}}

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
    }
}

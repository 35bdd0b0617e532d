//! Between raw samples and the network's numbers, in C: gaps, transforms, scales and units. What it computes is defined by the
//! engine's `model/normalise.rs`.

use super::super::portable::Numbers;
use super::arrays::{Array, float};
use super::{Code, Element, Member, bidirectional, comment, fill};
use crate::model_file::{input_names, output_names};
use kinglet::format::{FeatureTransform, Input, TargetRestore};
use kinglet::{Model, num};
use std::fmt::Write;

const LOG: u32 = FeatureTransform::Log as u32;
const DIFFERENCE: u32 = FeatureTransform::Difference as u32;
const LOG_RATIO: u32 = FeatureTransform::LogRatio as u32;
const EXP: u32 = TargetRestore::Exp as u32;
const ADD_TO: u32 = TargetRestore::AddTo as u32;
const TIMES_EXP: u32 = TargetRestore::TimesExp as u32;

/// `normalise`, `to_units` and the step on raw samples, as the model needs them; their arrays and members.
pub(super) fn functions(code: &mut Code<'_>, model: &Model<'_>) -> String {
    let mut text = String::new();
    let tokens = matches!(model.header().input, Input::Tokens { .. });
    if tokens {
        // Tokens have no units to come back to; their step is written before, and calls this.
        if model.is_integer() {
            let to_units = fill(
                "
/* The network's output as floats. */
static void to_units($model_state *s, float *out)
{
    for (int i = 0; i < $MODEL_OUTPUTS; i++) {
        out[i] = (float)s->y[i] * $lsb;
    }
}
",
                &[
                    ("model", code.name.to_owned()),
                    ("MODEL", code.name.to_uppercase()),
                    ("lsb", lsb(model)),
                ],
            );
            code.functions.push(to_units);
        }
        return text;
    }
    text.push_str(&samples(code, model));
    text.push_str(&units(code, model));
    text.push_str(&step(code, model));
    text
}

fn lsb(model: &Model<'_>) -> String {
    float(2f32.powi(-i32::from(model.output_frac())))
}

fn holds(model: &Model<'_>) -> bool {
    model.holds()
}

fn looks_back(model: &Model<'_>) -> bool {
    let back = |tag| matches!(tag, DIFFERENCE | LOG_RATIO);
    model.features().iter().any(|feature| back(feature.tag()))
}

/// From raw samples to the network's inputs.
fn samples(code: &mut Code<'_>, model: &Model<'_>) -> String {
    let features = model.features();
    let count = features.len();
    let (name, upper) = (code.name, code.name.to_uppercase());
    let names = input_names(model);
    let mut text = String::new();
    let column =
        |of: fn(&kinglet::format::Feature) -> f32| Numbers::F32(features.iter().map(of).collect());
    let mut add = |name: &str, numbers: &Numbers, comment: &str| {
        code.arrays
            .push(Array::new(name, &[count], numbers, comment));
    };
    add("in_offset", &column(|f| f.offset), "subtracted from inputs");
    add(
        "in_scale",
        &column(|f| f.scale),
        "what they are then multiplied by",
    );
    let mut member = |element: Element, name: &str, len: usize, comment: &str| {
        code.members.push(Member {
            element,
            name: name.to_owned(),
            len,
            comment: comment.to_owned(),
            of_layer: false,
            multiple: 1,
        });
    };
    if holds(model) {
        member(
            Element::F32,
            "held",
            count,
            "the last sample, its gaps filled",
        );
        member(Element::I8, "known", 1, "there is one");
        let (arrays, function) = hold(&format!("{name}_state"), &upper, model);
        code.arrays.extend(arrays);
        text.push_str(&function);
    }
    if looks_back(model) {
        let members = [
            (Element::F32, "previous", count, "the sample before"),
            (Element::I8, "began", 1, "there is one"),
        ];
        for (element, name, len, comment) in members {
            code.members.push(Member {
                element,
                name: name.to_owned(),
                len,
                comment: comment.to_owned(),
                of_layer: false,
                multiple: 1,
            });
        }
    }
    let mut cases = String::new();
    for (i, feature) in features.iter().enumerate() {
        let before = feature.column;
        let value = match feature.tag() {
            LOG => format!("logarithm(in[{i}])"),
            DIFFERENCE => format!("in[{i}] - s->previous[{before}]"),
            LOG_RATIO => format!("logarithm(in[{i}] / s->previous[{before}])"),
            _ => continue,
        };
        let _ = writeln!(
            cases,
            "    case {i}: /* {} */\n        return {value};",
            comment(names[i].0)
        );
    }
    let transformed = if cases.is_empty() {
        "in[i]"
    } else {
        let unused = if looks_back(model) {
            ""
        } else {
            "    (void)s;\n"
        };
        let _ = write!(
            text,
            "
/* Some inputs are seen through a function. */
static float transformed(const {name}_state *s, const float *in, int i)
{{
{unused}    switch (i) {{
{cases}    default:
        return in[i];
    }}
}}
"
        );
        "transformed(s, in, i)"
    };
    let stored = if model.is_integer() {
        let frac = model.input_frac();
        let (low, high) = num::input_limits(frac);
        let one = float(2f32.powi(frac.into()));
        format!("quantize(x, {one}, {low}, {high})")
    } else {
        "x".to_owned()
    };
    let (first, last) = if looks_back(model) {
        (
            format!(
                "    if (!s->began[0]) {{
        s->began[0] = 1;
        for (int i = 0; i < {upper}_INPUTS; i++) {{
            s->previous[i] = in[i];
        }}
    }}
"
            ),
            format!(
                "    for (int i = 0; i < {upper}_INPUTS; i++) {{
        s->previous[i] = in[i];
    }}
"
            ),
        )
    } else {
        Default::default()
    };
    let place = if code.window > 0 {
        code.members.push(Member {
            element: Element::I32,
            name: "taken".to_owned(),
            len: 1,
            comment: "samples of the window so far".to_owned(),
            of_layer: false,
            multiple: 1,
        });
        format!("s->taken[0] * {upper}_INPUTS + i")
    } else {
        "i".to_owned()
    };
    let _ = write!(
        text,
        "
/* A sample without gaps as the network's input: (x - offset) scale. What is no number then is 0. */
static void normalise({name}_state *s, const float *in)
{{
{first}    for (int i = 0; i < {upper}_INPUTS; i++) {{
        const float value = ({transformed} - in_offset[i]) * in_scale[i];
        const float x = is_finite(&value) ? value : 0.0f;
        s->x[{place}] = {stored};
    }}
{last}}}
"
    );
    text
}

/// `hold`, and its tables: what stands in for a gap is in a structure with `held` and `known`.
pub(super) fn hold(structure: &str, upper: &str, model: &Model<'_>) -> (Vec<Array>, String) {
    let features = model.features();
    let flags = |of: &dyn Fn(&kinglet::format::Feature) -> i16| {
        Numbers::I16(features.iter().map(of).collect())
    };
    let held = flags(&|feature| feature.holds().into());
    let masked = flags(
        &|feature| match feature.tag() == FeatureTransform::Missing as u32 {
            true => feature.column as i16,
            false => -1,
        },
    );
    let arrays = vec![
        Array::new(
            "in_holds",
            &[features.len()],
            &held,
            "a gap is the last value",
        ),
        Array::new(
            "in_mask_of",
            &[features.len()],
            &masked,
            "the input whose gaps this one shows, or -1",
        ),
    ];
    let function = format!(
        "
/* Remembers a sample; a gap is the stream's last value, where there was one. */
static void hold({structure} *s, const float *in)
{{
    for (int i = 0; i < {upper}_INPUTS; i++) {{
        if (in_mask_of[i] >= 0 && is_nan(&in[in_mask_of[i]])) {{
            s->held[i] = 1.0f;
        }} else if (!(in_holds[i] && s->known[0] && is_nan(&in[i]))) {{
            s->held[i] = in[i];
        }}
    }}
    s->known[0] = 1;
}}
"
    );
    (arrays, function)
}

/// `gaps_enter`, which tells whether a gap enters as it should, for the self-test: its steps are of normalised numbers.
pub(super) fn gaps(code: &Code<'_>, model: &Model<'_>) -> String {
    let (name, upper) = (code.name, code.name.to_uppercase());
    let hold = |then: &str| match holds(model) {
        true => format!("    hold(s, in);\n{then}"),
        false => String::new(),
    };
    let (first, second) = (
        hold(""),
        hold(&format!(
            "    for (int i = 0; i < {upper}_INPUTS; i++) {{
        right &= !in_holds[i] || bits_at(&s->held[i]) == UINT32_C(0x3f800000);
    }}
"
        )),
    );
    let nothing = match model.is_integer() {
        true => "s->x[i] == 0",
        false => "bits_at(&s->x[i]) == 0",
    };
    format!(
        "
/* Whether a gap is the value before where that is held, and else the middle of its column. */
static int gaps_enter({name}_state *s)
{{
    float in[{upper}_INPUTS];
    int right = 1;
    {name}_reset(s);
    for (int i = 0; i < {upper}_INPUTS; i++) {{
        in[i] = 1.0f;
    }}
{first}    for (int i = 0; i < {upper}_INPUTS; i++) {{
        in[i] = from_bits(UINT32_C(0x7fc00000));
    }}
{second}    normalise(s, in);
    for (int i = 0; i < {upper}_INPUTS; i++) {{
        right &= {nothing};
    }}
    return right;
}}
"
    )
}

/// From the network's outputs to predictions.
fn units(code: &mut Code<'_>, model: &Model<'_>) -> String {
    let targets = model.targets();
    let (name, upper) = (code.name, code.name.to_uppercase());
    let integer = model.is_integer();
    let mut body = String::new();
    let raw = if integer {
        format!("(float)s->y[i] * {}", lsb(model))
    } else {
        "out[i]".to_owned()
    };
    if targets.is_empty() {
        if !integer {
            return String::new();
        }
        let _ = write!(
            body,
            "    for (int i = 0; i < {upper}_OUTPUTS; i++) {{\n        out[i] = {raw};\n    }}\n"
        );
    } else {
        let column = |of: fn(&kinglet::format::Target) -> f32| {
            Numbers::F32(targets.iter().map(of).collect())
        };
        for (array, numbers, comment) in [
            (
                "out_scale",
                column(|t| t.scale),
                "outputs are multiplied by this",
            ),
            ("out_offset", column(|t| t.offset), "and this is added"),
        ] {
            code.arrays
                .push(Array::new(array, &[targets.len()], &numbers, comment));
        }
        let _ = write!(
            body,
            "    for (int i = 0; i < {upper}_OUTPUTS; i++) {{
        const float y = {raw};
        out[i] = y * out_scale[i] + out_offset[i];
    }}
"
        );
    }
    let names = output_names(model);
    for (i, target) in targets.iter().enumerate() {
        let now = target.column;
        let value = match target.restore {
            EXP => format!("exponential(out[{i}])"),
            ADD_TO => format!("in[{now}] + out[{i}]"),
            TIMES_EXP => format!("in[{now}] * exponential(out[{i}])"),
            _ => continue,
        };
        let _ = writeln!(
            body,
            "    out[{i}] = {value}; /* {} */",
            comment(names[i].0)
        );
    }
    let mut unused = String::new();
    if !body.contains("s->") {
        unused.push_str("    (void)s;\n");
    }
    if !body.contains("in[") {
        unused.push_str("    (void)in;\n");
    }
    format!(
        "
/* The network's output in its units, relative to the sample. */
static void to_units(const {name}_state *s, const float *in, float *out)
{{
{unused}{body}}}
"
    )
}

fn step(code: &Code<'_>, model: &Model<'_>) -> String {
    let (name, upper) = (code.name, code.name.to_uppercase());
    let y = if model.is_integer() { "s->y" } else { "out" };
    let units = if model.targets().is_empty() && !model.is_integer() {
        ""
    } else {
        "    to_units(s, in, out);\n"
    };
    let call = if holds(model) {
        "    hold(s, in);\n    step_held(s, s->held, out);\n"
    } else {
        "    step_held(s, in, out);\n"
    };
    if code.window > 0 {
        let keys = [("model", name.to_owned()), ("MODEL", upper)];
        return fill(&bidirectional::samples(model, units, call), &keys);
    }
    let held = format!(
        "
/* A step on a sample without gaps. */
static void step_held({name}_state *s, const float *in, float *out)
{{
    normalise(s, in);
    run(s, s->x, {y});
{units}}}
"
    );
    format!(
        "{held}
void {name}_step({name}_state *s, const float in[{upper}_INPUTS], float out[{upper}_OUTPUTS])
{{
{call}}}
"
    )
}

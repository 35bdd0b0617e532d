//! `--to c-source`: one model as one portable C99 file, which needs no library.
//!
//! The code is a second implementation of the engine, independent of its kernels: plain loops over rows as one reads them,
//! with the arithmetic that [`kinglet::num`] defines, so the bytes of its outputs and states are the engine's. A float model's
//! are those of the engine's scalar kernels: sums in the order of the columns, multiplication and addition apart.
//!
//! Sums are unsigned, since they may wrap. Shifts to the right of negative numbers are arithmetic, which C leaves to
//! the compiler and the file asks of it.

mod around;
mod arrays;
mod bidirectional;
mod cells;
mod conv;
mod join;
mod listen;
mod norm;
mod normalise;
mod primitives;
mod seed;
mod verdict;
mod window;

use super::portable::{Conv, Dense, Embedding, Numbers, Portable, PortableLayer, Recurrent, read};
use super::values::{self, comment};
use anyhow::{Result, bail, ensure};
pub use around::{Around, around};
use arrays::Array;
use bidirectional::{Reader, Rows};
use cells::Place;
use kinglet::Model;
use kinglet::format::{Activation, Format, Header, Input, Shape};
use kinglet::kernel::Kernels;
use std::fmt::Write;
pub use verdict::Meaning;
pub(super) use window::sizes;

use crate::data::Written;
use crate::file::AlignedBytes;

/// The two files of a model, and what a reader wants to know of them.
pub struct CSource {
    /// Of all names in the code: `pump` gives `pump_step`.
    pub name: String,
    /// `NAME.h`
    pub header: String,
    /// `NAME.c`
    pub source: String,
    /// Bytes of weights, biases and multipliers.
    pub weight_bytes: usize,
    /// Bytes of a state.
    pub state_bytes: usize,
    /// What a stream takes of RAM, in words.
    pub ram: String,
    /// A sample is a row that its front end makes of sound.
    pub listens: bool,
    /// What says what an output means.
    pub meaning: Meaning,
    /// What the code leaves to the caller.
    pub notes: Vec<String>,
}

/// Element of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    F32,
    I32,
    I16,
    I8,
}

impl Element {
    fn c(self) -> &'static str {
        match self {
            Element::F32 => "float",
            Element::I32 => "int32_t",
            Element::I16 => "int16_t",
            Element::I8 => "int8_t",
        }
    }

    fn size(self) -> usize {
        match self {
            Element::F32 | Element::I32 => 4,
            Element::I16 => 2,
            Element::I8 => 1,
        }
    }
}

/// A member of the state.
struct Member {
    element: Element,
    name: String,
    len: usize,
    comment: String,
    /// A layer's state, which enters the digest.
    of_layer: bool,
    /// The engine has a multiple of so many, the last ones padding.
    multiple: usize,
}

/// A file in the making.
struct Code<'n> {
    /// Of the model, in lower case.
    name: &'n str,
    arrays: Vec<Array>,
    functions: Vec<String>,
    members: Vec<Member>,
    /// Space that one step uses.
    lent: Vec<Member>,
    /// Calls of the layers, in order.
    calls: Vec<String>,
    /// Samples of a bidirectional model's window; 0 where samples are taken one by one.
    window: usize,
}

impl Code<'_> {
    /// As a matrix input, a state is of this type.
    fn matrix_input(&self, format: Format) -> Element {
        match format {
            Format::F32 | Format::F16 => Element::F32,
            Format::W8A16 => Element::I16,
            Format::W8A8 | Format::W4A8 => Element::I8,
        }
    }

    /// A part of the state that outlasts a step, of units.
    fn keep(&mut self, element: Element, name: &str, len: usize, comment: &str) {
        self.keep_in(kinglet::kernel::LANES, element, name, len, comment);
    }

    /// The same, of which the engine has a multiple of so many.
    fn keep_in(
        &mut self,
        multiple: usize,
        element: Element,
        name: &str,
        len: usize,
        comment: &str,
    ) {
        // Both directions of a layer have one state, which nothing outlasts: the digest is of outputs alone.
        if self.window > 0 && self.members.iter().any(|member| member.name == name) {
            return;
        }
        self.members.push(Member {
            element,
            name: name.to_owned(),
            len,
            comment: comment.to_owned(),
            of_layer: self.window == 0,
            multiple,
        });
    }

    /// Space during a step; of two requests for one name the larger counts.
    fn lend(&mut self, element: Element, name: &str, len: usize) {
        match self.lent.iter_mut().find(|member| member.name == name) {
            Some(member) => member.len = member.len.max(len),
            None => self.lent.push(Member {
                element,
                name: name.to_owned(),
                len,
                comment: match self.window {
                    0 => "during a step".to_owned(),
                    _ => "while a window is run".to_owned(),
                },
                of_layer: false,
                multiple: 1,
            }),
        }
    }
}

/// Replaces `$name` by its value, where `name` is as long as letters, digits and underscores go.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let after = &after[1..];
        // `h$n` in `h$n[u]` and `$model_state` alike: the longest known name.
        let known = values.iter().filter(|(name, _)| after.starts_with(name));
        match known.max_by_key(|(name, _)| name.len()) {
            Some((name, value)) => {
                text.push_str(value);
                rest = &after[name.len()..];
            }
            None => {
                text.push('$');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// The function that sums up a row.
fn product(format: Format, x: Element) -> &'static str {
    match (format, x) {
        (Format::F32, _) => "add_f32",
        (Format::F16, _) => "add_f16",
        (Format::W4A8, Element::I8) => "add_4_8",
        (Format::W4A8, _) => "add_4_16",
        (_, Element::I8) => "add_8_8",
        _ => "add_8_16",
    }
}

/// The C of a model.
///
/// # Errors
/// What generated code does not do, by name.
pub fn c_source(bytes: &[u8], model: &Model<'_>, name: &str) -> Result<CSource> {
    let header = model.header();
    ensure!(
        header.test.steps > 0,
        "there are no test steps in it; export it again"
    );
    let portable = read(bytes, model)?;
    all_finite(&portable)?;
    let mut code = Code {
        name,
        arrays: Vec::new(),
        functions: Vec::new(),
        members: Vec::new(),
        lent: Vec::new(),
        calls: Vec::new(),
        window: match header.shape {
            Shape::Window { window, .. } if model.is_bidirectional() => window as usize,
            _ => 0,
        },
    };
    let integer = model.is_integer();
    let y = if integer { Element::I16 } else { Element::F32 };
    let tokens = matches!(header.input, Input::Tokens { .. });
    layers(&mut code, &portable, integer);
    let weight_bytes = code.arrays.iter().map(|array| array.bytes).sum();
    // A step's input and output as the network has them.
    let embeds = matches!(portable.layers.first(), Some(PortableLayer::Embedding(_)));
    if !embeds {
        code.lend(y, "x", model.inputs() * code.window.max(1));
        if code.window > 0
            && let Some(x) = code.lent.last_mut()
        {
            x.comment = "the window, as the network sees it".to_owned();
        }
    }
    if integer {
        code.lend(y, "y", model.outputs());
    }
    let upper = name.to_uppercase();
    let keys = [("model", name.to_owned()), ("MODEL", upper.clone())];
    let mut public = String::new();
    run(&mut public, &code, (tokens, embeds), model);
    public = fill(&public, &keys);
    let normalise = normalise::functions(&mut code, model);
    public.push_str(&normalise);
    let (seed_header, seed) = seed::functions(&code, model);
    public.push_str(&seed);
    let windows = window::function(name, model);
    public.push_str(&windows.source);
    let written = Written::in_model(bytes).unwrap_or_default();
    let listen = listen::functions(name, model, &written);
    public.push_str(&listen.source);
    let verdict = verdict::function(name, model, &written);
    public.push_str(&verdict.source);
    let self_test = self_test(&mut code, model, &portable.tests)?;

    let state_bytes = state_bytes(&code);
    let mut ram = format!("{state_bytes} bytes of RAM for each stream");
    if windows.bytes > 0 {
        let _ = write!(ram, ", {} with its window", state_bytes + windows.bytes);
    }
    if listen.bytes > 0 {
        let _ = write!(ram, ", and {} for what it hears", listen.bytes);
    }
    let body: String = code
        .functions
        .iter()
        .map(String::as_str)
        .collect::<String>()
        + &public;
    let mut source = fill(TOP, &keys);
    source = source.replace("@", &comment(header.name));
    if !integer || calls_floats(&body) {
        source.push_str(&fill(FLOATS, &keys));
    }
    source.push_str(&primitives::used_by(&body));
    source.push('\n');
    for array in code.arrays.iter().chain(&listen.arrays) {
        source.push_str(&array.text);
        source.push('\n');
    }
    source.push_str(&body);
    let tests_only = primitives::used_only_by(&self_test, &body);
    let _ = write!(
        source,
        "\n#ifndef {upper}_NO_SELF_TEST\n{tests_only}{self_test}#endif\n"
    );
    Ok(CSource {
        name: name.to_owned(),
        header: header_file(
            &code,
            model,
            &written,
            (state_bytes, &ram, weight_bytes),
            &[
                &seed_header,
                &windows.header,
                &listen.header,
                &verdict.header,
            ],
        ),
        source,
        weight_bytes,
        state_bytes,
        ram,
        listens: !listen.source.is_empty(),
        meaning: verdict.meaning,
        notes: listen.notes,
    })
}

fn calls_floats(body: &str) -> bool {
    body.contains("float")
}

const TOP: &str = "/* The network \"@\", by `kinglet export`. C99 or C++, without a library: see $model.h.
 *
 * Numbers without a point are fixed-point. Every product of two numbers of 32 bits is rounded by mulhi(). */
#include \"$model.h\"

/* Shifts to the right keep the sign. */
typedef char $model_needs_arithmetic_shifts[(-1 >> 1) == -1 ? 1 : -1];
";

const FLOATS: &str = "
/* Float numbers are what IEEE 754 says, rounded after every operation. */
#include <float.h>
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error \"compile this file without -ffast-math and its parts: results would be others\"
#endif
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error \"compile this file without -ffinite-math-only: a gap is NaN\"
#endif
/* 16: numbers of 16 bits are widened, and those of 32 are not. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error \"compile this file for float arithmetic of 32 bits (x86: -msse2 -mfpmath=sse): results would be others\"
#endif
/* Clang does not tell of its flags one by one. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#if __clang_major__ >= 18
#pragma clang fp reassociate(off) reciprocal(off)
#elif __clang_major__ >= 13
#pragma clang fp reassociate(off)
#endif
#elif defined(__GNUC__)
#pragma GCC optimize(\"fp-contract=off\")
#endif
";

fn all_finite(portable: &Portable) -> Result<()> {
    for (index, layer) in portable.layers.iter().enumerate() {
        let numbers: Vec<&Numbers> = match layer {
            PortableLayer::Embedding(e) => vec![&e.table],
            PortableLayer::Dense(d) | PortableLayer::Conv(Conv { dense: d, .. }) => {
                vec![&d.w, &d.bias]
            }
            PortableLayer::Norm(n) => vec![&n.gamma, &n.beta],
            PortableLayer::Keep(_) | PortableLayer::Join(_) => Vec::new(),
            PortableLayer::Recurrent(r) => r.numbers().collect(),
            PortableLayer::Bidirectional(halves) => {
                halves.iter().flat_map(Recurrent::numbers).collect()
            }
        };
        for numbers in numbers {
            if let Numbers::F32(floats) = numbers
                && let Some(odd) = floats.iter().find(|x| !x.is_finite())
            {
                bail!(
                    "layer {}: a weight is {odd}, which C has no number for; train the model again",
                    index + 1
                );
            }
        }
    }
    Ok(())
}

/// The layers' functions and their calls: outputs go back and forth between two buffers, the last ones to `y`.
fn layers(code: &mut Code<'_>, portable: &Portable, integer: bool) {
    let y = if integer { Element::I16 } else { Element::F32 };
    let last = portable.layers.len() - 1;
    let (mut from, mut x) = ("x".to_owned(), y);
    let (mut first, mut turn, mut keeps, mut pooled) = (true, 0, 0, false);
    let mut given = None;
    let token = if code.window > 0 { "x[t]" } else { "token" };
    for (index, layer) in portable.layers.iter().enumerate() {
        let number = index + 1;
        let (state, outputs) = match layer {
            PortableLayer::Embedding(embedding) => {
                let widens = widens(embedding, portable.layers.get(number));
                x = code_of(code, embedding, number, widens);
                from = format!("embed{number}({token})");
                if widens {
                    from = format!("embed{number}(s, {token})");
                }
                continue;
            }
            PortableLayer::Recurrent(r) => {
                if cells::narrows(r.format, first) {
                    code.lend(Element::I8, "narrowed", r.inputs);
                    code.calls.push(format!(
                        "for (int k = 0; k < {}; k++) {{\n        s->narrowed[k] = narrow({from}[k]);\n    }}",
                        r.inputs
                    ));
                    (from, x) = ("s->narrowed".to_owned(), Element::I8);
                }
                let place = Place { number, half: "" };
                cells::recurrent(code, r, place, x);
                ("s, ", r.hidden)
            }
            PortableLayer::Bidirectional(halves) => {
                let [one, _] = halves;
                let rows = match first && index > 0 {
                    true => Rows {
                        from: "tokens".to_owned(),
                        element: None,
                        at: from,
                    },
                    false => Rows {
                        from,
                        element: Some(x),
                        at: "x + t * $inputs".to_owned(),
                    },
                };
                let reader = Reader::of(portable.layers.get(number));
                x = bidirectional::layer(code, halves, number, (&rows, x, &reader));
                from = rows.from;
                if let Reader::Window(_) = reader {
                    first = false;
                    turn = 1 - turn;
                    let kind = if x == y { "window" } else { "narrowed" };
                    let buffer = format!("{kind}_{}", if turn == 1 { "a" } else { "b" });
                    code.lend(x, &buffer, code.window * 2 * one.hidden);
                    code.calls
                        .push(format!("layer{number}(s, {from}, s->{buffer});"));
                    from = format!("s->{buffer}");
                    continue;
                }
                ("s, ", 2 * one.hidden)
            }
            PortableLayer::Dense(d) => {
                let named = (&*format!("layer{number}"), "dense");
                dense(code, d, named, number, index == last);
                ("", d.outputs)
            }
            PortableLayer::Conv(c) => ("s, ", conv::convolution(code, c, number, index == last)),
            PortableLayer::Norm(n) => {
                norm::normalisation(code, n, number);
                ("", n.width)
            }
            PortableLayer::Keep(width) => {
                join::keep(code, y, *width, keeps, &from);
                (keeps, first) = (keeps + 1, false);
                continue;
            }
            PortableLayer::Join(j) => {
                join::join(code, j, number);
                from = format!("{from}, s->kept{}", j.with);
                ("", j.outputs())
            }
        };
        first = false;
        let to = if index == last {
            "y".to_owned()
        } else {
            turn = 1 - turn;
            let buffer = if turn == 1 { "a" } else { "b" };
            code.lend(y, buffer, outputs);
            format!("s->{buffer}")
        };
        let call = format!("layer{number}({state}{from}, {to})");
        code.calls.push(match layer {
            PortableLayer::Conv(c) if c.shape.pool.is_some() => {
                pooled = true;
                format!("if (!{call}) {{\n        again(s, y);\n        return;\n    }}")
            }
            _ => format!("{call};"),
        });
        (from, x) = (to, y);
        given = Some(outputs);
    }
    if let Some(outputs) = given.filter(|_| pooled) {
        again(code, y, outputs);
    }
}

/// Where not every sample has an answer, the last one is given until the next.
fn again(code: &mut Code<'_>, y: Element, outputs: usize) {
    let (name, upper) = (code.name, code.name.to_uppercase());
    let own = "1 if the last step had an answer of its own";
    code.keep_in(1, Element::I32, "answered", 1, own);
    let multiple = if y == Element::I16 { 2 } else { 1 };
    code.keep_in(multiple, y, "answer", outputs, "the last answer");
    code.functions.push(format!(
        "
/* No answer at this sample: the last one again. */
static void again({name}_state *s, {} *y)
{{
    s->answered[0] = 0;
    for (int i = 0; i < {upper}_OUTPUTS; i++) {{
        y[i] = s->answer[i];
    }}
}}
",
        y.c()
    ));
    code.calls.push(format!(
        "s->answered[0] = 1;
    for (int i = 0; i < {upper}_OUTPUTS; i++) {{
        s->answer[i] = y[i];
    }}"
    ));
}

/// Whether a vector of tokens is widened for the layer behind it: halves of floats are, and eight bits where no recurrent layer reads them as they are.
fn widens(e: &Embedding, behind: Option<&PortableLayer>) -> bool {
    let as_it_is = matches!(
        behind,
        Some(PortableLayer::Recurrent(_) | PortableLayer::Bidirectional(_))
    );
    e.format == Format::F16 || (e.format.is_a8() && !as_it_is)
}

/// An embedding's table and look-up; gives the type of its vectors.
fn code_of(code: &mut Code<'_>, e: &Embedding, number: usize, widens: bool) -> Element {
    let Embedding {
        format, vocab, dim, ..
    } = *e;
    // The row of zeros is for what is no token.
    let with_zeros = match e.table.clone() {
        Numbers::F32(mut t) => Numbers::F32({
            t.resize((vocab + 1) * dim, 0.0);
            t
        }),
        Numbers::F16(mut t) => Numbers::F16({
            t.resize((vocab + 1) * dim, 0);
            t
        }),
        Numbers::I8(mut t) => Numbers::I8({
            t.resize((vocab + 1) * dim, 0);
            t
        }),
        Numbers::I16(mut t) => Numbers::I16({
            t.resize((vocab + 1) * dim, 0);
            t
        }),
        other => other,
    };
    let name = format!("tokens{number}");
    let comment = "a vector per token, then zeros for what is none";
    code.arrays
        .push(Array::new(&name, &[vocab + 1, dim], &with_zeros, comment));
    let x = match widens {
        true if format.is_integer() => Element::I16,
        _ => code.matrix_input(format),
    };
    let intro = format!(
        "\n/* Layer {number}: embedding, {vocab} tokens, vectors of {dim}, {}. */\n",
        format.name()
    );
    let row = format!("tokens{number}[token < {vocab} ? token : {vocab}]");
    let function = if widens {
        code.lend(x, "x", dim);
        // Activations are in parts of 2^12, eight bits in parts of 2^7.
        let (element, wide) = match format {
            Format::F16 => ("uint16_t", "widen(row[k])"),
            _ => ("int8_t", "(int16_t)(row[k] * 32)"),
        };
        fill(
            "$intro\
static const $x *embed$n($model_state *s, uint32_t token)
{
    const $element *row = $row;
    for (int k = 0; k < $dim; k++) {
        s->x[k] = $wide;
    }
    return s->x;
}
",
            &[
                ("intro", intro),
                ("x", x.c().to_owned()),
                ("element", element.to_owned()),
                ("wide", wide.to_owned()),
                ("n", number.to_string()),
                ("model", code.name.to_owned()),
                ("row", row),
                ("dim", dim.to_string()),
            ],
        )
    } else {
        format!(
            "{intro}static const {} *embed{number}(uint32_t token)\n{{\n    return {row};\n}}\n",
            x.c()
        )
    };
    code.functions.push(function);
    x
}

/// A function of this name that applies a dense layer, which the comment calls so.
fn dense(
    code: &mut Code<'_>,
    d: &Dense,
    (function, kind): (&str, &str),
    number: usize,
    last: bool,
) {
    let Dense {
        format,
        inputs,
        outputs,
        activation,
        shift,
        frac,
        ..
    } = *d;
    let integer = format.is_integer();
    let array = |name: &str| format!("{name}{number}");
    let mut add = |name: &str, shape: &[usize], numbers, comment| {
        code.arrays
            .push(Array::new(&array(name), shape, numbers, comment));
    };
    add("w", &[outputs, inputs], &d.w, "weights, [output][input]");
    add("bias", &[outputs], &d.bias, "what a sum starts with");
    if integer {
        let m = Numbers::I32(d.m.clone());
        add("m", &[outputs], &m, "2^32 times what a 1 of a sum is in z");
    }
    let at_end = if last { 15 } else { 18 };
    let y = match (integer, activation) {
        // A magnitude is taken behind all sums.
        (_, Activation::Identity | Activation::Softmax | Activation::Magnitude) => "z".to_owned(),
        (true, Activation::Relu) => "(int16_t)clamp(z, 0, INT16_MAX)".to_owned(),
        (false, Activation::Relu) => "z > 0.0f ? z : 0.0f".to_owned(),
        (true, Activation::Tanh) => format!("saturate16(shift_round(tanh_512(z) >> 1, {at_end}))"),
        (true, Activation::Sigmoid) => {
            format!("saturate16(shift_round(sigmoid_512(z) >> 1, {at_end}))")
        }
        (false, Activation::Tanh) => "tanh_f32(z)".to_owned(),
        (false, Activation::Sigmoid) => "sigmoid_f32(z)".to_owned(),
        (true, Activation::Elu) => "elu_q(z)".to_owned(),
        (false, Activation::Elu) => "z > 0.0f ? z : exponential(z) - 1.0f".to_owned(),
    };
    let numbers = if integer {
        let y = activation_frac(activation, frac, last);
        format!("\n * z are multiples of 2^-{frac}, y 2^-{y}.")
    } else {
        String::new()
    };
    let text = if integer {
        "        uint32_t sum = (uint32_t)bias$n[u];
        sum = $add(sum, w$n[u], x, $inputs);
        const int16_t z = requant(sum, $shift, m$n[u]);
"
    } else {
        "        const float z = $add(bias$n[u], w$n[u], x, $inputs);
"
    };
    let softmax = match (activation, integer) {
        (Activation::Softmax, true) => format!("    softmax_q15(y, {outputs}, {frac});\n"),
        (Activation::Softmax, false) => format!("    softmax_f32(y, {outputs});\n"),
        _ => String::new(),
    };
    let element = if integer { Element::I16 } else { Element::F32 };
    let shown = match activation {
        Activation::Magnitude => Activation::Identity.name(),
        other => other.name(),
    };
    let template = "
/* Layer $n: $kind, $inputs inputs, $outputs outputs, $format: y = $activation(W x + b).$numbers */
static void $function(const $type *x, $type *y)
{
    for (int u = 0; u < $outputs; u++) {
@        y[u] = $y;
    }
$softmax}
"
    .replace("@", text);
    code.functions.push(fill(
        &template,
        &[
            ("n", number.to_string()),
            ("function", function.to_owned()),
            ("kind", kind.to_owned()),
            ("inputs", inputs.to_string()),
            ("outputs", outputs.to_string()),
            ("format", format.name().to_owned()),
            ("activation", shown.to_owned()),
            ("numbers", numbers),
            ("type", element.c().to_owned()),
            ("y", y),
            ("softmax", softmax),
            ("shift", shift.to_string()),
            ("add", product(format, element).to_owned()),
        ],
    ));
}

fn activation_frac(activation: Activation, frac: i8, last: bool) -> i8 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Elu => frac,
        _ if last => 15,
        _ => 12,
    }
}

/// `run`, `reset` and the doors of a step without normalisation.
fn run(text: &mut String, code: &Code<'_>, (tokens, embeds): (bool, bool), model: &Model<'_>) {
    let integer = model.is_integer();
    let y = if integer { "int16_t" } else { "float" };
    let windows = code.window > 0;
    let input = match (embeds, windows) {
        (true, false) => "uint32_t token".to_owned(),
        (true, true) => "const uint32_t *tokens".to_owned(),
        _ => format!("const {y} *x"),
    };
    let what = if windows { "a window" } else { "an input" };
    let calls: String = code
        .calls
        .iter()
        .map(|call| format!("    {call}\n"))
        .collect();
    let unused = if calls.contains("s->") || calls.contains("(s,") {
        ""
    } else {
        "    (void)s;\n"
    };
    let name = code.name;
    let upper = name.to_uppercase();
    let _ = write!(
        text,
        "
/* All layers, on {what} as the network sees it. */
static void run({name}_state *s, {input}, {y} *y)
{{
{unused}{calls}}}

void {name}_reset({name}_state *s)
{{
    unsigned char *bytes = (unsigned char *)s;
    for (unsigned i = 0; i < sizeof *s; i++) {{
        bytes[i] = 0;
    }}
}}
"
    );
    if windows {
        return bidirectional::doors(text, (tokens, embeds), model);
    }
    if tokens && !embeds {
        let (_, one) = one_hot(model);
        let _ = write!(
            text,
            "
/* 1 for the token, 0 for all others. */
static void run_token({name}_state *s, uint32_t token, {y} *y)
{{
    for (uint32_t i = 0; i < {upper}_TOKENS; i++) {{
        s->x[i] = 0;
    }}
    if (token < {upper}_TOKENS) {{
        s->x[token] = {one};
    }}
    run(s, s->x, y);
}}
"
        );
    }
    let run_token = if embeds { "run" } else { "run_token" };
    match (tokens, integer) {
        (true, true) => {
            let _ = write!(
                text,
                "
void {name}_step_token_q({name}_state *s, uint32_t token, int16_t out[{upper}_OUTPUTS])
{{
    {run_token}(s, token, out);
}}

void {name}_step_token({name}_state *s, uint32_t token, float out[{upper}_OUTPUTS])
{{
    {run_token}(s, token, s->y);
    to_units(s, out);
}}
"
            );
        }
        (true, false) => {
            let _ = write!(
                text,
                "
void {name}_step_token({name}_state *s, uint32_t token, float out[{upper}_OUTPUTS])
{{
    {run_token}(s, token, out);
}}
"
            );
        }
        (false, true) => {
            let _ = write!(
                text,
                "
void {name}_step_q({name}_state *s, const int16_t in[{upper}_INPUTS], int16_t out[{upper}_OUTPUTS])
{{
    run(s, in, out);
}}
"
            );
        }
        (false, false) => {}
    }
}

/// The type of a network's inputs, and how a 1 is written in it.
fn one_hot(model: &Model<'_>) -> (&'static str, String) {
    if model.is_integer() {
        let one = format!("(int16_t)(INT32_C(1) << {})", model.input_frac());
        ("int16_t", one)
    } else {
        ("float", "1.0f".to_owned())
    }
}

/// The self-test: the file's own test steps, and a digest of their outputs and the state behind them.
fn self_test(code: &mut Code<'_>, model: &Model<'_>, tests: &Numbers) -> Result<String> {
    let (name, upper) = (code.name, code.name.to_uppercase());
    let integer = model.is_integer();
    let steps: usize = model.header().test.steps.into();
    let tokens = matches!(model.header().input, Input::Tokens { .. });
    let embeds = !code.lent.iter().any(|member| member.name == "x") || {
        code.functions
            .iter()
            .any(|function| function.contains(" *embed1("))
    };
    let (per, windows) = (code.window.max(1), code.window > 0);
    let [tests_of, each] = if windows {
        ["windows", "window"]
    } else {
        ["steps", "step"]
    };
    let count = steps / per;
    let shape: &[usize] = match (tokens, windows) {
        (true, false) => &[count],
        (true, true) => &[count, per],
        (false, _) => &[count, per * model.inputs()],
    };
    let comment = format!("inputs of the test {tests_of}");
    let array = Array::new("test_inputs", shape, tests, &comment);
    let mut text = array.text;
    let y = if integer { "s->y" } else { "y" };
    let own = if integer {
        String::new()
    } else {
        format!("    float y[{upper}_OUTPUTS];\n")
    };
    let run = match (tokens && !embeds, windows) {
        (false, _) => "run",
        (true, false) => "run_token",
        (true, true) => "run_tokens",
    };
    let cast = match (tokens, windows) {
        (false, _) => "",
        (true, false) => "(uint32_t)",
        (true, true) => "(const uint32_t *)",
    };
    let call = format!("{run}(s, {cast}test_inputs[{each}], {y});");
    let of = |element: Element, value: &str| match element {
        Element::F32 => format!("crc_add(crc, bits_of({value}), 4)"),
        Element::I32 => format!("crc_add(crc, (uint32_t){value}, 4)"),
        Element::I16 => format!("crc_add(crc, (uint32_t){value}, 2)"),
        Element::I8 => format!("crc_add(crc, (uint32_t){value}, 1)"),
    };
    let element = if integer { Element::I16 } else { Element::F32 };
    let mut states = String::new();
    let padding = if windows {
        Vec::new()
    } else {
        padding_after_tests(model, &code.members, tests)?
    };
    for (member, padding) in code
        .members
        .iter()
        .filter(|member| member.of_layer)
        .zip(padding)
    {
        let Member {
            element, name, len, ..
        } = member;
        let add = of(*element, &format!("s->{name}[u]"));
        let _ = write!(
            states,
            "    for (int u = 0; u < {len}; u++) {{\n        crc = {add};\n    }}\n"
        );
        if let Some((count, value)) = padding {
            let size = element.size();
            let _ = write!(
                states,
                "    for (int u = 0; u < {count}; u++) {{\n        crc = crc_add(crc, UINT32_C({value}), {size});\n    }}\n"
            );
        }
    }
    let why = if states.contains("UINT32_C(") {
        "\n * The engine has units in eights: behind a layer's own come some without weights, whose states are constants here."
    } else {
        ""
    };
    let and_states = if windows {
        ""
    } else {
        " and of the states behind them"
    };
    let add = of(element, &format!("{y}[i]"));
    let (gaps, begin) = match tokens {
        true => (String::new(), "UINT32_C(0xffffffff)".to_owned()),
        false => (
            normalise::gaps(code, model),
            "gaps_enter(s) ? UINT32_C(0xffffffff) : 0".to_owned(),
        ),
    };
    let _ = write!(
        text,
        "{gaps}
/* A CRC-32 of all outputs of the test {tests_of}{and_states}, least bytes first.{why} */
uint32_t {name}_self_test({name}_state *s)
{{
    uint32_t crc = {begin};
{own}    {name}_reset(s);
    for (int {each} = 0; {each} < {count}; {each}++) {{
        {call}
        for (int i = 0; i < {upper}_OUTPUTS; i++) {{
            crc = {add};
        }}
    }}
{states}    {name}_reset(s);
    return ~crc;
}}
"
    );
    Ok(text)
}

/// For each part of the layers' states, how many units of padding the engine has behind it and what is in them after the
/// test steps, as bits.
fn padding_after_tests(
    model: &Model<'_>,
    members: &[Member],
    tests: &Numbers,
) -> Result<Vec<Option<(usize, u32)>>> {
    let mut room = AlignedBytes::zeroed(model.state_len());
    let mut runner = model.bind_bytes(&mut room)?.with_kernels(&Kernels::SCALAR);
    let (mut y, mut q) = (vec![0.0; model.outputs()], vec![0; model.outputs()]);
    match tests {
        Numbers::I16(x) => x
            .chunks(model.inputs())
            .for_each(|x| runner.step_q(x, &mut q)),
        Numbers::F32(x) => x
            .chunks(model.inputs())
            .for_each(|x| runner.step_raw(x, &mut y)),
        Numbers::I32(tokens) => {
            tokens
                .iter()
                .for_each(|&token| runner.step_token(token as usize, &mut y));
        }
        _ => {}
    }
    let state = runner.layer_state();
    let mut at = 0;
    let mut found = Vec::new();
    for member in members.iter().filter(|member| member.of_layer) {
        let size = member.element.size();
        let padded = member.len.next_multiple_of(member.multiple);
        let bytes = &state[at..at + padded * size];
        at += padded * size;
        let behind = &bytes[member.len * size..];
        let value = behind.chunks(size).next().map(|unit| {
            let bits = unit
                .iter()
                .rev()
                .fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
            (padded - member.len, bits)
        });
        if let Some((_, bits)) = value {
            ensure!(
                behind
                    .chunks(size)
                    .all(|unit| unit == &bits.to_le_bytes()[..size]),
                "units of padding differ, so the file was not written by kinglet; export the model again"
            );
        }
        found.push(value);
    }
    ensure!(
        at == state.len(),
        "the layers' states have {} bytes, not {at}",
        state.len()
    );
    Ok(found)
}

/// Bytes of the structure: members of four bytes come first, so there is padding only at the end.
fn state_bytes(code: &Code<'_>) -> usize {
    let bytes = |member: &Member| member.element.size() * member.len;
    let all: usize = code.members.iter().chain(&code.lent).map(bytes).sum();
    let largest = code
        .members
        .iter()
        .chain(&code.lent)
        .map(|member| member.element.size())
        .max();
    all.next_multiple_of(largest.unwrap_or(1))
}

fn header_file(
    code: &Code<'_>,
    model: &Model<'_>,
    written: &Written,
    (state_bytes, ram, weight_bytes): (usize, &str, usize),
    around: &[&str],
) -> String {
    let (name, upper) = (code.name, code.name.to_uppercase());
    let header = model.header();
    let integer = model.is_integer();
    let (each, what, door) = if code.window > 0 {
        ("sample of a window", "Running a window", "step_window")
    } else {
        ("step", "A step", "step")
    };
    let mut text = String::new();
    let _ = write!(
        text,
        "/* The network \"{}\", by `kinglet export`: {}, {} multiplications a {each}.
 *
 * {ram}, {weight_bytes} bytes of weights in flash, besides code and tables.
 * {what} cannot fail, allocates nothing, and keeps all it knows in the state. */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {{
#endif

",
        comment(header.name),
        summary(header, model),
        model.macs(),
    );
    text += &values::inputs(name, model, written);
    if integer && matches!(header.input, Input::Features { .. }) {
        let _ = writeln!(
            text,
            "/* Fraction bits of a sample of {name}_{door}_q. */\n#define {upper}_INPUT_FRAC {}",
            model.input_frac()
        );
    }
    text += &values::outputs(name, model, written);
    if integer {
        let _ = writeln!(
            text,
            "/* Fraction bits of an output of {name}_{door}{}_q. */\n#define {upper}_OUTPUT_FRAC ({})",
            match (&header.input, code.window) {
                (Input::Features { .. }, _) => "",
                (Input::Tokens { .. }, 0) => "_token",
                _ => "_tokens",
            },
            model.output_frac()
        );
    }
    let _ = write!(
        text,
        "
/* What {name}_self_test must return, here as on every other machine. */
#define {upper}_DIGEST UINT32_C(0x{:08x})

/* All that a stream knows: {state_bytes} bytes. All zero at first, as {name}_reset makes it. */
typedef struct {{
",
        header.test.digest
    );
    let mut members: Vec<&Member> = code.members.iter().chain(&code.lent).collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.element.size()));
    let line = |member: &&Member| {
        let left = format!(
            "    {} {}[{}];",
            member.element.c(),
            member.name,
            member.len
        );
        format!("{left:<34} /* {} */\n", member.comment)
    };
    text.extend(members.iter().map(line));
    let _ = write!(
        text,
        "}} {name}_state;

/* A new stream{}. */
void {name}_reset({name}_state *s);
",
        match header.input {
            Input::Features { .. } => "",
            Input::Tokens { .. } => ", or text",
        }
    );
    match header.input {
        // Whole windows are told of behind their size.
        _ if code.window > 0 => {}
        Input::Features { .. } => {
            let _ = write!(
                text,
                "
/* A raw sample in, the prediction in its unit out. A missing value is NaN{}.{}{} */
void {name}_step({name}_state *s, const float in[{upper}_INPUTS], float out[{upper}_OUTPUTS]);
",
                gaps(model),
                match header.shape {
                    Shape::EveryStep => String::new(),
                    Shape::Window { .. } => format!(
                        "
 * The network was trained on windows, and {name}_push() gives its answers; this is one step of them."
                    ),
                },
                match model.answers() {
                    [0, 1] => String::new(),
                    [first, every] => format!(
                        "
 * The first answer comes with sample {}, one of its own with every {every}: answered[0] is 1 then. Else the last one is given again.",
                        first + 1
                    ),
                }
            );
            if integer {
                let _ = write!(
                    text,
                    "
/* The same without normalisation and without float instructions: normalised numbers in, times 2^{upper}_INPUT_FRAC, and the
 * network's output out, times 2^{upper}_OUTPUT_FRAC. */
void {name}_step_q({name}_state *s, const int16_t in[{upper}_INPUTS], int16_t out[{upper}_OUTPUTS]);
"
                );
            }
        }
        Input::Tokens { .. } => {
            let _ = write!(
                text,
                "
/* The number of a token in, scores out. What is no token enters as zeros. */
void {name}_step_token({name}_state *s, uint32_t token, float out[{upper}_OUTPUTS]);
"
            );
            if integer {
                let _ = write!(
                    text,
                    "
/* The same without float instructions: scores times 2^{upper}_OUTPUT_FRAC. */
void {name}_step_token_q({name}_state *s, uint32_t token, int16_t out[{upper}_OUTPUTS]);
"
                );
            }
        }
    }
    around.iter().for_each(|part| text.push_str(part));
    if code.window > 0 {
        let keys = [("model", name.to_owned()), ("MODEL", upper.clone())];
        text += &fill(&bidirectional::declarations(model, gaps(model)), &keys);
    }
    let _ = write!(
        text,
        "
#ifndef {upper}_NO_SELF_TEST
/* Runs the model's own test steps; {upper}_DIGEST if this machine computes as it should. Leaves the state as new. */
uint32_t {name}_self_test({name}_state *s);
#endif

#ifdef __cplusplus
}}
#endif

#endif
"
    );
    text
}

/// What is said of missing values.
fn gaps(model: &Model<'_>) -> &'static str {
    if model.holds() {
        ": the last one stands in where the model was trained so"
    } else {
        ", which enters as the middle of its column"
    }
}

/// Layers in a word each.
fn summary(header: &Header<'_>, model: &Model<'_>) -> String {
    let layers = header.layers.iter().map(|layer| {
        use kinglet::format::Layer;
        match *layer {
            Layer::Embedding { vocab, dim, .. } => format!("embedding({vocab} to {dim})"),
            Layer::Recurrent {
                cell,
                inputs,
                hidden,
                ..
            } => {
                format!("{}({inputs} to {hidden})", cell.name())
            }
            Layer::Bidirectional {
                cell,
                inputs,
                hidden,
                ..
            } => {
                format!("bidirectional {}({inputs} to {hidden})", cell.name())
            }
            Layer::Dense {
                inputs, outputs, ..
            } => format!("dense({inputs} to {outputs})"),
            Layer::Conv { shape, filters, .. } => {
                format!("conv({} to {filters})", shape.channels)
            }
            Layer::Norm { width, .. } => format!("norm({})", width.get()),
            Layer::Keep { width, .. } => format!("keep({})", width.get()),
            Layer::Join { with, how, .. } => format!("{}(kept {with})", how.name()),
        }
    });
    let layers: Vec<String> = layers.collect();
    let formats: Vec<&str> = header
        .layers
        .iter()
        .map(|layer| layer.format().name())
        .collect();
    let same = formats
        .iter()
        .all(|format| *format == model.format().name());
    format!(
        "{}, {}",
        layers.join(", "),
        if same {
            formats[0].to_owned()
        } else {
            formats.join(" ")
        }
    )
}

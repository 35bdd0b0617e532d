//! What a model is, as JSON.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::stream::takes_tokens;
use kinglet::format::{Header, Input, Output, Shape};
use kinglet::kernel::Kernels;
use kinglet::{Detector, Model};

/// A text in quotation marks.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\0'..='\u{1f}' => quoted += &format!("\\u{:04x}", c as u32),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Names, and units where there are any.
fn columns(names: &str) -> String {
    let column = |name: &str| {
        let (name, unit) = name.split_once('\u{1}').unwrap_or((name, ""));
        format!("{{\"name\":{},\"unit\":{}}}", quoted(name), quoted(unit))
    };
    let all: Vec<String> = names.split('\0').map(column).collect();
    format!("[{}]", all.join(","))
}

/// How the data was written that the model was trained on, in TOML; `kinglet.js` reads it.
fn written(file: &[u8]) -> Option<&str> {
    let (_, tail) = Header::in_file(file).ok()?;
    str::from_utf8(tail.data).ok()
}

/// What the model in a file is.
pub fn json(model: &Model<'_>, file: &[u8]) -> String {
    let header = model.header();
    let (Input::Features { names: inputs, .. } | Input::Tokens { names: inputs, .. }) =
        header.input;
    let (answers, outputs) = match header.output {
        Output::Values { names, .. } => ("values", names),
        Output::Classes { names, .. } => ("classes", names),
        Output::NextToken { .. } => ("tokens", inputs),
    };
    let (window, hop) = match header.shape {
        Shape::EveryStep => ("null".to_owned(), 1),
        Shape::Window { window, hop, .. } => (window.to_string(), hop),
    };
    let same = header
        .layers
        .iter()
        .all(|layer| layer.format() == model.format());
    let format = if same { model.format().name() } else { "mixed" };
    let fields = [
        ("name", quoted(header.name)),
        ("format", quoted(format)),
        ("answers", quoted(answers)),
        ("inputs", columns(inputs)),
        ("outputs", columns(outputs)),
        ("takesTokens", takes_tokens(model).to_string()),
        ("watches", Detector::new(model).is_some().to_string()),
        ("holds", model.holds().to_string()),
        ("window", window),
        ("hop", hop.to_string()),
        ("written", quoted(written(file).unwrap_or(""))),
        ("stateBytes", model.state_len().to_string()),
        ("flashBytes", file.len().to_string()),
        ("macs", model.macs().to_string()),
        ("crc", format!("\"{:08x}\"", model.preamble().crc)),
        ("kernels", quoted(Kernels::detect().name())),
    ];
    let fields = fields.map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", fields.join(","))
}

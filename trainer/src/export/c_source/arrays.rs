//! Numbers in C: constant arrays, and literals that a compiler reads back bit for bit.

use super::super::portable::Numbers;
use std::fmt::Write;

/// A constant array.
pub(super) struct Array {
    /// Its definition.
    pub(super) text: String,
    pub(super) bytes: usize,
}

/// Numbers of a line.
const LINE: usize = 100;

impl Array {
    /// An array of this shape, whose last dimension is that of the numbers; of two in a byte, that of the bytes.
    pub(super) fn new(name: &str, shape: &[usize], numbers: &Numbers, comment: &str) -> Array {
        let (element, size) = match numbers {
            Numbers::F32(_) => ("float", 4),
            Numbers::F16(_) => ("uint16_t", 2),
            Numbers::I8(_) => ("int8_t", 1),
            Numbers::I4(_) => ("uint8_t", 1),
            Numbers::I16(_) => ("int16_t", 2),
            Numbers::I32(_) => ("int32_t", 4),
        };
        let columns = shape.last().copied().unwrap_or(1);
        let mut shape = shape.to_vec();
        let literals = match numbers {
            Numbers::I4(w) => {
                if let Some(last) = shape.last_mut() {
                    *last = columns.div_ceil(2);
                }
                let bytes = w.chunks(columns).flat_map(|row| row.chunks(2).map(two));
                bytes.map(|byte| byte.to_string()).collect()
            }
            numbers => literals_of(numbers),
        };
        let bytes = literals.len() * size;
        let dimensions: String = shape.iter().map(|n| format!("[{n}]")).collect();
        let mut text =
            format!("/* {comment}: {bytes} bytes */\nstatic const {element} {name}{dimensions} = ");
        nested(&mut text, &shape, &literals, 0);
        text.push_str(";\n");
        Array { text, bytes }
    }
}

/// Two weights of four bits, the first one in the lower half.
fn two(pair: &[i8]) -> u8 {
    let nibble = |at: usize| (pair.get(at).copied().unwrap_or(0) + 8) as u8;
    nibble(0) | nibble(1) << 4
}

/// Braces within braces; the innermost rows are broken into lines.
fn nested(text: &mut String, shape: &[usize], literals: &[String], depth: usize) {
    let indent = "    ".repeat(depth);
    let Some((_, inner)) = shape.split_first().filter(|(_, inner)| !inner.is_empty()) else {
        let row = literals.join(", ");
        if row.len() + indent.len() < LINE {
            let _ = write!(text, "{{{row}}}");
            return;
        }
        text.push_str("{\n");
        let mut line = String::new();
        for literal in literals {
            if !line.is_empty() && line.len() + literal.len() + indent.len() + 6 > LINE {
                let _ = writeln!(text, "{indent}   {line}");
                line.clear();
            }
            let _ = write!(line, " {literal},");
        }
        let _ = write!(text, "{indent}   {line}\n{indent}}}");
        return;
    };
    text.push_str("{\n");
    let size: usize = inner.iter().product();
    for row in literals.chunks(size.max(1)) {
        let _ = write!(text, "{indent}    ");
        nested(text, inner, row, depth + 1);
        text.push_str(",\n");
    }
    let _ = write!(text, "{indent}}}");
}

fn literals_of(numbers: &Numbers) -> Vec<String> {
    match numbers {
        Numbers::F32(floats) => floats.iter().map(|&x| float(x)).collect(),
        Numbers::F16(bits) => bits.iter().map(u16::to_string).collect(),
        Numbers::I8(w) | Numbers::I4(w) => w.iter().map(i8::to_string).collect(),
        Numbers::I16(w) => w.iter().map(i16::to_string).collect(),
        Numbers::I32(w) => w.iter().map(|&w| integer(w)).collect(),
    }
}

/// The first two numbers.
pub(super) fn literals(numbers: &Numbers) -> [String; 2] {
    let mut all = literals_of(numbers).into_iter();
    [(); 2].map(|()| all.next().unwrap_or_default())
}

/// An integer of 32 bits; the least one has no literal.
pub(super) fn integer(x: i32) -> String {
    if x == i32::MIN {
        "INT32_MIN".to_owned()
    } else {
        x.to_string()
    }
}

/// The shortest decimal number that is read back as this one, which is finite.
pub(super) fn float(x: f32) -> String {
    format!("{x:?}f")
}

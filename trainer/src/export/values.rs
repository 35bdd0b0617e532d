//! What a network's numbers are, for the headers of C: what stands at which place, what a device computes itself, and how names
//! that somebody has given are written.

use kinglet::Model;
use kinglet::format::{Feature, FeatureTransform, Input, Layer, Output, Shape};
use std::fmt::Write;

use crate::data::Written;
use crate::data::derived::Derived;
use crate::data::vocabulary::{UNKNOWN, Vocabulary};
use crate::model_file::{input_names, output_names};
use crate::package::Target;

/// Token 0 of a decoder.
const END: &str = "\n";

/// What may stand in a comment of C, of whatever a user has called something; two names stay two.
pub(super) fn comment(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => kept.push_str("\\n"),
            '\t' => kept.push_str("\\t"),
            // They end a comment, spell another character, or join lines.
            '*' | '?' | '\\' => kept.extend(escaped(c)),
            c if c.is_control() => kept.extend(escaped(c)),
            c => kept.push(c),
        }
    }
    kept
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let text = format!("\\x{:02x}", c as u32);
    text.chars().collect::<Vec<_>>().into_iter()
}

/// A literal of C, in UTF-8.
fn literal(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            // Two question marks would begin a trigraph.
            '"' | '\\' | '?' => quoted.extend(['\\', c]),
            // Octal, which ends after three digits.
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What a step takes: a comment, `NAME_INPUTS` or `NAME_TOKENS`, and of tokens their names.
pub(super) fn inputs(name: &str, model: &Model<'_>, written: &Written) -> String {
    let upper = name.to_uppercase();
    let told = framed(&told_inputs(model, written));
    let count = model.inputs();
    match model.header().input {
        Input::Features { .. } => format!("/* {told} */\n#define {upper}_INPUTS {count}\n"),
        Input::Tokens { .. } => {
            let mut text = format!(
                "/* {told}\n * {} */\n#define {upper}_TOKENS {count}\n",
                array_of_them(&upper)
            );
            table(&mut text, name, ["tokens", "TOKENS"], &input_names(model));
            text
        }
    }
}

/// What a step gives: a comment, `NAME_OUTPUTS`, and of classes their names.
pub(super) fn outputs(name: &str, model: &Model<'_>, written: &Written) -> String {
    let upper = name.to_uppercase();
    let told = framed(&told_outputs(model, written));
    let define = format!("#define {upper}_OUTPUTS {}\n", model.outputs());
    match model.header().output {
        Output::Values { .. } | Output::NextToken { .. } => format!("/* {told} */\n{define}"),
        Output::Classes { .. } => {
            let mut text = format!("/* {told}\n * {} */\n{define}", array_of_them(&upper));
            table(
                &mut text,
                name,
                ["classes", "OUTPUTS"],
                &output_names(model),
            );
            text
        }
    }
}

/// Lines within a comment of C.
fn framed(lines: &str) -> String {
    lines.replace('\n', "\n * ")
}

/// What stands at which place of a sample, and how what no sensor gives is computed; or what tokens are. Lines.
pub(super) fn told_inputs(model: &Model<'_>, written: &Written) -> String {
    let names = input_names(model);
    let mut text = String::new();
    match model.header().input {
        Input::Features { .. } => {
            text.push_str("Numbers of a sample:");
            let mut computes = false;
            for (index, (&(name, unit), feature)) in names.iter().zip(model.features()).enumerate()
            {
                let how = computed(name, feature);
                computes |= how.is_some();
                line(&mut text, index, name, unit, how.as_deref());
            }
            if computes {
                text.push_str(
                    "\nWhat is told behind a colon the program computes, as `kinglet predict` does, unless the data has a column of that name.",
                );
            }
            if written.every > 1 {
                let _ = write!(
                    text,
                    "\nIt was trained on the first of every {} rows: samples are to lie as far apart.",
                    written.every
                );
            }
            if !written.format.missing_values.is_empty() {
                let gaps: Vec<String> = written
                    .format
                    .missing_values
                    .iter()
                    .map(|gap| comment(gap))
                    .collect();
                let _ = write!(
                    text,
                    "\nA value is missing where its data says {}: pass NaN for that.",
                    gaps.join(" or ")
                );
            }
        }
        Input::Tokens { .. } => {
            text.push_str("Tokens, by their numbers from 0.");
            if reads_small_letters(&names) {
                text.push_str(" Capital letters are read as small ones.");
            }
            if let Some(unknown) = names.iter().position(|&(name, _)| name == UNKNOWN) {
                let ending = match names.iter().any(|(name, _)| name.starts_with('…')) {
                    true => "that of their longest ending (\"…ing\"), else ",
                    false => "",
                };
                let _ = write!(
                    text,
                    " What has no name takes {ending}{unknown}, \"{UNKNOWN}\"."
                );
            }
        }
    }
    if let Some(told) = pair(model, written) {
        let _ = write!(text, "\n{told}");
    }
    text
}

/// What an output's numbers are, in lines.
pub(super) fn told_outputs(model: &Model<'_>, written: &Written) -> String {
    let names = output_names(model);
    let mut text = String::new();
    match model.header().output {
        Output::Values { .. } => {
            text.push_str("Numbers of an output:");
            let mut untold = false;
            for (index, &(name, unit)) in names.iter().enumerate() {
                let feeds = model
                    .targets()
                    .get(index)
                    .map(|target| target.feeds as usize);
                let later = feeds.is_some_and(|input| input < model.inputs());
                let (column, ahead) = Target::parts(name);
                untold |= later && ahead.is_none();
                let ahead = ahead.map(|rows| format!("{column}, {rows} samples ahead"));
                line(&mut text, index, name, unit, ahead.as_deref());
            }
            match written.horizon {
                1 if untold => text.push_str("\nThey are the next values of inputs."),
                0 | 1 => {}
                rows => {
                    let _ = write!(text, "\nThey are {rows} samples ahead of the last input.");
                }
            }
        }
        Output::Classes { .. } => {
            text.push_str("Scores of an output, one per class:");
            for (index, &(name, _)) in names.iter().enumerate() {
                line(&mut text, index, name, "", None);
            }
        }
        Output::NextToken { .. } => text.push_str("Scores of an output, one per token."),
    }
    text
}

/// Whether text is read in lower case, as the vocabulary of these names does: another letter's capital has its number.
fn reads_small_letters(names: &[(&str, &str)]) -> bool {
    let names: Vec<&str> = names.iter().map(|&(name, _)| name).collect();
    let vocabulary = Vocabulary::new(&names);
    let has_capital = |name: &&&str| !name.starts_with('…') && name.to_uppercase() != ***name;
    let known = names
        .iter()
        .filter(|name| **name != UNKNOWN)
        .find(has_capital);
    known.is_some_and(|name| vocabulary.number(&name.to_uppercase()) == vocabulary.number(name))
}

/// How an encoder or a decoder is driven, as `kinglet translate` does; None of a model that is neither, by what it ends and begins with.
fn pair(model: &Model<'_>, written: &Written) -> Option<&'static str> {
    let header = model.header();
    if header.shape != Shape::EveryStep {
        return None;
    }
    if matches!(header.layers.last(), Some(Layer::Recurrent { .. })) {
        return Some(match header.input {
            Input::Tokens { .. } => {
                "As an encoder it takes the tokens of a text from a reset on, and no token that ends it; then its decoder starts from its states."
            }
            Input::Features { .. } => {
                "As an encoder it takes the samples of a group from a reset on; then its decoder starts from its states."
            }
        });
    }
    // Drawings begin with such a token too.
    let decodes = matches!(header.output, Output::NextToken { .. }) && written.levels.is_empty();
    (decodes && input_names(model).first().is_some_and(|(name, _)| *name == END)).then_some(
        "Token 0 begins and ends an answer: from the encoder's states on it is stepped first, then each time the likeliest token of the output, until that is 0.",
    )
}

fn array_of_them(upper: &str) -> String {
    format!(
        "`#define {upper}_NAMES` before this file is included makes an array of them, in UTF-8."
    )
}

/// A line of a list: what is at a place, its unit, and what it is.
fn line(text: &mut String, index: usize, name: &str, unit: &str, what: Option<&str>) {
    let _ = write!(text, "\n{index}: {}", comment(name));
    if !unit.is_empty() {
        let _ = write!(text, ", {}", comment(unit));
    }
    if let Some(what) = what {
        let _ = write!(text, ": {}", comment(what));
    }
}

/// How an input is computed that is not read from a column, also where that has a gap.
fn computed(name: &str, feature: &Feature) -> Option<String> {
    let (derived, column) = Derived::parse(name)?;
    let repeats = match feature.holds() {
        true => format!("; where {column} is missing, NaN repeats the one before"),
        false => String::new(),
    };
    Some(match derived {
        Derived::Clock(_) => {
            let (circle, since) = match name.split_once('_')?.0 {
                "hour" => (86_400, "midnight"),
                "weekday" => (604_800, "Monday 0:00"),
                // A year has 365.2425 days.
                _ => (31_556_952, "1970-01-01 0:00"),
            };
            let wave = if name.contains("_cos(") { "cos" } else { "sin" };
            format!(
                "{wave}(2 pi s / {circle}), s: seconds from {since} to {column}, by the clock on the wall that {column} was written by{repeats}"
            )
        }
        Derived::Elapsed => format!("seconds since the sample before; 0 in the first{repeats}"),
        Derived::Diff if feature.holds() => format!(
            "{column} less that of the last sample that had it, subtracted in 64 bits; 0, and not NaN, in the first and where {column} is missing, so that the next \
             one covers the whole way"
        ),
        Derived::Diff => {
            format!(
                "{column} less that of the sample before, subtracted in 64 bits; 0 in the first"
            )
        }
        Derived::Ahead(rows) => {
            format!("what {column} will be {rows} samples later, as it is known now{repeats}")
        }
        Derived::Missing if feature.tag() == FeatureTransform::Missing as u32 => {
            format!(
                "1 where {column} is missing, which the network sees by itself where that is NaN; else 0"
            )
        }
        Derived::Missing => format!("1 where {column} is missing, else 0"),
        Derived::Is(category) => format!("1 where {column} is \"{category}\", else 0{repeats}"),
    })
}

/// Names as an array, which costs nothing unless it is asked for.
fn table(text: &mut String, name: &str, [what, count]: [&str; 2], names: &[(&str, &str)]) {
    let upper = name.to_uppercase();
    let _ = write!(
        text,
        "#ifdef {upper}_NAMES\nstatic const char *const {name}_{what}[{upper}_{count}] = {{\n"
    );
    for (line, names) in names.chunks(8).enumerate() {
        let _ = write!(text, "    /* {} */", 8 * line);
        for (name, _) in names {
            let _ = write!(text, " {},", literal(name));
        }
        text.push('\n');
    }
    text.push_str("};\n#endif\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_stay_two_and_end_nothing() {
        let shown = ["a*/b", "a?/b", "\\", "\n", " ", "\u{7}"].map(comment);
        assert_eq!(
            shown,
            ["a\\x2a/b", "a\\x3f/b", "\\x5c", "\\n", " ", "\\x07"]
        );
        let quoted = ["\"", "??/", "\\", "\n", " ", "\u{7}1", "é"].map(literal);
        assert_eq!(
            quoted,
            [
                r#""\"""#,
                r#""\?\?/""#,
                r#""\\""#,
                r#""\n""#,
                r#"" ""#,
                r#""\0071""#,
                "\"é\""
            ]
        );
    }

    #[test]
    fn what_a_device_computes_is_told() {
        let plain = |holds: bool| {
            let hold = if holds { Feature::HOLD } else { 0 };
            Feature {
                offset: 0.0,
                scale: 1.0,
                transform: hold,
                column: 0,
            }
        };
        let told = |name| computed(name, &plain(false)).unwrap();
        assert!(
            told("hour_sin(date)").starts_with("sin(2 pi s / 86400), s: seconds from midnight")
        );
        assert!(told("weekday_cos(t)").starts_with("cos(2 pi s / 604800), s: seconds from Monday"));
        assert!(told("yearday_cos(t)").starts_with("cos(2 pi s / 31556952), s: seconds from 1970"));
        assert!(told("elapsed(t)").ends_with("0 in the first"));
        assert!(told("diff(wh)").starts_with("wh less that of the sample before"));
        assert!(told("load+6").contains("load will be 6 samples later"));
        assert_eq!(told("wind=N"), "1 where wind is \"N\", else 0");
        assert_eq!(computed("flow", &plain(false)), None);
        // What is missing is no other category, and no step of a counter.
        let told = |name| computed(name, &plain(true)).unwrap();
        let repeats = "; where wind is missing, NaN repeats the one before";
        assert_eq!(
            told("wind=N"),
            format!("1 where wind is \"N\", else 0{repeats}")
        );
        assert!(told("hour_sin(wind)").ends_with(repeats));
        assert!(told("diff(wh)").contains("0, and not NaN, in the first and where wh is missing"));
        assert_eq!(told("missing(wind)"), "1 where wind is missing, else 0");
    }
}

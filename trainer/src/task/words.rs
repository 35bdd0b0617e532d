//! What is wrong with a task file, in the words of those who write one: the parser speaks of Rust's types.

use crate::nearest::did_you_mean;

/// Line, column and the problem.
pub fn problem(error: &toml::de::Error, text: &str) -> String {
    let place = error.span().map(|span| {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!(":{line}:{column}")
    });
    let problem = match (
        error.message(),
        error.span().and_then(|span| text.get(span)),
    ) {
        ("duplicate key", Some(key)) => {
            format!(
                "the key {:?} stands here a second time; leave one out",
                key.trim()
            )
        }
        // TOML has dates of its own.
        (message, Some(date))
            if message.starts_with("invalid type: map, expected ")
                && [" a text", " a string"]
                    .iter()
                    .any(|kind| message.contains(kind))
                && date.trim().starts_with(|c: char| c.is_ascii_digit()) =>
        {
            let date = date.trim();
            format!("{date} stands without quotes where a text is expected; write \"{date}\"")
        }
        (message, _) => {
            let start = error.span().map_or(0, |span| span.start);
            let line = text
                .get(..start)
                .and_then(|before| before.rsplit('\n').next());
            let line = line.unwrap_or_default();
            let key = line.rsplit(['{', ',', '[']).next().unwrap_or_default();
            let problem = reworded(message);
            let table = problem.ends_with("a table is expected")
                || problem.ends_with("a table is expected here");
            match example(key.trim_end_matches([' ', '=']).trim()).filter(|_| table) {
                Some(example) => format!("{problem}, such as {example}"),
                None => problem,
            }
        }
    };
    format!("{}: {problem}", place.unwrap_or_default())
}

/// A message of serde's, reworded; others as they are.
fn reworded(message: &str) -> String {
    let message = message.trim().replace('\n', "; ");
    if message == "wanted string or table" {
        return "a name or a table is expected here".into();
    }
    let quoted = |text: &str| -> Vec<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    if let Some(rest) = message.strip_prefix("unknown field ") {
        if let [key, known @ ..] = &quoted(rest)[..] {
            let meant = did_you_mean(key, known.iter().map(String::as_str));
            let tables = tables_with(key).filter(|_| meant.is_empty());
            let tables: Vec<String> = tables.map(|table| format!("[{table}]")).collect();
            let belongs = match tables.is_empty() {
                true => String::new(),
                false => format!(" here; it belongs to {}", tables.join(" or ")),
            };
            let known = match meant.is_empty() {
                true => sentence("; the keys here are", known),
                false => sentence(" The keys here are", known),
            };
            return format!(
                "unknown key {key:?}{belongs}{meant}{known} (`kinglet help task` explains them)"
            );
        }
    } else if let Some(rest) = message.strip_prefix("unknown variant ") {
        if let [name, known @ ..] = &quoted(rest)[..] {
            let meant = did_you_mean(name, known.iter().map(String::as_str));
            let known = match meant.is_empty() {
                true => sentence("; the choices are", known),
                false => sentence(" The choices are", known),
            };
            return format!("unknown choice {name:?}{meant}{known}");
        }
    } else if message.starts_with("missing field ") {
        if let [key] = &quoted(&message)[..] {
            return format!("the key {key:?} is missing in this table");
        }
    } else if let Some((found, expected)) =
        of(&message, "invalid type: ").or_else(|| of(&message, "invalid value: "))
    {
        return format!(
            "{} stands where {} is expected",
            value(found),
            kind(expected)
        );
    } else if let Some((found, expected)) = of(&message, "invalid length ") {
        return format!("{found} values stand where {} is expected", kind(expected));
    }
    message
}

fn of<'m>(message: &'m str, start: &str) -> Option<(&'m str, &'m str)> {
    message.strip_prefix(start)?.split_once(", expected ")
}

fn sentence(start: &str, names: &[String]) -> String {
    match names {
        [] => "; there is none to choose from".into(),
        names => format!("{start} {}", names.join(", ")),
    }
}

/// What stands in the file.
fn value(found: &str) -> String {
    let plain = |text: &str| {
        // Serde tells integers beyond 64 bits so.
        let text = text
            .trim_end_matches(" as i128")
            .trim_end_matches(" as u128");
        text.trim_matches('`').to_owned()
    };
    match found.split_once(' ') {
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer" | "boolean" | "float" | "character", text)) => plain(text),
        Some(("floating", text)) => plain(text.trim_start_matches("point ")),
        _ if found == "map" => "a table".into(),
        _ if found == "sequence" => "a list".into(),
        _ => found.to_owned(),
    }
}

/// The tables of a task file that have this key, as the reference has them.
fn tables_with(key: &str) -> impl Iterator<Item = &'static str> {
    const REFERENCE: &str = include_str!(concat!(env!("KINGLET_GUIDE"), "/task.md"));
    const TABLES: [&str; 21] = [
        "csv",
        "csv.format",
        "csv.join",
        "csv.test",
        "csv.audio",
        "series",
        "sequences",
        "text",
        "documents",
        "files",
        "vocabulary",
        "tagged",
        "pairs",
        "made",
        "shape",
        "network",
        "train",
        "train.quantized",
        "anomaly",
        "wake",
        "output",
    ];
    let row = format!("| `{key}` |");
    let sections = REFERENCE.split("\n## ").skip(1);
    sections.filter_map(move |section| {
        let (table, rows) = section.split_once('\n')?;
        let has = TABLES.contains(&table) && rows.lines().any(|line| line.starts_with(&row));
        has.then_some(table)
    })
}

/// How a key is given that is often taken for something simpler.
fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "split" => "split = { fractions = [0.7, 0.1, 0.2] }",
        "csv" => "csv = { file = \"data.csv\" }",
        "label" => {
            "label = { column = \"fault\", classes = [{ name = \"ok\", labels = [\"0\"] }, { name = \"broken\", labels = [\"1\"] }] }"
        }
        "classes" => {
            "classes = [{ name = \"ok\", labels = [\"0\"] }, { name = \"broken\", labels = [\"1\"] }]"
        }
        _ => return None,
    })
}

/// What belongs there.
fn kind(expected: &str) -> String {
    let expected = expected.trim();
    match expected {
        "usize" | "u8" | "u16" | "u32" | "u64" => "a whole number, not below 0,".into(),
        "isize" | "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" | "floating point" | "a float" => "a number".into(),
        "a boolean" | "bool" => "true or false".into(),
        "a string" | "path string" | "string" | "str" | "a borrowed string" => "a text".into(),
        "a character" | "char" => "one character".into(),
        "a sequence" => "a list".into(),
        "a map" | "map" => "a table".into(),
        "string or map" | "map or string" => "a name or a table".into(),
        _ if expected.starts_with("struct ") => "a table".into(),
        _ if expected.starts_with("enum ") => "a name or a table".into(),
        _ => match expected.strip_prefix("an array of length ") {
            Some(length) => format!("a list of {length} values"),
            None => expected.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_words_become_those_of_a_task_file() {
        for (message, words) in [
            (
                "unknown field `windows`, expected one of `window`, `hop`",
                "unknown key \"windows\"; did you mean \"window\"? The keys here are window, hop (`kinglet help task` explains them)",
            ),
            (
                "unknown field `quantiles`, expected one of `column`, `unit`",
                "unknown key \"quantiles\" here; it belongs to [series]; the keys here are column, unit (`kinglet help task` explains them)",
            ),
            (
                "unknown variant `grue`, expected one of `gru`, `lstm`",
                "unknown choice \"grue\"; did you mean \"gru\"? The choices are gru, lstm",
            ),
            (
                "unknown variant `int8`, expected one of `w8a8`, `f32`",
                "unknown choice \"int8\"; the choices are w8a8, f32",
            ),
            (
                "missing field `hidden`",
                "the key \"hidden\" is missing in this table",
            ),
            (
                "invalid type: string \"8\", expected usize",
                "the text \"8\" stands where a whole number, not below 0, is expected",
            ),
            (
                "invalid type: integer `8`, expected a string",
                "8 stands where a text is expected",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "-1 stands where a whole number, not below 0, is expected",
            ),
            (
                "invalid type: integer `99999999999999999999` as i128, expected usize",
                "99999999999999999999 stands where a whole number, not below 0, is expected",
            ),
            (
                "invalid length 2, expected an array of length 3",
                "2 values stand where a list of 3 values is expected",
            ),
            (
                "invalid type: map, expected a boolean",
                "a table stands where true or false is expected",
            ),
        ] {
            assert_eq!(reworded(message), words);
        }
    }

    #[test]
    fn a_date_without_quotes_is_told_so() {
        #[derive(Debug, serde::Deserialize)]
        struct Split {
            #[expect(dead_code, reason = "it is never read")]
            before: String,
        }
        let text = "before = 2026-03-15\n";
        let error = toml::from_str::<Split>(text).unwrap_err();
        let words = ":1:10: 2026-03-15 stands without quotes where a text is expected; write \"2026-03-15\"";
        assert_eq!(problem(&error, text), words);
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        let text = "[train]\nepochs = 1\nepochs = 2\n";
        let error = toml::from_str::<toml::Table>(text).unwrap_err();
        let words = ":3:1: the key \"epochs\" stands here a second time; leave one out";
        assert_eq!(problem(&error, text), words);
    }
}

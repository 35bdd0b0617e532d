//! A task file as it grows, with a comment on every choice, and what the user is told about it.

use crate::data::csv::{Format, Header, Missing, OnError};

/// Multiplications a second, and the rest of a step in seconds, of a training on two common cores.
const SPEED: f64 = 1e10;
const STEP: f64 = 8e-8;
/// A first training should not take longer (seconds, by this estimate).
const PATIENCE: f64 = 25.0;
/// A network of this size needs about so many steps down the slope, …
const UPDATES: usize = 3000;
/// … but no row should be seen more often.
const EPOCHS: usize = 120;

/// A task file in the making.
#[derive(Default)]
pub struct Draft {
    /// The file.
    pub toml: String,
    /// What was taken for what: a word and a sentence each.
    pub told: Vec<(&'static str, String)>,
}

impl Draft {
    pub fn line(&mut self, line: &str) {
        self.toml += line;
        self.toml.push('\n');
    }

    pub fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    pub fn section(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }

    pub fn tell(&mut self, what: &'static str, text: impl Into<String>) {
        self.told.push((what, text.into()));
    }

    /// `[csv.format]` or another table of how a file is written: what is not as usual.
    pub fn format(&mut self, table: &str, format: &Format) {
        let usual = Format::default();
        if *format == usual {
            return;
        }
        self.section(table);
        let mut lines = Vec::new();
        if format.delimiter != usual.delimiter {
            let delimiter = format.delimiter.to_string();
            lines.push(format!("delimiter = {}", quoted(&delimiter)));
        }
        match &format.header {
            Header::FirstLine => {}
            Header::None => {
                lines.push("# The columns are called \"1\", \"2\", …\nheader = \"none\"".into())
            }
            Header::Names(names) => lines.push(format!(
                "# From the comment above the rows.\nheader = {{ names = [{}] }}",
                list(names.iter().map(String::as_str))
            )),
        }
        if let Some(comment) = format.comment {
            lines.push(format!("comment = {}", quoted(&comment.to_string())));
        }
        if format.decimal != usual.decimal {
            lines.push(format!("decimal = {}", quoted(&format.decimal.to_string())));
        }
        if let Some(mark) = format.thousands {
            lines.push(format!("thousands = {}", quoted(&mark.to_string())));
        }
        if !format.missing_values.is_empty() {
            let values = list(format.missing_values.iter().map(String::as_str));
            lines.push(format!("missing_values = [{values}]"));
        }
        if let Some(encoding) = &format.encoding {
            lines.push(format!("encoding = {}", quoted(encoding)));
        }
        if format.newest_first {
            lines.push("newest_first = true".into());
        }
        if format.on_error == OnError::Skip {
            lines.push("# Broken rows are left out, and counted.\non_error = \"skip\"".into());
        }
        if format.missing == Missing::Hold {
            lines.push(
                "# A gap repeats the last number, here and on the device.\nmissing = \"hold\""
                    .into(),
            );
        }
        if let Some(time) = &format.time {
            lines.push(format!("time = {}", quoted(time)));
        }
        lines.iter().for_each(|line| self.line(line));
    }

    /// `[network]`, `[train]` and `[output]`: a small network, trained for about half a minute at the most.
    pub fn network(&mut self, size: &Size) {
        let (hidden, windows) = (size.hidden, size.windows.max(1));
        let width = size.embedding.unwrap_or(size.inputs);
        let products = 3 * hidden * (width + hidden) + hidden * size.outputs;
        let batch = if windows < 1000 { 8 } else { 32 };
        let updates = windows.div_ceil(batch);
        let steps = (windows * size.window) as f64;
        let seconds = |epochs: usize| epochs as f64 * steps * (STEP + products as f64 / SPEED);
        let affordable = (PATIENCE / seconds(1)) as usize;
        let epochs = UPDATES
            .div_ceil(updates)
            .clamp(8, EPOCHS)
            .min(affordable.max(2));
        self.section("network");
        self.comment("Also \"lstm\", or \"fastgrnn\" for a third of the flash; `kinglet tune` finds what fits a machine.");
        self.line("cell = \"gru\"");
        self.line(&format!("hidden = [{hidden}]"));
        if let Some(embedding) = size.embedding {
            self.line(&format!("embedding = {embedding}"));
        }
        self.section("train");
        self.line("learning_rate = 0.004");
        self.line("schedule = \"cosine\"");
        self.line(&format!("batch = {batch}"));
        self.comment(
            "More of them are better up to a point; the best one by the validation part is kept.",
        );
        self.line(&format!("epochs = {epochs}"));
        if let Some(dropout) = size.word_dropout {
            self.comment("Rare words are learned by heart otherwise.");
            self.line(&format!("word_dropout = {dropout}"));
            self.line("optimiser = \"adamw\"");
            self.line("weight_decay = 0.5");
        }
        self.section("output");
        self.comment("8-bit weights and 16-bit activations, integers only. \"w8a8\" is faster, \"f32\" has no rounding.");
        self.line("precision = \"w8a16\"");
        self.tell(
            "network",
            format!(
                "GRU of {hidden} units, {epochs} epochs (about {} on two cores), exported as w8a16",
                duration(seconds(epochs).max(1.0).ceil())
            ),
        );
    }
}

/// What the cost of a training follows from.
pub struct Size {
    pub inputs: usize,
    pub outputs: usize,
    pub hidden: usize,
    pub embedding: Option<usize>,
    pub word_dropout: Option<f32>,
    /// Training windows of an epoch, and their samples.
    pub windows: usize,
    pub window: usize,
}

/// As TOML writes a text.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Texts as TOML writes them, with commas between.
pub fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(quoted).collect::<Vec<_>>().join(", ")
}

/// Names in a sentence; of many the first.
pub fn names<'t>(names: impl ExactSizeIterator<Item = &'t str>) -> String {
    const SHOWN: usize = 8;
    let count = names.len();
    let shown: Vec<&str> = names.take(SHOWN).collect();
    let more = if count > SHOWN {
        format!(" and {} more", count - SHOWN)
    } else {
        String::new()
    };
    shown.join(", ") + &more
}

/// Seconds in the largest unit that fits.
pub fn duration(seconds: f64) -> String {
    let units = [
        (365.2425 * 86_400.0, "year"),
        (29.0 * 86_400.0, "month"),
        (7.0 * 86_400.0, "week"),
        (86_400.0, "day"),
        (3_600.0, "hour"),
        (60.0, "minute"),
        (1.0, "second"),
    ];
    // What is no whole number of a large unit is told in the next.
    let fits = |&&(unit, _): &&(f64, &str)| {
        let count = seconds / unit;
        count >= 0.95 && (count >= 10.0 || (count - count.round()).abs() < 0.1)
    };
    match units.iter().find(fits) {
        Some((unit, name)) => {
            let count = (seconds / unit).round();
            let plural = if count == 1.0 { "" } else { "s" };
            format!("{count} {name}{plural}")
        }
        None => format!("{seconds:.3} seconds"),
    }
}

/// `20631` as `20,631`.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_whole_units() {
        for (seconds, text) in [
            (300.0, "5 minutes"),
            (3600.0, "1 hour"),
            (86_400.0, "1 day"),
            (31.0 * 86_400.0, "1 month"),
            (90.0, "90 seconds"),
            (0.02, "0.020 seconds"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(
            (count(20_631), count(7), count(1_000_000)),
            ("20,631".into(), "7".into(), "1,000,000".into())
        );
    }
}

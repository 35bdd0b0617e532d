//! What the text of a field means: a gap, a number.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::format::{Format, Missing, Unseen};

/// How fields are to be read.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) missing: Missing,
    pub(super) unseen: Unseen,
    pub(super) time: Option<String>,
    decimal: char,
    thousands: Option<char>,
    gaps: Vec<String>,
    /// Those gaps that are numbers, in whatever spelling.
    pub(super) sentinels: Vec<f64>,
}

impl Fields {
    pub(super) fn new(format: &Format) -> Self {
        let mut fields = Fields {
            missing: format.missing,
            unseen: format.unseen,
            time: format.time.clone(),
            decimal: format.decimal,
            thousands: format.thousands,
            gaps: format.missing_values.clone(),
            sentinels: Vec::new(),
        };
        let plain = |text: &String| text.parse().ok();
        let number = |text: &String| fields.number::<f64>(text).or_else(|| plain(text));
        fields.sentinels = fields.gaps.iter().filter_map(number).collect();
        fields
    }

    /// Whether a field holds nothing.
    pub(super) fn is_missing(&self, text: &str) -> bool {
        is_missing(text)
            || self.gaps.iter().any(|gap| gap == text)
            || !self.sentinels.is_empty()
                && (self.number::<f64>(text)).is_some_and(|x| self.sentinels.contains(&x))
    }

    /// The number that a field holds.
    pub(super) fn number<T: std::str::FromStr>(&self, text: &str) -> Option<T> {
        self.plain(text)?.parse().ok()
    }

    /// The whole number that a field holds, with all of its digits.
    pub(super) fn whole(&self, text: &str) -> Option<i128> {
        self.number(text)
    }

    /// As the language writes numbers.
    fn plain<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        // The minus of typesetters, which some spreadsheets write.
        if let Some(size) = text.strip_prefix('\u{2212}') {
            return Some(format!("-{}", self.plain(size)?).into());
        }
        if self.decimal == '.' && self.thousands.is_none() {
            return Some(text.into());
        }
        let (whole, fraction) = match text.split_once(self.decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        if fraction.is_some_and(|f| f.contains(['.', ','])) {
            return None;
        }
        let whole = match self.thousands {
            Some(mark) => ungrouped(whole, mark)?,
            None => whole.into(),
        };
        if whole.contains(['.', ',']) {
            return None;
        }
        Some(match fraction {
            Some(fraction) => format!("{whole}.{fraction}").into(),
            None => whole,
        })
    }

    /// What to do about a number that has something beside it: a sign, a factor, a unit or the like.
    fn beside(&self, text: &str) -> Option<String> {
        /// What multiplies a number. Some are units as well.
        const FACTORS: [&str; 12] = [
            "k", "K", "M", "G", "T", "B", "bn", "mn", "Mio", "Mio.", "Mrd", "Mrd.",
        ];
        let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
        let mut at = text.find(digits).filter(|_| !digits.is_empty())?;
        let end = at + digits.len();
        if text[..at].ends_with(self.decimal) {
            at -= self.decimal.len_utf8();
        }
        let (before, number, after) = (&text[..at], &text[at..end], &text[end..]);
        let is_number = self.number::<f64>(number).is_some()
            || Fields::new(&Format {
                thousands: Some(','),
                ..Format::default()
            })
            .number::<f64>(number)
            .is_some();
        // A name or a date that ends in digits is none.
        let short = |text: &str| text.trim().chars().count() <= 8;
        if !(is_number && short(before) && short(after)) {
            return None;
        }
        if matches!(after.trim_end_matches(['-', '+']), "e" | "E") {
            return Some("a number is cut off there; repair or remove the row".into());
        }
        if after.trim().is_empty() && before.starts_with(['<', '>', '≤', '≥']) {
            return Some(format!(
                "it is a bound and no number: write what shall stand for it, as half of what can just be measured, or make it a gap: \
                 missing_values = [{text:?}] in the format (--missing-values '{text}')"
            ));
        }
        let is_dash = |c: char| ['-', '\u{2212}', '–', '—'].contains(&c);
        // Right in front of the digits a sign stays where it is.
        let signed = before.strip_suffix(['-', '+', '\u{2212}']);
        let (before, after) = (signed.unwrap_or(before).trim(), after.trim());
        let in_parentheses = before.contains('(') && after.contains(')');
        let is_negative = in_parentheses
            || after.ends_with(is_dash)
            || signed.is_none() && before.contains(is_dash);
        let is_mark = |c: char| is_dash(c) || in_parentheses && "()".contains(c);
        let [before, after] = [before, after].map(|text| match is_negative {
            true => text.trim_matches(is_mark).trim(),
            false => text,
        });
        let is_code = before.chars().count() == 3 && before.contains(char::is_uppercase);
        if before.contains(char::is_alphabetic) && !is_code || after.contains(is_dash) {
            return None;
        }
        let unit = [before, after].join("");
        if is_negative {
            let without = match &unit[..] {
                "" => String::new(),
                unit => format!(" without {unit:?}"),
            };
            return Some(format!(
                "if it is a negative number, write \"-{number}\"{without}: a sign is read right in front of the digits, and neither behind them \
                 nor as parentheses"
            ));
        }
        match &unit[..] {
            "" => None,
            "CR" | "DR" | "Cr" | "Dr" | "cr" | "dr" => Some(format!(
                "credit and debit are signs: write one of them as \"{number}\" and the other as \"-{number}\""
            )),
            unit if FACTORS.contains(&unit) => Some(format!(
                "if {unit:?} is a factor, multiply it out in the whole column, as others may stand there too; if it is the unit of all \
                 numbers, take it out (unit = {unit:?} in the task)"
            )),
            unit => Some(format!(
                "if it is a number with {unit:?} beside it, take that out of the column, where all numbers have it: others are to be \
                 converted (units are said in the task: unit = {unit:?})"
            )),
        }
    }

    /// What may have been meant by a text that is no number.
    pub(super) fn cure(&self, text: &str) -> Option<String> {
        let otherwise = |decimal, thousands: Option<char>| {
            let fields = Fields {
                decimal,
                thousands,
                ..self.clone()
            };
            let number: Option<f64> = fields.number(text);
            number.filter(|number| number.is_finite())
        };
        if otherwise(self.decimal, self.thousands).is_some() {
            return Some(
                "it lies beyond ±3.4e38, the largest number of 32 bits; write the column in a larger unit, or leave it out".into(),
            );
        }
        let readings = [
            (',', None),
            ('.', None),
            (',', Some('.')),
            ('.', Some(',')),
            (',', Some(' ')),
            ('.', Some(' ')),
            (',', Some('\'')),
            ('.', Some('\'')),
        ];
        // "1,234" is one number to some and another one to others. Of two ways to one number that which changes less is right for rows
        // whose numbers have the other mark too.
        let mut found: Vec<(f64, usize, String)> = Vec::new();
        for (decimal, thousands) in readings {
            // What is between thousands stays where nothing is said of it.
            let thousands = thousands.or(self.thousands);
            if thousands == Some(decimal) {
                continue;
            }
            let Some(number) = otherwise(decimal, thousands) else {
                continue;
            };
            let (mut keys, mut flags) = (Vec::new(), Vec::new());
            let mut set = |key: &str, mark: char| {
                let quote = if mark == '\'' { '"' } else { '\'' };
                keys.push(format!("{key} = \"{mark}\""));
                flags.push(format!("--{key} {quote}{mark}{quote}"));
            };
            if decimal != self.decimal {
                set("decimal", decimal);
            }
            if let Some(mark) = thousands.filter(|_| thousands != self.thousands) {
                set("thousands", mark);
            }
            let changes = keys.len();
            let (keys, flags) = (keys.join(", "), flags.join(" "));
            let how = format!("set {keys} in the format ({flags})");
            match found.iter_mut().find(|(other, ..)| *other == number) {
                Some(other) if changes < other.1 => *other = (number, changes, how),
                Some(_) => {}
                None => found.push((number, changes, how)),
            }
        }
        match &found[..] {
            [] => self.beside(text),
            [(.., how)] => Some(format!("if it is one, {how}")),
            several => {
                let each = several
                    .iter()
                    .map(|(number, _, how)| format!("if it is {number}, {how}"));
                Some(each.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// With characters composed, as the same text typed on another system is the same text.
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text.into();
    }
    text.nfc().collect::<String>().into()
}

/// Whether a field holds a label: true and false are written in several ways, by pandas in others than in Parquet.
pub fn is_same(label: &str, text: &str) -> bool {
    let is_truth = |text: &str| {
        ["true", "false"]
            .iter()
            .any(|t| text.eq_ignore_ascii_case(t))
    };
    label == text || label.eq_ignore_ascii_case(text) && is_truth(label)
}

/// The place of the label that a field holds: of one that is written so, else of one that is the same.
pub fn place_of<'l>(
    labels: impl Iterator<Item = (usize, &'l str)> + Clone,
    text: &str,
) -> Option<usize> {
    let exact = labels.clone().find(|(_, label)| *label == text);
    let found = exact.or_else(|| labels.clone().find(|(_, label)| is_same(label, text)));
    found.map(|(place, _)| place)
}

/// An empty field, or what says that there is no number.
pub(crate) fn is_missing(text: &str) -> bool {
    ["", "na", "n/a", "nan", "null", "none", "?"]
        .iter()
        .any(|m| text.eq_ignore_ascii_case(m))
}

/// Without the marks between thousands, which have three digits between them.
fn ungrouped(whole: &str, mark: char) -> Option<Cow<'_, str>> {
    // A blank between thousands is often one that does not break.
    let is_mark = |c: char| c == mark || mark == ' ' && matches!(c, '\u{a0}' | '\u{202f}');
    if !whole.contains(is_mark) {
        return Some(whole.into());
    }
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(is_mark);
    let first = groups.next()?;
    let lead = first.trim_start_matches(['+', '-']);
    // 0,123 is no number of thousands.
    let right = (1..=3).contains(&lead.len())
        && digits(lead)
        && !lead.starts_with('0')
        && groups.all(|group| group.len() == 3 && digits(group));
    right.then(|| whole.replace(is_mark, "").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(decimal: char, thousands: Option<char>) -> Fields {
        Fields::new(&Format {
            decimal,
            thousands,
            missing_values: vec!["-200".into(), "x".into()],
            ..Format::default()
        })
    }

    #[test]
    fn numbers_are_read_as_they_are_written_in_their_country() {
        let number = |decimal, thousands, text| fields(decimal, thousands).number::<f64>(text);
        assert_eq!(number('.', None, "1234.5"), Some(1234.5));
        assert_eq!(number('.', None, "1,5"), None);
        assert_eq!(number(',', None, "-1,5e3"), Some(-1500.0));
        assert_eq!(number(',', None, "1.5"), None);
        assert_eq!(number(',', Some('.'), "1.234.567,25"), Some(1_234_567.25));
        assert_eq!(number('.', Some(','), "-12,345.5"), Some(-12_345.5));
        assert_eq!(number('.', Some(','), "12345"), Some(12_345.0));
        assert_eq!(number('.', Some(','), "1,23"), None);
        assert_eq!(number('.', Some(','), "1,2345"), None);
        assert_eq!(number('.', Some(','), "-0,123"), None);
        assert_eq!(number('.', None, "\u{2212}0.5"), Some(-0.5));
        assert_eq!(number('.', Some(' '), "1\u{a0}234"), Some(1234.0));
    }

    #[test]
    fn a_sentinel_is_a_gap_in_any_spelling() {
        let point = fields('.', None);
        for gap in ["-200", "-200.0", "-2e2", "x", "", "NaN", "n/a"] {
            assert!(point.is_missing(gap), "{gap:?}");
        }
        assert!(!point.is_missing("-200.5") && !point.is_missing("200"));
        assert!(fields(',', None).is_missing("-200,0"));
    }

    #[test]
    fn a_number_of_another_country_names_the_option() {
        let cure = |text| fields('.', None).cure(text).unwrap_or_default();
        assert!(cure("2,5").contains("decimal = \",\""), "{}", cure("2,5"));
        let either = "if it is 1.234, set decimal = \",\" in the format (--decimal ','); if it is 1234, set thousands = \",\" in the format \
                      (--thousands ',')";
        assert_eq!(cure("1,234"), either);
        assert!(cure("1.234.567,5").contains("--thousands '.'"));
        assert!(cure("1'234.5").contains("--thousands \"'\""));
        assert_eq!(cure("oops"), "");
        for (text, beside) in [
            ("20.5 °C", "°C"),
            ("50%", "%"),
            ("$1,100.50", "$"),
            ("-3 kW", "kW"),
        ] {
            assert!(
                cure(text).starts_with(&format!("if it is a number with {beside:?} beside it")),
                "{text:?}: {}",
                cure(text)
            );
        }
        for text in ["2026-11-03", "pump 7", "A7", "12:30", "pump-7", "7-A"] {
            assert_eq!(cure(text), "", "{text:?}");
        }
    }

    #[test]
    fn no_remedy_takes_a_sign_or_a_factor_away() {
        let cure = |text| fields('.', None).cure(text).unwrap_or_default();
        for (text, number) in [
            ("5-", "-5"),
            ("5 -", "-5"),
            ("(5)", "-5"),
            ("(.5)", "-.5"),
            ("(1,100.50)", "-1,100.50"),
            ("- 5", "-5"),
            ("–5", "-5"),
            ("($5)", "-5"),
            ("-$5", "-5"),
            ("5 EUR-", "-5"),
        ] {
            let begin = format!("if it is a negative number, write {number:?}");
            assert!(cure(text).starts_with(&begin), "{text:?}: {}", cure(text));
        }
        for (text, begin) in [
            ("5k", "if \"k\" is a factor, multiply it out"),
            ("-5 M", "if \"M\" is a factor, multiply it out"),
            ("5 CR", "credit and debit are signs"),
            ("<5", "it is a bound and no number"),
            ("> 5", "it is a bound and no number"),
            ("1e", "a number is cut off there"),
            ("1.5E-", "a number is cut off there"),
        ] {
            assert!(cure(text).starts_with(begin), "{text:?}: {}", cure(text));
        }
    }

    #[test]
    fn a_remedy_is_one_for_the_other_rows_too() {
        let cure = |decimal, thousands, text| fields(decimal, thousands).cure(text).unwrap();
        // The two options are never one character.
        assert_eq!(
            cure(',', Some('.'), "12.34"),
            "if it is one, set decimal = \".\", thousands = \",\" in the format (--decimal '.' --thousands ',')"
        );
        // 1 234.5 may follow.
        assert_eq!(
            cure('.', None, "1 234"),
            "if it is one, set thousands = \" \" in the format (--thousands ' ')"
        );
        assert!(
            cure('.', Some(' '), "1 234,5").starts_with("if it is one, set decimal = \",\" in")
        );
    }
}

//! What a column holds.

use std::collections::{HashMap, HashSet};

use crate::data::csv::is_missing;
use crate::data::sentinel::sentinels;
use crate::data::share;
use crate::data::time::{COMPACT, NotATime, OTHER_COMPACT, Time, Times, USUAL};

/// So many different texts are categories; more are text.
const MOST_CATEGORIES: usize = 24;
/// So many of the values must be of a kind; the others are torn.
const MOST: f64 = 0.99;
/// How people write times that are not understood without being told.
const TIME_FORMATS: [&str; 36] = [
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%d.%m.%y %H:%M",
    "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y",
    "%Y.%m.%d %H:%M:%S",
    "%Y.%m.%d %H:%M",
    "%Y.%m.%d",
    "%Y년 %m월 %d일",
    "%Y年%m月%d日",
    "%d/%b/%Y:%H:%M:%S %z",
    "%d/%m/%y %H:%M",
    "%m/%d/%y %H:%M",
    "%d/%m/%y %H:%M:%S",
    "%m/%d/%y %H:%M:%S",
    "%d/%m/%y",
    "%m/%d/%y",
    "%y/%m/%d %H:%M:%S",
    "%y/%m/%d %H:%M",
    "%y/%m/%d",
    "%d.%m.%y %H:%M:%S",
    "%d.%m.%y",
    "%y-%m-%d %H:%M:%S",
    "%y-%m-%d %H:%M",
    "%y-%m-%d",
];
/// What stands for no value in a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    pub numbers: Vec<f64>,
    pub texts: Vec<String>,
}

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.texts.is_empty()
    }

    /// Whether a field stands for no value.
    pub fn is_gap(&self, text: &str, number: &dyn Fn(&str) -> Option<f64>) -> bool {
        is_missing(text)
            || self.texts.iter().any(|mark| mark == text)
            || number(text).is_some_and(|x| self.numbers.contains(&x))
    }

    /// As the key `missing_values` lists them.
    pub fn list(&self) -> Vec<String> {
        let numbers = self.numbers.iter().map(f64::to_string);
        numbers.chain(self.texts.iter().cloned()).collect()
    }
}

/// A column of a table.
pub struct Column<'t> {
    pub name: String,
    pub texts: Vec<&'t str>,
    pub holds: Holds,
    /// Rows without a value.
    pub missing: usize,
    /// The values of a column of numbers or times (seconds), NaN where there is none.
    pub values: Vec<f64>,
}

/// What is in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Holds {
    /// Nothing at all.
    Nothing,
    /// Always the same.
    One(String),
    Numbers,
    /// Times, in this form if it is not a common one.
    Times(Option<String>),
    /// Times, of which some do not exist, as the 30th of February.
    NoTimes(Impossible),
    /// A few different texts, in the order in which they appear first.
    Categories(Vec<String>),
    Text,
}

/// Times that do not exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Impossible {
    pub count: usize,
    /// Of how many.
    pub all: usize,
    /// The rows of the first few.
    pub rows: Vec<usize>,
    /// The first.
    pub sample: String,
}

impl Impossible {
    pub fn told(&self) -> String {
        let share = 100.0 * self.count as f64 / self.all as f64;
        let do_not = if self.count == 1 {
            "does not"
        } else {
            "do not"
        };
        format!(
            "times, of which {} of {} ({share:.1} %) {do_not} exist, such as {:?}",
            self.count, self.all, self.sample
        )
    }
}

impl<'t> Column<'t> {
    /// Looks at every value. `number` reads a number as the file writes it; `marks` mean that there is none.
    pub fn new(
        name: &str,
        texts: Vec<&'t str>,
        number: &dyn Fn(&str) -> Option<f64>,
        marks: &Marks,
    ) -> Self {
        let gap = |text: &str| marks.is_gap(text, number);
        let mut different: HashMap<&str, usize> = HashMap::new();
        let (mut missing, mut numbers) = (0, 0);
        let mut order = Vec::new();
        for &text in &texts {
            if gap(text) {
                missing += 1;
                continue;
            }
            numbers += usize::from(number(text).is_some());
            let seen = different.entry(text).or_default();
            if *seen == 0 && order.len() <= MOST_CATEGORIES {
                order.push(text);
            }
            *seen += 1;
        }
        let there = texts.len() - missing;
        let most = |count: usize| count as f64 >= MOST * there as f64;
        let value = |parse: &dyn Fn(&str) -> Option<f64>| -> Vec<f64> {
            let of = |text: &&str| if gap(text) { None } else { parse(text) };
            texts.iter().map(|t| of(t).unwrap_or(f64::NAN)).collect()
        };
        let mut values = Vec::new();
        let holds = if there == 0 {
            Holds::Nothing
        } else if let Some(impossible) = impossible(&texts, &gap) {
            Holds::NoTimes(impossible)
        } else if let Some(format) = time_format(name, &order, &texts, &gap) {
            values = value(&|text| Time::parse(text, format.as_deref()).map(|t| t.instant));
            Holds::Times(format)
        } else if most(numbers) {
            values = value(number);
            if different.len() == 1 {
                Holds::One(order[0].into())
            } else {
                Holds::Numbers
            }
        } else if different.len() == 1 {
            Holds::One(order[0].into())
        } else if different.len() <= MOST_CATEGORIES && there >= 4 * different.len() {
            Holds::Categories(order.into_iter().map(str::to_owned).collect())
        } else {
            Holds::Text
        };
        Column {
            name: name.into(),
            texts,
            holds,
            missing,
            values,
        }
    }

    pub fn is_number(&self) -> bool {
        self.holds == Holds::Numbers
    }

    /// The different texts, in the order in which they appear, up to one more than `most`.
    pub fn different(&self, most: usize) -> Vec<&'t str> {
        let mut seen = HashSet::new();
        let fresh = self.texts.iter().filter(|text| seen.insert(**text));
        fresh.take(most + 1).copied().collect()
    }

    /// A number far outside the others that comes again and again, of those that loggers write for "no value".
    pub fn mark(&self) -> Option<f64> {
        let there = self.values.iter().filter(|x| !x.is_nan()).count();
        let found = sentinels(self.values.iter().copied()).into_iter();
        let often = found.filter(|found| found.count >= 3 && 2 * found.count < there);
        let mut often = often.filter(|found| found.is_usual);
        often.find(|_| self.is_number()).map(|found| found.value)
    }

    /// Numbers that may be of that kind, and are none that loggers write as a rule.
    pub fn doubtful(&self) -> Vec<String> {
        let there = self.values.iter().filter(|x| !x.is_nan()).count();
        let found = sentinels(self.values.iter().copied()).into_iter();
        let found = found.filter(|found| self.is_number() && !found.is_usual);
        let told = found.map(|found| found.told(&share(found.count, there, "rows")));
        told.map(|told| format!("{} {told}", self.name)).collect()
    }

    /// Rows that hold something else than nearly all the others: of a column of times also nothing.
    pub fn torn(&self, is_gap: &dyn Fn(&str) -> bool) -> Vec<usize> {
        let all = self.texts.len();
        let few = self.missing as f64 <= (1.0 - MOST) * all as f64;
        let timeless = matches!(self.holds, Holds::Times(_)) && few;
        match self.holds {
            Holds::Numbers | Holds::Times(_) => (0..all)
                .filter(|&row| self.values[row].is_nan())
                .filter(|&row| timeless || !is_gap(self.texts[row]))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Texts among numbers that come again and again, as `-`, `#N/A` or `Error`.
    pub fn text_marks(&self, number: &dyn Fn(&str) -> Option<f64>) -> Vec<&'t str> {
        const MOST_MARKS: usize = 4;
        // Floors 1, 2 and B are categories.
        if !matches!(self.holds, Holds::Numbers | Holds::Text) {
            return Vec::new();
        }
        let (mut numbers, mut others) = (0usize, HashMap::<&str, usize>::new());
        for &text in self.texts.iter().filter(|text| !is_missing(text)) {
            match number(text) {
                Some(_) => numbers += 1,
                None if others.len() <= MOST_MARKS => *others.entry(text).or_default() += 1,
                None => {}
            }
        }
        let again = others.values().all(|&times| times > 1);
        if others.len() > MOST_MARKS || !again || numbers <= others.values().sum() {
            return Vec::new();
        }
        let mut marks: Vec<&str> = others.into_keys().collect();
        marks.sort_unstable();
        marks
    }

    /// All numbers are whole.
    pub fn is_whole(&self) -> bool {
        self.is_number() && self.values.iter().all(|x| x.is_nan() || x.fract() == 0.0)
    }

    /// The words of its name, in small letters.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut before = ' ';
        for c in self.name.chars() {
            let begins = c.is_uppercase() && before.is_lowercase();
            if begins || !c.is_alphanumeric() {
                words.push(String::new());
            }
            if c.is_alphanumeric()
                && let Some(word) = words.last_mut()
            {
                word.extend(c.to_lowercase());
            }
            before = c;
        }
        words.retain(|word| !word.is_empty());
        words
    }

    pub fn is_called(&self, words: &[&str]) -> bool {
        self.words()
            .iter()
            .any(|word| words.contains(&word.as_str()))
    }

    /// Rows (of those given) hold at least two different values.
    pub fn varies(&self, rows: impl Iterator<Item = usize>) -> bool {
        let mut first = None;
        for x in rows.map(|row| self.values[row]).filter(|x| !x.is_nan()) {
            if *first.get_or_insert(x) != x {
                return true;
            }
        }
        false
    }
}

/// Whether a column holds times, and how they are written if not in a common form.
#[expect(
    clippy::option_option,
    reason = "no times; times in a common form; times in this form"
)]
fn time_format(
    name: &str,
    first: &[&str],
    texts: &[&str],
    gap: &dyn Fn(&str) -> bool,
) -> Option<Option<String>> {
    let fits = |format: Option<&str>| {
        let few = first.iter().all(|text| Time::parse(text, format).is_some());
        few && {
            let there = texts.iter().filter(|text| !gap(text));
            let (mut all, mut read) = (0usize, 0usize);
            for text in there {
                all += 1;
                read += usize::from(Time::parse(text, format).is_some());
            }
            read as f64 >= MOST * all as f64
        }
    };
    let whole = |text: &&str| text.bytes().all(|b| b.is_ascii_digit());
    if first.iter().all(|text| text.parse::<f64>().is_ok()) {
        // A number is a time only where the column says so.
        let words = Column {
            name: name.into(),
            texts: vec![],
            holds: Holds::Nothing,
            missing: 0,
            values: vec![],
        };
        if !words.is_called(&[
            "t",
            "at",
            "time",
            "timestamp",
            "zeit",
            "datum",
            "시간",
            "날짜",
            "일시",
            "日時",
            "date",
            "datetime",
            "ts",
            "epoch",
            "when",
            "unixtime",
            "day",
            "utc",
        ]) {
            return None;
        }
        let digits = first[0].len();
        let alike = first.iter().all(whole) && first.iter().all(|text| text.len() == digits);
        if alike
            && let Some((_, format)) = COMPACT.iter().find(|(n, _)| *n == digits)
            && ["19", "20"].iter().any(|c| first[0].starts_with(c))
            && fits(Some(format))
        {
            return Some(Some((*format).into()));
        }
        let seconds = |text: &&str| Time::parse(text, Some("%s")).map_or(0.0, |t| t.instant);
        let usual = |text: &&str| USUAL.contains(&seconds(text));
        if alike
            && !first.iter().all(usual)
            && let Some((_, format)) = OTHER_COMPACT
                .iter()
                .find(|(n, format)| *n == digits && fits(Some(format)))
        {
            return Some(Some((*format).into()));
        }
        // Days of a spreadsheet, from 1954 to 2119.
        let serial = |text: &&str| {
            text.parse()
                .is_ok_and(|x: f64| (20_000.0..80_000.0).contains(&x))
        };
        if first.iter().all(serial) && fits(Some("excel")) {
            return Some(Some("excel".into()));
        }
        // Seconds since 1970, or a finer unit, between 1990 and 2100.
        let plausible = |text: &&str| {
            let time = Time::parse(text, None).map_or(0.0, |t| t.instant);
            (6.3e8..4.1e9).contains(&time)
        };
        return (first.iter().all(plausible) && fits(None)).then_some(None);
    }
    if fits(None) {
        return Some(None);
    }
    let fitting: Vec<&str> = TIME_FORMATS.into_iter().filter(|f| fits(Some(f))).collect();
    // Where day and month could be either, the one in which times run most evenly, and of those the densest.
    let uneven = |format: &&str| {
        let times = texts.iter().filter_map(|t| Time::parse(t, Some(format)));
        let times: Vec<f64> = times.map(|t| t.instant).collect();
        let steps: HashSet<u64> = times.windows(2).map(|w| (w[1] - w[0]).to_bits()).collect();
        let ends = |fold: fn(f64, f64) -> f64| times.iter().copied().reduce(fold).unwrap_or(0.0);
        (steps.len(), (ends(f64::max) - ends(f64::min)).to_bits())
    };
    let best = fitting.into_iter().min_by_key(uneven)?;
    Some(Some(best.into()))
}

/// Whether a column holds times, in a common form or one of those above, of which some do not exist.
fn impossible(texts: &[&str], gap: &dyn Fn(&str) -> bool) -> Option<Impossible> {
    const SHOWN: usize = 4;
    let there = || (0..texts.len()).filter(|&row| !gap(texts[row]));
    let first = texts[there().next()?];
    if first.parse::<f64>().is_ok() {
        return None;
    }
    let formats = [None].into_iter().chain(TIME_FORMATS.map(Some));
    let found = formats.filter_map(|format| {
        let read = |text: &str| Times::new(format).read(text, true);
        if read(first) == Err(NotATime::Unknown) {
            return None;
        }
        let mut found = Impossible {
            count: 0,
            all: 0,
            rows: Vec::new(),
            sample: String::new(),
        };
        let mut times = 0;
        for row in there() {
            found.all += 1;
            match read(texts[row]) {
                Ok(_) => times += 1,
                Err(NotATime::Impossible) => {
                    found.count += 1;
                    if found.rows.len() < SHOWN {
                        found.rows.push(row);
                    }
                }
                Err(_) => {}
            }
        }
        let most = (times + found.count) as f64 >= MOST * found.all as f64;
        (most && times > 0).then_some(found)
    });
    // In the form that leaves the fewest.
    let mut found = found.min_by_key(|found| found.count)?;
    found.sample = texts[*found.rows.first()?].into();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(name: &str, texts: &[&str]) -> Holds {
        Column::new(name, texts.to_vec(), &|t| t.parse().ok(), &Marks::default()).holds
    }

    #[test]
    fn a_column_is_what_its_values_are() {
        assert_eq!(holds("x", &["1", "", "2.5", "NA"]), Holds::Numbers);
        assert_eq!(holds("x", &["1", "1"]), Holds::One("1".into()));
        assert_eq!(holds("x", &["", "NA"]), Holds::Nothing);
        assert_eq!(
            holds("x", &["2026-11-03", "2026-11-04"]),
            Holds::Times(None)
        );
        let format = |f: &str| Holds::Times(Some(f.into()));
        assert_eq!(
            holds("x", &["30/11/2026", "01/12/2026"]),
            format("%d/%m/%Y")
        );
        // Which is the month shows in the order only: one day after the other.
        assert_eq!(
            holds("x", &["01/01/2026", "01/02/2026", "01/03/2026"]),
            format("%m/%d/%Y")
        );
        assert_eq!(
            holds("x", &["01/03/2026", "02/03/2026", "03/03/2026"]),
            format("%d/%m/%Y")
        );
        assert_eq!(
            holds("date", &["2016070100", "2016070101"]),
            format("%Y%m%d%H")
        );
        for (texts, otherwise) in [
            (["2603041000", "2603041010"], "%y%m%d%H%M"),
            (["040320261000", "040320261010"], "%d%m%Y%H%M"),
            (["04/03/26", "05/03/26"], "%d/%m/%y"),
            (["26/03/04", "26/03/05"], "%y/%m/%d"),
            (["30.03.26", "31.03.26"], "%d.%m.%y"),
        ] {
            assert_eq!(holds("time", &texts), format(otherwise), "{texts:?}");
        }
        assert_eq!(
            holds("date", &["2016070100.0", "2016070101.0"]),
            Holds::Times(None)
        );
        assert_eq!(holds("date", &["45000", "45000.5"]), format("excel"));
        assert_eq!(
            holds("count", &["2016070100", "2016070101"]),
            Holds::Numbers
        );
        assert_eq!(
            holds("ts", &["1467376200", "1467376260"]),
            Holds::Times(None)
        );
        let february: Vec<&str> = ["30/01/2026", "30/02/2026"].repeat(2);
        assert_eq!(
            holds("x", &february),
            Holds::NoTimes(Impossible {
                count: 2,
                all: 4,
                rows: vec![1, 3],
                sample: "30/02/2026".into()
            })
        );
        let winds: Vec<&str> = ["N", "S"].repeat(8);
        assert_eq!(
            holds("wind", &winds),
            Holds::Categories(vec!["N".into(), "S".into()])
        );
        assert_eq!(holds("note", &["a b", "c", "d"]), Holds::Text);
    }
}

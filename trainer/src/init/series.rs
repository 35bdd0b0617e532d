//! Rows in order of time: which columns go in, which is predicted, and how.

use std::collections::HashMap;

use super::beside::Beside;
use super::column::{Column, Holds};
use super::draft::{Draft, Size, count, duration, list, names, quoted};
use super::order::{DATE_PARTS, Order, is_clock, steps};
use super::{InitError, Without, held, shell_word};
use crate::data::csv::{Format, Missing, is_missing};
use crate::data::order::CLOCK_CHANGE;
use crate::data::time::Time;

pub const LABEL_NAMES: [&str; 16] = [
    "label",
    "class",
    "target",
    "y",
    "activity",
    "category",
    "anomaly",
    "fault",
    "failure",
    "state",
    "status",
    "gesture",
    "outcome",
    "diagnosis",
    "species",
    "event",
];
const TARGET_NAMES: [&str; 17] = [
    "target",
    "y",
    "output",
    "demand",
    "remaining",
    // What instruments are compared with, as in CO(GT).
    "gt",
    "truth",
    "reference",
    "actual",
    // What such tables are kept for.
    "consumption",
    "sales",
    "price",
    "close",
    "aqi",
    "pm2",
    "pm25",
    "pm10",
];
/// Whole numbers of so many values may be labels.
const MOST_CLASSES: usize = 24;
/// Most samples of a window; the state goes on from window to window on the device.
const WINDOW: usize = 64;
/// A column with fewer numbers than this share is left out.
const LEAST_THERE: f64 = 0.5;
/// Why a column is the target that nothing else says.
const LAST: &str = "the last column of numbers that varies";
/// The training part: its share of the rows.
const TRAIN: f64 = 0.7;

/// What is predicted.
enum Goal {
    /// The number in this column, some rows ahead.
    Number(usize),
    /// How far this column is from its value at the end of the group.
    Remaining(usize),
    /// The class of the row, of this column.
    Label(usize, Vec<String>),
}

/// A table and what is known about it.
pub struct Rows<'t> {
    pub columns: Vec<Column<'t>>,
    pub order: Order,
    /// A column that says which part a row belongs to.
    pub parts: Option<usize>,
    pub rows: usize,
    /// A file beside the data, and the place of the labels that come from there.
    pub beside: Option<(usize, &'t Beside)>,
    /// Where a row stands among the rows that the split counts, from 0 to 1: those of its group, or all.
    places: Vec<f64>,
}

impl<'t> Rows<'t> {
    /// `beside` is a file whose columns are among them.
    pub fn new(columns: Vec<Column<'t>>, target: Option<&str>, beside: Option<&'t Beside>) -> Self {
        let place = |name: &str| columns.iter().position(|c| c.name == name);
        let parts = columns.iter().position(is_split);
        let mut taken: Vec<usize> = parts.into_iter().collect();
        let label = beside.map(|beside| &beside.label[..]);
        taken.extend(target.or(label).and_then(place));
        let others = beside.iter().flat_map(|beside| &beside.others);
        taken.extend(others.filter_map(|name| place(name)));
        let order = Order::find(&columns, &taken, beside.and_then(|b| place(&b.on)));
        let beside = beside.and_then(|beside| Some((place(&beside.label)?, beside)));
        let rows = columns.first().map_or(0, |c| c.texts.len());
        let places = match order.group {
            Some(group) if !order.has_many_groups() => places(&columns[group].texts),
            _ => (0..rows)
                .map(|row| (row as f64 + 0.5) / rows as f64)
                .collect(),
        };
        Rows {
            columns,
            order,
            parts,
            rows,
            beside,
            places,
        }
    }

    /// Times go down; without times, a day opens near where the row after it closed.
    fn newest_first(&self) -> bool {
        let called = |name: &str| {
            self.columns
                .iter()
                .find(|c| c.is_number() && c.name.eq_ignore_ascii_case(name))
        };
        match (self.order.time, called("open"), called("close")) {
            (None, Some(open), Some(close)) if self.order.group.is_none() => {
                let gap = |open: &[f64], close: &[f64]| -> f64 {
                    open.iter().zip(close).map(|(o, c)| (o - c).abs()).sum()
                };
                gap(&open.values, &close.values[1..]) < gap(&open.values[1..], &close.values)
            }
            _ => self.order.newest_first,
        }
    }

    /// Rows of the training part, whichever way the file is cut.
    fn in_training(&self, row: usize) -> bool {
        if let Some(parts) = self.parts {
            return is_train(self.columns[parts].texts[row]);
        }
        let place = self.places[row];
        if self.newest_first() {
            place > 1.0 - TRAIN
        } else {
            place < TRAIN
        }
    }

    fn is_role(&self, k: usize) -> bool {
        let order = &self.order;
        Some(k) == self.parts || Some(k) == order.group || order.counters.contains(&k)
    }

    /// The column to predict: the one asked for, one that is called so, or the last that varies.
    fn goal(&self, target: Option<&str>) -> Result<(Goal, String), InitError> {
        let place = |name: &str| self.columns.iter().position(|c| c.name == name);
        let label = |k: usize| {
            let column = &self.columns[k];
            let few = column.is_whole() && column.different(MOST_CLASSES).len() <= MOST_CLASSES;
            match &column.holds {
                Holds::Categories(_) => true,
                Holds::Numbers => {
                    few && (column.is_called(&LABEL_NAMES) || column.different(2).len() == 2)
                }
                _ => false,
            }
        };
        if let Some(name) = target {
            if let Some(of) = name
                .strip_prefix("remaining(")
                .and_then(|n| n.strip_suffix(')'))
                && let Some(k) = place(of)
            {
                return Ok((Goal::Remaining(k), "as asked for".into()));
            }
            let known = || self.columns.iter().map(|c| c.name.clone()).collect();
            let k = place(name).ok_or_else(|| InitError::NoColumn {
                column: name.into(),
                known: known(),
            })?;
            let column = &self.columns[k];
            return match column.holds {
                _ if label(k) => Ok((self.label(k), "as asked for".into())),
                Holds::Numbers => Ok((Goal::Number(k), "as asked for".into())),
                Holds::Nothing | Holds::One(_) => Err(InitError::Unfit {
                    column: name.into(),
                    problem: "never changes, so there is nothing to learn",
                }),
                Holds::Times(_) | Holds::NoTimes(_) => Err(InitError::Unfit {
                    column: name.into(),
                    problem: "holds times; predict a column of numbers or labels",
                }),
                Holds::Text if numbers_with_signs(column).is_some() => Err(InitError::Unfit {
                    column: name.into(),
                    problem: "holds numbers with units or signs; remove them, as numbers stand alone in their fields",
                }),
                _ if self.may_be_classes(column) => Ok((self.label(k), "as asked for".into())),
                _ => Err(InitError::Unfit {
                    column: name.into(),
                    problem: "holds too many different texts for labels",
                }),
            };
        }
        if let Some((k, beside)) = self.beside {
            return Ok((self.label(k), format!("from {}", beside.name())));
        }
        let free = |k: &usize| !self.is_role(*k);
        let all = || (0..self.columns.len()).filter(free);
        // Beside x and z, y is a direction.
        let is_axis = |name: &str| {
            name.eq_ignore_ascii_case("y")
                && self
                    .columns
                    .iter()
                    .any(|c| c.name.eq_ignore_ascii_case("z"))
        };
        let all = || all().filter(|&k| !is_axis(&self.columns[k].name));
        let called = |k: &usize| self.columns[*k].is_called(&LABEL_NAMES);
        if let Some(k) = all().filter(called).find(|&k| label(k)) {
            return Ok((self.label(k), "by its name".into()));
        }
        let last = |k: usize| {
            matches!(self.columns[k].holds, Holds::Categories(_)) && k + 1 == self.columns.len()
        };
        if let Some(k) = all().find(|&k| last(k)) {
            return Ok((self.label(k), "the last column, of a few texts".into()));
        }
        let number = |k: &usize| self.is_input(*k) && self.columns[*k].is_number();
        if let Some(k) = all()
            .filter(number)
            .find(|&k| self.columns[k].is_called(&TARGET_NAMES))
        {
            return Ok((Goal::Number(k), "by its name".into()));
        }
        // A column that rests at one value most of the time is seldom what somebody wants to know.
        let lively = |k: &usize| {
            let column = &self.columns[*k];
            let still = column.values.windows(2).filter(|w| w[0] == w[1]).count();
            still * 2 < self.rows
        };
        let found = all()
            .filter(number)
            .rfind(lively)
            .or_else(|| all().rfind(number));
        found
            .map(|k| (Goal::Number(k), LAST.into()))
            .ok_or_else(|| InitError::NothingToPredict(held(&self.columns)))
    }

    /// What else may have been meant by a target that was chosen by its place.
    fn others(&self, k: usize) -> String {
        const SHOWN: usize = 5;
        let others = (0..self.columns.len())
            .filter(|&other| other != k && !self.is_role(other))
            .filter(|&other| self.is_input(other) && self.columns[other].is_number());
        let others: Vec<String> = others.map(|k| shell_word(&self.columns[k].name)).collect();
        let more = if others.len() > SHOWN { ", …" } else { "" };
        match others.is_empty() {
            true => String::new(),
            false => format!(
                "; none is called a target, so it may be another: --target {}{more}",
                others[..others.len().min(SHOWN)].join(", ")
            ),
        }
    }

    /// Whether texts that would be guessed to be no labels can be some, if that is asked for.
    fn may_be_classes(&self, column: &Column<'_>) -> bool {
        const MOST: usize = 250;
        let classes = column.different(MOST).len();
        column.missing == 0 && classes <= MOST && 4 * classes <= self.rows
    }

    fn label(&self, k: usize) -> Goal {
        let texts = self.columns[k].different(usize::MAX - 1);
        let labels = |text: &&&str| !is_unlabelled(text);
        // Where there is one label alone, it is there or not.
        let all = texts.iter().filter(labels).count() < 2;
        let texts = texts.iter().filter(|text| all || labels(text));
        let mut classes: Vec<String> = texts.map(|text| (*text).to_owned()).collect();
        let number = |text: &String| text.parse::<f64>().unwrap_or(f64::INFINITY);
        classes.sort_by(|a, b| number(a).total_cmp(&number(b)).then(a.cmp(b)));
        Goal::Label(k, classes)
    }

    /// Whether a column can go in, as far as its values tell.
    fn is_input(&self, k: usize) -> bool {
        self.why_not(k).is_none()
    }

    fn why_not(&self, k: usize) -> Option<String> {
        let column = &self.columns[k];
        if let Some((_, beside)) = self.beside.filter(|(_, b)| b.others.contains(&column.name)) {
            return Some(format!(
                "one for each {}, from {}",
                beside.on,
                beside.name()
            ));
        }
        let there = 1.0 - column.missing as f64 / self.rows as f64;
        let time = self.order.time.is_some_and(|t| t != k);
        Some(match &column.holds {
            Holds::Nothing => "empty".into(),
            Holds::One(_) => "always the same".into(),
            Holds::Times(_) => "a time".into(),
            Holds::NoTimes(_) => "times that do not exist".into(),
            Holds::Text => match numbers_with_signs(column) {
                Some(sample) => format!("texts, such as {sample:?}: numbers stand alone"),
                None if is_clock(column) => "a time of day without its date".into(),
                None => "text".into(),
            },
            _ if there < LEAST_THERE => format!("{:.0} % missing", 100.0 * (1.0 - there)),
            Holds::Categories(_) if column.missing > 0 => "texts with gaps".into(),
            Holds::Categories(texts) if texts.iter().any(|t| t.contains(['=', '('])) => {
                "text".into()
            }
            Holds::Categories(_) => return None,
            Holds::Numbers if column.is_called(&["year", "yr"]) => {
                "a year, which never comes back".into()
            }
            Holds::Numbers
                if time
                    && column
                        .words()
                        .iter()
                        .all(|w| DATE_PARTS.contains(&w.as_str())) =>
            {
                "a part of the date, which the time has".into()
            }
            Holds::Numbers if time && is_clock(column) => "a time of day without its date".into(),
            Holds::Numbers if !self.varies(column) => {
                "the same in most of the training part".into()
            }
            Holds::Numbers => return None,
        })
    }

    /// Over the training part, however it is cut: of all rows, or of each group.
    fn varies(&self, column: &Column<'_>) -> bool {
        let of_all = column.varies((0..self.rows).filter(|&row| self.in_training(row)));
        let early = || (0..self.rows).filter(|&row| self.places[row] < 0.6);
        of_all && (self.parts.is_some() || self.newest_first() || column.varies(early()))
    }

    /// Later values lie outside what the training part has.
    fn drifts(&self, column: &Column<'_>) -> bool {
        let (mut lo, mut hi, mut out, mut later) = (f64::INFINITY, f64::NEG_INFINITY, 0, 0);
        let values = || {
            column
                .values
                .iter()
                .enumerate()
                .filter(|(_, x)| !x.is_nan())
        };
        for (_, &x) in values().filter(|(row, _)| self.in_training(*row)) {
            (lo, hi) = (lo.min(x), hi.max(x));
        }
        for (_, &x) in values().filter(|(row, _)| !self.in_training(*row)) {
            later += 1;
            out += usize::from(x < lo || x > hi);
        }
        self.order.group.is_none() && out * 20 > later
    }

    /// A counter, as of energy or strokes, of which later values were never seen in training: within each group it goes up, but for
    /// a few times that it starts anew. Where groups are short lives, it is their age.
    fn climbs(&self, k: usize) -> bool {
        let column = &self.columns[k];
        if self.order.has_many_groups() || !column.is_number() {
            return false;
        }
        let keys = self.order.group.map(|k| &self.columns[k].texts[..]);
        let (steps, between) = steps(keys, &column.values);
        let (up, down) = match self.newest_first() {
            true => (steps.down, steps.up),
            false => (steps.up, steps.down),
        };
        let all = between.len();
        all > 50 && 2 * up > all && 200 * down <= all
    }

    /// The change from row to row is smaller than what there is to change.
    fn is_slow(&self, column: &Column<'_>) -> bool {
        let values: Vec<f64> = column
            .values
            .iter()
            .copied()
            .filter(|x| !x.is_nan())
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let level: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let change: f64 = values.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum();
        change < level
    }

    /// Points on a circle for a time of day, week and year, where the file is long enough to learn from.
    fn clock(&self) -> Vec<String> {
        const DAY: f64 = 86_400.0;
        let (Some(time), Some(interval)) = (self.order.time, self.order.interval) else {
            return Vec::new();
        };
        let name = &self.columns[time].name;
        let mut features = Vec::new();
        let mut pair =
            |of: &str| features.extend(["sin", "cos"].map(|f| format!("{of}_{f}({name})")));
        if interval <= DAY / 4.0 && self.order.span >= 4.0 * DAY {
            pair("hour");
        }
        if interval <= DAY && self.order.span >= 40.0 * DAY {
            pair("weekday");
        }
        if interval <= 32.0 * DAY && self.order.span >= 4.0 * 366.0 * DAY {
            pair("yearday");
        }
        if self.order.uneven > 0.05 {
            features.push(format!("elapsed({name})"));
        }
        features
    }

    /// Writes the sections `[series]` and `[shape]`; `format` gets what the rows say about it.
    pub fn draft(
        self,
        draft: &mut Draft,
        mut format: Format,
        target: Option<&str>,
        without: &Without,
    ) -> Result<(), InitError> {
        let left_out = &without.columns;
        let (goal, why) = self.goal(target)?;
        let goal_at = match &goal {
            Goal::Number(k) | Goal::Remaining(k) | Goal::Label(k, _) => *k,
        };
        let is_label = matches!(goal, Goal::Label(..));
        let inputs: Vec<usize> = (0..self.columns.len())
            .filter(|&k| {
                !(self.is_role(k) || is_label && k == goal_at)
                    || matches!(goal, Goal::Remaining(at) if at == k)
            })
            .filter(|&k| self.is_input(k) && !left_out.contains(&self.columns[k].name))
            .collect();
        let clock: Vec<String> = self
            .clock()
            .into_iter()
            .filter(|name| !left_out.contains(name))
            .collect();
        if inputs.is_empty() {
            return Err(InitError::NothingToLearnFrom(held(&self.columns)));
        }
        let column = |k: usize| &self.columns[k];
        let gaps: Vec<usize> = inputs
            .iter()
            .copied()
            .filter(|&k| column(k).missing > 0)
            .collect();
        if !gaps.is_empty() {
            format.missing = Missing::Hold;
        }
        format.newest_first = self.newest_first();
        if let Some(Holds::Times(form)) = self.order.time.map(|t| &column(t).holds) {
            format.time.clone_from(form);
        }
        draft.format("csv.format", &format);
        self.tell_order(draft);
        if !gaps.is_empty() {
            let missing: Vec<String> = gaps
                .iter()
                .take(6)
                .map(|&k| {
                    format!(
                        "{} ({:.1} %)",
                        column(k).name,
                        100.0 * column(k).missing as f64 / self.rows as f64
                    )
                })
                .collect();
            draft.tell(
                "gaps",
                format!("in {}; a gap repeats the number before", missing.join(", ")),
            );
        }

        draft.section("series");
        draft.line("features = [");
        let mut features = 0;
        let mut drifting = Vec::new();
        let mut climbing = Vec::new();
        for &k in &inputs {
            let name = quoted(&column(k).name);
            match &column(k).holds {
                Holds::Categories(texts) => {
                    features += texts.len();
                    let texts = list(texts.iter().map(String::as_str));
                    draft.line(&format!(
                        "    {{ column = {name}, categories = [{texts}] }},"
                    ));
                }
                _ => {
                    features += 1;
                    let predicted = k == goal_at;
                    if !predicted && self.climbs(k) {
                        climbing.push(column(k).name.as_str());
                        draft.line("    # A counter: what came since the row before, taken before rounding.");
                        let change = quoted(&format!("diff({})", column(k).name));
                        draft.line(&format!("    {change},"));
                    } else if self.drifts(column(k))
                        && (!predicted || matches!(goal, Goal::Number(_)))
                    {
                        drifting.push(column(k).name.as_str());
                        draft.line(&format!(
                            "    {{ column = {name}, transform = \"difference\" }},"
                        ));
                    } else {
                        draft.line(&format!("    {name},"));
                    }
                }
            }
        }
        if !clock.is_empty() {
            features += clock.len();
            draft.line("    # From the time of a row; remove them where the device has no clock.");
            draft.line(&format!("    {},", list(clock.iter().map(String::as_str))));
        }
        draft.line("]");
        draft.tell(
            "inputs",
            format!(
                "{}{}",
                names(inputs.iter().map(|&k| column(k).name.as_str())),
                if clock.is_empty() {
                    String::new()
                } else {
                    format!("; from the time: {}", clock.join(", "))
                }
            ),
        );
        if !climbing.is_empty() {
            draft.tell(
                "counters",
                format!(
                    "{}: go up and never down, so what came since the row before goes in",
                    names(climbing.iter().copied())
                ),
            );
        }
        if !drifting.is_empty() {
            draft.tell(
                "drift",
                format!(
                    "{}: later values lie outside the training part, so the change goes in",
                    names(drifting.iter().copied())
                ),
            );
        }
        let out: Vec<String> = (0..self.columns.len())
            .filter(|&k| {
                k != goal_at
                    && Some(k) != self.order.time
                    && Some(k) != self.order.group
                    && Some(k) != self.parts
            })
            .filter(|k| !inputs.contains(k))
            .map(|k| {
                let why = match self.why_not(k) {
                    _ if self.order.counters.contains(&k) => "counts rows".into(),
                    Some(why) => why,
                    None => "cannot be scaled".into(),
                };
                format!("{} ({why})", column(k).name)
            })
            .collect();
        if !out.is_empty() {
            draft.tell("left out", names(out.iter().map(String::as_str)));
        }

        let (horizon, outputs) = match &goal {
            Goal::Label(k, classes) => {
                draft.line("normalise = \"standard\"");
                self.shared(draft);
                draft.line("\n[series.label]");
                draft.line(&format!("column = {}", quoted(&column(*k).name)));
                draft.line("classes = [");
                for class in classes {
                    let name = if class.is_empty() { "none" } else { class };
                    draft.line(&format!(
                        "    {{ name = {}, labels = [{}] }},",
                        quoted(name),
                        quoted(class)
                    ));
                }
                draft.line("]");
                draft.tell(
                    "target",
                    format!(
                        "{} ({why}): {} classes, {}",
                        column(*k).name,
                        classes.len(),
                        names(classes.iter().map(String::as_str))
                    ),
                );
                let is_empty =
                    |text: &&&str| is_unlabelled(text) && !classes.iter().any(|c| c == *text);
                let empty = column(*k).texts.iter().filter(is_empty).count();
                if empty > 0 {
                    draft.tell(
                        "no label",
                        format!(
                            "{:.1} % of the rows: nothing is learnt from them, and they are not measured; if they are a class of their own, \
                             add {{ name = \"none\", labels = [\"\"] }} to the classes",
                            100.0 * empty as f64 / self.rows as f64
                        ),
                    );
                }
                (0, classes.len())
            }
            Goal::Number(k) => {
                // Without its level going in it could only be told as a change.
                let slow = self.is_slow(column(*k)) || self.drifts(column(*k));
                let name = quoted(&column(*k).name);
                if slow {
                    draft
                        .comment("It changes slowly, so the network predicts the change from now.");
                    draft.line(&format!(
                        "targets = [{{ column = {name}, transform = \"difference\" }}]"
                    ));
                } else {
                    draft.line(&format!("targets = [{name}]"));
                }
                draft.line("normalise = \"standard\"");
                self.shared(draft);
                let far = self
                    .order
                    .step()
                    .map_or(String::new(), |i| format!(", which is {}", duration(i)));
                let others = match &why[..] {
                    LAST => self.others(*k),
                    _ => String::new(),
                };
                draft.tell(
                    "target",
                    format!("{} ({why}), one row ahead{far}{others}", column(*k).name),
                );
                (1, 1)
            }
            Goal::Remaining(k) => {
                if self.order.group.is_none() {
                    return Err(InitError::Unfit {
                        column: format!("remaining({})", column(*k).name),
                        problem: "counts to the end of a group, and there are no groups in the file",
                    });
                }
                draft.comment("Add cap = 125 where a healthy machine's age cannot be seen.");
                draft.line(&format!(
                    "targets = [{{ column = {}, normalise = \"min-max\" }}]",
                    quoted(&format!("remaining({})", column(*k).name))
                ));
                draft.line("normalise = \"standard\"");
                self.shared(draft);
                draft.tell(
                    "target",
                    format!(
                        "how much of {} remains to the end of the group ({why})",
                        column(*k).name
                    ),
                );
                (0, 1)
            }
        };
        self.tell_parts(draft);

        let groups = self.order.groups.max(1);
        let per_group = self.rows / groups;
        let train = (self.rows as f64 * TRAIN) as usize;
        // Where each group is cut, a window lies in the tenth that is for validation.
        let cut =
            self.order.group.is_some() && self.parts.is_none() && !self.order.has_many_groups();
        let longest = per_group / if cut { 10 } else { 4 };
        let window = WINDOW
            .min((train / 8).min(longest).max(4))
            .min(self.longest_run())
            .div_ceil(1 << without.halvings);
        let hop = if train < 50_000 {
            (window / 4).max(1)
        } else {
            window
        };
        draft.section("shape");
        draft.comment("Every row has an answer, from it and what came before: a device takes one step per row.");
        draft.line("kind = \"many-to-many\"");
        draft.comment("Training looks back so many rows at a time.");
        draft.line(&format!("window = {window}"));
        draft.line(&format!("hop = {hop}"));
        draft.comment("Rows from the last one known to the one predicted.");
        draft.line(&format!("horizon = {horizon}"));
        draft.tell(
            "window",
            format!(
                "{} rows of looking back in training{}",
                window,
                match self.order.step() {
                    Some(step) => format!(", {}", duration(step * window as f64)),
                    None => String::new(),
                }
            ),
        );
        draft.network(&Size {
            inputs: features,
            outputs,
            hidden: if self.rows < 20_000 { 16 } else { 24 },
            embedding: None,
            word_dropout: None,
            windows: train / hop,
            window,
        });
        Ok(())
    }

    /// Groups and parts, which every `[series]` has.
    fn shared(&self, draft: &mut Draft) {
        if let Some(group) = self.order.group {
            draft.comment("Nothing reaches from one group into the next; a group that is shorter than a window repeats its first row.");
            draft.line(&format!("group = {}", quoted(&self.columns[group].name)));
            draft.line("pad = \"front\"");
        }
        match self.whole_groups().filter(|_| self.parts.is_none()) {
            Some([train, valid, test]) => {
                draft.line(&format!(
                    "split = {{ groups = [{train}, {valid}, {test}] }}"
                ));
            }
            None if self.order.group.is_some() && self.parts.is_none() => {
                draft.comment("Within each group: its past for training, its future for the test.");
                draft.line("split = { per_group = [0.7, 0.1, 0.2] }");
            }
            None => draft.line(&split_line(self.parts.map(|k| &self.columns[k]))),
        }
    }

    /// Where there are enough groups that stand together, each belongs to one part.
    fn whole_groups(&self) -> Option<[usize; 3]> {
        let groups = self.order.groups;
        self.order.has_many_groups().then(|| {
            let (valid, test) = ((groups / 10).max(1), (groups / 5).max(1));
            [groups - valid - test, valid, test]
        })
    }

    /// Rows of one part that stand together, where a column says the part: no window is longer.
    fn longest_run(&self) -> usize {
        let Some(parts) = self.parts else {
            return usize::MAX;
        };
        let texts = &self.columns[parts].texts;
        let longest = |is: fn(&str) -> bool| {
            let runs = texts.chunk_by(|a, b| a == b).filter(|run| is(run[0]));
            runs.map(<[&str]>::len).max().unwrap_or(1)
        };
        longest(is_train)
            .min(longest(is_valid))
            .min(longest(is_test))
    }

    fn tell_order(&self, draft: &mut Draft) {
        let order = &self.order;
        let is_part = |c: &&Column<'_>| {
            c.words()
                .iter()
                .all(|w| DATE_PARTS.contains(&w.as_str()) || w == "date" || w == "time")
        };
        let spread: Vec<&str> = self
            .columns
            .iter()
            .filter(is_part)
            .map(|c| c.name.as_str())
            .collect();
        let time = match (order.time, order.interval) {
            (Some(time), _) if order.shared => format!(
                "{}, which rows share, so that their hours are not known; {} in all. One column of date and time would give them",
                self.columns[time].name,
                about(order.span)
            ),
            (Some(time), Some(interval)) => {
                let uneven = match order.uneven {
                    share if share > 0.02 => format!(" ({:.0} % of the rows are not)", 100.0 * share),
                    _ => String::new(),
                };
                let turned = if order.newest_first { ", newest first" } else { "" };
                let name = &self.columns[time].name;
                let read = self.read_as(time);
                let between = match order.is_uneven() {
                    true => format!("at uneven times, half of the steps up to {}", duration(interval)),
                    false => format!("every {}{uneven}", duration(interval)),
                };
                format!("{name}, {between}, {} in all{turned}{read}", about(order.span))
            }
            (Some(time), None) => format!("{}, which never moves on", self.columns[time].name),
            _ if spread.len() > 1 => format!(
                "spread over {}: rows are taken to be in order, the oldest first; one column of times would give hours and weekdays",
                names(spread.into_iter())
            ),
            _ if self.newest_first() => "none: the newest row comes first, as each opens near where the one below it closed".into(),
            _ => "none: rows are taken to be in order, the oldest first (newest_first = true turns them round)".into(),
        };
        draft.tell("time", time);
        if order.unsorted > 0.0 {
            let share = match 100.0 * order.unsorted {
                few if few < 0.1 => "less than 0.1".into(),
                share => format!("{share:.1}"),
            };
            let cure = match order.clocks_set_back {
                true => CLOCK_CHANGE,
                false => "sort the file if that is a mistake",
            };
            draft.tell(
                "order",
                format!("{share} % of the rows are not later than the row before; {cure}"),
            );
        }
        if let Some(group) = order.group {
            let mixed = if order.interleaved {
                ", mixed with each other"
            } else {
                ""
            };
            draft.tell(
                "groups",
                format!(
                    "{}: {} of them{mixed}, each from a state of its own",
                    self.columns[group].name,
                    count(order.groups)
                ),
            );
        }
    }

    /// How times are read that could be read in another way, too.
    fn read_as(&self, time: usize) -> String {
        let Holds::Times(Some(format)) = &self.columns[time].holds else {
            return String::new();
        };
        let other = match format.split_once("%d/%m") {
            Some((before, after)) => format!("{before}%m/%d{after}"),
            None => format.replace("%m/%d", "%d/%m"),
        };
        let texts = &self.columns[time].texts;
        let there = texts.iter().filter(|text| !is_missing(text));
        let either = other != *format
            && there
                .clone()
                .all(|text| Time::parse(text, Some(&other)).is_some());
        match either {
            true => format!("; read as {format}, as that is more even than {other}: make sure"),
            false => format!("; read as {format}"),
        }
    }

    fn tell_parts(&self, draft: &mut Draft) {
        let text = match (self.parts, self.whole_groups()) {
            (Some(parts), _) => format!("as the column {} says", self.columns[parts].name),
            (None, Some([train, valid, test])) => {
                format!("{train} groups for training, {valid} for validation, {test} for the test")
            }
            (None, None) if self.order.group.is_some() => {
                "of every group the first 70 % of its rows for training, 10 % for validation, 20 % for the test".into()
            }
            (None, None) => {
                "the first 70 % of the rows for training, 10 % for validation, 20 % for the test"
                    .into()
            }
        };
        draft.tell("parts", text);
    }
}

/// Where each row stands among the rows of the same text, from 0 to 1.
fn places(texts: &[&str]) -> Vec<f64> {
    let mut all: HashMap<&str, usize> = HashMap::new();
    texts
        .iter()
        .for_each(|text| *all.entry(text).or_default() += 1);
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let place = |&text| {
        let seen = seen.entry(text).or_default();
        *seen += 1;
        (*seen as f64 - 0.5) / all[text] as f64
    };
    texts.iter().map(place).collect()
}

/// A span in a unit of which there are a few.
fn about(seconds: f64) -> String {
    let units = [
        (365.2425 * 86_400.0, "years"),
        (86_400.0, "days"),
        (3_600.0, "hours"),
        (60.0, "minutes"),
    ];
    let (unit, name) = units
        .into_iter()
        .find(|(unit, _)| seconds >= 2.0 * unit)
        .unwrap_or((1.0, "seconds"));
    format!("{:.0} {name}", seconds / unit)
}

fn is_train(text: &str) -> bool {
    ["train", "training"].contains(&text.to_lowercase().as_str())
}

fn is_valid(text: &str) -> bool {
    ["valid", "validation", "val", "dev"].contains(&text.to_lowercase().as_str())
}

fn is_test(text: &str) -> bool {
    ["test", "testing", "heldout"].contains(&text.to_lowercase().as_str())
}

/// The key `split`, by a column where one says it.
pub fn split_line(parts: Option<&Column<'_>>) -> String {
    let Some(column) = parts else {
        return "split = { fractions = [0.7, 0.1, 0.2] }".into();
    };
    let of = |is: fn(&str) -> bool| {
        let texts: Vec<&str> = column.different(16).into_iter().filter(|t| is(t)).collect();
        list(texts.into_iter())
    };
    format!(
        "split = {{ column = {{ name = {}, train = [{}], valid = [{}], test = [{}] }} }}",
        quoted(&column.name),
        of(is_train),
        of(is_valid),
        of(is_test)
    )
}

/// A column of nothing but the names of parts.
pub fn is_split(column: &Column<'_>) -> bool {
    let Holds::Categories(texts) = &column.holds else {
        return false;
    };
    let of = |is: fn(&str) -> bool| texts.iter().any(|t| is(t));
    texts
        .iter()
        .all(|t| is_train(t) || is_valid(t) || is_test(t))
        && of(is_train)
        && of(is_valid)
        && of(is_test)
}

/// The first with a sign, if all texts are numbers and some have one: a currency before, a unit or a percent sign
/// behind, or brackets around what is owed.
fn numbers_with_signs<'t>(column: &Column<'t>) -> Option<&'t str> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let number = |text: &str| {
        let digits = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '.');
        let sign = digits.trim_start_matches(is_digit);
        digits.len() > sign.len() && !sign.contains(|c: char| c.is_ascii_digit())
    };
    let is_plain = |text: &str| {
        text.trim_start_matches(['-', '+', '−'])
            .chars()
            .all(is_digit)
    };
    let there = (column.texts.iter().copied()).filter(|text| !is_missing(text));
    let all = there.clone().all(number);
    let mut signed = there.filter(|text| !is_plain(text));
    signed.next().filter(|_| all)
}

/// Nobody said what a row is; "none" may be what it is.
fn is_unlabelled(text: &str) -> bool {
    is_missing(text) && !text.eq_ignore_ascii_case("none")
}

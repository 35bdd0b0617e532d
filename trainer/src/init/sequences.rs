//! A sequence per row: one number per step in a run of numbered columns, and a label.

use super::column::{Column, Holds};
use super::draft::{Draft, Size, names, quoted};
use super::series::{is_split, split_line};
use super::{InitError, held};
use crate::data::csv::Format;
use crate::data::steps;

/// So many numbered columns are the steps of a sequence and not columns of their own.
const LEAST_STEPS: usize = 16;
const MOST_CLASSES: usize = 24;

/// Columns `first..=last` that are numbered through, as `t0`, `t1`, ….
fn numbered(columns: &[Column<'_>]) -> Option<(usize, usize)> {
    let number = |k: usize| {
        let Column { holds, missing, .. } = &columns[k];
        let is_step = matches!(holds, Holds::Numbers | Holds::One(_)) && *missing == 0;
        steps::numbered(&columns[k].name).filter(|_| is_step)
    };
    let mut best = (0, 0);
    let mut first = 0;
    for k in 1..=columns.len() {
        let goes_on = k < columns.len()
            && match (number(k - 1), number(k)) {
                (Some((a, n)), Some((b, m))) => a == b && m == n + 1,
                _ => false,
            };
        if !goes_on {
            if k - first > best.1 - best.0 {
                best = (first, k);
            }
            first = k;
        }
    }
    (best.1 - best.0 >= LEAST_STEPS).then(|| (best.0, best.1 - 1))
}

/// Which columns hold the steps and which the label, if rows are sequences.
pub fn find(columns: &[Column<'_>], target: Option<&str>) -> Option<(usize, usize, usize)> {
    let (mut first, last) = numbered(columns)?;
    let is_label = |k: usize| {
        let column = &columns[k];
        let few = column.different(MOST_CLASSES).len() <= MOST_CLASSES;
        !is_split(column)
            && few
            && (column.is_whole() || matches!(column.holds, Holds::Categories(_)))
    };
    if columns.iter().any(|c| matches!(c.holds, Holds::Times(_))) {
        return None;
    }
    let outside = |k: &usize| *k < first || *k > last;
    let label = match target {
        Some(name) => columns
            .iter()
            .position(|c| c.name == name)
            .filter(|&k| is_label(k)),
        None => (0..columns.len()).filter(outside).find(|&k| is_label(k)),
    };
    // Without names the first column is the label, as in the archives of time series.
    let label = label.or_else(|| is_label(first).then_some(first))?;
    if label == first {
        first += 1;
    }
    (!(first..=last).contains(&label)).then_some((first, last, label))
}

/// Writes the sections.
pub fn draft(
    columns: &[Column<'_>],
    (first, last, label): (usize, usize, usize),
    format: &Format,
    draft: &mut Draft,
) -> Result<(), InitError> {
    let steps = last - first + 1;
    let rows = columns[label].texts.len();
    let mut classes: Vec<&str> = columns[label].different(MOST_CLASSES);
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::INFINITY);
    classes.sort_by(|a, b| number(a).total_cmp(&number(b)).then(a.cmp(b)));
    if classes.len() < 2 {
        return Err(InitError::NothingToPredict(held(columns)));
    }
    draft.format("csv.format", format);
    draft.section("sequences");
    draft.comment("A row is a sequence, a column a step; the answer comes after the last one.");
    draft.line(&format!(
        "steps = [{}, {}]",
        quoted(&columns[first].name),
        quoted(&columns[last].name)
    ));
    draft.comment("What a step is called in the model.");
    draft.line("feature = \"x\"");
    draft.line("normalise = \"standard\"");
    let parts = columns.iter().position(is_split);
    draft.line(&split_line(parts.map(|k| &columns[k])));
    draft.line("\n[sequences.label]");
    draft.line(&format!("column = {}", quoted(&columns[label].name)));
    draft.line("classes = [");
    for class in &classes {
        draft.line(&format!(
            "    {{ name = {0}, labels = [{0}] }},",
            quoted(class)
        ));
    }
    draft.line("]");
    draft.section("shape");
    draft.line("kind = \"many-to-one\"");
    draft.tell(
        "rows",
        format!(
            "a sequence each: {steps} steps, {} to {}",
            columns[first].name, columns[last].name
        ),
    );
    draft.tell(
        "target",
        format!(
            "{}: {} classes, {}",
            columns[label].name,
            classes.len(),
            names(classes.iter().copied())
        ),
    );
    draft.tell(
        "parts",
        match parts {
            Some(k) => format!("as the column {} says", columns[k].name),
            None => {
                "the first 70 % of the rows for training, 10 % for validation, 20 % for the test"
                    .into()
            }
        },
    );
    let training = (rows as f64 * 0.7) as usize;
    draft.network(&Size {
        inputs: 1,
        outputs: classes.len(),
        hidden: 16,
        embedding: None,
        word_dropout: None,
        windows: training,
        window: steps,
    });
    Ok(())
}

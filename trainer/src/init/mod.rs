//! A task file for data that nobody has described: `kinglet init`.
//!
//! Everything is read off the file: how it is written (`written`), what each column holds (`column`), in which order
//! and in which groups the rows stand (`order`), and from that what can be predicted from what (`series`,
//! `sequences`, `texts`). It asks nothing, so every guess is told and stands in the task file with a comment. What was
//! written has been read again and its data loaded, as `kinglet train` does it: it trains as it is.

mod beside;
mod column;
mod draft;
mod order;
mod sequences;
mod series;
mod texts;
mod written;

use std::collections::HashSet;
use std::io;
use std::path::Path;

use self::column::{Column, Holds, Marks};
use self::draft::{Draft, count, quoted};
use self::order::counts;
use self::series::Rows;
use self::written::{Written, written};
use crate::data::csv::{Format, Header, LEFT_OUT, OnError, Table, are_numbered, is_missing};
use crate::data::derived::Derived;
use crate::data::error::meant;
use crate::data::{DataError, Dataset};
use crate::task::{Task, TaskError, from_folder_of};

/// Columns that cannot be learned from in the end are left out one by one; more than this is no table of numbers.
const MOST_LEFT_OUT: usize = 64;

/// From 64 rows to 4.
const MOST_HALVINGS: u32 = 4;
/// So few rows that nothing can be learned from them.
const LEAST_ROWS: usize = 10;

/// Why there is no task for a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// It cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// Which file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// Its rows cannot be read, or give no windows.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A task that does not hold together.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// There is no such column.
    #[error("no column {column:?}{}", meant(.column, .known))]
    NoColumn {
        /// The name asked for.
        column: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// It cannot be predicted.
    #[error("--target {column}: it {problem}")]
    Unfit {
        /// The name asked for.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No column has numbers or labels.
    #[error(
        "no column holds numbers that vary or a few labels, so there is nothing to predict: {0}"
    )]
    NothingToPredict(String),
    /// No column is left as an input.
    #[error("no column of numbers or categories is left to learn from: {0}")]
    NothingToLearnFrom(String),
    /// Blanks stand between the fields so that columns lie below each other.
    #[error(
        "{file}: its columns are aligned by blanks, of which there must be one between two fields: sed 's/^ *//' {file} | tr -s ' ' > table.csv"
    )]
    Aligned {
        /// Which file.
        file: String,
    },
    /// The table begins further down.
    #[error(
        "{file}: the table begins in line {line}, and what stands above it is no part of it; remove that: tail -n +{line} {file} > table.csv"
    )]
    Above {
        /// Which file.
        file: String,
        /// The first line of the table, from 1.
        line: usize,
    },
    /// Units stand below the names.
    #[error(
        "{file}:{line}: {texts} stand below the names and above the numbers, and are no row; remove them: sed {lines}d {file} > table.csv"
    )]
    Units {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: String,
        /// That, or the first and last where there are several.
        lines: String,
        /// What is there.
        texts: String,
    },
    /// There is nothing in it.
    #[error("{file}: is empty")]
    Empty {
        /// Which file.
        file: String,
    },
    /// A text is too short.
    #[error(
        "not a table, and as a text its {characters} characters are too few to learn from; expected rows of one length with a comma, semicolon, tab or bar between the fields"
    )]
    TooShort {
        /// Its length.
        characters: usize,
    },
    /// Tagged words come in three files.
    #[error(
        "{file}: words with tags need three files beside each other, such as x-train.conllu, x-dev.conllu and x-test.conllu; give the first"
    )]
    NoParts {
        /// Which file.
        file: String,
    },
}

impl InitError {
    /// With the names of columns that were left out because more than one is called so.
    fn with(self, twice: &[&str]) -> Self {
        if twice.is_empty() {
            return self;
        }
        let also = format!(
            "; left out are columns of one name: {}; rename all but one of each",
            twice.join(", ")
        );
        match self {
            InitError::NothingToPredict(held) => InitError::NothingToPredict(held + &also),
            InitError::NothingToLearnFrom(held) => InitError::NothingToLearnFrom(held + &also),
            InitError::NoColumn { column, .. } if twice.contains(&&column[..]) => {
                InitError::NothingToPredict(format!("--target {column}{also}"))
            }
            other => other,
        }
    }
}

/// A task file and what to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The text of the task file.
    pub toml: String,
    /// A word and a sentence for each thing that was guessed.
    pub told: Vec<(&'static str, String)>,
    /// The command that predicts with `MODEL` over the data, or goes on from how a text begins.
    pub predict: String,
}

/// Looks at `data` and proposes a task that will lie at `out`.
///
/// # Errors
/// If the file cannot be read, or nothing in it can be learned.
pub fn propose(data: &Path, target: Option<&str>, out: &Path) -> Result<Proposal, InitError> {
    let (mut without, mut broken) = (Without::default(), None);
    loop {
        let drafted = draft(data, target, out, &without).and_then(|proposal| {
            let task = Task::parse(&proposal.toml, out)?;
            let notes = Dataset::load(&task)?.notes().to_vec();
            Ok((proposal, notes))
        });
        match drafted {
            Ok((mut proposal, notes)) => {
                let left_out = notes.into_iter().filter(|note| note.contains(LEFT_OUT));
                proposal.told.extend(left_out.map(|note| ("broken", note)));
                return Ok(proposal);
            }
            Err(InitError::Data(DataError::Constant { column, .. }))
                if without.columns.len() < MOST_LEFT_OUT
                    && without.columns.insert(left_out(&column).to_owned()) => {}
            Err(InitError::Data(DataError::EmptyPart { .. }))
                if without.halvings < MOST_HALVINGS =>
            {
                without.halvings += 1;
            }
            Err(InitError::Data(error)) if can_be_left_out(&error) && broken.is_none() => {
                without.broken_rows = true;
                broken = Some(error);
            }
            Err(error) => return Err(broken.map_or(error, InitError::Data)),
        }
    }
}

/// What is left out where this feature cannot be learned from: its column, unless that is the time, from which others follow.
fn left_out(feature: &str) -> &str {
    match Derived::parse(feature) {
        Some((Derived::Clock(_) | Derived::Elapsed, _)) => feature,
        _ => Derived::column_of(feature),
    }
}

/// Whether it is about a row that others do without. A letter in another encoding is seldom the only one.
fn can_be_left_out(error: &DataError) -> bool {
    let row = matches!(
        error,
        DataError::Ragged { .. } | DataError::RepeatedHeader { .. }
    );
    row || error.is_of_field()
}

/// What turns out not to be learned from.
#[derive(Default)]
struct Without {
    columns: HashSet<String>,
    broken_rows: bool,
    /// Of the window that is usual for so many rows, where too few of them are left in a part.
    halvings: u32,
}

fn draft(
    data: &Path,
    target: Option<&str>,
    out: &Path,
    without: &Without,
) -> Result<Proposal, InitError> {
    let file = data.display().to_string();
    let read = |source| InitError::Read {
        file: file.clone(),
        source,
    };
    let shown = |path: &Path| from_folder_of(out, path);
    let mut draft = Draft::default();
    let stem = data
        .file_name()
        .map_or("model".into(), |n| n.to_string_lossy());
    let stem = stem.split('.').next().unwrap_or("model");
    draft.comment(&format!(
        "Made by `kinglet init` from {}.",
        data.file_name()
            .map_or(file.clone().into(), |n| n.to_string_lossy())
    ));
    draft.comment("Every key is explained by `kinglet help task`.");
    draft.line(&format!("name = {}", quoted(stem)));
    let shown_file = file.clone();
    let file = shell_word(&data.display().to_string());
    let mut predict = format!("kinglet predict MODEL --csv {file}");
    match written(data).map_err(read)? {
        Written::Nothing => return Err(InitError::Empty { file: shown_file }),
        Written::Below(line) => {
            return Err(InitError::Above {
                file: shown_file,
                line,
            });
        }
        Written::Aligned => return Err(InitError::Aligned { file: shown_file }),
        Written::Text => {
            let prompt = texts::running(data, &shown, &mut draft)?;
            // The likeliest token alone soon goes round in circles.
            let prompt = shell_word(&prompt);
            predict = format!("kinglet generate MODEL --prompt {prompt} --temperature 0.7");
        }
        Written::Tagged => {
            texts::tagged(data, &shown, &mut draft)?;
        }
        Written::Table(format) => table(data, format, target, &shown, &mut draft, without)?,
    }
    Ok(Proposal {
        toml: draft.toml,
        told: draft.told,
        predict,
    })
}

fn table(
    data: &Path,
    format: Format,
    target: Option<&str>,
    shown: &dyn Fn(&Path) -> String,
    draft: &mut Draft,
    without: &Without,
) -> Result<(), InitError> {
    let mut format = format;
    if without.broken_rows {
        format.on_error = OnError::Skip;
    }
    let mut table = match Table::read(data, &format) {
        Err(DataError::Encoding {
            guess: Some(guess), ..
        }) => {
            format.encoding = Some(guess.into());
            Table::read(data, &format)?
        }
        read => read?,
    };
    let width = table.names().len();
    let beside = beside::find(data, &table, &format, target);
    let joined = beside.as_ref().filter(|beside| beside.without == 0);
    if let Some(beside) = joined {
        table.join(&beside.table, &beside.on)?;
    }
    // Spreadsheets leave columns without a name at the end, and some files have a name twice.
    let all = table.names();
    let once = |name: &&String| !name.is_empty() && all.iter().filter(|n| n == name).count() == 1;
    let names: Vec<&String> = all.iter().filter(once).collect();
    let texts = |name: &str| table.text_column(name);
    (format.decimal, format.thousands) = points(&names, &texts, &format)?;
    let number = format.numbers();
    let columns = |marks: &Marks| -> Result<Vec<Column<'_>>, DataError> {
        let of = |name: &&String| Ok(Column::new(name, texts(name)?, &number, marks));
        names.iter().map(of).collect()
    };
    let mut marks = Marks::default();
    let first = columns(&marks)?;
    for column in &first {
        for text in column.text_marks(&number) {
            if !marks.texts.iter().any(|mark| mark == text) {
                marks.texts.push(text.into());
            }
        }
    }
    // A column of numbers shows only without the texts in it.
    let first = match marks.texts.is_empty() {
        true => first,
        false => columns(&marks)?,
    };
    for mark in first.iter().filter_map(Column::mark) {
        if !marks.numbers.contains(&mark) {
            marks.numbers.push(mark);
        }
    }
    let columns = if marks.is_empty() {
        first
    } else {
        columns(&marks)?
    };
    format.missing_values = marks.list();
    // What is told of the columns is of the rows that are left.
    let whole;
    let (table, columns) = match without.broken_rows {
        true => {
            let is_gap = |text: &str| marks.is_gap(text, &number);
            let torn = columns.iter().flat_map(|column| column.torn(&is_gap));
            let torn: HashSet<usize> = torn.collect();
            whole = table.select(|rows| rows.filter(|row| !torn.contains(row)).collect());
            let texts = |name: &str| whole.text_column(name);
            let of = |name: &&String| Ok(Column::new(name, texts(name)?, &number, &marks));
            let columns: Result<Vec<Column<'_>>, DataError> = names.iter().map(of).collect();
            (&whole, columns?)
        }
        false => (&table, columns),
    };
    if let Some((rows, texts)) = units(&columns, &number) {
        let [first, last] = [0, rows - 1].map(|row| table.line(row).to_string());
        let lines = match first == last {
            true => first.clone(),
            false => format!("{first},{last}"),
        };
        return Err(InitError::Units {
            file: data.display().to_string(),
            line: first,
            lines,
            texts,
        });
    }
    draft.tell("file", told_format(table, width, &format));
    for column in &columns {
        if let Holds::NoTimes(found) = &column.holds {
            let lines = found.rows.iter().map(|&row| table.line(row).to_string());
            let lines: Vec<String> = lines.collect();
            let (line, more) = match (lines.len(), found.count > lines.len()) {
                (1, _) => ("line", ""),
                (_, false) => ("lines", ""),
                (_, true) => ("lines", ", …"),
            };
            draft.tell(
                "dates",
                format!(
                    "{} holds {} ({line} {}{more}); repair them, and it gives order, hours and weekdays",
                    column.name,
                    found.told(),
                    lines.join(", ")
                ),
            );
        }
    }
    for odd in columns.iter().flat_map(Column::doubtful) {
        draft.tell("odd", odd);
    }
    draft
        .told
        .extend(unnamed(table, &number, &marks)?.map(|told| ("left out", told)));
    draft.told.extend(long(&columns).map(|told| ("long", told)));
    if let Some(found) = texts::find(&columns, target) {
        texts::documents(&columns, found, &format, data, shown, draft);
        return Ok(());
    }
    draft.section("csv");
    draft.line(&format!("file = {}", quoted(&shown(data))));
    if let Some(beside) = &beside {
        let (file, on, label) = (beside.name(), &beside.on, &beside.label);
        if joined.is_some() {
            draft.comment(&format!("It has one row for each {on}."));
            draft.line(&format!(
                "join = {{ file = {}, on = {} }}",
                quoted(&shown(&beside.file)),
                quoted(on)
            ));
            draft.tell(
                "labels",
                format!("{file} lies beside it and has {label} for each {on}: joined"),
            );
        } else {
            draft.tell(
                "labels",
                format!(
                    "{file} lies beside it and may have them, in {label}, but has no row for {} of the {} values of {on}; with rows for all, \
                     join = {{ file = {file:?}, on = {on:?} }} in [csv] takes them",
                    beside.without, beside.keys
                ),
            );
        }
    }
    if let Some(found) = sequences::find(&columns, target) {
        return sequences::draft(&columns, found, &format, draft);
    }
    if columns
        .iter()
        .all(|c| matches!(c.holds, Holds::Nothing | Holds::One(_)))
    {
        return Err(InitError::NothingToPredict(held(&columns)).with(&twice(table)));
    }
    let twice = twice(table);
    let drafted = Rows::new(columns, target, joined).draft(draft, format, target, without);
    drafted.map_err(|error| error.with(&twice))
}

/// Columns that are passed over as no name stands for them alone, but for those that only count rows.
fn unnamed(
    table: &Table,
    number: &dyn Fn(&str) -> Option<f64>,
    marks: &Marks,
) -> Result<Option<String>, DataError> {
    let all = table.names();
    let mut out: Vec<String> = Vec::new();
    for (at, texts) in table.columns_without_names() {
        let column = Column::new("", texts, number, marks);
        if column.holds != Holds::Nothing && !counts(None, &column) {
            out.push(format!("column {} (no name)", at + 1));
        }
    }
    let twice = twice(table).into_iter();
    out.extend(twice.map(|name| {
        let count = all.iter().filter(|other| *other == name).count();
        format!("{name} ({count} columns of one name)")
    }));
    Ok((!out.is_empty()).then(|| {
        format!(
            "{}; a name of its own in the first line makes a column of it",
            draft::names(out.iter().map(String::as_str))
        )
    }))
}

/// A table with a row for each value of several quantities, which has one column for all of them.
fn long(columns: &[Column<'_>]) -> Option<String> {
    const KINDS: [&str; 10] = [
        "variable",
        "parameter",
        "metric",
        "quantity",
        "measurement",
        "channel",
        "signal",
        "field",
        "tag",
        "entity",
    ];
    const VALUES: [&str; 4] = ["value", "val", "reading", "wert"];
    let kind = |column: &&Column<'_>| match &column.holds {
        Holds::Categories(kinds) => kinds.len() > 1 && column.is_called(&KINDS),
        _ => false,
    };
    let (kind, value) = (
        columns.iter().find(kind)?,
        columns
            .iter()
            .find(|c| c.is_number() && c.is_called(&VALUES))?,
    );
    let time = columns
        .iter()
        .find(|c| matches!(c.holds, Holds::Times(_)))?;
    let [kind, value, time] = [kind, value, time].map(|column| &column.name);
    Some(format!(
        "it looks like a table with a row for each {value} of a {kind}, which learns one column from all of them; a column for each {kind} is what \
         rows are read by: pandas.read_csv(FILE).pivot_table(index={time:?}, columns={kind:?}, values={value:?}).to_csv(\"wide.csv\")"
    ))
}

/// Names that more than one column has.
fn twice(table: &Table) -> Vec<&str> {
    let names = table.names();
    let mut twice: Vec<&str> = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        if names.iter().filter(|n| *n == name).count() > 1 && !twice.contains(&&name[..]) {
            twice.push(name);
        }
    }
    twice
}

/// What stands in the first row of all columns of numbers, and is none; and how many rows there are without a number.
fn units(columns: &[Column<'_>], number: &dyn Fn(&str) -> Option<f64>) -> Option<(usize, String)> {
    let numbers = || columns.iter().filter(|c| matches!(c.holds, Holds::Numbers));
    let is_none = |row: usize| {
        let mut texts = numbers().map(|column| column.texts.get(row).copied());
        texts.all(|text| text.is_some_and(|text| number(text).is_none()))
    };
    let first = numbers().map(|column| column.texts.first().copied().unwrap_or_default());
    let first: Vec<&str> = first.collect();
    let is_unit = |text: &&str| number(text).is_none() && !is_missing(text);
    let units: Vec<String> = first
        .iter()
        .filter(|t| is_unit(t))
        .map(|t| format!("{t:?}"))
        .collect();
    // A unit is left out where there is none.
    let all = first.iter().all(|text| number(text).is_none());
    let all_rows = numbers().map(|column| column.texts.len()).min()?;
    let rows = (0..all_rows).take_while(|&row| is_none(row)).count();
    (all && !units.is_empty()).then(|| (rows, units.join(", ")))
}

/// Whether a column varies by less than 32 bits tell well.
fn is_coarse(values: &[f64]) -> bool {
    let there = values.iter().filter(|x| !x.is_nan());
    let (low, high) = there.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| {
        (low.min(x), high.max(x))
    });
    !((low - high).abs() > 1e-5 * low.abs().max(high.abs()) && high.abs().max(low.abs()) < 3e38)
}

/// What the columns hold, where nothing can be learned from them.
fn held(columns: &[Column<'_>]) -> String {
    const SHOWN: usize = 8;
    let mut digits = false;
    let each = columns.iter().take(SHOWN).map(|column| {
        let sample = || {
            let text = column.texts.iter().find(|text| !is_missing(text));
            let text: String = text.copied().unwrap_or_default().chars().take(24).collect();
            text
        };
        let holds = match &column.holds {
            Holds::Nothing => "nothing".into(),
            Holds::One(text) => format!("always {text:?}"),
            Holds::Numbers if column.values.len() < LEAST_ROWS => {
                format!("numbers in {} rows, which are too few", column.values.len())
            }
            Holds::Numbers if counts(None, column) => {
                "numbers that go up or down by as much in every row".into()
            }
            Holds::Numbers if !is_coarse(&column.values) => "numbers".into(),
            Holds::Numbers => {
                format!(
                    "numbers that are too close to each other, or too large, for 32 bits; as {{ column = {:?}, transform = \
                     \"difference\" }} in a task file their changes are learned",
                    column.name
                )
            }
            Holds::Times(_) => "times".into(),
            Holds::NoTimes(found) => found.told(),
            Holds::Categories(texts) => format!("{} texts, such as {:?}", texts.len(), sample()),
            Holds::Text => {
                digits |= sample().contains(|c: char| c.is_ascii_digit());
                format!("texts, such as {:?}", sample())
            }
        };
        format!("{} holds {holds}", column.name)
    });
    let mut held = each.collect::<Vec<_>>().join("; ");
    if digits {
        held += ". Numbers stand alone in their fields, without units and signs";
    }
    held
}

/// Rows that are looked at for how numbers are written.
const LOOKED_AT: usize = 2000;

/// What stands before fractions and between thousands: what makes most columns numbers, and of what does as well the simplest.
fn points<'t>(
    names: &[&String],
    texts: &dyn Fn(&str) -> Result<Vec<&'t str>, DataError>,
    format: &Format,
) -> Result<(char, Option<char>), DataError> {
    // "1,234" may be either. Who puts commas between fields seldom puts them before fractions.
    let mut ways = [
        ('.', None),
        (',', None),
        ('.', Some(',')),
        (',', Some('.')),
        ('.', Some(' ')),
        (',', Some(' ')),
        ('.', Some('\'')),
    ];
    if format.delimiter == ',' {
        ways.swap(1, 2);
    }
    let mut numbers = [0; 7];
    for name in names {
        let texts = texts(name)?;
        let there = texts.iter().filter(|text| !is_missing(text));
        let there: Vec<&str> = there.take(LOOKED_AT).copied().collect();
        for (count, (decimal, thousands)) in numbers.iter_mut().zip(ways) {
            let read = Format {
                decimal,
                thousands,
                ..format.clone()
            };
            let read = read.numbers();
            let are = there.iter().filter(|text| read(text).is_some()).count();
            *count += usize::from(are > 0 && 100 * are >= 99 * there.len());
        }
    }
    let most = numbers.into_iter().max().unwrap_or(0);
    let best = numbers.iter().position(|&count| count == most);
    Ok(ways[best.unwrap_or(0)])
}

fn told_format(table: &Table, width: usize, format: &Format) -> String {
    let between = match format.delimiter {
        ',' => "commas",
        ';' => "semicolons",
        '\t' => "tabs",
        '|' => "bars",
        _ => "blanks",
    };
    let named = match &format.header {
        Header::FirstLine if are_numbered(table.names()) => {
            "names in the first line, which are numbers (header = \"none\" if that is a row)"
        }
        Header::FirstLine => "names in the first line",
        Header::None => "no names, so columns are called 1, 2, …",
        Header::Names(_) => "names in a comment",
    };
    let mut more = String::new();
    if format.decimal != '.' {
        more += "; decimal commas";
    }
    match format.thousands {
        Some(' ') => more += "; blanks between thousands",
        Some(mark) => more += &format!("; {mark} between thousands"),
        None => {}
    }
    if !format.missing_values.is_empty() {
        let stand = match format.missing_values.len() {
            1 => "stands",
            _ => "stand",
        };
        more += &format!(
            "; {} {stand} for no value",
            format.missing_values.join(", ")
        );
    }
    let twice = twice(table);
    if !twice.is_empty() {
        more += &format!(
            "; left out, as more than one is called so: {}",
            twice.join(", ")
        );
    }
    if let Some(encoding) = &format.encoding {
        more += &format!("; encoded as {encoding}");
    }
    format!(
        "{} rows of {} column{}, {between} between them, {named}{more}",
        count(table.rows()),
        width,
        if width == 1 { "" } else { "s" }
    )
}

/// As a shell reads it.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if text.chars().all(plain) && !text.is_empty() {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

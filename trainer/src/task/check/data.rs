//! What belongs together in the section that says what the data is.

use super::{MAX_COUNT, MAX_FOLDS, Problem, wrong};
use crate::data::csv::Missing;
use crate::data::time::Time;
use crate::data::vocabulary::{Unit, VocabularyTask};
use crate::task::{
    Data, DocumentsTask, FeatureTask, FeatureTransform, LabelTask, PairsTask, SequencesTask,
    SeriesTask, Split, TaggedTask, Task, TextTask, TranscriptTask,
};
use kinglet::format::{MAX_VOCAB, MAX_WIDTH};

pub(super) fn data(task: &Task) -> Result<(), Problem> {
    let formats = [
        ("csv", task.csv.as_ref().map(|c| &c.format)),
        ("documents", task.documents().map(|d| &d.format)),
        ("pairs", task.pairs().map(|p| &p.format)),
    ];
    for (section, format) in formats {
        if let Some((key, problem)) = format.and_then(|format| format.fault()) {
            return wrong(section, key, problem);
        }
    }
    if let Some(csv) = &task.csv
        && let Some(audio) = &csv.audio
    {
        if let Some((key, problem)) = audio.fault() {
            return wrong("csv.audio", key, problem);
        }
        if task.series().is_none() {
            return wrong(
                "csv",
                "audio",
                "frames of recordings are the rows of a [series]; remove audio",
            );
        }
        if csv.format.newest_first {
            return wrong(
                "csv.format",
                "newest_first",
                "frames of a recording are in order of time; remove it",
            );
        }
    }
    match &task.data {
        Data::Series(it) => series(task, it),
        Data::Sequences(it) => sequences(task, it),
        Data::Text(it) => text(task, it),
        Data::Documents(it) => documents(task, it),
        Data::Tagged(it) => tagged(it),
        Data::Pairs(it) => pairs(it),
    }
}

/// No column stands in a list twice.
fn once<'c>(
    key: &'static str,
    columns: impl Iterator<Item = &'c String> + Clone,
) -> Result<(), Problem> {
    for (k, column) in columns.clone().enumerate() {
        if columns.clone().take(k).any(|before| before == column) {
            let problem = format!("{column:?} stands there twice; remove one");
            return wrong("series", key, problem);
        }
    }
    Ok(())
}

fn series(task: &Task, series: &SeriesTask) -> Result<(), Problem> {
    need_csv(task, "series")?;
    split(task, &series.split(), "series")?;
    if series.season == Some(0) {
        return wrong("series", "season", "is at least 1 row");
    }
    if series.every == 0 {
        return wrong("series", "every", "must be at least 1");
    }
    if series.group.is_none()
        && matches!(
            series.split,
            Some(Split::Groups(_) | Split::Turns(_) | Split::PerGroup(_))
        )
    {
        return wrong(
            "series",
            "split",
            "there are no groups to split; name group = \"column\"",
        );
    }
    for target in &series.targets {
        if target.after.is_some() && target.remaining().is_none() {
            return wrong(
                "series",
                "targets",
                "after goes with a column such as \"remaining(cycle)\"",
            );
        }
        if target.cap.is_some_and(f32::is_nan) {
            return wrong("series", "targets", "cap is not a number");
        }
    }
    if series.features.is_empty() {
        return wrong("series", "features", "is empty; name at least one column");
    }
    once("features", series.features.iter().map(|f| &f.column))?;
    for feature in &series.features {
        known(series, "features", &feature.against)?;
    }
    once("targets", series.targets.iter().map(|t| &t.column))?;
    for target in &series.targets {
        known(series, "targets", &target.against)?;
    }
    let levels = &series.quantiles;
    let inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
    if !inside || !levels.is_sorted_by(|a, b| a < b) {
        return wrong(
            "series",
            "quantiles",
            format!(
                "{levels:?}: expected shares above 0 and below 1, from low to high, such as [0.1, 0.5, 0.9]"
            ),
        );
    }
    if !levels.is_empty() && series.label.is_some() {
        return wrong(
            "series",
            "quantiles",
            "classes have none; they go with targets",
        );
    }
    if let Some(levels) = series.levels {
        return drawn(series, levels, task.shape.window);
    }
    if let Some(transcript) = &series.transcript {
        return heard(series, transcript);
    }
    if series.picture {
        return wrong(
            "series",
            "picture",
            "goes with levels, of which rows are drawn",
        );
    }
    match (&series.label, series.targets.is_empty()) {
        (Some(label), true) => classes(label, "series"),
        (None, false) => Ok(()),
        (Some(_), false) => wrong(
            "series",
            "targets",
            "a task has targets (numbers) or a label (classes); remove one",
        ),
        (None, true) => wrong(
            "series",
            "targets",
            "nothing to predict; name targets = [\"column\"] or a label",
        ),
    }
}

fn sequences(task: &Task, sequences: &SequencesTask) -> Result<(), Problem> {
    need_csv(task, "sequences")?;
    split(task, &sequences.split, "sequences")?;
    classes(&sequences.label, "sequences")
}

fn text(task: &Task, t: &TextTask) -> Result<(), Problem> {
    split(task, &t.split, "text")?;
    match (&t.text, &t.file) {
        (Some(_), Some(_)) => wrong("text", "text", "give either text or file"),
        (None, None) => wrong(
            "text",
            "text",
            "is missing; give the text itself, or file = \"…\"",
        ),
        _ => Ok(()),
    }
}

fn documents(task: &Task, documents: &DocumentsTask) -> Result<(), Problem> {
    if documents.files.is_some() == documents.file.is_some() {
        return wrong(
            "documents",
            "files",
            "give either files (one for every part) or file (and split)",
        );
    }
    split(task, &documents.split, "documents")?;
    vocabulary(&documents.vocabulary, "documents")?;
    classes(&documents.label, "documents")
}

fn tagged(tagged: &TaggedTask) -> Result<(), Problem> {
    vocabulary(&tagged.vocabulary, "tagged")?;
    if tagged.vocabulary.unit != Unit::Words {
        return wrong(
            "tagged",
            "vocabulary",
            "tags belong to words: unit = \"words\"",
        );
    }
    if tagged.word == 0 || tagged.tag == 0 {
        let key = if tagged.word == 0 { "word" } else { "tag" };
        return wrong("tagged", key, "columns are counted from 1");
    }
    Ok(())
}

fn pairs(pairs: &PairsTask) -> Result<(), Problem> {
    vocabulary(&pairs.vocabulary, "pairs")?;
    samples_of(pairs)?;
    match (&pairs.files, &pairs.made) {
        (Some(_), None) => Ok(()),
        (None, Some(made)) if made.pairs.iter().sum::<usize>() <= made.kind.most() => Ok(()),
        (None, Some(made)) => {
            let most = made.kind.most();
            wrong("pairs", "made", format!("at most {most} pairs in all"))
        }
        _ => wrong("pairs", "files", "give either files or made"),
    }
}

/// A series whose numbers become tokens.
fn drawn(series: &SeriesTask, levels: usize, window: usize) -> Result<(), Problem> {
    let plain = |feature: &FeatureTask| {
        feature.transform == FeatureTransform::None
            && feature.normalise.is_none()
            && !feature.known
            && feature.against.is_none()
    };
    let classes_named = series.label.iter().flat_map(|label| &label.classes);
    // Of a picture every row begins with a token of its own.
    let begins = match series.picture {
        true => window.saturating_mul(classes_named.clone().count().max(1)),
        false => classes_named.clone().count(),
    };
    let tokens = levels
        .saturating_mul(series.features.len())
        .saturating_add(begins + 1);
    if !series.targets.is_empty() || !series.quantiles.is_empty() {
        return wrong(
            "series",
            "targets",
            "what is learned with levels is the next number of every feature; remove targets and quantiles",
        );
    }
    if let Some(feature) = series.features.iter().find(|feature| !plain(feature)) {
        return wrong(
            "series",
            "features",
            format!(
                "{:?}: levels are those of the column as it is; remove transform, normalise and known",
                feature.column
            ),
        );
    }
    if series.pad.is_some() {
        return wrong(
            "series",
            "pad",
            "a group that is shorter than a window is drawn as it is; remove pad",
        );
    }
    if levels < 2 || tokens > MAX_WIDTH {
        return wrong(
            "series",
            "levels",
            format!(
                "{levels} levels of {} features: expected at least 2, and with what rows begin with at most {MAX_WIDTH} tokens",
                series.features.len()
            ),
        );
    }
    if let Some(class) = classes_named.clone().find(|class| class.name.contains('=')) {
        return wrong(
            "series",
            "label",
            format!(
                "class {:?}: beside levels, which are written x=1, a name has no =",
                class.name
            ),
        );
    }
    series
        .label
        .as_ref()
        .map_or(Ok(()), |label| classes(label, "series"))
}

/// A series in which something is said.
fn heard(series: &SeriesTask, transcript: &TranscriptTask) -> Result<(), Problem> {
    let beside = [
        ("targets", !series.targets.is_empty()),
        ("label", series.label.is_some()),
        ("quantiles", !series.quantiles.is_empty()),
        ("picture", series.picture),
        ("pad", series.pad.is_some()),
        ("test_last", series.test_last),
    ];
    if let Some((key, _)) = beside.iter().find(|(_, given)| *given) {
        return wrong(
            "series",
            key,
            "does not go with a transcript, which is all that is learned of a group; remove one of the two",
        );
    }
    if series.group.is_none() {
        return wrong(
            "series",
            "group",
            format!(
                "is missing: the column that says which rows belong together, for each of which {:?} has one transcript",
                transcript.column
            ),
        );
    }
    if matches!(series.split, Some(Split::PerGroup(_))) {
        return wrong(
            "series",
            "split",
            "a group has one transcript, so it is in one part as a whole: expected groups = [60, 20, 20] or a column",
        );
    }
    Ok(())
}

/// What goes with an encoder of samples only.
fn samples_of(pairs: &PairsTask) -> Result<(), Problem> {
    let made = pairs.made.as_ref();
    let measured = made.is_some_and(|made| made.kind.is_measured());
    if made.is_some() && !(pairs.features.is_empty() && pairs.group.is_none()) {
        let key = if pairs.features.is_empty() {
            "group"
        } else {
            "features"
        };
        return wrong(
            "pairs",
            key,
            "names columns of files; what is made up has its own",
        );
    }
    if pairs.group.is_none() && !pairs.features.is_empty() && pairs.format.missing == Missing::Hold
    {
        return wrong(
            "pairs",
            "format",
            "every row is a sequence of its own, so no number of a row before can be held: remove missing = \"hold\", or \
             name the column that says which rows belong together (group)",
        );
    }
    if pairs.features.is_empty() && !measured {
        if pairs.group.is_some() {
            return wrong(
                "pairs",
                "group",
                "texts are no sequences of rows: goes with features",
            );
        }
        if !pairs.dense.is_empty() {
            return wrong(
                "pairs",
                "dense",
                "texts have an embedding: goes with features",
            );
        }
    }
    if pairs
        .dense
        .iter()
        .any(|d| !(1..=MAX_WIDTH).contains(&d.units))
    {
        return wrong("pairs", "dense", format!("units are from 1 to {MAX_WIDTH}"));
    }
    Ok(())
}

fn vocabulary(vocabulary: &VocabularyTask, section: &'static str) -> Result<(), Problem> {
    // Beside these there are <unk> and the endings.
    if !(1..MAX_VOCAB).contains(&vocabulary.max_tokens) {
        let most = MAX_VOCAB - 1;
        return wrong(
            section,
            "vocabulary",
            format!("max_tokens is from 1 to {most}"),
        );
    }
    if vocabulary.endings > 0 && vocabulary.unit == Unit::Characters {
        return wrong(section, "vocabulary", "characters have no endings");
    }
    Ok(())
}

fn need_csv(task: &Task, section: &'static str) -> Result<(), Problem> {
    if task.csv.is_none() {
        return wrong(section, "csv", "needs a [csv] section with file = \"…\"");
    }
    Ok(())
}

fn known(series: &SeriesTask, key: &'static str, against: &Option<String>) -> Result<(), Problem> {
    let Some(name) = against else { return Ok(()) };
    if series.features.iter().any(|f| f.column == *name) {
        return Ok(());
    }
    wrong(
        "series",
        key,
        format!(
            "against = {name:?} is not a feature that is measured (without known = true); add it to features"
        ),
    )
}

fn classes(label: &LabelTask, section: &'static str) -> Result<(), Problem> {
    if label.classes.len() < 2 {
        return wrong(section, "label", "expected at least two classes");
    }
    let mut seen = Vec::new();
    for name in label.classes.iter().flat_map(|c| &c.labels) {
        if seen.contains(&name) {
            return wrong(
                section,
                "label",
                format!("label {name:?} belongs to two classes"),
            );
        }
        seen.push(name);
    }
    Ok(())
}

fn split(task: &Task, split: &Split, section: &'static str) -> Result<(), Problem> {
    let is_wrong = |problem: String| wrong(section, "split", problem);
    let format = task.csv.as_ref().and_then(|csv| csv.format.time.as_deref());
    match split {
        Split::Fractions(f) | Split::PerGroup(f) => {
            let sum: f64 = f.iter().sum();
            if f.iter().any(|x| !(0.0..=1.0).contains(x)) || sum > 1.0 + 1e-9 || f[0] == 0.0 {
                return is_wrong(format!(
                    "fractions {f:?} must be positive and sum to at most 1"
                ));
            }
        }
        Split::Turns(counts) if counts.iter().any(|n| !(1..=MAX_COUNT).contains(n)) => {
            return is_wrong(format!(
                "turns {counts:?}: a turn has from 1 to {MAX_COUNT} groups of each part, such as [7, 1, 2]"
            ));
        }
        Split::Groups([0, ..]) => return is_wrong("the training part has no groups".into()),
        Split::Rows([0, ..]) => return is_wrong("the training part has no rows".into()),
        Split::Before(dates) => {
            let times = dates
                .iter()
                .map(|date| Time::parse(date, format).or_else(|| Time::parse(date, None)));
            let Some(times) = times.collect::<Option<Vec<_>>>() else {
                return is_wrong(format!(
                    "before = {dates:?} is not a time such as \"2026-03-15\", or as csv.format.time says"
                ));
            };
            match times[..] {
                [_] => {}
                [valid, test] if valid.local < test.local => {}
                _ => {
                    return is_wrong(
                        "before is the date on which the test part begins, or that of the validation part and then that \
                         of the test part"
                            .into(),
                    );
                }
            }
        }
        &Split::Folds(folds) if !(2..=MAX_FOLDS).contains(&folds) => {
            return is_wrong(format!("folds is from 2 to {MAX_FOLDS}, such as 5"));
        }
        _ => {}
    }
    let has_test_file = task.csv.as_ref().is_some_and(|csv| csv.test.is_some());
    match split {
        Split::Groups(_) | Split::Turns(_) | Split::PerGroup(_) if section != "series" => {
            is_wrong("only a [series] has groups".into())
        }
        Split::Before(_) if section != "series" => {
            is_wrong("only the rows of a [series] have times".into())
        }
        Split::Column(_) if section == "text" => {
            is_wrong("a text has no columns; use rows, fractions, folds or \"none\"".into())
        }
        Split::Folds(_) | Split::Fold { .. } if has_test_file => {
            is_wrong("folds have test parts of their own; remove [csv.test]".into())
        }
        _ => Ok(()),
    }
}

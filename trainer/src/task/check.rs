//! What only makes sense together. Each message says what to change.

mod data;

use std::path::Path;

use kinglet::format::{MAX_LAYERS, MAX_WIDTH};

use super::{
    ClassWeights, Data, Kind, Loss, Precision, Schedule, TargetTask, TargetTransform, Task,
    TaskError, ThresholdTask,
};

/// Beyond this a number is a slip of the keyboard, and its buffers would not fit in memory.
const MAX_COUNT: usize = 65_536;
/// Each is a training of its own.
const MAX_FOLDS: usize = 100;

/// Checks a task and fills in the defaults that depend on other keys.
pub fn check(task: &mut Task, text: &str) -> Result<(), TaskError> {
    if let Some(csv) = &mut task.csv {
        csv.format.audio.clone_from(&csv.audio);
    }
    let audio = task.csv.as_ref().and_then(|csv| csv.audio.as_ref());
    if let (Data::Series(series), Some(audio)) = (&mut task.data, audio) {
        let features = std::mem::take(&mut series.features).into_iter();
        series.features = features.flat_map(|feature| feature.heard(audio)).collect();
    }
    if let Data::Series(series) = &mut task.data {
        let shape = &task.shape;
        let horizons = match shape.horizons.is_empty() {
            true => std::slice::from_ref(&shape.horizon),
            false => &shape.horizons[..],
        };
        let now = horizons.contains(&0);
        let predicted =
            |column: &String| series.targets.iter().any(|target| target.column == *column);
        let wrong = series
            .features
            .iter()
            .find(|f| f.known && (now || predicted(&f.column)));
        if let Some(feature) = wrong {
            let column = &feature.column;
            let problem = match now {
                true => format!(
                    "{column:?} is known ahead, and nothing ahead is predicted; remove known, or set shape.horizon"
                ),
                false => format!("{column:?} is predicted, so it is not known ahead; remove known"),
            };
            let problem = ("series", "features", problem);
            return Err(invalid(problem, &task.origin, text));
        }
        let features = std::mem::take(&mut series.features).into_iter();
        series.features = features
            .flat_map(|feature| feature.expanded(horizons))
            .collect();
    }
    if task.levels().is_some() || task.transcript().is_some() {
        // What comes next is told by the tokens, and what is said is said now.
        task.shape.horizon = 0;
    }
    if let Some(&farthest) = task.shape.horizons.last() {
        // 1 where nothing is said.
        if ![1, farthest].contains(&task.shape.horizon) {
            let problem = "horizons says how far ahead too; remove one of them".to_owned();
            return Err(invalid(("shape", "horizon", problem), &task.origin, text));
        }
        task.shape.horizon = farthest;
    }
    problem(task).map_err(|problem| invalid(problem, &task.origin, text))?;
    if task.shape.kind == Kind::OneToOne {
        let shape = &mut task.shape;
        (shape.kind, shape.window, shape.horizon) = (Kind::ManyToOne, 1, 0);
    }
    if task.shape.hop.is_none() && task.shape.kind != Kind::ManyToOne {
        task.shape.hop = Some(task.shape.window);
    }
    Ok(())
}

/// Section and key, and what is wrong there.
pub(super) type Problem = (&'static str, &'static str, String);

/// Where in the text of a task file a problem lies.
pub(super) fn invalid((section, key, problem): Problem, origin: &Path, text: &str) -> TaskError {
    TaskError::Invalid {
        file: origin.display().to_string(),
        line: line_of(text, section, key),
        section,
        key,
        problem,
    }
}

pub(super) fn wrong<T>(
    section: &'static str,
    key: &'static str,
    problem: impl Into<String>,
) -> Result<T, Problem> {
    Err((section, key, problem.into()))
}

fn problem(task: &Task) -> Result<(), Problem> {
    data::data(task)?;
    shape(task)?;
    network(task)?;
    anomaly(task)?;
    wake(task)?;
    output(task)?;
    train(task)
}

fn output(task: &Task) -> Result<(), Problem> {
    let output = &task.output;
    if output.precision != Some(Precision::Mixed) {
        let given = [
            ("max_flash", output.max_flash.is_some()),
            ("max_cycles", output.max_cycles.is_some()),
            ("core", output.core.is_some()),
        ];
        return match given.iter().find(|(_, given)| *given) {
            Some((key, _)) => wrong("output", key, "goes with precision = \"mixed\""),
            None => Ok(()),
        };
    }
    if task.pairs().is_some() {
        return wrong(
            "output",
            "precision",
            "a pair has one format in all layers; expected another than mixed",
        );
    }
    let budget = output
        .budget()
        .map_err(|(key, problem)| ("output", key, problem))?;
    match (budget.flash, budget.cycles, budget.core) {
        (None, None, _) => wrong(
            "output",
            "precision",
            "mixed needs a budget: add max_flash = \"16K\", or core = \"cortex-m4\" and max_cycles = 9000",
        ),
        (_, Some(_), None) => wrong(
            "output",
            "max_cycles",
            "needs a core that they are counted for: add core = \"cortex-m4\"",
        ),
        _ => Ok(()),
    }
}

fn anomaly(task: &Task) -> Result<(), Problem> {
    let Some(anomaly) = &task.anomaly else {
        return Ok(());
    };
    if !(anomaly.smoothing > 0.0 && anomaly.smoothing <= 1.0) {
        return wrong(
            "anomaly",
            "smoothing",
            "is above 0 and at most 1, such as 0.05",
        );
    }
    if let ThresholdTask::Quantile(share) = anomaly.threshold
        && !(share > 0.0 && share <= 1.0)
    {
        return wrong(
            "anomaly",
            "threshold",
            "a quantile is above 0 and at most 1",
        );
    }
    if let Some(labels) = &anomaly.labels {
        let of_file = [
            labels.file.is_some(),
            labels.key.is_some(),
            labels.time.is_some(),
        ];
        if (labels.column.is_some(), of_file) != (true, [false; 3])
            && (labels.column.is_some(), of_file) != (false, [true; 3])
        {
            return wrong(
                "anomaly",
                "labels",
                "expected { column = \"…\" } of zeros and ones, or { file = \"…\", key = \"…\", time = \"…\" }",
            );
        }
    }
    let next = task.series().is_some_and(|series| {
        let feature = |column: &str| series.features.iter().any(|f| f.column == column);
        series.targets.iter().any(|target| feature(&target.column))
    });
    if !next || task.shape.horizon != 1 || !task.shape.horizons.is_empty() {
        return wrong(
            "anomaly",
            "smoothing",
            "compares the next sample with its prediction: a target of a [series] must be one of its \
             features, with horizon 1",
        );
    }
    Ok(())
}

fn wake(task: &Task) -> Result<(), Problem> {
    let Some(wake) = &task.wake else {
        return Ok(());
    };
    if !(wake.smoothing > 0.0 && wake.smoothing <= 1.0) {
        return wrong("wake", "smoothing", "is above 0 and at most 1, such as 0.3");
    }
    if !(wake.false_alarms >= 0.0 && wake.false_alarms.is_finite()) {
        return wrong("wake", "false_alarms", "is 0 or more an hour, such as 1.0");
    }
    if task.anomaly.is_some() {
        return wrong(
            "wake",
            "word",
            "a model watches for one thing: leave out [anomaly], or [wake]",
        );
    }
    if task.csv.as_ref().is_none_or(|csv| csv.audio.is_none()) {
        return wrong(
            "wake",
            "word",
            "is one of recordings, whose hours are known: needs [csv.audio]",
        );
    }
    let audio = task.csv.as_ref().and_then(|csv| csv.audio.as_ref());
    let series = task.series();
    let group = series.and_then(|series| series.group.as_ref());
    if group != audio.map(|audio| &audio.column) {
        return wrong(
            "series",
            "group",
            "is the column of recordings where a [wake] is about them, as they are heard one by one",
        );
    }
    let label = series.and_then(|series| series.label.as_ref());
    let classes = label.map_or(&[][..], |label| &label.classes);
    if classes.iter().all(|class| class.name != wake.word) || classes.len() < 2 {
        let names: Vec<_> = classes
            .iter()
            .map(|class| format!("{:?}", class.name))
            .collect();
        return wrong(
            "wake",
            "word",
            match names.is_empty() {
                true => "is one of the classes of a [series.label], and there is none".to_owned(),
                false => format!("is one of several classes: {}", names.join(", ")),
            },
        );
    }
    Ok(())
}

fn shape(task: &Task) -> Result<(), Problem> {
    let shape = &task.shape;
    let next = task.text().is_some() || task.pairs().is_some() || task.levels().is_some();
    if next != (shape.kind == Kind::NextToken) {
        return wrong(
            "shape",
            "kind",
            "\"next-token\" goes with [text], [pairs] and the levels of a [series], the other kinds with [series], [sequences], \
             [documents] and [tagged]",
        );
    }
    if task.documents().is_some() && shape.kind != Kind::ManyToOne {
        return wrong(
            "shape",
            "kind",
            "a text has one label: expected \"many-to-one\"",
        );
    }
    if task.pairs().is_some() && shape.window < 2 {
        return wrong(
            "shape",
            "window",
            "a text and its end are at least 2 tokens",
        );
    }
    if task.tagged().is_some() && shape.kind != Kind::ManyToMany {
        return wrong(
            "shape",
            "kind",
            "every word has a tag: expected \"many-to-many\"",
        );
    }
    if shape.kind == Kind::OneToOne {
        let plain = shape.window <= 1 && shape.horizon <= 1 && shape.horizons.is_empty();
        if !plain || shape.hop.is_some() || shape.stateful {
            return wrong(
                "shape",
                "kind",
                "one-to-one looks at one row; remove window, hop, horizon and stateful",
            );
        }
        if task.series().is_none() {
            return wrong("shape", "kind", "\"one-to-one\" goes with [series]");
        }
        return Ok(());
    }
    if task.transcript().is_some() && shape.kind != Kind::ManyToMany {
        return wrong(
            "shape",
            "kind",
            "a transcript is heard along the rows: expected \"many-to-many\"",
        );
    }
    // Without one a transcript's rows are as many as there are.
    if shape.window == 0 && task.sequences().is_none() && task.transcript().is_none() {
        return wrong(
            "shape",
            "window",
            "is missing; how many samples make a window?",
        );
    }
    if shape.window > MAX_COUNT {
        return wrong("shape", "window", format!("at most {MAX_COUNT} samples"));
    }
    let test_last = task.series().is_some_and(|s| s.test_last);
    if test_last && shape.kind != Kind::ManyToOne {
        return wrong(
            "series",
            "test_last",
            "only many-to-one has windows to measure at",
        );
    }
    if !shape.horizons.is_empty() {
        let several = task.series().is_some_and(|s| !s.targets.is_empty());
        if !several {
            return wrong(
                "shape",
                "horizons",
                "several go with the targets of a [series] only",
            );
        }
        if !shape.horizons.is_sorted_by(|a, b| a < b) || shape.horizons.len() > MAX_WIDTH {
            return wrong(
                "shape",
                "horizons",
                "expected rows ahead, from near to far, such as [1, 6, 24]",
            );
        }
    }
    if shape.horizon > MAX_COUNT || shape.horizons.iter().any(|&h| h > MAX_COUNT) {
        return wrong("shape", "horizon", format!("at most {MAX_COUNT} rows"));
    }
    let targets = task.series().into_iter().flat_map(|series| &series.targets);
    let of_change = |target: &&TargetTask| {
        let changes = [TargetTransform::Difference, TargetTransform::LogReturn];
        let own = target
            .against
            .as_ref()
            .is_none_or(|against| *against == target.column);
        own && changes.contains(&target.transform)
    };
    let now = (shape.horizon == 0 && shape.horizons.is_empty()) || shape.horizons.contains(&0);
    if let Some(target) = targets.filter(|_| now).find(of_change) {
        let column = &target.column;
        return wrong(
            "shape",
            "horizon",
            format!(
                "0 rows ahead the change of {column:?} is 0; set horizon = 1 or more, or remove the target's transform"
            ),
        );
    }
    if shape.hop == Some(0) {
        return wrong("shape", "hop", "must be at least 1");
    }
    if shape.stateful
        && (shape.kind == Kind::ManyToOne
            || task.sequences().is_some()
            || task.tagged().is_some()
            || task.pairs().is_some()
            || task.transcript().is_some()
            || task.levels().is_some())
    {
        return wrong(
            "shape",
            "stateful",
            "windows of many-to-one and whole sequences start at zero; use many-to-many on a [series]",
        );
    }
    if shape.stateful && shape.hop.is_some_and(|hop| hop != shape.window) {
        return wrong(
            "shape",
            "hop",
            "a carried state needs windows side by side; remove hop",
        );
    }
    Ok(())
}

fn network(task: &Task) -> Result<(), Problem> {
    let net = &task.network;
    if net.hidden.is_empty() && task.shape.kind != Kind::OneToOne {
        return wrong(
            "network",
            "hidden",
            "expected one width per recurrent layer, such as [16]",
        );
    }
    if net.hidden.iter().any(|h| !(1..=MAX_WIDTH).contains(h)) {
        return wrong(
            "network",
            "hidden",
            format!("widths are from 1 to {MAX_WIDTH}"),
        );
    }
    if net
        .dense
        .iter()
        .any(|d| !(1..=MAX_WIDTH).contains(&d.units))
    {
        return wrong(
            "network",
            "dense",
            format!("units are from 1 to {MAX_WIDTH}"),
        );
    }
    if !net.conv.is_empty() {
        let longest = MAX_WIDTH;
        let fault = if task.has_tokens() {
            "a convolution goes over numbers: only for [series] and [sequences]".to_owned()
        } else if net.bidirectional {
            "no convolution goes before bidirectional layers yet; remove one of the two".to_owned()
        } else if net.conv.iter().any(|c| {
            let sizes = [c.filters, c.kernel, c.dilation, c.stride, c.pool];
            sizes.iter().any(|n| !(1..=longest).contains(n)) || c.kernel * c.dilation > longest
        }) {
            format!(
                "filters, kernel, dilation, stride, pool, and kernel times dilation are from 1 to {longest}"
            )
        } else if net.conv.iter().any(|c| c.stride > 1 && c.pool > 1) {
            "a stride and a pool in one convolution: give the pool to the next one".to_owned()
        } else if task.shape.kind != Kind::ManyToOne && net.conv.iter().any(|c| c.pool().is_some())
        {
            "with a stride or a pool not every sample has an answer: only for many-to-one"
                .to_owned()
        } else {
            // What the first one sees depends on the data; the exporter says if that is too wide.
            let wide = net.conv.windows(2);
            let wide = wide.map(|pair| pair[0].filters * pair[1].kernel).max();
            match wide.filter(|&n| n > longest) {
                Some(n) => format!(
                    "a convolution sees {n} numbers at once, at most {longest}: make filters or kernel smaller"
                ),
                None => String::new(),
            }
        };
        if !fault.is_empty() {
            return wrong("network", "conv", fault);
        }
    }
    if task.pairs().is_some() && net.cell.reach() > 1 {
        return wrong(
            "network",
            "cell",
            "a pair needs a cell with a bounded state, such as gru or lstm: both networks must scale it alike",
        );
    }
    match net.embedding {
        None if task.has_tokens() => {
            return wrong(
                "network",
                "embedding",
                "tokens need the length of their vectors, such as 8",
            );
        }
        Some(_) if !task.has_tokens() => {
            return wrong(
                "network",
                "embedding",
                "only text and levels are tokens to embed; remove it",
            );
        }
        Some(dim) if !(1..=MAX_WIDTH).contains(&dim) => {
            return wrong("network", "embedding", format!("is from 1 to {MAX_WIDTH}"));
        }
        _ => {}
    }
    let joined = task.pairs().and_then(|pairs| pairs.joined);
    let token = net.embedding.unwrap_or(0);
    if joined.is_some_and(|n| n == 0 || token + n > MAX_WIDTH) {
        return wrong(
            "pairs",
            "joined",
            format!("is at least 1, and with embedding = {token} at most {MAX_WIDTH}"),
        );
    }
    if net.bidirectional {
        let fault = if task.shape.kind != Kind::ManyToOne {
            "a layer that begins at the last sample needs the whole window: only for many-to-one"
        } else if task.series().is_none() && task.sequences().is_none() {
            "windows have one length: only for [series] and [sequences]"
        } else if net.hidden.iter().any(|h| 2 * h > MAX_WIDTH) {
            "both directions together are wider than a layer may be; make hidden smaller"
        } else {
            ""
        };
        if !fault.is_empty() {
            return wrong("network", "bidirectional", fault);
        }
    }
    let directions = 1 + usize::from(net.bidirectional);
    let layers = net.conv.len()
        + directions * net.hidden.len()
        + net.dense.len()
        + 1
        + usize::from(net.embedding.is_some())
        + usize::from(joined.is_some());
    if layers > MAX_LAYERS {
        return wrong(
            "network",
            "hidden",
            format!(
                "{layers} layers with embedding and output layer (a bidirectional one counts twice); the engine runs at most {MAX_LAYERS}"
            ),
        );
    }
    Ok(())
}

fn train(task: &Task) -> Result<(), Problem> {
    let train = &task.train;
    if (task.loss() == Loss::Ctc) != task.transcript().is_some() {
        return wrong(
            "train",
            "loss",
            "ctc is the loss of transcripts, and the only one: a transcript in [series] goes without a loss",
        );
    }
    if (task.loss() == Loss::CrossEntropy) != task.is_classification() {
        return wrong(
            "train",
            "loss",
            "cross-entropy is for labels and text; mse, mae and huber are for numbers",
        );
    }
    if let Some(weights) = &train.class_weights {
        let labels = task.series().and_then(|s| s.label.as_ref());
        let labels = labels.or(task.sequences().map(|s| &s.label));
        let labels = labels.or(task.documents().map(|d| &d.label));
        let classes = labels.map(|label| label.classes.len());
        let problem = match (weights, classes) {
            (_, None) if task.tagged().is_none() => {
                "goes with the classes of a label or of [tagged]".to_owned()
            }
            (ClassWeights::Each(list), Some(classes)) if list.len() != classes => {
                format!("{} weights for {classes} classes", list.len())
            }
            (ClassWeights::Each(list), _) if list.iter().any(|w| !(*w > 0.0 && w.is_finite())) => {
                format!("{list:?}: every weight must be positive")
            }
            (ClassWeights::Each(_), None) => {
                "the tags are counted in the data: expected \"balanced\"".to_owned()
            }
            (ClassWeights::Rule(rule), _) if rule != "balanced" => {
                format!(
                    "{rule:?}: expected \"balanced\" or a list of a weight per class, such as [1, 5]"
                )
            }
            _ => String::new(),
        };
        if !problem.is_empty() {
            return wrong("train", "class_weights", problem);
        }
    }
    let has_quantiles = task.series().is_some_and(|s| !s.quantiles.is_empty());
    if (task.loss() == Loss::Pinball) != has_quantiles {
        return wrong(
            "train",
            "loss",
            "pinball is the loss of quantiles, and the only one: quantiles = [0.1, 0.5, 0.9] in [series] goes without a loss",
        );
    }
    if !(train.learning_rate > 0.0 && train.learning_rate.is_finite()) {
        return wrong("train", "learning_rate", "must be positive, such as 0.001");
    }
    let rate = train.quantized.learning_rate;
    if rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return wrong(
            "train.quantized",
            "learning_rate",
            "must be positive, such as 0.0001",
        );
    }
    if !(train.weight_decay >= 0.0 && train.weight_decay.is_finite()) {
        return wrong("train", "weight_decay", "must not be negative");
    }
    if !(train.clip >= 0.0 && train.clip.is_finite()) {
        return wrong("train", "clip", "must not be negative; 0 means no limit");
    }
    if !(1..=MAX_COUNT).contains(&train.batch) {
        return wrong("train", "batch", format!("is from 1 to {MAX_COUNT}"));
    }
    if !(1..=MAX_COUNT).contains(&train.accumulate) {
        return wrong("train", "accumulate", format!("is from 1 to {MAX_COUNT}"));
    }
    if !(0.0..1.0).contains(&train.word_dropout) {
        return wrong(
            "train",
            "word_dropout",
            "is a share from 0 to less than 1, such as 0.1",
        );
    }
    if train.word_dropout > 0.0 && task.documents().is_none() && task.tagged().is_none() {
        return wrong(
            "train",
            "word_dropout",
            "needs a token for what is unknown, which [documents] and [tagged] have",
        );
    }
    if let Schedule::Step { every, factor } = train.schedule
        && (every == 0 || !(factor > 0.0 && factor.is_finite()))
    {
        return wrong(
            "train",
            "schedule",
            "every must be at least 1 and factor positive",
        );
    }
    Ok(())
}

/// The line of a key in its section, or of the section.
fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let mut inside = false;
    let mut header = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            let name = name
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or("")
                .trim();
            inside = name == section
                || name
                    .strip_prefix(section)
                    .is_some_and(|r| r.starts_with('.'));
            if name == format!("{section}.{key}") {
                return Some(number + 1);
            }
            if inside && header.is_none() {
                header = Some(number + 1);
            }
        } else if inside
            && line
                .strip_prefix(key)
                .is_some_and(|r| r.trim_start().starts_with('='))
        {
            return Some(number + 1);
        }
    }
    header
}

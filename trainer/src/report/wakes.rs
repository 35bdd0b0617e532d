//! A model that waits for a word: how often it hears that, and how often something else, in every number format and at other
//! thresholds.

use super::Made;
use super::html::{Table, count, number, paragraph, percent, section};
use crate::data::{Dataset, Part};
use crate::engine::EnginePredictor;
use crate::package::Alarm;
use crate::spotting::{Wakes, hear};
use kinglet::Model;

/// Of the format that is looked at more closely.
const THRESHOLDS: [f32; 7] = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98];

/// A row for every model that has a threshold, and for other thresholds of the one at `device`.
pub(super) fn wakes(
    word: &str,
    (data, part): (&Dataset, Part),
    made: &[Made],
    models: &[Model<'_>],
    device: usize,
) -> String {
    let mut table = new_table("format");
    let mut others = new_table("at another threshold");
    for (k, (made, model)) in made.iter().zip(models).enumerate() {
        let Some(alarm) = Alarm::of_model(model) else {
            continue;
        };
        let mut engine = EnginePredictor::new(model);
        let heard = hear(data, part, &mut engine, (word, alarm.smoothing));
        row(
            &mut table,
            &made.name,
            alarm.threshold,
            &heard.wakes(alarm.threshold),
        );
        if k == device {
            for threshold in THRESHOLDS {
                row(&mut others, &made.name, threshold, &heard.wakes(threshold));
            }
        }
    }
    let body = paragraph(&format!(
        "The score is the exponential mean of the probability of {word:?} in the answers up to now, and begins at zero with every recording. \
         An alarm is a run of answers above the threshold, which is the lowest that keeps to the false alarms that the task allows over the \
         validation part, in every format by its own answers. The word is found where its recording has an alarm."
    ));
    section(
        "wakes",
        "Waking",
        &(body + &table.finish() + &others.finish()),
    )
}

fn new_table(first: &str) -> Table {
    Table::new(&[
        first,
        "threshold",
        "found",
        "of",
        "share",
        "false alarms",
        "hours of others",
        "an hour",
    ])
}

fn row(table: &mut Table, name: &str, threshold: f32, wakes: &Wakes) {
    table.row(&[
        name.to_owned(),
        number(threshold.into()),
        count(wakes.found),
        count(wakes.words),
        percent(wakes.share()),
        count(wakes.false_alarms),
        number(wakes.hours),
        number(wakes.hourly()),
    ]);
}

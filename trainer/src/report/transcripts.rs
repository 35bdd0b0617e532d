//! What was said and what the network hears, sequence by sequence.

use super::html::{Table, count, paragraph, section};
use super::measure::{Measured, Run};
use crate::data::Dataset;
use crate::escape::escape;
use crate::train::Metrics;
use crate::transcript::{Mistakes, written};
use kinglet::Greedy;
use std::cmp::Reverse;

/// Sequences that are shown.
const SHOWN: usize = 40;

/// `tokens` are the classes, the blank first; [`Run::kept`] the likeliest of each step.
pub(super) fn transcripts(
    data: &Dataset,
    tokens: &[String],
    measured: &Measured,
    run: &Run,
) -> String {
    let names = data.group_names();
    let (mut all, mut at) = (Vec::new(), 0);
    for sequence in data.sequences(measured.part) {
        let steps = at..at + sequence.steps();
        at = steps.end;
        let said = measured.truth[steps.clone()].iter();
        let said: Vec<usize> = said.filter(|t| **t >= 0.0).map(|&t| t as usize).collect();
        let mut greedy = Greedy::new();
        let classes = run.kept[steps].iter().map(|&class| class as usize);
        let heard: Vec<usize> = classes.filter_map(|c| greedy.push_class(c)).collect();
        let group = sequence.group().and_then(|group| names.get(group));
        let mistakes = Mistakes::between(&said, &heard).all();
        all.push((group, said, heard, mistakes));
    }
    let sequences = all.len();
    all.sort_by_key(|(.., mistakes)| Reverse(*mistakes));
    let mut body = paragraph(&format!("{}: {}.", run.name, run.metrics));
    if let Metrics::Transcripts(heard) = &run.metrics {
        let [wrong, added, missed] = heard.mistakes;
        body += &paragraph(&format!(
            "A token is heard at the first step at which it is the likeliest class. Of {} tokens {} were heard as others and {} not at all, \
             and {} were heard that nobody said.",
            count(heard.count),
            count(wrong),
            count(missed),
            count(added)
        ));
    }
    if sequences > SHOWN {
        body += &paragraph(&format!(
            "{SHOWN} of {} sequences, those with the most mistakes.",
            count(sequences)
        ));
    }
    let mut table = Table::new(&["sequence", "said", "heard", "mistakes"]);
    for (group, said, heard, mistakes) in all.into_iter().take(SHOWN) {
        table.row(&[
            group.map_or(String::new(), |group| escape(group)),
            escape(&written(&said, tokens)),
            escape(&written(&heard, tokens)),
            count(mistakes),
        ]);
    }
    section("predictions", "Transcripts", &(body + &table.finish()))
}

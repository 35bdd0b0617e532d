//! What an output means, in C: an alarm, as the engine's `detect.rs` and `spot.rs` define it, or the tokens of a transcript, as its
//! `choose.rs` does.

use kinglet::Model;
use kinglet::format::Output;
use std::fmt::Write;

use super::{arrays, comment, fill};
use crate::data::Written;
use crate::model_file::{is_of_transcripts, output_names};

/// What says what an output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Meaning {
    /// It speaks for itself.
    #[default]
    Plain,
    /// `NAME_alarm`, from a sample and what was foretold of it.
    Forecast,
    /// `NAME_alarm`, from an output.
    Word,
    /// `NAME_token`, from an output.
    Transcript,
}

/// The function and its declaration; empty for a model whose outputs speak for themselves.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) meaning: Meaning,
    pub(super) header: String,
    pub(super) source: String,
}

pub(super) fn function(name: &str, model: &Model<'_>, written: &Written) -> Verdict {
    let keys = [("model", name.to_owned()), ("MODEL", name.to_uppercase())];
    if is_of_transcripts(model) {
        return Verdict {
            meaning: Meaning::Transcript,
            header: fill(TOKEN_HEADER, &keys),
            source: fill(TOKEN, &keys),
        };
    }
    let (Some(threshold), Some(smoothing)) = (model.header().threshold, model.smoothing()) else {
        return Verdict::default();
    };
    let (meaning, header, source) = match model.header().output {
        Output::Classes { .. } => {
            let word = written.wake.as_deref().unwrap_or_default();
            let names = output_names(model);
            let Some(class) = names.iter().position(|(name, _)| *name == word) else {
                return Verdict::default();
            };
            (
                Meaning::Word,
                fill(WORD_HEADER, &[("WORD", comment(word))]),
                fill(WORD, &[("CLASS", class.to_string())]),
            )
        }
        _ => {
            let mut terms = String::new();
            for (output, target) in model.targets().iter().enumerate() {
                let input = target.feeds as usize;
                if input < model.inputs() {
                    let _ = writeln!(
                        terms,
                        "    add_error(in[{input}] - foretold[{output}], &sum, &count);"
                    );
                }
            }
            if terms.is_empty() {
                return Verdict::default();
            }
            (
                Meaning::Forecast,
                FORECAST_HEADER.to_owned(),
                fill(FORECAST, &[("TERMS", terms)]),
            )
        }
    };
    let numbers = [
        ("SMOOTHING", arrays::float(smoothing)),
        ("THRESHOLD", arrays::float(threshold)),
    ];
    let keys = [&keys[..], &numbers].concat();
    Verdict {
        meaning,
        header: fill(&(CONSTANTS.to_owned() + &header), &keys),
        source: fill(&source, &keys),
    }
}

const TOKEN_HEADER: &str = "
/* An output in; the token that is known with it, or 0. Class 0 is none, and what is the likeliest class of several outputs in a row is
 * said once: the last one stays in `last`, which is 0 at first. */
uint32_t $model_token(uint32_t *last, const float out[$MODEL_OUTPUTS]);
";

const TOKEN: &str = "
uint32_t $model_token(uint32_t *last, const float out[$MODEL_OUTPUTS])
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < $MODEL_OUTPUTS; i++) {
        best = out[i] > out[best] ? i : best;
    }
    const uint32_t said = best != *last ? best : 0;
    *last = best;
    return said;
}
";

const CONSTANTS: &str = "
/* Of an alarm. */
#define $MODEL_SMOOTHING $SMOOTHING
#define $MODEL_THRESHOLD $THRESHOLD
";

const WORD_HEADER: &str = "
/* An answer in; 1 where the word \"$WORD\" has been heard. Its smoothed probability stays in score, which is 0 at first:
 * score += SMOOTHING (probability - score), and 1 while score > THRESHOLD. */
int $model_alarm(float *score, const float out[$MODEL_OUTPUTS]);
";

const WORD: &str = "
int $model_alarm(float *score, const float out[$MODEL_OUTPUTS])
{
    /* What is no number leaves the score as it is. */
    if (is_finite(&out[$CLASS])) {
        *score += $MODEL_SMOOTHING * (out[$CLASS] - *score);
    }
    return *score > $MODEL_THRESHOLD;
}
";

const FORECAST_HEADER: &str = "
/* A raw sample and the output of the step before it, which foretold it, in; 1 while it is an alarm. The smoothed error stays in score, which
 * is 0 at first: with the mean e of |sample - output| over the outputs that are an input's next value, of those that are there,
 * score += SMOOTHING (e - score), and 1 while score > THRESHOLD. Call it with every sample that an output foretold: where windows answer
 * some only, none is of the others, and NaN in place of it leaves the score as it is. */
int $model_alarm(float *score, const float foretold[$MODEL_OUTPUTS], const float in[$MODEL_INPUTS]);
";

const FORECAST: &str = "
/* Leaves out what is no number. */
static void add_error(float error, float *sum, float *count)
{
    if (is_finite(&error)) {
        *sum += error < 0.0f ? -error : error;
        *count += 1.0f;
    }
}

int $model_alarm(float *score, const float foretold[$MODEL_OUTPUTS], const float in[$MODEL_INPUTS])
{
    float sum = 0.0f;
    float count = 0.0f;
$TERMS    const float mean = sum / count;
    /* It is none where no error is there, and where their sum is none. */
    if (is_finite(&mean)) {
        *score += $MODEL_SMOOTHING * (mean - *score);
    }
    return *score > $MODEL_THRESHOLD;
}
";

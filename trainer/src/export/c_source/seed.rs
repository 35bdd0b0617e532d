//! An encoder's states for its decoder, in C. What it computes is defined by the engine's `Runner::seed_from`; which two belong together
//! `kinglet translate` says.

use kinglet::Model;
use kinglet::format::{Layer, Output, Shape};
use std::fmt::Write;

use super::{Code, fill};

/// `NAME_leave` and `NAME_seed` with their declarations; empty for a model that is neither an encoder nor a decoder, by what it ends in.
pub(super) fn functions(code: &Code<'_>, model: &Model<'_>) -> (String, String) {
    let header = model.header();
    let encodes = matches!(header.layers.last(), Some(Layer::Recurrent { .. }));
    let decodes = matches!(header.output, Output::NextToken { .. });
    let states: Vec<_> = code
        .members
        .iter()
        .filter(|member| member.of_layer && !member.name.starts_with("answer"))
        .collect();
    if !(encodes || decodes) || header.shape != Shape::EveryStep || states.is_empty() {
        return Default::default();
    }
    let (mut leave, mut seed, mut at) = (String::new(), String::new(), 0);
    for member in states {
        let name = &member.name;
        let _ = writeln!(leave, "    copy(left + {at}, s->{name}, sizeof s->{name});");
        let _ = writeln!(seed, "    copy(s->{name}, left + {at}, sizeof s->{name});");
        at += member.element.size() * member.len;
    }
    let keys = [
        ("model", code.name.to_owned()),
        ("MODEL", code.name.to_uppercase()),
        ("BYTES", at.to_string()),
        ("PUT", leave),
        ("GET", seed),
    ];
    (fill(HEADER, &keys), fill(SOURCE, &keys))
}

const HEADER: &str = "
/* Bytes that the layers know of a stream. A decoder has as many as its encoder. */
#define $MODEL_LEFT $BYTES

/* What the layers know now, for $model_seed() or that of the decoder that belongs to this encoder. */
void $model_leave(const $model_state *s, unsigned char left[$MODEL_LEFT]);

/* A new stream that goes on from there. */
void $model_seed($model_state *s, const unsigned char left[$MODEL_LEFT]);
";

const SOURCE: &str = "
static void copy(void *to, const void *from, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    }
}

void $model_leave(const $model_state *s, unsigned char left[$MODEL_LEFT])
{
$PUT}

void $model_seed($model_state *s, const unsigned char left[$MODEL_LEFT])
{
    $model_reset(s);
$GET}
";

//! What stands before, around and behind a network, as files of their own for a program that steps it by the engine's library.

use kinglet::Model;
use std::fmt::Write;

use super::{FLOATS, Meaning, comment, fill, listen, primitives, verdict, window};
use crate::data::Written;

/// `NAME_around.h` and `NAME_around.c`.
pub struct Around {
    /// Declarations.
    pub header: String,
    /// C99 or C++.
    pub source: String,
    /// It has the front end that the model listens through.
    pub listens: bool,
    /// What says what an output means.
    pub meaning: Meaning,
    /// Of RAM for windows.
    pub window_bytes: usize,
}

/// The front end, the windows, the alarm and the tokens of a model, as [`c_source`](super::c_source) has them beside the network. None if it has none of
/// these.
pub fn around(bytes: &[u8], model: &Model<'_>, name: &str) -> Option<Around> {
    let written = Written::in_model(bytes).unwrap_or_default();
    let listen = listen::functions(name, model, &written);
    let windows = window::of_library(name, model);
    let verdict = verdict::function(name, model, &written);
    let body = [&*listen.source, &windows.source, &verdict.source].concat();
    if body.is_empty() {
        return None;
    }
    let keys = [
        ("model", name.to_owned()),
        ("MODEL", name.to_uppercase()),
        ("NAME", comment(model.header().name)),
        ("IN", model.inputs().to_string()),
        ("OUT", model.outputs().to_string()),
        (
            "DECLARATIONS",
            [&*listen.header, &windows.header, &verdict.header].concat(),
        ),
        (
            "LIBRARY",
            match windows.source.is_empty() {
                true => String::new(),
                false => "#include \"kinglet.h\"\n".to_owned(),
            },
        ),
    ];
    let mut source = fill(SOURCE, &keys) + &fill(FLOATS, &keys) + &primitives::used_by(&body);
    for array in listen.arrays.iter().chain(&windows.arrays) {
        let _ = write!(source, "\n{}", array.text);
    }
    Some(Around {
        header: fill(HEADER, &keys),
        source: source + &body,
        listens: !listen.source.is_empty(),
        meaning: verdict.meaning,
        window_bytes: windows.bytes,
    })
}

const HEADER: &str = "/* What stands before, around and behind the network \"$NAME\", by `kinglet export`: nothing here allocates. */
#ifndef $MODEL_AROUND_H
#define $MODEL_AROUND_H

$LIBRARY#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {
#endif

#define $MODEL_INPUTS $IN
#define $MODEL_OUTPUTS $OUT
$DECLARATIONS
#ifdef __cplusplus
}
#endif

#endif
";

const SOURCE: &str = "/* What stands before, around and behind the network \"$NAME\", by `kinglet export`. C99 or C++: see $model_around.h. */
#include \"$model_around.h\"
";

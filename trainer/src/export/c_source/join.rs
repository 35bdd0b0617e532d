//! Skips: what is kept during a step, and what it is joined with.

use super::super::portable::Join;
use super::{Code, Element, fill};
use kinglet::format::Combine;

/// What arrives is kept, as it is.
pub(super) fn keep(code: &mut Code<'_>, element: Element, width: usize, place: usize, from: &str) {
    let kept = format!("kept{place}");
    code.lend(element, &kept, width);
    code.calls.push(format!(
        "for (int k = 0; k < {width}; k++) {{\n        s->{kept}[k] = {from}[k];\n    }}"
    ));
}

/// A join's function.
pub(super) fn join(code: &mut Code<'_>, join: &Join, number: usize) {
    let element = match join.format.is_integer() {
        true => Element::I16,
        false => Element::F32,
    };
    let value = match (join.how, join.format.is_integer()) {
        (Combine::Add, true) => "saturate16((int32_t)x[k] + kept[k])",
        (Combine::Multiply, true) => "saturate16(shift_round((int32_t)x[k] * kept[k], 12))",
        (Combine::Add, false) => "x[k] + kept[k]",
        (Combine::Multiply, false) => "x[k] * kept[k]",
        (Combine::Append, _) => "k < $width ? x[k] : kept[k - $width]",
        (Combine::Prepend, _) => "k < $kept ? kept[k] : x[k - $kept]",
    };
    let template = format!(
        "
/* Layer $n: what arrives and what was kept, $how. */
static void layer$n(const $type *x, const $type *kept, $type *y)
{{
    for (int k = 0; k < $outputs; k++) {{
        y[k] = {value};
    }}
}}
"
    );
    code.functions.push(fill(
        &template,
        &[
            ("n", number.to_string()),
            ("width", join.width.to_string()),
            ("kept", join.kept.to_string()),
            ("outputs", join.outputs().to_string()),
            ("how", join.how.name().to_owned()),
            ("type", element.c().to_owned()),
        ],
    ));
}

//! Normalisations of a sample.

use super::super::portable::{Epsilon, Norm};
use super::arrays::{Array, float};
use super::{Code, Element, fill};

/// A normalisation's function.
pub(super) fn normalisation(code: &mut Code<'_>, norm: &Norm, number: usize) {
    let width = norm.width;
    let integer = norm.format.is_integer();
    let [of_gamma, of_beta] = match integer {
        true => ["gamma, 2^-25", "beta, 2^-17"],
        false => ["gamma", "beta"],
    };
    for (name, numbers, comment) in [
        ("gamma", &norm.gamma, of_gamma),
        ("beta", &norm.beta, of_beta),
    ] {
        let name = format!("{name}{number}");
        code.arrays
            .push(Array::new(&name, &[width], numbers, comment));
    }
    let element = if integer { Element::I16 } else { Element::F32 };
    let body = if integer {
        "    int32_t sum = 0;
    uint64_t squares = 0;
    for (int k = 0; k < $width; k++) {
        sum += x[k];
        squares += (uint32_t)((int32_t)x[k] * x[k]);
    }
    inverse_root root;
    inverse_root_of(&root, $width * squares - (uint64_t)((int64_t)sum * sum) + UINT64_C($epsilon));
    for (int k = 0; k < $width; k++) {
        /* d at 2^-22 once it is divided by the root */
        const int32_t d = $width * (int32_t)x[k] - sum;
        const int32_t shifted = (int32_t)((uint32_t)d << root.left) >> root.right;
        const int32_t y_k = mulhi(mulhi(shifted, root.mantissa), gamma$n[k]) + (beta$n[k] >> 2);
        y[k] = saturate16(shift_round(y_k, 3));
    }
"
    } else {
        "    float mean = 0.0f;
    float variance = 0.0f;
    for (int k = 0; k < $width; k++) {
        mean += x[k];
    }
    mean /= $width.0f;
    for (int k = 0; k < $width; k++) {
        variance += (x[k] - mean) * (x[k] - mean);
    }
    const float scale = 1.0f / root_f32(variance / $width.0f + $epsilon);
    for (int k = 0; k < $width; k++) {
        y[k] = (x[k] - mean) * scale * gamma$n[k] + beta$n[k];
    }
"
    };
    let epsilon = match norm.epsilon {
        Epsilon::Float(epsilon) => float(epsilon),
        Epsilon::Integer(epsilon) => epsilon.to_string(),
    };
    let template = format!(
        "
/* Layer $n: normalisation of $width numbers: y = (x - mean) / sqrt(variance + epsilon) gamma + beta. */
static void layer$n(const $type *x, $type *y)
{{
{body}}}
"
    );
    code.functions.push(fill(
        &template,
        &[
            ("n", number.to_string()),
            ("width", width.to_string()),
            ("epsilon", epsilon),
            ("type", element.c().to_owned()),
        ],
    ));
}

//! What two tables of kernels give.

use kinglet::Model;
use kinglet::kernel::Kernels;

/// Whether a table gives what the first one gave, outputs and state: to the bit, or, floats of a fused table, within
/// 1e-5 of the largest output.
pub fn alike<S: PartialEq>(
    kernels: &Kernels,
    model: &Model<'_>,
    (want, want_state): (&[f32], S),
    (found, state): (&[f32], S),
) -> bool {
    if !kernels.fused() || model.is_integer() {
        return want == found && want_state == state;
    }
    let largest = want.iter().fold(1.0, |most: f32, y| most.max(y.abs()));
    let mut pairs = want.iter().zip(found);
    want.len() == found.len() && pairs.all(|(a, b)| (a - b).abs() <= 1e-5 * largest)
}

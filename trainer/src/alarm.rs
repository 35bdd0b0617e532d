//! The alarm of a task: that of its [anomalies](crate::anomaly), or of [its word](crate::spotting).

use crate::anomaly;
use crate::data::Dataset;
use crate::package::Alarm;
use crate::spotting;
use crate::task::Task;
use crate::train::Predictor;

/// From what a model predicts over the validation part. None for a task that wants none.
///
/// # Errors
/// If nothing there is said to be normal.
pub fn alarm(
    task: &Task,
    data: &Dataset,
    predictor: &mut dyn Predictor,
) -> anyhow::Result<Option<Alarm>> {
    Ok(match (&task.anomaly, &task.wake) {
        (Some(anomaly), _) => Some(anomaly::alarm(anomaly, data, predictor)?),
        (_, Some(wake)) => Some(spotting::alarm(wake, data, predictor)),
        (None, None) => None,
    })
}

//! Training that goes on from a network which is there already: one of a model file, trained here or imported.
//!
//! Of a pair it is both networks, in the one list of layers that they are while they are trained.
//!
//! The model has units of its own: what it subtracts from a raw value, by what it multiplies, and what an output means.
//! The data of a task has its own too, fitted on its training part. First and last layer are changed so that the network computes in
//! the data's units what it computed in the model's.

use anyhow::{Context, Result, bail, ensure};

use crate::data::Dataset;
use crate::made_for::MadeFor;
use crate::net::{Activation, ConvShape, Dense, Layer, Network};
use crate::package::{Feature, Input, Output, Package, Restore, Shape, Target, Transform};
use crate::quant::{Fold, fold_first};
use crate::train::pair::have_the_same_states;

/// The network of a model, computing in the units of some data, and what it computes otherwise all the same.
///
/// # Errors
/// If inputs, outputs, names or the kind of answer are not those of the task, with both.
pub fn network_for(model: &Package, data: &Dataset) -> Result<(Network, Vec<String>)> {
    let (mut net, mut notes) = with_inputs_of(model, data)?;
    let unlike = MadeFor::of(model).unlike(data);
    notes.extend(unlike.iter().map(|unlike| unlike.words().to_owned()));
    let Some(Layer::Dense(last)) = net.layers.last_mut() else {
        bail!("the model ends with a recurrent layer, and training takes a dense layer behind it");
    };
    let (activation, wanted) = match (&model.output, data.output()) {
        (Output::Values(has), Output::Values(gives)) => {
            same_names(
                "output",
                &names(has, |t| &t.name),
                &names(gives, |t| &t.name),
                "y",
            )?;
            in_units_of(last, has, gives)?;
            (last.activation, Activation::Identity)
        }
        (Output::Classes(has), Output::Classes(gives))
        | (Output::Transcript(has), Output::Transcript(gives)) => {
            same_names("class", &names(has, |c| c), &names(gives, |c| c), "y")?;
            (last.activation, Activation::Softmax)
        }
        (Output::NextToken, Output::NextToken) => (last.activation, Activation::Softmax),
        (has, gives) => bail!(
            "the model gives {}, and the task {}",
            answer(has),
            answer(gives)
        ),
    };
    ensure!(
        activation == wanted,
        "the last layer of the model ends with {}, and training such outputs takes {}",
        activation.name(),
        wanted.name()
    );
    ensure!(
        !net.is_bidirectional() || matches!(data.shape(), Shape::Window { .. }),
        "the model is bidirectional, which needs windows: give the task `kind = \"many-to-one\"`"
    );
    Ok((net, notes))
}

/// Decoder and encoder of these two models as one list of layers, as [`network_for`]; the data has been
/// [loaded](Dataset::load_for_pair) for them.
///
/// # Errors
/// As there; and if the two are no pair, or none that training takes.
pub fn pair_for(
    [encoder, decoder]: [&Package; 2],
    data: &Dataset,
) -> Result<(Network, Vec<String>)> {
    let source = data.source().context("the data has no pairs")?;
    for (side, model) in [("encoder", encoder), ("decoder", decoder)] {
        for layer in &model.net.layers {
            let fault = match layer {
                Layer::Bidirectional(_) => {
                    "is bidirectional, and a state at its end is of one direction"
                }
                Layer::Conv(_) => "has a convolution",
                Layer::Recurrent(r) if r.cell.reach() > 1 => "has a cell without a bounded state",
                _ => continue,
            };
            bail!(
                "the {side} {fault}: training takes pairs of embeddings, dense layers and cells such as gru or lstm"
            );
        }
    }
    have_the_same_states(encoder, decoder)?;
    let (mut net, mut notes) = network_for(decoder, data).context("the decoder")?;
    let softmax =
        |layer: &Layer| matches!(layer, Layer::Dense(d) if d.activation == Activation::Softmax);
    ensure!(
        net.layers.iter().filter(|layer| softmax(layer)).count() == 1,
        "the decoder has a softmax before its last layer, which training does not take"
    );
    let (reader, of_encoder) = with_inputs_of(encoder, source).context("the encoder")?;
    net.layers.extend(reader.layers);
    notes.extend(of_encoder);
    Ok((net, notes))
}

/// The network of a model, with inputs in the units of some data.
fn with_inputs_of(model: &Package, data: &Dataset) -> Result<(Network, Vec<String>)> {
    let mut net = model.net.clone();
    let mut notes = Vec::new();
    match (&model.input, data.input()) {
        (Input::Features(has), Input::Features(takes)) => {
            same_names(
                "input",
                &names(has, |f| &f.name),
                &names(takes, |f| &f.name),
                "x",
            )?;
            let folds = has.iter().zip(takes).map(|(has, takes)| fold(has, takes));
            let folds = folds.collect::<Result<Vec<_>>>()?;
            if let Some(Layer::Conv(first)) = net.layers.first() {
                notes.extend(at_edges(&first.shape, &folds)?);
            }
            let alike = match net.layers.first() {
                Some(Layer::Norm(_)) => folds.windows(2).all(|pair| pair[0] == pair[1]),
                Some(Layer::Keep(_)) => (folds.iter()).all(|f| f.offset == 0.0 && f.scale == 1.0),
                _ => true,
            };
            ensure!(
                alike,
                "the model's first layer takes the numbers of a sample together, or keeps them as they are, and the task scales them one by one: \
                 give it `normalise = \"none\"`"
            );
            fold_first(&mut net, &folds);
        }
        (Input::Tokens(has), Input::Tokens(takes)) => {
            same_names("token", &names(has, |t| t), &names(takes, |t| t), "")?;
        }
        (has, takes) => bail!(
            "the model takes {}, and the task {}",
            kind(has),
            kind(takes)
        ),
    }
    Ok((net, notes))
}

/// What a convolution sees beside the samples is zero in the model's units, and has no other weights than they have.
fn at_edges(shape: &ConvShape, folds: &[Fold]) -> Result<Option<String>> {
    let channels = usize::from(shape.channels).max(1);
    ensure!(
        (folds.iter().skip(channels))
            .zip(folds)
            .all(|(a, b)| a == b),
        "the model's first layer is a convolution over the numbers of a sample, which the task scales one by one: give it `normalise = \"none\"`"
    );
    if folds.iter().all(|fold| fold.offset == 0.0) {
        return Ok(None);
    }
    let zeros = shape.after > 0 || shape.before > 0 && !shape.past;
    ensure!(
        shape.mirror || !zeros,
        "the model's first layer is a convolution that pads every sample with zeros, and the task subtracts a mean from it: give it \
         `normalise = \"none\"`"
    );
    // Where no zeros are put before the samples, answers come only when what is seen is full.
    let first = shape.pool.map_or(0, |pool| {
        pool.first.saturating_sub(pool.kernel.saturating_sub(1))
    });
    Ok((shape.past && shape.before > first).then(|| {
        format!(
            "the first layer looks back {} samples: before the first one it saw zeros in the model's units, and now sees the means of the \
             training part, so that it begins otherwise than the model did",
            shape.before
        )
    }))
}

fn kind(input: &Input) -> String {
    match input {
        Input::Features(features) => format!("{} measurements", features.len()),
        Input::Tokens(tokens) => format!("{} tokens", tokens.len()),
    }
}

fn answer(output: &Output) -> String {
    match output {
        Output::Values(values) => format!("{} values", values.len()),
        Output::Classes(classes) => format!("scores of {} classes", classes.len()),
        Output::Transcript(tokens) => format!("transcripts of {} tokens", tokens.len() - 1),
        Output::NextToken => "the next token".to_owned(),
    }
}

fn names<T>(all: &[T], name: impl Fn(&T) -> &String) -> Vec<&str> {
    all.iter().map(|item| name(item).as_str()).collect()
}

/// That both have the same number of the same names; those which an import gave (a letter and a number) say nothing.
fn same_names(what: &str, model: &[&str], task: &[&str], letter: &str) -> Result<()> {
    ensure!(
        model.len() == task.len(),
        "the model has {} {what}s ({}), and the task {} ({})",
        model.len(),
        shown(model),
        task.len(),
        shown(task)
    );
    let given = |(i, name): (usize, &&str)| **name == format!("{letter}{i}");
    let elsewhere = |(i, name): (usize, &&str)| model[i] != *name && model.contains(name);
    if model.iter().enumerate().all(given) && !task.iter().enumerate().any(elsewhere) {
        return Ok(());
    }
    if let Some(at) = (0..model.len()).find(|&i| model[i] != task[i]) {
        bail!(
            "{what} {} is {:?} in the model and {:?} in the task: bring the task's into the order of the model's",
            at + 1,
            model[at],
            task[at]
        );
    }
    Ok(())
}

fn shown(names: &[&str]) -> String {
    let more = if names.len() > 8 { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(8)].join(", "))
}

/// How an input enters, as a task says it.
fn entering(transform: Transform) -> String {
    match transform {
        Transform::None | Transform::Missing { .. } => "as it is".to_owned(),
        Transform::Log => "as its logarithm (transform = \"log\")".to_owned(),
        Transform::Difference { column } => format!(
            "as its difference from input {} a row before (transform = \"difference\")",
            column + 1
        ),
        Transform::LogRatio { column } => format!(
            "as its log ratio to input {} a row before (transform = \"log-ratio\")",
            column + 1
        ),
    }
}

/// How a number is predicted, as a task says it.
fn predicted(restore: Restore) -> String {
    match restore {
        Restore::None => "as it is".to_owned(),
        Restore::Exp => "as its logarithm (transform = \"log\")".to_owned(),
        Restore::AddTo { column } => format!(
            "as its difference from input {} (transform = \"difference\")",
            column + 1
        ),
        Restore::TimesExp { column } => format!(
            "as its log return on input {} (transform = \"log-return\")",
            column + 1
        ),
    }
}

/// From the model's units of an input to the task's.
fn fold(model: &Feature, task: &Feature) -> Result<Fold> {
    ensure!(
        model.transform == task.transform,
        "input `{}` enters the model {} and the task's network {}: give the column the transform of the model",
        task.name,
        entering(model.transform),
        entering(task.transform)
    );
    let [model, task] = [model, task].map(|f| (f64::from(f.offset), f64::from(f.scale)));
    Ok(Fold {
        offset: (task.0 - model.0) * model.1,
        scale: task.1 / model.1,
    })
}

/// Outputs in the units of other targets.
fn in_units_of(last: &mut Dense, model: &[Target], task: &[Target]) -> Result<()> {
    let rows = last.weight.chunks_exact_mut(last.inputs);
    for (((row, bias), model), task) in rows.zip(&mut last.bias).zip(model).zip(task) {
        ensure!(
            model.restore == task.restore,
            "output `{}` is predicted by the model {} and by the task's network {}: give the target the transform of the model",
            task.name,
            predicted(model.restore),
            predicted(task.restore)
        );
        let [a, b] = [model, task].map(|t| (f64::from(t.offset), f64::from(t.scale)));
        let scale = a.1 / b.1;
        row.iter_mut()
            .for_each(|w| *w = (f64::from(*w) * scale) as f32);
        *bias = (f64::from(*bias) * scale + (a.0 - b.0) / b.1) as f32;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Pool;

    #[test]
    fn transforms_that_differ_are_told_as_tasks_have_them() {
        let plain = Target::plain("x");
        let change = Target {
            restore: Restore::AddTo { column: 0 },
            ..plain.clone()
        };
        let mut last = Dense {
            outputs: 1,
            inputs: 1,
            weight: vec![1.0],
            bias: vec![0.0],
            activation: Activation::Identity,
        };
        let error = in_units_of(&mut last, &[plain], &[change]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "output `x` is predicted by the model as it is and by the task's network as its difference from input 1 (transform = \
             \"difference\"): give the target the transform of the model"
        );
    }

    #[test]
    fn zeros_before_the_samples_are_told_where_an_answer_sees_them() {
        let fold = Fold {
            offset: 1.0,
            scale: 1.0,
        };
        let told = |pool: Option<Pool>| {
            let shape = ConvShape {
                pool,
                ..ConvShape::causal(1, 3, 1)
            };
            at_edges(&shape, &[fold; 3]).unwrap().is_some()
        };
        assert!(told(None));
        // Without padding the first answer comes when the kernel is full.
        assert!(!told(Some(Pool::stride(2, 1))));
        assert!(told(Some(Pool::stride(1, 1))));
    }
}

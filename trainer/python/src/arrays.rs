//! NumPy arrays as samples of a model, where they lie if they are `float32` in C order.

use engine::Model;
use engine::format::Feature;
use kinglet_trainer::model_file::input_names;
use numpy::{
    PyArray1, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::Error;
use crate::session::{Samples, takes_tokens};

/// What was passed, as samples.
pub enum Taken<'py> {
    Features(PyReadonlyArrayDyn<'py, f32>),
    Tokens(Vec<usize>),
}

/// Samples, and the axes before the one of a sample's numbers.
pub struct Array<'py> {
    taken: Taken<'py>,
    pub axes: Vec<usize>,
}

impl Array<'_> {
    pub fn samples(&self) -> PyResult<Samples<'_>> {
        Ok(match &self.taken {
            Taken::Features(x) => Samples::Features(x.as_slice()?),
            Taken::Tokens(tokens) => Samples::Tokens(tokens),
        })
    }
}

/// Takes samples with so many axes before that of a sample's numbers, at least and at most.
pub fn array<'py>(
    model: &Model<'_>,
    x: &Bound<'py, PyAny>,
    [least, most]: [usize; 2],
) -> PyResult<Array<'py>> {
    let (taken, axes) = match takes_tokens(model) {
        true => tokens(model, x)?,
        false => features(model, x, [least, most])?,
    };
    if !(least..=most).contains(&axes.len()) {
        return Err(misshapen(model, x, [least, most]));
    }
    Ok(Array { taken, axes })
}

fn features<'py>(
    model: &Model<'_>,
    x: &Bound<'py, PyAny>,
    axes: [usize; 2],
) -> PyResult<(Taken<'py>, Vec<usize>)> {
    each_part(x, &|part| unmasked(part).and_then(|()| named(model, part)))?;
    let lies_right = |x: &Bound<'_, PyArrayDyn<f32>>| x.is_c_contiguous() && x.is_aligned();
    let x32 = match x.cast::<PyArrayDyn<f32>>() {
        Ok(x) if lies_right(x) => x.clone(),
        _ => {
            let numbers = numbers(x, "fiub", "numbers")?;
            let x = numbers.call_method1("astype", ("float32", "C"))?;
            x.cast_into::<PyArrayDyn<f32>>()?
        }
    };
    let inputs = model.inputs();
    let axes = match x32.shape() {
        [axes @ .., last] if *last == inputs => axes.to_vec(),
        _ => return Err(misshapen(model, x, axes)),
    };
    let x = x32.readonly();
    answerable(model, x.as_slice()?, x32.shape())?;
    Ok((Taken::Features(x), axes))
}

/// Looks at what would be an array: all of it, or in lists each. What knows neither names nor masks is passed over; false of a number.
fn each_part(
    x: &Bound<'_, PyAny>,
    look: &dyn Fn(&Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<bool> {
    if x.cast_exact::<PyUntypedArray>().is_ok() {
        return Ok(true);
    }
    if x.cast_exact::<PyList>().is_ok() || x.cast_exact::<PyTuple>().is_ok() {
        for part in x.try_iter()? {
            // Those after a number are numbers too.
            if !each_part(&part?, look)? {
                break;
            }
        }
        return Ok(true);
    }
    let has_parts = x.len().is_ok();
    if has_parts {
        look(x)?;
    }
    Ok(has_parts)
}

/// Refuses gaps that a mask says: what lies under it would be taken for numbers.
fn unmasked(x: &Bound<'_, PyAny>) -> PyResult<()> {
    let masks = x.py().import("numpy.ma")?;
    match masks.call_method1("is_masked", (x,))?.is_truthy()? {
        false => Ok(()),
        true => Err(Error::new_err(
            "a masked array, whose gaps would be taken for numbers: pass x.filled(numpy.nan)",
        )),
    }
}

/// Refuses names that are not the inputs' own in order, as what has them would be taken by its places: columns of a table, fields of a
/// named tuple, the text in the index of a series. A number, or one behind `_` as named tuples have it, is a place and no name.
fn named(model: &Model<'_>, x: &Bound<'_, PyAny>) -> PyResult<()> {
    let places = |name: &str| {
        let names = x.getattr(name).ok()?.try_iter().ok()?;
        names.collect::<PyResult<Vec<_>>>().ok()
    };
    let of_columns = ["column_names", "columns", "_fields", "__fields__"];
    let names = of_columns.iter().find_map(|name| places(name));
    let names = match names {
        Some(names) => names,
        None => {
            let index = places("index").unwrap_or_default();
            let is_name = |label: &Bound<'_, PyAny>| {
                label.is_instance_of::<PyString>() || label.is_instance_of::<PyTuple>()
            };
            match index.len() == model.inputs() && index.iter().any(is_name) {
                true => index,
                // Labels of rows. Where they are too many, that is told of the shape.
                false => return Ok(()),
            }
        }
    };
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let inputs: Vec<&str> = input_names(model).iter().map(|name| name.0).collect();
    let is_in_place = |(place, name): (usize, &String)| {
        let number = name.strip_prefix('_').unwrap_or(name);
        name == inputs[place] || number == place.to_string()
    };
    if names.len() == inputs.len() && names.iter().enumerate().all(is_in_place) {
        return Ok(());
    }
    Err(Error::new_err(format!(
        "the columns are {}, and what is taken by its place here is {}; pass table[model.input_names], or to model.predict the table, which goes by names",
        names.join(", "),
        inputs.join(", ")
    )))
}

/// Refuses what no number of the model's can be: it would be answered all the same, and stay in the state.
fn answerable(model: &Model<'_>, x: &[f32], shape: &[usize]) -> PyResult<()> {
    let holds = |place: usize| {
        let feature = model.features().get(place % model.inputs());
        feature.is_some_and(Feature::holds)
    };
    let unfit = |(place, x): (usize, &f32)| !(x.is_finite() || x.is_nan() && holds(place));
    let Some(place) = x.iter().enumerate().position(unfit) else {
        return Ok(());
    };
    let mut rest = place;
    let mut axes: Vec<String> = (shape.iter().rev())
        .map(|&long| {
            let at = rest % long;
            rest /= long;
            at.to_string()
        })
        .collect();
    axes.reverse();
    let (axes, name) = (
        axes.join(", "),
        input_names(model)[place % model.inputs()].0,
    );
    let cure = match x[place].is_nan() {
        true => "the model takes no gaps there: fill it in, or train one with missing = \"hold\"",
        false => {
            "numbers are finite: pass NaN where nothing was measured, if the model holds gaps, or leave the sample out"
        }
    };
    Err(Error::new_err(format!(
        "x[{axes}], which is {name}, is {}; {cure}",
        x[place]
    )))
}

fn tokens<'py>(model: &Model<'_>, x: &Bound<'py, PyAny>) -> PyResult<(Taken<'py>, Vec<usize>)> {
    let numbers = numbers(x, "iu", "whole numbers, of tokens")?;
    let int64 = numbers.call_method1("astype", ("int64",))?;
    let flat = int64.call_method0("ravel")?.cast_into::<PyArray1<i64>>()?;
    let alphabet = model.inputs();
    let checked = flat
        .readonly()
        .as_array()
        .iter()
        .map(|&token| {
            let known = usize::try_from(token)
                .ok()
                .filter(|&token| token < alphabet);
            known.ok_or_else(|| {
                Error::new_err(format!(
                    "{token} is no token of the model; expected 0 to {}",
                    alphabet - 1
                ))
            })
        })
        .collect::<PyResult<Vec<usize>>>()?;
    Ok((Taken::Tokens(checked), numbers.shape().to_vec()))
}

/// As an array whose type is of one of these kinds.
pub fn numbers<'py>(
    x: &Bound<'py, PyAny>,
    kinds: &str,
    what: &str,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    each_part(x, &unmasked)?;
    let numpy = x.py().import("numpy")?;
    let x = numpy.call_method1("asarray", (x,))?;
    let x = x.cast_into::<PyUntypedArray>()?;
    let kind = x.dtype().kind();
    if x.len() > 0 && !kinds.contains(kind as char) {
        return Err(Error::new_err(format!(
            "samples of type {}; expected {what}",
            x.dtype()
        )));
    }
    Ok(x)
}

fn misshapen(model: &Model<'_>, x: &Bound<'_, PyAny>, [least, most]: [usize; 2]) -> PyErr {
    let shape = x
        .py()
        .import("numpy")
        .and_then(|numpy| numpy.call_method1("shape", (x,)));
    let shape = shape.map_or("?".to_owned(), |shape| shape.to_string());
    let tokens = takes_tokens(model);
    let expected = ["", "rows", "streams, rows"][least..=most]
        .iter()
        .map(|axes| match (tokens, axes.is_empty()) {
            (true, true) => "a number".to_owned(),
            (true, false) => format!("({axes})"),
            (false, true) => format!("({},)", model.inputs()),
            (false, false) => format!("({axes}, {})", model.inputs()),
        });
    let expected: Vec<String> = expected.collect();
    let names = input_names(model);
    const SHOWN: usize = 8;
    let mut named: Vec<&str> = names.iter().take(SHOWN).map(|name| name.0).collect();
    if names.len() > SHOWN {
        named.push("…");
    }
    let of = match tokens {
        true => "tokens".to_owned(),
        false => format!("samples of {}", named.join(", ")),
    };
    Error::new_err(format!(
        "an array of shape {shape}; the model takes {of}: expected {}",
        expected.join(" or ")
    ))
}

/// Answers of a model, one after the other: (answers, outputs), or one of (outputs,).
pub fn answers<'py>(
    x: &Bound<'py, PyAny>,
    outputs: usize,
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    let numbers = numbers(x, "f", "floats, the answers of the model")?;
    match numbers.shape() {
        [last] | [_, last] if *last == outputs => {
            let x = numbers.call_method1("astype", ("float32", "C"))?;
            Ok(x.cast_into::<PyArrayDyn<f32>>()?)
        }
        shape => Err(Error::new_err(format!(
            "answers of shape {shape:?}; expected ({outputs},) or (answers, {outputs})"
        ))),
    }
}

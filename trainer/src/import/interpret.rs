//! What a graph computes, in f32 and as plainly as it can be written: the independent evaluation that the engine is
//! held against. Nothing here is shared with the engine or the trainer.
//!
//! With two forms for one operator in the sources (an attribute or an input), readers bring them into one, so every
//! operator is here once. A shape that does not fit is an error, never a panic: graphs come from files.

mod conv;
mod norm;

pub(crate) use conv::pads;
pub(crate) use norm::axes;

use super::graph::{
    Binary, Direction, Graph, Kind, Node, Op, Recurrent, Tensor, ValueId, Values, count,
};
use anyhow::{Context, Result, anyhow, bail, ensure};

/// A result may have so many numbers, or as many as what it is made of.
const MOST: usize = 1 << 22;

/// Runs a graph on its inputs, in their order, and gives the values asked for.
pub(crate) fn run(graph: &Graph, inputs: &[Tensor], wanted: &[ValueId]) -> Result<Vec<Tensor>> {
    let mut known: Vec<Option<Tensor>> = vec![None; graph.values.len()];
    for (input, tensor) in graph.inputs.iter().zip(inputs) {
        known[input.value.0] = Some(tensor.clone());
    }
    fn of<'g>(graph: &'g Graph, known: &'g [Option<Tensor>], id: ValueId) -> Result<&'g Tensor> {
        let value = &graph.values[id.0];
        (value.constant.as_ref().or(known[id.0].as_ref()))
            .ok_or_else(|| anyhow!("value `{}` is used before it is there", value.name))
    }
    for node in &graph.nodes {
        let operands = node
            .inputs
            .iter()
            .map(|id| id.map(|id| of(graph, &known, id)).transpose());
        let operands = operands.collect::<Result<Vec<_>>>()?;
        let results = apply(node, &operands)?;
        for (&id, result) in node.outputs.iter().zip(results) {
            known[id.0] = Some(result);
        }
    }
    wanted
        .iter()
        .map(|&id| of(graph, &known, id).cloned())
        .collect()
}

/// One node.
pub(crate) fn apply(node: &Node, operands: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    evaluate(node, operands).with_context(|| node.label())
}

/// The same, for errors that say already which node it is.
pub(crate) fn evaluate(node: &Node, operands: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    let optional = |k: usize| operands.get(k).copied().flatten();
    let operand = |k: usize| optional(k).ok_or_else(|| anyhow!("input {k} is missing"));
    let one = |tensor: Result<Tensor>| Ok(vec![tensor?]);
    match &node.op {
        Op::Recurrent(recurrent) => sequence(recurrent, operand(0)?, optional(1), optional(2)),
        Op::MatMul => one(product(operand(0)?, operand(1)?)),
        Op::Binary(binary) => one(pairwise(*binary, operand(0)?, operand(1)?)),
        Op::Unary(function) => {
            let x = operand(0)?;
            let values = x.floats()?.iter().map(|&x| function.of(x)).collect();
            one(Tensor::f32(x.shape.clone(), values))
        }
        Op::Leaky => {
            let x = operand(0)?;
            let scaled = pairwise(Binary::Mul, x, operand(1)?)?;
            ensure!(
                scaled.shape == x.shape,
                "slopes of the shape {:?} for values of the shape {:?}",
                operand(1)?.shape,
                x.shape
            );
            let pairs = x.floats()?.iter().zip(scaled.floats()?);
            let values = pairs.map(|(&x, &y)| if x < 0.0 { y } else { x });
            one(Tensor::f32(x.shape.clone(), values.collect()))
        }
        Op::Conv(of) => one(conv::convolve(of, operand(0)?, operand(1)?, optional(2))),
        Op::Pool(of) => one(conv::pool(*of, operand(0)?)),
        Op::Pad { mirror } => {
            let x = operand(0)?;
            let zero = |v: &Tensor| v.floats().is_ok_and(|v| v.iter().all(|&x| x == 0.0));
            ensure!(
                *mirror || optional(2).is_none_or(zero),
                "it pads with another number than 0"
            );
            one(conv::pad(
                x,
                *mirror,
                &pads(x.shape.len(), operand(1)?, optional(3))?,
            ))
        }
        Op::Softmax { axis } => one(softmax(operand(0)?, *axis)),
        Op::Channels { scale, offset } => {
            let x = operand(0)?;
            let inner = x.shape.iter().skip(2).product::<usize>().max(1);
            ensure!(
                x.shape.get(1) == Some(&scale.len()),
                "{} channels, expected {:?}",
                scale.len(),
                x.shape.get(1)
            );
            let value = |(at, &x): (usize, &f32)| {
                let channel = at / inner % scale.len();
                x * scale[channel] + offset[channel]
            };
            let values = x.floats()?.iter().enumerate().map(value).collect();
            one(Tensor::f32(x.shape.clone(), values))
        }
        Op::Norm {
            axis: first,
            epsilon,
        } => {
            let x = operand(0)?;
            let first = axis(*first, x.shape.len())?;
            one(norm::normalise(x, first, *epsilon, [1, 2].map(optional)))
        }
        Op::Reduce { how, keep } => {
            let x = operand(0)?;
            let over = axes(x.shape.len(), optional(1))?;
            one(norm::reduce(x, &over, *how, *keep))
        }
        Op::Gather { axis } => one(gather(operand(0)?, operand(1)?, *axis)),
        Op::Concat { axis } => {
            let parts = (0..operands.len())
                .map(operand)
                .collect::<Result<Vec<_>>>()?;
            one(concat(&parts, *axis))
        }
        Op::Split { axis } => split(operand(0)?, optional(1), *axis, node.outputs.len()),
        Op::Slice => {
            let x = operand(0)?;
            let [axes, steps] = [3, 4].map(optional);
            one(slice(x, &slices(x, operand(1)?, operand(2)?, axes, steps)?))
        }
        Op::Squeeze | Op::Unsqueeze | Op::Reshape { .. } | Op::Flatten { .. } => {
            let x = operand(0)?;
            one(Tensor::new(
                reshaped(&node.op, &x.shape, optional(1))?,
                x.values.clone(),
            ))
        }
        Op::Transpose { perm } => one(transpose(operand(0)?, perm.as_deref())),
        Op::Expand => {
            let x = operand(0)?;
            let shape = broadcast(&x.shape, &dimensions(operand(1)?.ints()?)?)?;
            one(spread(x, &shape))
        }
        Op::Tile => {
            let (x, times) = (operand(0)?, dimensions(operand(1)?.ints()?)?);
            ensure!(
                times.len() == x.shape.len(),
                "{} numbers of repeats for {} axes",
                times.len(),
                x.shape.len()
            );
            let shape = x.shape.iter().zip(&times).map(|(d, n)| d.checked_mul(*n));
            let shape: Option<Vec<usize>> = shape.collect();
            let shape = shape.context("more repeats than can be counted")?;
            one(select(x, shape, |at| {
                let digits = at.iter().zip(&x.shape);
                Ok(digits.fold(0, |place, (i, d)| place * d + i % d))
            }))
        }
        Op::Equal => {
            let [a, b] = [operand(0)?, operand(1)?];
            let shape = broadcast(&a.shape, &b.shape)?;
            let same: Vec<i64> = match (&spread(a, &shape)?.values, &spread(b, &shape)?.values) {
                (Values::F32(a), Values::F32(b)) => {
                    a.iter().zip(b).map(|(a, b)| i64::from(a == b)).collect()
                }
                (Values::I64(a), Values::I64(b)) => {
                    a.iter().zip(b).map(|(a, b)| i64::from(a == b)).collect()
                }
                _ => bail!("floats and whole numbers together"),
            };
            one(Tensor::new(shape, Values::I64(same)))
        }
        Op::Where => {
            let [condition, a, b] = [operand(0)?, operand(1)?, operand(2)?];
            let shape = broadcast(&condition.shape, &broadcast(&a.shape, &b.shape)?)?;
            let condition = spread(condition, &shape)?;
            let condition = condition.ints()?.iter().map(|&c| c != 0);
            let values = match (spread(a, &shape)?.values, spread(b, &shape)?.values) {
                (Values::F32(a), Values::F32(b)) => {
                    let pairs = condition.zip(a.into_iter().zip(b));
                    Values::F32(pairs.map(|(c, (a, b))| if c { a } else { b }).collect())
                }
                (Values::I64(a), Values::I64(b)) => {
                    let pairs = condition.zip(a.into_iter().zip(b));
                    Values::I64(pairs.map(|(c, (a, b))| if c { a } else { b }).collect())
                }
                _ => bail!("floats and whole numbers together"),
            };
            one(Tensor::new(shape, values))
        }
        Op::Shape { start, end } => {
            let dims = &operand(0)?.shape;
            let clamp = |i: i64| {
                let i = if i < 0 {
                    i.saturating_add(dims.len() as i64)
                } else {
                    i
                };
                i.clamp(0, dims.len() as i64) as usize
            };
            let (start, end) = (clamp(*start), end.map_or(dims.len(), clamp));
            let part = dims.get(start..end).unwrap_or(&[]);
            one(Ok(Tensor::list(part.iter().map(|&d| d as i64).collect())))
        }
        Op::Fill(value) => {
            let shape = dimensions(operand(0)?.ints()?)?;
            ensure!(
                value.len() == 1,
                "{} values to fill with, expected one",
                value.len()
            );
            one(select(value, shape, |_| Ok(0)))
        }
        Op::Cast { whole } => {
            let x = operand(0)?;
            let values = match (&x.values, whole) {
                (Values::F32(v), true) => Values::I64(v.iter().map(|&x| x as i64).collect()),
                (Values::I64(v), false) => Values::F32(v.iter().map(|&x| x as f32).collect()),
                (same, _) => same.clone(),
            };
            one(Tensor::new(x.shape.clone(), values))
        }
        Op::Identity => one(Ok(operand(0)?.clone())),
    }
}

/// The axis counted from the front.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    usize::try_from(from_front)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| anyhow!("axis {axis} of {rank}"))
}

fn dimensions(list: &[i64]) -> Result<Vec<usize>> {
    let whole = |&d: &i64| usize::try_from(d).map_err(|_| anyhow!("dimension {d}"));
    list.iter().map(whole).collect()
}

/// A tensor whose numbers are `x`'s at the places that `from` gives for each index.
fn select(
    x: &Tensor,
    shape: Vec<usize>,
    from: impl Fn(&[usize]) -> Result<usize>,
) -> Result<Tensor> {
    let len = count(&shape).filter(|&n| n <= MOST.max(x.len()));
    let len = len.ok_or_else(|| anyhow!("a result of the shape {shape:?} is too large"))?;
    let mut at = vec![0; shape.len()];
    let mut places = Vec::with_capacity(len);
    for _ in 0..len {
        places.push(from(&at)?);
        for (i, &d) in at.iter_mut().zip(&shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    let outside = || anyhow!("a place outside of the shape {:?}", x.shape);
    let values = match &x.values {
        Values::F32(v) => Values::F32(
            (places
                .iter()
                .map(|&p| v.get(p).copied().ok_or_else(outside)))
            .collect::<Result<_>>()?,
        ),
        Values::I64(v) => Values::I64(
            (places
                .iter()
                .map(|&p| v.get(p).copied().ok_or_else(outside)))
            .collect::<Result<_>>()?,
        ),
    };
    Tensor::new(shape, values)
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| {
        let missing = rank - dims.len();
        if i < missing { 1 } else { dims[i - missing] }
    };
    let join = |i| match (at(a, i), at(b, i)) {
        (a, b) if a == b => Ok(a),
        (1, b) => Ok(b),
        (a, 1) => Ok(a),
        _ => bail!("shapes {a:?} and {b:?} do not go together"),
    };
    (0..rank).map(join).collect()
}

/// Where an index into the broadcast shape lies in a tensor of shape `own`.
fn place(own: &[usize], shape: &[usize], at: &[usize]) -> usize {
    let missing = shape.len() - own.len();
    let digits = own.iter().zip(&at[missing..]);
    digits.fold(0, |place, (&d, &i)| place * d + if d == 1 { 0 } else { i })
}

/// A tensor in the shape that it is broadcast to.
fn spread(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    select(x, shape.to_vec(), |at| Ok(place(&x.shape, shape, at)))
}

fn pairwise(binary: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (spread(a, &shape)?, spread(b, &shape)?);
    let values = match (&a.values, &b.values) {
        (Values::F32(a), Values::F32(b)) => {
            let f = |(&a, &b): (&f32, &f32)| match binary {
                Binary::Add => a + b,
                Binary::Sub => a - b,
                Binary::Mul => a * b,
                Binary::Div => a / b,
                Binary::Pow => a.powf(b),
            };
            Values::F32(a.iter().zip(b).map(f).collect())
        }
        (Values::I64(a), Values::I64(b)) => {
            let f = |(&a, &b): (&i64, &i64)| match binary {
                Binary::Add => a.checked_add(b),
                Binary::Sub => a.checked_sub(b),
                Binary::Mul => a.checked_mul(b),
                Binary::Div => a.checked_div(b),
                Binary::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            };
            let values = a.iter().zip(b).map(f).collect::<Option<_>>();
            Values::I64(values.context("whole numbers beyond their range")?)
        }
        _ => bail!("floats and whole numbers together"),
    };
    Tensor::new(shape, values)
}

fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let &[inner, columns] = &b.shape[..] else {
        bail!(
            "a product with a tensor of shape {:?}, expected a matrix",
            b.shape
        )
    };
    let Some((&last, rows)) = a.shape.split_last() else {
        bail!("a product of a number")
    };
    ensure!(
        last == inner,
        "a product of shapes {:?} and {:?}",
        a.shape,
        b.shape
    );
    let mut shape = rows.to_vec();
    shape.push(columns);
    let (x, w) = (a.floats()?, b.floats()?);
    let len = count(&shape).filter(|&n| n <= MOST.max(x.len() + w.len()));
    let mut values = Vec::with_capacity(len.context("the product is too large")?);
    for row in 0..count(rows).unwrap_or(0) {
        for column in 0..columns {
            let sum = (0..inner)
                .map(|k| x[row * inner + k] * w[k * columns + column])
                .sum();
            values.push(sum);
        }
    }
    Tensor::f32(shape, values)
}

fn softmax(x: &Tensor, along: i64) -> Result<Tensor> {
    let along = axis(along, x.shape.len())?;
    let len = x.shape[along];
    let inner: usize = x.shape[along + 1..].iter().product();
    let mut values = x.floats()?.to_vec();
    for block in values.chunks_mut((len * inner).max(1)) {
        for k in 0..inner {
            let most = (0..len)
                .map(|i| block[i * inner + k])
                .fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = (0..len).map(|i| (block[i * inner + k] - most).exp()).sum();
            for i in 0..len {
                block[i * inner + k] = (block[i * inner + k] - most).exp() / sum;
            }
        }
    }
    Tensor::f32(x.shape.clone(), values)
}

fn gather(x: &Tensor, indices: &Tensor, along: i64) -> Result<Tensor> {
    let along = axis(along, x.shape.len())?;
    let len = x.shape[along];
    let index = |&i: &i64| axis(i, len).map_err(|_| anyhow!("index {i} of {len}"));
    let list = indices
        .ints()?
        .iter()
        .map(index)
        .collect::<Result<Vec<_>>>()?;
    let rank = indices.shape.len();
    let shape: Vec<usize> = (x.shape[..along].iter())
        .chain(&indices.shape)
        .chain(&x.shape[along + 1..])
        .copied()
        .collect();
    select(x, shape, |at| {
        let (front, rest) = at.split_at(along);
        let (index, back) = rest.split_at(rank);
        let i = list[place(&indices.shape, &indices.shape, index)];
        let digits = front.iter().chain([&i]).chain(back);
        Ok(x.shape
            .iter()
            .zip(digits)
            .fold(0, |place, (&d, &i)| place * d + i))
    })
}

fn concat(parts: &[&Tensor], along: i64) -> Result<Tensor> {
    let first = *parts.first().context("nothing to concatenate")?;
    let along = axis(along, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[along] = 0;
    for part in parts {
        let alike = part.shape.len() == shape.len()
            && (0..shape.len()).all(|i| i == along || part.shape[i] == shape[i]);
        ensure!(
            alike,
            "shapes {:?} and {:?} do not go together",
            first.shape,
            part.shape
        );
        shape[along] += part.shape[along];
    }
    let rows: usize = shape[..along].iter().product();
    fn join<T: Copy>(rows: usize, parts: &[&[T]]) -> Vec<T> {
        let one = |row| {
            (parts.iter()).flat_map(move |p| {
                let n = p.len() / rows.max(1);
                p[row * n..(row + 1) * n].iter().copied()
            })
        };
        (0..rows).flat_map(one).collect()
    }
    let values = match first.values {
        Values::F32(_) => {
            let parts = parts
                .iter()
                .map(|p| p.floats())
                .collect::<Result<Vec<_>>>()?;
            Values::F32(join(rows, &parts))
        }
        Values::I64(_) => {
            let parts = parts.iter().map(|p| p.ints()).collect::<Result<Vec<_>>>()?;
            Values::I64(join(rows, &parts))
        }
    };
    Tensor::new(shape, values)
}

/// The lengths of the parts of a split.
pub(crate) fn split_lengths(
    len: usize,
    lengths: Option<&Tensor>,
    outputs: usize,
) -> Result<Vec<usize>> {
    let lengths = match lengths {
        Some(lengths) => dimensions(lengths.ints()?)?,
        None => {
            let each = len.div_ceil(outputs.max(1));
            (0..outputs)
                .map(|k| each.min(len.saturating_sub(k * each)))
                .collect()
        }
    };
    let sum = lengths.iter().try_fold(0usize, |n, &d| n.checked_add(d));
    ensure!(sum == Some(len), "parts {lengths:?} of {len}");
    Ok(lengths)
}

fn split(x: &Tensor, lengths: Option<&Tensor>, along: i64, outputs: usize) -> Result<Vec<Tensor>> {
    let along = axis(along, x.shape.len())?;
    let lengths = split_lengths(x.shape[along], lengths, outputs)?;
    let part = |(start, &len): (usize, &usize)| {
        slice(
            x,
            &[Slice {
                axis: along,
                start: start as i64,
                step: 1,
                len,
            }],
        )
    };
    let starts = lengths.iter().scan(0, |end, &len| {
        let start = *end;
        *end += len;
        Some(start)
    });
    starts.zip(&lengths).map(part).collect()
}

/// A part of one axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) axis: usize,
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) len: usize,
}

/// What a slice's operands say about a tensor.
pub(crate) fn slices(
    x: &Tensor,
    starts: &Tensor,
    ends: &Tensor,
    axes: Option<&Tensor>,
    steps: Option<&Tensor>,
) -> Result<Vec<Slice>> {
    let (starts, ends) = (starts.ints()?, ends.ints()?);
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let axes = axes.map_or(Ok(&all[..]), Tensor::ints)?;
    let ones = vec![1; starts.len()];
    let steps = steps.map_or(Ok(&ones[..]), Tensor::ints)?;
    ensure!(
        [ends.len(), axes.len(), steps.len()] == [starts.len(); 3],
        "starts, ends, axes and steps of several lengths"
    );
    let one = |k: usize| {
        let axis = axis(axes[k], x.shape.len())?;
        let (len, step) = (x.shape[axis] as i64, steps[k]);
        ensure!(step != 0 && step != i64::MIN, "a step of {step}");
        let from_front = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
        let (start, end) = (from_front(starts[k]), from_front(ends[k]));
        let (start, distance) = if step > 0 {
            let start = start.clamp(0, len);
            (start, end.clamp(0, len) - start)
        } else {
            let start = start.clamp(-1, len - 1);
            (start, start - end.clamp(-1, len - 1))
        };
        let len = usize::try_from(distance).map_or(0, |d| d.div_ceil(step.unsigned_abs() as usize));
        Ok(Slice {
            axis,
            start,
            step,
            len,
        })
    };
    (0..starts.len()).map(one).collect()
}

fn slice(x: &Tensor, slices: &[Slice]) -> Result<Tensor> {
    let mut shape = x.shape.clone();
    let mut from: Vec<(i64, i64)> = vec![(0, 1); shape.len()];
    for slice in slices {
        shape[slice.axis] = slice.len;
        from[slice.axis] = (slice.start, slice.step);
    }
    select(x, shape, |at| {
        let digits = at.iter().zip(&from).zip(&x.shape);
        let place = digits.fold(0, |place, ((&i, &(start, step)), &d)| {
            place * d as i64 + start + i as i64 * step
        });
        usize::try_from(place).map_err(|_| anyhow!("place {place}"))
    })
}

/// The shape after an operator that only changes it.
pub(crate) fn reshaped(op: &Op, shape: &[usize], operand: Option<&Tensor>) -> Result<Vec<usize>> {
    let axes = |rank: usize| -> Result<Vec<usize>> {
        let list = operand.context("the axes are missing")?.ints()?;
        list.iter().map(|&a| axis(a, rank)).collect()
    };
    Ok(match op {
        Op::Squeeze => {
            let axes = match operand {
                Some(_) => axes(shape.len())?,
                None => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
            };
            if let Some(&wide) = axes.iter().find(|&&a| shape[a] != 1) {
                bail!("axis {wide} of {shape:?} is not 1, so it cannot be left out");
            }
            let kept = (0..shape.len()).filter(|i| !axes.contains(i));
            kept.map(|i| shape[i]).collect()
        }
        Op::Unsqueeze => {
            let added = operand.context("the axes are missing")?.len();
            let rank = shape.len() + added;
            let axes = axes(rank)?;
            let mut old = shape.iter();
            let dims = (0..rank).map(|i| match axes.contains(&i) {
                true => Some(1),
                false => old.next().copied(),
            });
            dims.collect::<Option<_>>().context("an axis twice")?
        }
        Op::Reshape { zero } => {
            let list = operand.context("the shape is missing")?.ints()?;
            let mut dims = Vec::new();
            let mut open = None;
            for (i, &d) in list.iter().enumerate() {
                dims.push(match d {
                    -1 => {
                        ensure!(open.replace(i).is_none(), "-1 twice in a shape");
                        1
                    }
                    0 if !zero => *shape
                        .get(i)
                        .context("a 0 in a shape beyond the dimensions")?,
                    d => usize::try_from(d).map_err(|_| anyhow!("dimension {d}"))?,
                });
            }
            let (have, known) = (count(shape).unwrap_or(0), count(&dims).unwrap_or(0));
            if let Some(open) = open
                && known > 0
            {
                dims[open] = have / known;
            }
            ensure!(count(&dims) == Some(have), "shape {shape:?} as {list:?}");
            dims
        }
        Op::Flatten { axis: at } => {
            let at = match *at {
                at if at == shape.len() as i64 => shape.len(),
                at => axis(at, shape.len())?,
            };
            let (front, back) = shape.split_at(at);
            vec![front.iter().product(), back.iter().product()]
        }
        _ => shape.to_vec(),
    })
}

/// The order of axes of a transposition, checked.
pub(crate) fn permutation(rank: usize, perm: Option<&[usize]>) -> Result<Vec<usize>> {
    let perm: Vec<usize> = perm.map_or_else(|| (0..rank).rev().collect(), <[usize]>::to_vec);
    let whole = perm.len() == rank && (0..rank).all(|i| perm.contains(&i));
    ensure!(whole, "axes {perm:?} of {rank}");
    Ok(perm)
}

fn transpose(x: &Tensor, perm: Option<&[usize]>) -> Result<Tensor> {
    let perm = permutation(x.shape.len(), perm)?;
    let shape = perm.iter().map(|&p| x.shape[p]).collect();
    select(x, shape, |at| {
        let mut digits = vec![0; perm.len()];
        perm.iter().zip(at).for_each(|(&p, &i)| digits[p] = i);
        Ok(x.shape
            .iter()
            .zip(&digits)
            .fold(0, |place, (&d, &i)| place * d + i))
    })
}

/// `y`, the last state and the last cell of a recurrent operator.
fn sequence(
    net: &Recurrent,
    x: &Tensor,
    h0: Option<&Tensor>,
    c0: Option<&Tensor>,
) -> Result<Vec<Tensor>> {
    let &[steps, batch, inputs] = &x.shape[..] else {
        bail!(
            "an input of shape {:?}, expected samples, batch, width",
            x.shape
        )
    };
    ensure!(
        inputs == net.inputs,
        "{inputs} inputs, expected {}",
        net.inputs
    );
    let (directions, width, hidden) = (net.directions.len(), net.width(), net.hidden);
    let all = count(&[steps, directions, batch, width]).filter(|&n| n <= MOST.max(x.len()));
    let mut y = vec![0.0; all.context("too many states")?];
    let start = |given: Option<&Tensor>, width: usize| -> Result<Vec<f32>> {
        let shape = [directions, batch, width];
        match given {
            None => Ok(vec![0.0; shape.iter().product()]),
            Some(t) if t.shape == shape => Ok(t.floats()?.to_vec()),
            Some(t) => bail!(
                "an initial state of shape {:?}, expected {shape:?}",
                t.shape
            ),
        }
    };
    let (mut h, mut c) = (start(h0, width)?, start(c0, hidden)?);
    let samples = x.floats()?;
    for (d, direction) in net.directions.iter().enumerate() {
        for b in 0..batch {
            let lane = d * batch + b;
            let h = &mut h[lane * width..(lane + 1) * width];
            let c = &mut c[lane * hidden..(lane + 1) * hidden];
            for k in 0..steps {
                let t = if direction.reverse { steps - 1 - k } else { k };
                let at = (t * batch + b) * inputs;
                step(net, direction, &samples[at..at + inputs], h, c);
                let at = ((t * directions + d) * batch + b) * width;
                y[at..at + width].copy_from_slice(h);
            }
        }
    }
    Ok(vec![
        Tensor::f32(vec![steps, directions, batch, width], y)?,
        Tensor::f32(vec![directions, batch, width], h)?,
        Tensor::f32(vec![directions, batch, hidden], c)?,
    ])
}

/// One sample through one cell.
fn step(net: &Recurrent, direction: &Direction, x: &[f32], h: &mut [f32], c: &mut [f32]) {
    let n = net.hidden;
    let [gate, candidate, shown] = direction.functions;
    let dot = |weights: &[f32], row: usize, v: &[f32]| -> f32 {
        let row = &weights[row * v.len()..(row + 1) * v.len()];
        row.iter().zip(v).map(|(w, v)| w * v).sum()
    };
    let clip = |z: f32| net.clip.map_or(z, |clip| z.clamp(-clip, clip));
    let input = |row: usize| dot(&direction.w_ih, row, x) + direction.b_ih[row];
    let recurrent = |row: usize, h: &[f32]| dot(&direction.w_hh, row, h) + direction.b_hh[row];
    let sum = |row: usize, h: &[f32]| input(row) + recurrent(row, h);
    match net.kind {
        Kind::Rnn => {
            let next: Vec<f32> = (0..n).map(|j| gate.of(clip(sum(j, h)))).collect();
            h.copy_from_slice(&next);
        }
        Kind::Gru { after } => {
            let r: Vec<f32> = (0..n).map(|j| gate.of(clip(sum(j, h)))).collect();
            let z: Vec<f32> = (0..n).map(|j| gate.of(clip(sum(n + j, h)))).collect();
            let reset: Vec<f32> = h.iter().zip(&r).map(|(h, r)| h * r).collect();
            let new = |j: usize| {
                let row = 2 * n + j;
                let inner = match after {
                    true => input(row) + r[j] * recurrent(row, h),
                    false => sum(row, &reset),
                };
                let new = candidate.of(clip(inner));
                (1.0 - z[j]) * new + z[j] * h[j]
            };
            let next: Vec<f32> = (0..n).map(new).collect();
            h.copy_from_slice(&next);
        }
        Kind::Lstm | Kind::LstmCoupled => {
            let coupled = net.kind == Kind::LstmCoupled;
            let peep = |k: usize, j: usize, c: f32| {
                direction
                    .peephole
                    .as_ref()
                    .map_or(0.0, |p| p[k * n + j] * c)
            };
            let mut out = vec![0.0; n];
            for j in 0..n {
                // Rows and peepholes of a coupled cell begin with f.
                let first = usize::from(!coupled);
                let f = gate.of(clip(sum(first * n + j, h) + peep(first, j, c[j])));
                let i = match coupled {
                    true => 1.0 - f,
                    false => gate.of(clip(sum(j, h) + peep(0, j, c[j]))),
                };
                let g = candidate.of(clip(sum((first + 1) * n + j, h)));
                let cell = f * c[j] + i * g;
                c[j] = net.cell_clip.map_or(cell, |clip| cell.clamp(-clip, clip));
                let o = gate.of(clip(sum((first + 2) * n + j, h) + peep(first + 1, j, c[j])));
                out[j] = o * shown.of(c[j]);
            }
            match &direction.projection {
                None => h.copy_from_slice(&out),
                Some(p) => (h.iter_mut().enumerate()).for_each(|(k, h)| *h = dot(p, k, &out)),
            }
        }
    }
}

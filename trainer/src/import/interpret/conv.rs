//! Convolutions along one axis, and what is put around their input.

use super::{MOST, axis, count, dimensions, select};
use crate::import::graph::{Convolution, Pooling, Tensor};
use crate::net::PoolKind;
use anyhow::{Context, Result, bail, ensure};

/// `x [B, C, L] → [B, F, P]`.
pub(super) fn convolve(
    of: &Convolution,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let &[batch, channels, len] = &x.shape[..] else {
        bail!(
            "an input of shape {:?}, expected [batch, channels, length]",
            x.shape
        )
    };
    let &[filters, seen, kernel] = &weight.shape[..] else {
        bail!(
            "weights of shape {:?}, expected [filters, channels, kernel]",
            weight.shape
        )
    };
    ensure!(
        of.groups > 0 && seen.checked_mul(of.groups) == Some(channels) && filters % of.groups == 0,
        "{filters} filters over {seen} of {channels} channels in {} groups",
        of.groups
    );
    let positions = of.positions(len, kernel)?;
    let (x, w) = (x.floats()?, weight.floats()?);
    let bias = bias.map(|b| b.floats()).transpose()?;
    ensure!(
        bias.is_none_or(|b| b.len() == filters),
        "a bias of another length than {filters}"
    );
    let shape = vec![batch, filters, positions];
    let len_of = count(&shape).filter(|&n| n <= MOST.max(x.len()));
    let mut values = Vec::with_capacity(len_of.context("the result is too large")?);
    for b in 0..batch {
        for f in 0..filters {
            let first = f / (filters / of.groups) * seen;
            for p in 0..positions {
                let mut sum = bias.map_or(0.0, |b| b[f]);
                for c in 0..seen {
                    for j in 0..kernel {
                        let at = (p * of.stride + j * of.dilation).checked_sub(of.pads[0]);
                        if let Some(at) = at.filter(|&at| at < len) {
                            sum += w[(f * seen + c) * kernel + j]
                                * x[(b * channels + first + c) * len + at];
                        }
                    }
                }
                values.push(sum);
            }
        }
    }
    Tensor::f32(shape, values)
}

/// `x [B, C, L] → [B, C, P]`.
pub(super) fn pool(of: Pooling, x: &Tensor) -> Result<Tensor> {
    let &[batch, channels, len] = &x.shape[..] else {
        bail!(
            "an input of shape {:?}, expected [batch, channels, length]",
            x.shape
        )
    };
    let Pooling {
        kind,
        kernel,
        stride,
    } = of;
    ensure!(
        kernel > 0 && stride > 0 && kernel <= len,
        "it pools {kernel} of {len} numbers"
    );
    let positions = (len - kernel) / stride + 1;
    let starts = || (0..positions).map(|p| p * stride);
    let mut values = Vec::with_capacity(batch * channels * positions);
    for row in x.floats()?.chunks_exact(len) {
        values.extend(starts().map(|start| {
            let numbers = row[start..start + kernel].iter().copied();
            match kind {
                PoolKind::Max => numbers.fold(f32::NEG_INFINITY, f32::max),
                PoolKind::Mean => numbers.sum::<f32>() / kernel as f32,
            }
        }));
    }
    Tensor::f32(vec![batch, channels, positions], values)
}

/// Numbers in front of and behind each axis.
pub(crate) fn pads(rank: usize, pads: &Tensor, axes: Option<&Tensor>) -> Result<Vec<[usize; 2]>> {
    let axes = match axes {
        Some(axes) => axes
            .ints()?
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let list = dimensions(pads.ints()?).context("it cuts where others pad")?;
    ensure!(
        list.len() == 2 * axes.len(),
        "{} numbers of padding for {} axes",
        list.len(),
        axes.len()
    );
    let mut all = vec![[0, 0]; rank];
    for (k, &axis) in axes.iter().enumerate() {
        all[axis] = [list[k], list[axes.len() + k]];
    }
    Ok(all)
}

/// Mirrored at its ends, without them, or zeros around it.
pub(super) fn pad(x: &Tensor, mirror: bool, around: &[[usize; 2]]) -> Result<Tensor> {
    let pairs = x.shape.iter().zip(around);
    let longer = pairs.clone().map(|(&d, [before, after])| {
        ensure!(
            !mirror || d > *before.max(after),
            "{} mirrored numbers of {d}",
            before.max(after)
        );
        let sum = d.checked_add(*before).and_then(|n| n.checked_add(*after));
        sum.context("it is too large")
    });
    let shape = longer.collect::<Result<Vec<_>>>()?;
    // Zeros lie behind all numbers.
    let mut with_zero = x.floats()?.to_vec();
    let zero = with_zero.len();
    with_zero.push(0.0);
    let values = Tensor::f32(vec![zero + 1], with_zero)?;
    select(&values, shape, |at| {
        let mut place = 0;
        for ((&d, [before, _]), &i) in pairs.clone().zip(at) {
            let inside = match i.checked_sub(*before) {
                Some(i) if i < d => i,
                Some(i) if mirror => 2 * (d - 1) - i,
                None if mirror => before - i,
                _ => return Ok(zero),
            };
            place = place * d + inside;
        }
        Ok(place)
    })
}

//! Layer normalisations: as one operator, and as the means, squares and roots that exporters write for it.

use super::conv::Operand;
use super::{Known, Open, Role, View, Walk};
use crate::import::graph::{Binary, Function, Node, Tensor, Values};
use crate::import::interpret;
use crate::net::{Layer, Norm};
use anyhow::{Result, bail, ensure};

/// What has been computed of the numbers of a sample on the way to a normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    Mean,
    /// Each number without the mean.
    Centred,
    Squared,
    Variance,
    /// The variance and ε.
    Padded(f32),
    /// The root of that.
    Deviation(f32),
    /// One divided by it.
    Inverse(f32),
}

/// A view of the same numbers in which something else is open.
fn with(view: &View, moment: Moment) -> View {
    View {
        open: Open::Moment(moment),
        ..view.clone()
    }
}

impl Walk<'_> {
    /// The mean of a sample's numbers, or of the squares of what they are apart from it.
    pub(super) fn mean(&self, view: View, over: &[usize], keep: bool) -> Result<View> {
        let moment = match view.open {
            Open::Moment(Moment::Squared) => Moment::Variance,
            Open::Nothing => {
                self.at_end(&view)?;
                Moment::Mean
            }
            _ => bail!("a mean of a part of what a layer gave"),
        };
        ensure!(
            view.affine.is_none(),
            "a mean of numbers that are scaled on the way: put the scale into the layer before"
        );
        ensure!(!view.tokens, "a mean of tokens");
        let wide = |&axis: &usize| view.axes[axis].1 > 1;
        let features = |&axis: &usize| view.axes[axis].0 == Role::Features;
        ensure!(
            over.iter().all(|a| features(a) || !wide(a)) && over.iter().any(features),
            "a mean over the axes {over:?} of {:?}: the engine has one only over the features of a sample, within a layer normalisation; in place of a mean \
             over time take the output after the last sample",
            view.shape()
        );
        whole_samples(&view)?;
        ensure!(
            keep,
            "attribute `keepdims`: 0: the engine has a mean only within a layer normalisation, which keeps them"
        );
        let mut view = with(&view, moment);
        over.iter().for_each(|&axis| view.axes[axis].1 = 1);
        Ok(view)
    }

    /// A step towards a normalisation, or the last one; none if it is something else.
    pub(super) fn moment(
        &mut self,
        node: &Node,
        binary: Binary,
        operands: &[Option<Known>],
    ) -> Result<Option<View>> {
        use Moment::{Centred, Deviation, Inverse, Mean, Padded, Squared, Variance};
        let open = |operand: &Operand<'_>| match operand {
            Operand::View(View {
                open: Open::Moment(moment),
                ..
            }) => Some(*moment),
            _ => None,
        };
        let [Some(a), Some(b)] = operands else {
            return Ok(None);
        };
        let (Some(a), Some(b)) = (operand(a), operand(b)) else {
            return Ok(None);
        };
        let fits = |wide: &View, narrow: &View| {
            let pairs = wide.axes.iter().zip(&narrow.axes);
            let spread = |(w, n): (&(Role, usize), &(Role, usize))| {
                w == n || w.0 == Role::Features && n.1 == 1
            };
            wide.stage == narrow.stage
                && wide.last == narrow.last
                && wide.axes.len() == narrow.axes.len()
                && pairs.into_iter().all(spread)
        };
        Ok(Some(match (binary, &a, &b) {
            (Binary::Sub, Operand::View(x), Operand::View(m))
                if x.open == Open::Nothing && open(&b) == Some(Mean) && fits(x, m) =>
            {
                with(x, Centred)
            }
            (Binary::Mul, Operand::View(x), Operand::View(y))
                if open(&a) == Some(Centred) && open(&b) == Some(Centred) && fits(x, y) =>
            {
                with(x, Squared)
            }
            (Binary::Pow, Operand::View(x), &Operand::Number(2.0)) if open(&a) == Some(Centred) => {
                with(x, Squared)
            }
            (Binary::Add, Operand::View(v), Operand::Number(e))
            | (Binary::Add, Operand::Number(e), Operand::View(v))
                if v.open == Open::Moment(Variance) =>
            {
                with(v, Padded(*e))
            }
            (Binary::Pow, Operand::View(v), Operand::Number(power)) => match (open(&a), power) {
                (Some(Padded(e)), 0.5) => with(v, Deviation(e)),
                (Some(Padded(e)), -0.5) => with(v, Inverse(e)),
                _ => return Ok(None),
            },
            (Binary::Div, Operand::Number(1.0), Operand::View(v)) => match open(&b) {
                Some(Deviation(e)) => with(v, Inverse(e)),
                _ => return Ok(None),
            },
            (Binary::Div | Binary::Mul, Operand::View(x), Operand::View(y)) => {
                let (x, y, other) = match (open(&a), open(&b)) {
                    (Some(Centred), Some(other)) => (x, y, other),
                    (Some(other), Some(Centred)) if binary == Binary::Mul => (y, x, other),
                    _ => return Ok(None),
                };
                let epsilon = match (binary, other) {
                    (Binary::Div, Deviation(e)) | (Binary::Mul, Inverse(e)) if fits(x, y) => e,
                    _ => return Ok(None),
                };
                let n = x.width();
                let x = View::clone(x);
                self.normalised(node, x, epsilon, [vec![1.0; n], vec![0.0; n]])?
            }
            _ => return Ok(None),
        }))
    }

    /// One operator that does all of it, over the axes from `first` on.
    pub(super) fn whole_norm(
        &mut self,
        node: &Node,
        view: View,
        first: usize,
        epsilon: f32,
        terms: [Option<&Tensor>; 2],
    ) -> Result<View> {
        let n = view.features_last()?;
        let rank = view.axes.len();
        ensure!(
            view.axes[first..rank - 1]
                .iter()
                .all(|a| a.1 == 1 && a.0 != Role::Time),
            "it normalises over the axes from {first} on of {:?}: the engine normalises over the features of a sample alone (axis -1)",
            view.shape()
        );
        let mut view = self.brought(node, view)?;
        if view.affine.is_some() {
            view = self.settled(node, view)?;
            self.taps.pop();
        }
        let [gamma, beta] = terms;
        let term = |term: Option<&Tensor>, without: f32| match term {
            Some(term) => Ok(term.floats()?.to_vec()),
            None => anyhow::Ok(vec![without; n]),
        };
        let terms = [term(gamma, 1.0)?, term(beta, 0.0)?];
        ensure!(
            terms.iter().all(|term| term.len() == n),
            "a scale or an offset of another length than {n}"
        );
        self.normalised(node, view, epsilon, terms)
    }

    /// Adds the layer; of an embedding's vectors it goes into the table.
    fn normalised(
        &mut self,
        node: &Node,
        mut view: View,
        epsilon: f32,
        [gamma, beta]: [Vec<f32>; 2],
    ) -> Result<View> {
        view.open = Open::Nothing;
        self.at_end(&view)?;
        whole_samples(&view)?;
        ensure!(!view.tokens, "tokens are normalised as numbers");
        ensure!(
            epsilon > 0.0 && epsilon.is_finite(),
            "attribute `epsilon`: {epsilon}, expected a number above 0: without it a sample of equal numbers is divided by zero"
        );
        let norm = Norm {
            gamma,
            beta,
            epsilon,
        };
        view.state_of = None;
        if let Some(Layer::Embedding(e)) = self.layers.last_mut() {
            for row in e.table.chunks_mut(e.dim) {
                let n = row.len() as f64;
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
                let squares = row.iter().map(|&x| (f64::from(x) - mean).powi(2));
                let root = (squares.sum::<f64>() / n + f64::from(epsilon)).sqrt();
                let terms = norm.gamma.iter().zip(&norm.beta);
                for (x, (&gamma, &beta)) in row.iter_mut().zip(terms) {
                    let normalised = (f64::from(*x) - mean) / root;
                    *x = (normalised * f64::from(gamma) + f64::from(beta)) as f32;
                }
            }
            view.stage = self.grown(node, view.roles());
            return Ok(view);
        }
        view.stage = self.push(Layer::Norm(norm), node, view.roles());
        Ok(view)
    }

    /// Scales and offsets behind a normalisation are its own.
    pub(super) fn fold_into_norm(&mut self, scale: &[f64], offset: &[f64]) -> bool {
        let Some(Layer::Norm(norm)) = self.layers.last_mut() else {
            return false;
        };
        let terms = norm.gamma.iter_mut().zip(&mut norm.beta);
        for ((gamma, beta), (scale, offset)) in terms.zip(scale.iter().zip(offset)) {
            *gamma = (f64::from(*gamma) * scale) as f32;
            *beta = (f64::from(*beta) * scale + offset) as f32;
        }
        true
    }
}

/// An error if a sample has several places with features each.
fn whole_samples(view: &View) -> Result<()> {
    let places = (view.axes.iter()).any(|a| a.0 == Role::Positions && a.1 > 1);
    ensure!(
        !places,
        "it normalises the channels at each of several positions, and the engine all numbers of a sample together"
    );
    Ok(())
}

/// The axes of a mean.
pub(super) fn axes(view: &View, list: Option<&Tensor>) -> Result<Vec<usize>> {
    interpret::axes(view.axes.len(), list)
}

/// A view, or a constant of one number.
pub(super) fn operand(known: &Known) -> Option<Operand<'_>> {
    match known {
        Known::View(view) => Some(Operand::View(view)),
        Known::Constant(c) => match &c.values {
            Values::F32(v) if v.len() == 1 => Some(Operand::Number(v[0])),
            _ => None,
        },
        _ => None,
    }
}

/// The root of a variance, or one divided by it.
pub(super) fn rooted(view: &View, function: Function) -> Option<View> {
    let moment = match (view.open, function) {
        (Open::Moment(Moment::Padded(e)), Function::Sqrt) => Moment::Deviation(e),
        (Open::Moment(Moment::Deviation(e)), Function::Reciprocal) => Moment::Inverse(e),
        _ => return None,
    };
    Some(with(view, moment))
}

//! Skips: a value of an earlier place of the chain, joined with what the chain gives now; and branches, which go on from such a value. Of those
//! one runs after the other: the chain goes through the first, brings the value back, and goes through the second.

use super::{Known, Open, Role, Tap, View, Walk};
use crate::import::graph::{Binary, Dim, Node, Tensor, ValueId};
use crate::import::interpret;
use crate::net::{Activation, Combine, Dense, Join, Layer, Network, answers};
use anyhow::{Result, bail, ensure};
use kinglet::format::MAX_KEEPS;

/// One dense layer in place of two, of which the first has no activation.
pub(super) fn behind(first: &Dense, second: &Dense) -> Dense {
    let rows = second.weight.chunks(second.inputs).zip(&second.bias);
    let mut both = Dense {
        inputs: first.inputs,
        weight: Vec::with_capacity(second.outputs * first.inputs),
        bias: Vec::with_capacity(second.outputs),
        ..*second
    };
    for (row, bias) in rows {
        let column = |k: usize| {
            let column = first.weight.iter().skip(k).step_by(first.inputs);
            row.iter().zip(column).map(|(a, b)| a * b).sum::<f32>()
        };
        both.weight.extend((0..first.inputs).map(column));
        let offset: f32 = row.iter().zip(&first.bias).map(|(a, b)| a * b).sum();
        both.bias.push(bias + offset);
    }
    both
}

impl Walk<'_> {
    /// Two values that both depend on the samples, added or multiplied.
    pub(super) fn joined(
        &mut self,
        node: &Node,
        binary: Binary,
        [a, b]: [&View; 2],
    ) -> Result<View> {
        let how = match binary {
            Binary::Add => Combine::Add,
            Binary::Mul => Combine::Multiply,
            Binary::Sub => return self.difference(node, a, b),
            Binary::Div | Binary::Pow => bail!(
                "two values that both depend on the samples, where the engine has layers that add, subtract and multiply such: write it with these"
            ),
        };
        let (old, new) = match b.stage >= a.stage {
            true => (a, b),
            false => (b, a),
        };
        self.join(node, how, old, new.clone())
    }

    /// `a − b` as `a + (−b)`, or as `−(b + (−a))` where it is `a` that comes last.
    fn difference(&mut self, node: &Node, a: &View, b: &View) -> Result<View> {
        let new_is_b = b.stage >= a.stage;
        let (old, new) = if new_is_b { (a, b) } else { (b, a) };
        let negated = |walk: &mut Self, view: View| {
            let n = view.width();
            let negated = walk.scaled(node, view, (vec![-1.0; n], vec![0.0; n]))?;
            // What is negated is no value of the file.
            if negated.affine.is_none() {
                walk.taps.pop();
            }
            anyhow::Ok(negated)
        };
        let new = self.brought(node, new.clone())?;
        let new = negated(self, new)?;
        let joined = self.join(node, Combine::Add, old, new)?;
        if new_is_b {
            return Ok(joined);
        }
        self.taps.pop();
        let n = joined.width();
        self.scaled(node, joined, (vec![-1.0; n], vec![0.0; n]))
    }

    /// Values side by side along the features; none if it is something else that is joined: states, or the directions of a
    /// layer.
    pub(super) fn side_by_side(
        &mut self,
        node: &Node,
        operands: &[Option<Known>],
        axis: i64,
    ) -> Result<Option<View>> {
        let views = operands.iter().flatten().map(|known| match known {
            Known::View(view) => Some(view.clone()),
            _ => None,
        });
        let Some(views) = views.collect::<Option<Vec<View>>>() else {
            return Ok(None);
        };
        let Some(first) = views.first() else {
            return Ok(None);
        };
        let along = interpret::axis(axis, first.axes.len())?;
        let features = first.axes[along].0 == Role::Features;
        let directions = views.iter().any(|view| view.direction.is_some());
        let long = |view: &View| view.axes.iter().any(|a| a.0 == Role::Time && a.1 > 1);
        // What layers end with are states, unless it is there for every sample.
        let states = views
            .iter()
            .all(|view| view.state_of.is_some() && !long(view))
            && !self.is_computed_with(node.outputs[0]);
        if views.len() < 2 || !features || directions || states || self.closed {
            return Ok(None);
        }
        let latest = views.iter().map(|view| view.stage).max();
        let now = views.iter().position(|view| Some(view.stage) == latest);
        let (before, rest) = views.split_at(now.unwrap_or_default());
        let Some((now, behind)) = rest.split_first() else {
            return Ok(None);
        };
        let mut joined = self.brought(node, now.clone())?;
        let before = before.iter().rev().map(|view| (Combine::Prepend, view));
        let behind = behind.iter().map(|view| (Combine::Append, view));
        for (number, (how, view)) in before.chain(behind).enumerate() {
            if number > 0 {
                // Only the last of them gives what the node does.
                self.taps.pop();
            }
            joined = self.join(node, how, view, joined)?;
        }
        Ok(Some(joined))
    }

    /// Last states of several layers, one behind the other for each sequence.
    pub(super) fn flattened(
        &mut self,
        node: &Node,
        states: &[Known],
        constants: &[Option<&Tensor>],
    ) -> Result<Known> {
        let one = |state: &Known| match state {
            // Of one layer: `[1, batch, features]`.
            Known::View(view) if view.axes.len() == 3 && view.axes[0].1 == 1 => {
                let mut view = view.clone();
                view.axes.remove(0);
                Some(view)
            }
            _ => None,
        };
        let views: Option<Vec<View>> = states.iter().map(one).collect();
        let first = views.as_ref().and_then(|views| views.first());
        if let (Some(views), Some(&[(_, batch), (_, width)])) =
            (&views, first.map(|view| &view.axes[..]))
        {
            let whole = [batch, views.len(), width];
            let shape = interpret::reshaped(&node.op, &whole, constants.get(1).copied().flatten())?;
            let operands: Vec<Option<Known>> =
                (views.iter().cloned().map(|view| Some(Known::View(view)))).collect();
            if shape == [batch, views.len() * width]
                && let Some(joined) = self.side_by_side(node, &operands, -1)?
            {
                return Ok(Known::View(joined));
            }
        }
        bail!(
            "it changes the joined states of several layers: take them one by one, torch.cat([h_n[-2], h_n[-1]], 1) in PyTorch"
        )
    }

    fn join(&mut self, node: &Node, how: Combine, old: &View, new: View) -> Result<View> {
        ensure!(!new.tokens && !old.tokens, "tokens are joined as numbers");
        let mut new = self.brought(node, new)?;
        if new.affine.is_some() {
            new = self.settled(node, new)?;
            self.taps.pop();
        }
        let open = old.open != Open::Nothing || old.direction.is_some();
        ensure!(
            !open,
            "it takes a part of what an earlier layer gave: the engine keeps what a layer gives as it is"
        );
        if old.affine.is_some() {
            // Kept is what was not scaled yet, so it is the other one that is kept.
            let scaled = match old.stage == self.stage {
                true => {
                    let settled = self.settled(node, old.clone())?;
                    self.taps.pop();
                    settled
                }
                false => self.back(node, old.clone())?,
            };
            let how = match how {
                Combine::Append => Combine::Prepend,
                Combine::Prepend => Combine::Append,
                either => either,
            };
            return self.join(node, how, &new, scaled);
        }
        let same = |(a, b): (&(Role, usize), &(Role, usize))| {
            let side = matches!(how, Combine::Append | Combine::Prepend);
            let features = a.0 == Role::Features && b.0 == Role::Features;
            a.1 == b.1 && (a.0 == b.0 || a.1 == 1) || side && features
        };
        let alike = old.axes.len() == new.axes.len() && old.axes.iter().zip(&new.axes).all(same);
        ensure!(
            alike && old.last == new.last,
            "it joins values of the shapes {:?} and {:?}: expected the features of the same samples",
            old.shape(),
            new.shape()
        );
        let places = |view: &View| view.axes.iter().any(|a| a.0 == Role::Positions && a.1 > 1);
        ensure!(
            !places(old) || matches!(how, Combine::Add | Combine::Multiply),
            "it puts channels side by side at each of several positions, and the engine whole samples"
        );
        let many = |view: &View| {
            let wide = view
                .axes
                .iter()
                .filter(|a| matches!(a.0, Role::Features | Role::Positions));
            wide.map(|a| a.1).product::<usize>()
        };
        let join = Join {
            width: many(&new),
            kept: many(old),
            with: self.kept(old)?,
            how,
        };
        if let Some(features) = new.axes.iter_mut().find(|a| a.0 == Role::Features)
            && matches!(how, Combine::Append | Combine::Prepend)
        {
            features.1 = join.outputs();
        }
        new.state_of = None;
        new.stage = self.push(Layer::Join(join), node, new.roles());
        Ok(new)
    }

    /// Which of the values that are kept this is.
    fn kept(&mut self, view: &View) -> Result<usize> {
        let Some(place) = self.place_of(view) else {
            bail!(
                "it takes what an earlier layer gave before something was folded into it (a bias, an activation): the engine keeps what a whole \
                 layer gives"
            )
        };
        ensure!(
            !(self.layers.iter()).any(|layer| matches!(layer, Layer::Bidirectional(_))),
            "it joins values, or goes on from an earlier one, beside a bidirectional layer, which the engine does not have: train without it, or one direction only"
        );
        // After the last sample all have an answer; how many went before is the same only without a kernel that has to be filled.
        let [first, every] = answers(self.layers[place..].iter().map(Layer::pool));
        ensure!(
            every == 1 && (first == 0 || view.last),
            "it goes on from an earlier value, or joins one, behind a convolution or a pool that has fewer answers: the engine keeps a value for one sample only; \
             train with padding=\"causal\" and without a stride or a pool in one of two branches"
        );
        if let Some(known) = self.keeps.iter().position(|kept| *kept == place) {
            return Ok(known);
        }
        self.keeps.push(place);
        ensure!(
            self.keeps.len() <= MAX_KEEPS,
            "it joins more than {MAX_KEEPS} earlier values, which is all that the engine keeps"
        );
        Ok(self.keeps.len() - 1)
    }

    /// The answer as what a layer gives and the sample, which are added up after the network, in the samples' own units and range.
    pub(super) fn added(&mut self, node: &Node, operands: [&View; 2]) -> Result<Option<View>> {
        let graph = self.graph;
        let answers = graph.outputs.contains(&node.outputs[0])
            && self.takers(node.outputs[0], |_| false).0.is_empty();
        let is_sample = |id: &ValueId| match &self.known[id.0] {
            Some(Known::View(view)) => {
                let plain = view.stage == 0 && view.affine.is_none() && !view.tokens;
                plain && !view.normalised && view.open == Open::Nothing
            }
            _ => false,
        };
        let samples: Vec<bool> = node.inputs.iter().flatten().map(is_sample).collect();
        let (sample, new) = match samples[..] {
            [true, false] => (operands[0], operands[1]),
            [false, true] => (operands[1], operands[0]),
            _ => return Ok(None),
        };
        let width = self.graph.inputs[self.samples].dims.last();
        let width = match &sample.part {
            Some(_) => true,
            None => width == Some(&Dim::Fixed(sample.width())),
        };
        let whole = width && new.features_last().is_ok() && new.part.is_none();
        let alike = sample.axes == new.axes && sample.last == new.last;
        if !self.may_add
            || !answers
            || !whole
            || !alike
            || new.stage != self.stage
            || self.stage == 0
        {
            return Ok(None);
        }
        let mut view = self.brought(node, new.clone())?;
        if view.affine.is_some() {
            view = self.settled(node, view)?;
            self.taps.pop();
        }
        let each = || (0..sample.width()).collect();
        self.adds = Some(
            sample
                .part
                .as_ref()
                .map_or_else(each, |part| part.0.clone()),
        );
        self.notes.push(format!(
            "{}: the samples are added to the outputs after the network, as they came",
            node.label()
        ));
        let layer = self.layers.len() - 1;
        self.taps.push(Tap {
            layer,
            value: node.outputs[0],
            roles: view.roles(),
            name: node.name.clone(),
            adds: true,
        });
        view.state_of = None;
        view.stage = self.changed();
        Ok(Some(view))
    }

    /// A value that is at the end of the chain, if need be again.
    pub(super) fn brought(&mut self, node: &Node, view: View) -> Result<View> {
        self.whole(&view)?;
        self.goes_on()?;
        match view.stage == self.stage {
            true if view.part.is_some() => self.picked(node, view, false),
            true => Ok(view),
            false => self.back(node, view),
        }
    }

    /// The same, or what it is in another order, or added up.
    pub(super) fn brought_whole(&mut self, node: &Node, view: View) -> Result<View> {
        match view.stage == self.stage && view.is_all() {
            true => self.at_end(&view).map(|()| view),
            false => self.brought(node, view),
        }
    }

    /// An earlier value, for a branch of its own: it is kept, put beside what the chain gives now, and picked from that by a dense layer.
    fn back(&mut self, node: &Node, mut view: View) -> Result<View> {
        if view.part.is_some() {
            return self.picked(node, view, false);
        }
        self.normalise(&mut view)?;
        self.whole(&view)?;
        self.goes_on()?;
        ensure!(
            !view.tokens,
            "tokens go into two branches: give them one embedding"
        );
        ensure!(
            view.axes.iter().all(|a| a.0 != Role::Positions || a.1 == 1),
            "a second branch goes on from channels at each of several positions, which the engine cannot bring back"
        );
        let n = view.width();
        let with = self.kept(&view)?;
        let width = self.layers.last().map_or(0, Layer::outputs);
        let affine = view.affine.take();
        let (scale, bias) = affine.unwrap_or((vec![1.0; n], vec![0.0; n]));
        let bias = bias.into_iter().map(|b| b as f32).collect();
        let join = Join {
            width,
            kept: n,
            with,
            how: Combine::Append,
        };
        let mut pick = Dense {
            inputs: width + n,
            outputs: n,
            weight: vec![0.0; (width + n) * n],
            bias,
            activation: Activation::Identity,
        };
        for (k, scale) in scale.into_iter().enumerate() {
            pick.weight[k * (width + n) + width + k] = scale as f32;
        }
        self.notes.push(format!(
            "{}: a second branch goes on from an earlier value; the engine keeps that, and brings it back by {} weights",
            node.label(),
            (width + n) * n
        ));
        // The value of the file that the layer gives, unless something was put around it.
        let known = |id: &&ValueId| match &self.known[id.0] {
            Some(Known::View(known)) => {
                known.open == Open::Nothing
                    && (known.stage, &known.axes) == (view.stage, &view.axes)
            }
            _ => false,
        };
        let value = node.inputs.iter().flatten().find(known).copied();
        for layer in [Layer::Join(join), Layer::Dense(pick)] {
            self.layers.push(layer);
            self.begun();
        }
        self.taps.extend(value.map(|value| Tap {
            layer: self.layers.len() - 1,
            value,
            roles: view.roles(),
            name: node.name.clone(),
            adds: false,
        }));
        self.branched = true;
        view.stage = self.stage;
        Ok(view)
    }

    /// Takes away the dense layer that has just brought a value back, for another one to do what it does.
    pub(super) fn unpicked(&mut self) -> Option<Dense> {
        self.taps.pop_if(|tap| tap.layer + 1 == self.layers.len());
        self.marks.pop();
        match self.layers.pop() {
            Some(Layer::Dense(pick)) => Some(pick),
            _ => None,
        }
    }

    /// The layers that had given this value, if nothing was changed in the last of them since.
    pub(super) fn place_of(&self, view: &View) -> Option<usize> {
        let layers = self.marks.iter().filter(|mark| mark[0] <= view.stage);
        let layers = layers.count();
        let changed = layers.checked_sub(1).map_or(0, |last| self.marks[last][1]);
        (changed <= view.stage).then_some(layers)
    }

    /// Puts in the layers that keep, and gives the new places of all others.
    pub(super) fn put_in_keeps(&mut self) -> Vec<usize> {
        let mut sorted = self.keeps.clone();
        sorted.sort_unstable();
        let width = |layers: &[Layer], place: usize| match place.checked_sub(1) {
            Some(last) => layers[last].outputs(),
            None => Network::input_width(&Network {
                layers: layers.iter().take(1).cloned().collect(),
            }),
        };
        let mut all = Vec::new();
        let mut places = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            if sorted.contains(&at) {
                all.push(Layer::Keep(width(&self.layers, at)));
            }
            places.push(all.len());
            all.push(match layer {
                Layer::Join(join) => Layer::Join(Join {
                    with: sorted.partition_point(|place| *place < self.keeps[join.with]),
                    ..*join
                }),
                layer => layer.clone(),
            });
        }
        self.layers = all;
        places
    }
}

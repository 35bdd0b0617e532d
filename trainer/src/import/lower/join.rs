//! Skips: a value of an earlier place of the chain, joined with what the chain gives now.

use super::{Known, Open, Role, View, Walk};
use crate::import::graph::{Binary, Node};
use crate::import::interpret;
use crate::net::{Combine, Join, Layer, Network};
use anyhow::{Result, bail, ensure};
use kinglet::format::MAX_KEEPS;

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
            _ => bail!(
                "two values that both depend on the samples, where the engine has layers that add and multiply such: write it with these"
            ),
        };
        let (old, new) = match b.stage == self.stage {
            true => (a, b),
            false => (b, a),
        };
        self.join(node, how, old, new.clone())
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
            .all(|view| view.state_of.is_some() && !long(view));
        if views.len() < 2 || !features || directions || states || self.closed {
            return Ok(None);
        }
        let Some(now) = views.iter().position(|view| view.stage == self.stage) else {
            bail!("{BRANCHES}");
        };
        let (before, rest) = views.split_at(now);
        let Some((now, behind)) = rest.split_first() else {
            return Ok(None);
        };
        let mut joined = now.clone();
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

    fn join(&mut self, node: &Node, how: Combine, old: &View, mut new: View) -> Result<View> {
        ensure!(new.stage == self.stage, "{BRANCHES}");
        self.at_end(&new)?;
        ensure!(!new.tokens && !old.tokens, "tokens are joined as numbers");
        if new.affine.is_some() {
            new = self.settled(node, new)?;
            self.taps.pop();
        }
        let open = old.open != Open::Nothing || old.direction.is_some();
        ensure!(
            !open && old.affine.is_none(),
            "it takes a part of what an earlier layer gave, or what is scaled on the way: the engine keeps what a layer gives as it is"
        );
        let Some(place) = self.place_of(old) else {
            bail!(
                "it takes what an earlier layer gave before something was folded into it (a bias, an activation): the engine keeps what a whole \
                 layer gives"
            )
        };
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
        let with = match self.keeps.iter().position(|kept| *kept == place) {
            Some(known) => known,
            None => {
                self.keeps.push(place);
                self.keeps.len() - 1
            }
        };
        ensure!(
            self.keeps.len() <= MAX_KEEPS,
            "it joins more than {MAX_KEEPS} earlier values, which is all that the engine keeps"
        );
        let join = Join {
            width: many(&new),
            kept: many(old),
            with,
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

    /// The layers that had given this value, if nothing was changed in the last of them since.
    fn place_of(&self, view: &View) -> Option<usize> {
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

const BRANCHES: &str = "it joins two branches that both went on from an earlier value: the engine's layers are a chain, which may take up \
                        what it had before, but has no second chain beside it";

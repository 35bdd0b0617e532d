//! Cells that an exporter or a user wrote out as products, gates and sums, for one sample with their states as inputs (nn.LSTMCell, nn.GRUCell, keras2onnx of
//! a stateful layer, DTLN's second network). Such a cell becomes one operator for [`super::lower`]:
//!
//! ```text
//! LSTM    c' = σ(f) c + σ(i) tanh(g)                     h' = σ(o) tanh(c')
//! GRU     h' = σ(z) h + (1 − σ(z)) tanh(n), or with n and h in each other's place
//!         n = x W + r (h U + b), or x W + (r h) U + b
//! RNN     h' = tanh(x W + h U + b), or its relu
//! ```
//!
//! What goes into a gate is a [`Sum`], in whatever order its products are split, sliced and put side by side. The proof runs the graph as the file has
//! it, so a cell that was taken for something else is found there.

use super::graph::{
    Binary, Dim, Direction, Function, Graph, Kind, Node, Op, Recurrent, Tensor, ValueId,
};
use super::interpret;

/// Operators from a gate to the products in it, at the most.
const DEEPEST: usize = 12;

/// A graph in which cells are operators.
pub(super) struct Rolled {
    pub(super) graph: Graph,
    /// What a cell's operator gives, and the value of the file that is the same, a sample's.
    pub(super) states: Vec<(ValueId, ValueId)>,
}

/// None if there is no such cell in it.
pub(super) fn roll(graph: &Graph) -> Option<Rolled> {
    let made = Made::of(graph);
    let cells = graph.nodes.iter().filter_map(|node| made.cell(node));
    let cells: Vec<Cell> = cells.collect();
    if cells.is_empty() {
        return None;
    }
    let mut rolled = graph.clone();
    let mut states = Vec::new();
    let mut nodes = Vec::new();
    for node in &graph.nodes {
        let gives = |id: ValueId| node.outputs.first() == Some(&id);
        // With its memory all that it takes is there.
        let first = |cell: &&Cell| gives(cell.memory.map_or(cell.h, |[_, c]| c));
        if let Some(cell) = cells.iter().find(first) {
            let (operator, y) = cell.operator(&mut rolled, &node.name);
            nodes.extend(operator);
            states.push((y, cell.h));
        } else if !cells.iter().any(|cell| gives(cell.h)) {
            nodes.push(node.clone());
        }
    }
    rolled.nodes = nodes;
    Some(Rolled {
        graph: rolled,
        states,
    })
}

/// What a cell is made of.
struct Cell {
    x: ValueId,
    /// Before the sample, and after.
    h_in: ValueId,
    h: ValueId,
    /// Of an LSTM its cell, before and after.
    memory: Option<[ValueId; 2]>,
    recurrent: Recurrent,
}

impl Cell {
    /// Its operator, with sequences of one sample around it; and the value that it gives first.
    fn operator(&self, graph: &mut Graph, name: &str) -> (Vec<Node>, ValueId) {
        let first = graph.constant(format!("{name} axis"), Tensor::list(vec![0]));
        let kind = match self.recurrent.kind {
            Kind::Rnn => "RNN",
            Kind::Gru { .. } => "GRU",
            Kind::Lstm | Kind::LstmCoupled => "LSTM",
        };
        let node = |op: Op, inputs: Vec<ValueId>, outputs: Vec<ValueId>| Node {
            name: name.to_owned(),
            kind: format!("{kind}, written out"),
            op,
            inputs: inputs.into_iter().map(Some).collect(),
            outputs,
        };
        let mut nodes = Vec::new();
        let entering = [self.x, self.h_in].into_iter();
        let operands = entering.chain(self.memory.map(|[c_in, _]| c_in)).map(|id| {
            let sequence = graph.value(name);
            nodes.push(node(Op::Unsqueeze, vec![id, first], vec![sequence]));
            sequence
        });
        let operands = operands.collect();
        let [y, h, c] = [(); 3].map(|()| graph.value(name));
        let op = Op::Recurrent(Box::new(self.recurrent.clone()));
        nodes.push(node(op, operands, vec![y, h, c]));
        nodes.push(node(Op::Squeeze, vec![h, first], vec![self.h]));
        if let Some([_, leaving]) = self.memory {
            nodes.push(node(Op::Squeeze, vec![c, first], vec![leaving]));
        }
        (nodes, y)
    }
}

/// Products of values with weights, added up, and a bias.
#[derive(Clone)]
struct Sum {
    /// Of each value the weights, a row for each number of the sum.
    products: Vec<(ValueId, Vec<f32>)>,
    bias: Vec<f32>,
}

impl Sum {
    fn width(&self) -> usize {
        self.bias.len()
    }

    fn plus(mut self, other: Sum) -> Option<Sum> {
        let fits = self.width() == other.width();
        for (id, weights) in other.products {
            match self.products.iter_mut().find(|(known, _)| *known == id) {
                Some((_, own)) => own.iter_mut().zip(weights).for_each(|(a, b)| *a += b),
                None => self.products.push((id, weights)),
            }
        }
        self.bias
            .iter_mut()
            .zip(other.bias)
            .for_each(|(a, b)| *a += b);
        fits.then_some(self)
    }

    /// Some of its numbers.
    fn part(&self, start: usize, len: usize) -> Option<Sum> {
        let width = self.width();
        let end = start
            .checked_add(len)
            .filter(|&end| len > 0 && end <= width)?;
        let rows = |(id, weights): &(ValueId, Vec<f32>)| {
            let n = weights.len() / width;
            (*id, weights[start * n..end * n].to_vec())
        };
        Some(Sum {
            products: self.products.iter().map(rows).collect(),
            bias: self.bias[start..end].to_vec(),
        })
    }

    fn negated(mut self) -> Sum {
        let weights = self.products.iter_mut().flat_map(|(_, weights)| weights);
        weights.chain(&mut self.bias).for_each(|x| *x = -*x);
        self
    }

    /// The weights of a value; zeros if it takes none of it.
    fn of(&self, id: ValueId, inputs: usize) -> Option<Vec<f32>> {
        let found = self.products.iter().find(|(known, _)| *known == id);
        let len = inputs * self.width();
        match found {
            Some((_, weights)) => (weights.len() == len).then(|| weights.clone()),
            None => Some(vec![0.0; len]),
        }
    }
}

/// Which node gives each value.
struct Made<'g> {
    graph: &'g Graph,
    by: Vec<Option<&'g Node>>,
}

impl<'g> Made<'g> {
    fn of(graph: &'g Graph) -> Self {
        let mut by = vec![None; graph.values.len()];
        for node in &graph.nodes {
            node.outputs.iter().for_each(|id| by[id.0] = Some(node));
        }
        Made { graph, by }
    }

    fn operand(&self, node: &Node, k: usize) -> Option<ValueId> {
        node.inputs.get(k).copied().flatten()
    }

    fn constant(&self, id: ValueId) -> Option<&'g Tensor> {
        self.graph.values[id.0].constant.as_ref()
    }

    /// The operands of a node of this kind.
    fn pair(&self, id: ValueId, binary: Binary) -> Option<[ValueId; 2]> {
        let node = self.by[id.0].filter(|node| matches!(node.op, Op::Binary(b) if b == binary))?;
        Some([self.operand(node, 0)?, self.operand(node, 1)?])
    }

    /// The same of one that adds or multiplies, either way around.
    fn pairs(&self, id: ValueId, binary: Binary) -> impl Iterator<Item = [ValueId; 2]> + use<> {
        let pair = self.pair(id, binary);
        pair.into_iter().flat_map(|[a, b]| [[a, b], [b, a]])
    }

    /// What a function is applied to.
    fn under(&self, id: ValueId, function: Function) -> Option<ValueId> {
        let node = self.by[id.0]?;
        match node.op {
            Op::Unary(found) if found == function => self.operand(node, 0),
            _ => None,
        }
    }

    /// Of what value this is a part along the last axis, where it begins and how long it is.
    fn part(&self, id: ValueId, whole: impl Fn(ValueId) -> Option<Sum>) -> Option<Sum> {
        let node = self.by[id.0]?;
        let of = self.operand(node, 0)?;
        match node.op {
            Op::Split { axis: 1 | -1 } => {
                let place = node.outputs.iter().position(|output| *output == id)?;
                let all = whole(of)?;
                let lengths = self.operand(node, 1).map(|id| self.constant(id));
                let lengths = match lengths {
                    Some(lengths) => Some(lengths?),
                    None => None,
                };
                let lengths =
                    interpret::split_lengths(all.width(), lengths, node.outputs.len()).ok()?;
                all.part(lengths[..place].iter().sum(), lengths[place])
            }
            Op::Slice => {
                let all = whole(of)?;
                let shape = [1, all.width()];
                let operand = |k: usize| match self.operand(node, k) {
                    Some(id) => Some(Some(self.known(id, &shape, 0)?)),
                    None => Some(None),
                };
                let zeros = Tensor::f32(shape.to_vec(), vec![0.0; all.width()]).ok()?;
                let (starts, ends) = (operand(1)??, operand(2)??);
                let (axes, steps) = (operand(3)?, operand(4)?);
                let slices =
                    interpret::slices(&zeros, &starts, &ends, axes.as_ref(), steps.as_ref());
                match &slices.ok()?[..] {
                    [one] if one.axis == 1 && one.step == 1 => {
                        all.part(usize::try_from(one.start).ok()?, one.len)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// A value that is computed from a shape alone, of what is that long.
    fn known(&self, id: ValueId, shape: &[usize], depth: usize) -> Option<Tensor> {
        if let Some(constant) = self.constant(id) {
            return Some(constant.clone());
        }
        let node = self.by[id.0].filter(|_| depth < DEEPEST)?;
        if let Op::Shape { .. } = node.op {
            let zeros = Tensor::f32(shape.to_vec(), vec![0.0; shape.iter().product()]).ok()?;
            return interpret::apply(node, &[Some(&zeros)]).ok()?.pop();
        }
        let operands = node.inputs.iter().map(|id| match id {
            Some(id) => self.known(*id, shape, depth + 1).map(Some),
            None => Some(None),
        });
        let operands: Vec<Option<Tensor>> = operands.collect::<Option<_>>()?;
        let operands: Vec<Option<&Tensor>> = operands.iter().map(Option::as_ref).collect();
        interpret::apply(node, &operands).ok()?.pop()
    }

    /// What a function is applied to, before or after it is taken apart.
    fn gate(&self, id: ValueId, function: Function) -> Option<Sum> {
        self.gate_within(id, function, 0)
    }

    fn gate_within(&self, id: ValueId, function: Function, depth: usize) -> Option<Sum> {
        match self.under(id, function) {
            Some(of) => self.sum(of, 0),
            None if depth > DEEPEST => None,
            None => self.part(id, |whole| self.gate_within(whole, function, depth + 1)),
        }
    }

    fn sum(&self, id: ValueId, depth: usize) -> Option<Sum> {
        if depth > DEEPEST {
            return None;
        }
        if let Some(constant) = self.constant(id) {
            let wide = constant.shape.iter().rev().skip(1).all(|&d| d == 1);
            return Some(Sum {
                products: Vec::new(),
                bias: constant.floats().ok().filter(|_| wide)?.to_vec(),
            });
        }
        if let Some([a, b]) = self.pair(id, Binary::Add) {
            return self.sum(a, depth + 1)?.plus(self.sum(b, depth + 1)?);
        }
        let node = self.by[id.0]?;
        if !matches!(node.op, Op::MatMul) {
            return self.part(id, |whole| self.sum(whole, depth + 1));
        }
        let (x, w) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let weight = self.constant(w)?;
        let &[rows, columns] = &weight.shape[..] else {
            return None;
        };
        let w = weight.floats().ok()?;
        let mut products = Vec::new();
        let mut at = 0;
        for (id, n) in self.side_by_side(x, rows)? {
            let row = |o: usize| (at..at + n).map(move |k| w[k * columns + o]);
            products.push((id, (0..columns).flat_map(row).collect()));
            at += n;
        }
        Some(Sum {
            products,
            bias: vec![0.0; columns],
        })
    }

    /// Values that stand side by side in this one, with their widths.
    fn side_by_side(&self, id: ValueId, width: usize) -> Option<Vec<(ValueId, usize)>> {
        let node = match self.by[id.0] {
            Some(node) if matches!(node.op, Op::Concat { axis: 1 | -1 }) => node,
            _ => return Some(vec![(id, width)]),
        };
        let parts: Option<Vec<ValueId>> = node.inputs.iter().copied().collect();
        let widths: Vec<_> = (parts?.into_iter())
            .map(|id| (id, self.width(id, 0)))
            .collect();
        // One may be the rest.
        let open = widths.iter().filter(|(_, n)| n.is_none()).count();
        let known: usize = widths.iter().filter_map(|(_, n)| *n).sum();
        let rest = width
            .checked_sub(known)
            .filter(|&n| (n > 0) == (open == 1))?;
        let widths = widths.into_iter().map(|(id, n)| (id, n.unwrap_or(rest)));
        (open < 2).then(|| widths.collect())
    }

    /// The last dimension of a value, where it is seen without knowing others.
    fn width(&self, id: ValueId, depth: usize) -> Option<usize> {
        let inputs = &self.graph.inputs;
        if let Some(input) = inputs.iter().find(|input| input.value == id) {
            return match input.dims.last() {
                Some(Dim::Fixed(n)) => Some(*n),
                _ => None,
            };
        }
        let node = self.by[id.0].filter(|_| depth < DEEPEST)?;
        match node.op {
            Op::MatMul => self.constant(self.operand(node, 1)?)?.shape.last().copied(),
            Op::Unary(_) | Op::Identity | Op::Squeeze | Op::Unsqueeze | Op::Gather { axis: 0 } => {
                self.width(self.operand(node, 0)?, depth + 1)
            }
            Op::Binary(_) => {
                let operands = node.inputs.iter().flatten();
                operands.filter_map(|id| self.width(*id, depth + 1)).max()
            }
            _ => None,
        }
    }

    /// The cell whose new state this node gives.
    fn cell(&self, node: &'g Node) -> Option<Cell> {
        let &h = node.outputs.first()?;
        match node.op {
            Op::Binary(Binary::Mul) => self.lstm(h),
            Op::Binary(Binary::Add) => self.gru(h),
            Op::Unary(function @ (Function::Tanh | Function::Relu)) => {
                let sum = self.sum(self.operand(node, 0)?, 0)?;
                let (x, h_in) = self.entering(&sum)?;
                // Else it may be a layer that takes two inputs.
                self.leaves(h).then_some(())?;
                self.with_weights(Kind::Rnn, [x, h_in, h], None, &[sum], Some(function))
            }
            _ => None,
        }
    }

    fn lstm(&self, h: ValueId) -> Option<Cell> {
        self.pairs(h, Binary::Mul).find_map(|[o, shown]| {
            let o = self.gate(o, Function::Sigmoid)?;
            let c = self.under(shown, Function::Tanh)?;
            self.pairs(c, Binary::Add).find_map(|[old, new]| {
                let mut kept = self.pairs(old, Binary::Mul);
                let (f, c_in) =
                    kept.find_map(|[f, c_in]| Some((self.gate(f, Function::Sigmoid)?, c_in)))?;
                let mut taken = self.pairs(new, Binary::Mul);
                let (i, g) = taken.find_map(|[i, g]| {
                    let i = self.gate(i, Function::Sigmoid)?;
                    Some((i, self.gate(g, Function::Tanh)?))
                })?;
                self.root(c_in)?;
                let of_memory = |id: &ValueId| self.root(*id) == self.root(c_in);
                let states = o.products.iter().map(|(id, _)| *id).filter(of_memory);
                let states: Vec<ValueId> = states.collect();
                let (x, h_in) = match states[..] {
                    // From the input of the memory, as a part of it.
                    [h_in] => (beside(&o, h_in)?, h_in),
                    _ => self.entering(&o)?,
                };
                let memory = Some([c_in, c]);
                let gates = [i, f, g, o.clone()];
                self.with_weights(Kind::Lstm, [x, h_in, h], memory, &gates, None)
            })
        })
    }

    /// `z h + (1 − z) n`, `n + z (h − n)`, and both with h and n in each other's place.
    fn gru(&self, h: ValueId) -> Option<Cell> {
        let gate = |id: ValueId| self.gate(id, Function::Sigmoid);
        self.pairs(h, Binary::Add).find_map(|[a, b]| {
            // The gate, what it lets through, and what its rest lets through.
            let mixed = self.pairs(a, Binary::Mul).find_map(|[z, through]| {
                if let Some([first, second]) = self.pair(through, Binary::Sub) {
                    return (second == b).then_some((z, first, second));
                }
                self.pairs(b, Binary::Mul).find_map(|[rest, other]| {
                    let [one, same] = self.pair(rest, Binary::Sub)?;
                    let one = self.constant(one)?.floats().ok()? == [1.0];
                    (one && same == z).then_some((z, through, other))
                })
            });
            let (z, through, other) = mixed?;
            let z = gate(z)?;
            let (z, h_in, n) = match self.under(other, Function::Tanh) {
                Some(n) => (z, through, n),
                None => (z.negated(), other, self.under(through, Function::Tanh)?),
            };
            self.root(h_in)?;
            // What the reset gate is multiplied with: a sum of the state, or the state itself.
            let after = self.pairs(n, Binary::Add).find_map(|[plain, reset]| {
                self.pairs(reset, Binary::Mul).find_map(|[r, of_h]| {
                    let (plain, of_h) = (self.sum(plain, 0)?, self.sum(of_h, 0)?);
                    matches!(of_h.products[..], [(id, _)] if id == h_in).then_some(())?;
                    Some((gate(r)?, plain, of_h))
                })
            });
            if let Some((r, plain, of_h)) = after {
                let x = beside(&plain, h_in)?;
                let kind = Kind::Gru { after: true };
                let mut cell = self.with_weights(
                    kind,
                    [x, h_in, h],
                    None,
                    &[
                        r,
                        z,
                        plain.plus(Sum {
                            bias: vec![0.0; of_h.width()],
                            ..of_h.clone()
                        })?,
                    ],
                    None,
                )?;
                let [direction] = &mut cell.recurrent.directions[..] else {
                    return None;
                };
                let start = 2 * of_h.width();
                direction.b_hh[start..].copy_from_slice(&of_h.bias);
                return Some(cell);
            }
            let mut n = self.sum(n, 0)?;
            let r = n.products.iter_mut().find_map(|(id, _)| {
                let r = self
                    .pairs(*id, Binary::Mul)
                    .find_map(|[r, state]| (state == h_in).then(|| gate(r)).flatten())?;
                *id = h_in;
                Some(r)
            })?;
            let x = beside(&n, h_in)?;
            let kind = Kind::Gru { after: false };
            self.with_weights(kind, [x, h_in, h], None, &[r, z, n], None)
        })
    }

    /// Of two values that are multiplied with weights the samples and the state, which is an input.
    fn entering(&self, sum: &Sum) -> Option<(ValueId, ValueId)> {
        let &[(a, ref of_a), (b, ref of_b)] = &sum.products[..] else {
            return None;
        };
        let square = sum.width() * sum.width();
        let first = self.graph.inputs.first().map(|input| input.value);
        let state = |id: ValueId, weights: &[f32]| {
            let root = self.root(id).filter(|_| weights.len() == square)?;
            // The samples are an input too, and mostly the first.
            Some(usize::from(Some(root) != first))
        };
        match (state(a, of_a), state(b, of_b)) {
            (None, None) => None,
            (of_a, of_b) if of_a == of_b => None,
            (of_a, of_b) if of_a > of_b => Some((b, a)),
            _ => Some((a, b)),
        }
    }

    /// With the weights of its gates, in PyTorch's order.
    fn with_weights(
        &self,
        kind: Kind,
        [x, h_in, h]: [ValueId; 3],
        memory: Option<[ValueId; 2]>,
        gates: &[Sum],
        function: Option<Function>,
    ) -> Option<Cell> {
        let hidden = gates.first()?.width();
        let ids = |gate: &Sum| gate.products.iter().all(|(id, _)| [x, h_in].contains(id));
        if hidden == 0 || !gates.iter().all(|gate| gate.width() == hidden && ids(gate)) {
            return None;
        }
        let of_x = gates.iter().flat_map(|gate| &gate.products);
        let inputs = of_x
            .filter(|(id, _)| *id == x)
            .map(|(_, w)| w.len() / hidden)
            .max()?;
        let weights = |id: ValueId, n: usize| -> Option<Vec<f32>> {
            let all = gates.iter().map(|gate| gate.of(id, n));
            Some(all.collect::<Option<Vec<_>>>()?.concat())
        };
        let recurrent = Recurrent {
            kind,
            inputs,
            hidden,
            directions: vec![Direction {
                reverse: false,
                w_ih: weights(x, inputs)?,
                w_hh: weights(h_in, hidden)?,
                b_ih: gates.iter().flat_map(|gate| gate.bias.clone()).collect(),
                b_hh: vec![0.0; gates.len() * hidden],
                peephole: None,
                projection: None,
                functions: function.map_or(Recurrent::functions(kind), |f| [f; 3]),
            }],
            clip: None,
            cell_clip: None,
        };
        recurrent.check().ok()?;
        Some(Cell {
            x,
            h_in,
            h,
            memory,
            recurrent,
        })
    }

    /// It is an output of the graph, as it is or beside others.
    fn leaves(&self, id: ValueId) -> bool {
        let mut values = vec![id];
        for node in &self.graph.nodes {
            let passes = node.op.moves() || matches!(node.op, Op::Concat { .. });
            if passes && node.inputs.iter().flatten().any(|id| values.contains(id)) {
                values.extend(&node.outputs);
            }
        }
        self.graph.outputs.iter().any(|id| values.contains(id))
    }

    /// The input of the graph that this is a part of, in whatever shape.
    fn root(&self, id: ValueId) -> Option<ValueId> {
        let mut id = id;
        while let Some(node) = self.by[id.0] {
            let moves = node.op.moves();
            id = node.inputs.first().copied().flatten().filter(|_| moves)?;
        }
        let inputs = self.graph.inputs.iter().map(|input| input.value);
        inputs.into_iter().find(|input| *input == id)
    }
}

/// The value that goes into a sum beside this one.
fn beside(sum: &Sum, than: ValueId) -> Option<ValueId> {
    let mut others = sum
        .products
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| *id != than);
    let found = others.next()?;
    others.next().is_none().then_some(found)
}

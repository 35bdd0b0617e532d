//! LSTMs that an exporter wrote out as products, gates and sums, for one sample with its states as inputs (keras2onnx of a stateful layer, DTLN's
//! second network). Such a cell becomes one operator for [`super::lower`]:
//!
//! ```text
//! z = x W + h U + b      i, f, g, o = split(z)      c' = σ(f) c + σ(i) tanh(g)      h' = σ(o) tanh(c')
//! ```
//!
//! In which part of `z` each gate lies follows from what is done with it. The proof runs the graph as the file has it, so a cell that was taken
//! for something else is found there.

use super::graph::{
    Binary, Direction, Function, Graph, Kind, Node, Op, Recurrent, Tensor, ValueId,
};

/// What is summed up in gates, at the most: two products and their biases, and a few more.
const TERMS: usize = 8;

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
        if let Some(cell) = cells.iter().find(|cell| gives(cell.c)) {
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
    c_in: ValueId,
    h: ValueId,
    c: ValueId,
    recurrent: Recurrent,
}

impl Cell {
    /// Its operator, with sequences of one sample around it; and the value that it gives first.
    fn operator(&self, graph: &mut Graph, name: &str) -> (Vec<Node>, ValueId) {
        let first = graph.constant(format!("{name} axis"), Tensor::list(vec![0]));
        let node = |op: Op, inputs: Vec<ValueId>, outputs: Vec<ValueId>| Node {
            name: name.to_owned(),
            kind: "LSTM, written out".to_owned(),
            op,
            inputs: inputs.into_iter().map(Some).collect(),
            outputs,
        };
        let mut nodes = Vec::new();
        let operands = [self.x, self.h_in, self.c_in].map(|id| {
            let sequence = graph.value(name);
            nodes.push(node(Op::Unsqueeze, vec![id, first], vec![sequence]));
            sequence
        });
        let [y, h, c] = [(); 3].map(|()| graph.value(name));
        let op = Op::Recurrent(Box::new(self.recurrent.clone()));
        nodes.push(node(op, operands.to_vec(), vec![y, h, c]));
        nodes.push(node(Op::Squeeze, vec![h, first], vec![self.h]));
        nodes.push(node(Op::Squeeze, vec![c, first], vec![self.c]));
        (nodes, y)
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

    /// The operands of a node that adds or multiplies two values, either way around.
    fn pairs(&self, id: ValueId, binary: Binary) -> [Option<[ValueId; 2]>; 2] {
        let pair = match self.by[id.0] {
            Some(Node {
                op: Op::Binary(found),
                inputs,
                ..
            }) if *found == binary => match inputs[..] {
                [Some(a), Some(b)] => Some([a, b]),
                _ => None,
            },
            _ => None,
        };
        [pair, pair.map(|[a, b]| [b, a])]
    }

    /// What a function is applied to.
    fn under(&self, id: ValueId, function: Function) -> Option<ValueId> {
        match self.by[id.0]? {
            Node {
                op: Op::Unary(found),
                inputs,
                ..
            } if *found == function => inputs.first().copied().flatten(),
            _ => None,
        }
    }

    /// The value that is split, and which part a function is applied to.
    fn gate(&self, id: ValueId, function: Function) -> Option<(ValueId, usize)> {
        let part = self.under(id, function)?;
        let split = self.by[part.0]?;
        let four = matches!(split.op, Op::Split { axis: -1 | 1 }) && split.outputs.len() == 4;
        let place = split.outputs.iter().position(|id| *id == part)?;
        let whole = split.inputs.first().copied().flatten()?;
        four.then_some((whole, place))
    }

    /// The cell whose new state this node gives.
    fn cell(&self, node: &'g Node) -> Option<Cell> {
        let &h = node.outputs.first()?;
        let states = self.pairs(h, Binary::Mul).into_iter().flatten();
        let mut found = states.filter_map(|[o, shown]| {
            let (whole, o) = self.gate(o, Function::Sigmoid)?;
            let c = self.under(shown, Function::Tanh)?;
            let sums = self.pairs(c, Binary::Add).into_iter().flatten();
            let mut memories = sums.filter_map(|[old, new]| {
                let mut kept = (self.pairs(old, Binary::Mul).into_iter().flatten())
                    .filter_map(|[f, c_in]| Some((self.gate(f, Function::Sigmoid)?, c_in)));
                let mut taken =
                    (self.pairs(new, Binary::Mul).into_iter().flatten()).filter_map(|[i, g]| {
                        let i = self.gate(i, Function::Sigmoid)?;
                        Some((i, self.gate(g, Function::Tanh)?))
                    });
                let ((f, c_in), (i, g)) = (kept.next()?, taken.next()?);
                let one = [f, i, g].iter().all(|gate| gate.0 == whole);
                one.then_some(([i.1, f.1, g.1, o], c_in))
            });
            let (order, c_in) = memories.next()?;
            let mut sorted = order;
            sorted.sort_unstable();
            let all = sorted == [0, 1, 2, 3];
            all.then(|| self.with_weights(whole, order, [c_in, h, c]))?
        });
        found.next()
    }

    /// With what is summed up in its gates, whose parts lie in this order.
    fn with_weights(
        &self,
        whole: ValueId,
        order: [usize; 4],
        [c_in, h, c]: [ValueId; 3],
    ) -> Option<Cell> {
        let (mut products, mut biases) = (Vec::new(), Vec::new());
        let mut left = vec![whole];
        while let Some(id) = left.pop() {
            if left.len() + products.len() + biases.len() > TERMS {
                return None;
            }
            if let Some(constant) = &self.graph.values[id.0].constant {
                biases.push(constant.floats().ok()?);
            } else if let [Some(pair), _] = self.pairs(id, Binary::Add) {
                left.extend(pair);
            } else {
                let node = self.by[id.0].filter(|node| matches!(node.op, Op::MatMul))?;
                let &[Some(x), Some(w)] = &node.inputs[..] else {
                    return None;
                };
                let weight = self.graph.values[w.0].constant.as_ref()?;
                let &[rows, columns] = &weight.shape[..] else {
                    return None;
                };
                products.push((x, rows, columns, weight.floats().ok()?));
            }
        }
        let &[a, b] = &products[..] else { return None };
        let hidden = (a.2 == b.2 && a.2 % 4 == 0).then_some(a.2 / 4)?;
        let state = |product: &(ValueId, usize, usize, &[f32])| {
            product.1 == hidden && self.root(product.0).is_some()
        };
        // The samples may come from an input too, if it is another than that of the memory.
        let beside = |product: &(ValueId, usize, usize, &[f32])| {
            state(product) && self.root(product.0) == self.root(c_in)
        };
        let (x, of_h) = match (state(&a), state(&b), beside(&a), beside(&b)) {
            (true, false, ..) | (true, true, true, false) => (b, a),
            (false, true, ..) | (true, true, false, true) => (a, b),
            _ => return None,
        };
        self.root(c_in)?;
        let wide = biases.iter().all(|bias| bias.len() == 4 * hidden);
        if !wide || hidden == 0 || x.1 == 0 {
            return None;
        }
        // Row by row, gate by gate.
        let places = || {
            let gates = order.into_iter();
            gates.flat_map(|part| (0..hidden).map(move |unit| part * hidden + unit))
        };
        let rows = |(_, rows, columns, w): (ValueId, usize, usize, &[f32])| -> Vec<f32> {
            let row = |place: usize| (0..rows).map(move |k| w[k * columns + place]);
            places().flat_map(row).collect()
        };
        let bias = |place: usize| biases.iter().map(|bias| bias[place]).sum();
        let recurrent = Recurrent {
            kind: Kind::Lstm,
            inputs: x.1,
            hidden,
            directions: vec![Direction {
                reverse: false,
                w_ih: rows(x),
                w_hh: rows(of_h),
                b_ih: places().map(bias).collect(),
                b_hh: vec![0.0; 4 * hidden],
                peephole: None,
                projection: None,
                functions: Recurrent::functions(Kind::Lstm),
            }],
            clip: None,
            cell_clip: None,
        };
        recurrent.check().ok()?;
        Some(Cell {
            x: x.0,
            h_in: of_h.0,
            c_in,
            h,
            c,
            recurrent,
        })
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

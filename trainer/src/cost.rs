//! What a step takes on the cores whose instructions are counted in `benches/results`.
//!
//! ```text
//! instructions = Σ over layers  fixed + unit · units + narrow · MACs with 8-bit inputs + wide · MACs with 16-bit inputs
//! ```
//!
//! The four numbers are least squares of the relative error over the committed tables, so they follow every new
//! count; they give the tables back within 3 % (asserted below). Cells that are counted at three shapes have one number
//! per MAC, and formats and layouts that are counted at two share w8a8's `fixed` too. Units come in eights as in the file, and
//! columns of the state in fours, which packed rows of 8-bit inputs round up to eights. Dense layers and convolutions
//! are taken as products of the portable layout, with what was measured beside them. Two directions over a
//! window take what both cells take, and at every sample what a bidirectional LSTM takes beyond that. So a network that is
//! not in the tables gets an estimate, and the page says so: of small networks in QEMU it was off by 15 % at the most, of two dense layers without
//! a cell by 19 %. Pools are not in it.

use crate::net::{Activation, Cell, Dense, Layer, Network, Recurrent};
use crate::quant::Formats;
use kinglet::format::{Format, Layout};
use kinglet::kernel::LANES;

/// A core with counts.
#[derive(Debug)]
pub struct Core {
    /// As its vendor spells it.
    pub name: &'static str,
    /// Other cores that run the same instructions, and shorter names.
    aliases: &'static [&'static str],
    /// The layout of the model file, as `--for` takes it.
    pub layout: &'static str,
    /// A table of counts.
    counts: &'static str,
    /// What a convolution takes beside its products, and each of its filters: from networks of `firmware-example` in QEMU, which these numbers give back
    /// within 15 %.
    conv: [f64; 2],
    /// The same of a dense layer, beside its products, and each of its outputs.
    dense: [f64; 2],
    /// What a tanh of either takes beyond other activations, what an exponential, and what the division of a softmax.
    activation: [f64; 3],
}

macro_rules! core {
    ($name:literal, $aliases:expr, $layout:literal, $file:literal, $conv:expr, $dense:expr, $activation:expr) => {
        Core {
            name: $name,
            aliases: &$aliases,
            layout: $layout,
            counts: include_str!(concat!(env!("KINGLET_COUNTS"), "/", $file)),
            conv: $conv,
            dense: $dense,
            activation: $activation,
        }
    };
}

/// In the order of their speed.
pub static CORES: [Core; 5] = [
    core!(
        "Cortex-M0+",
        ["cortex-m0"],
        "cortex-m0",
        "cortex-m0.md",
        [2701.0, 78.0],
        [50.0, 90.0],
        [36.0, 190.0, 1880.0]
    ),
    core!(
        "RV32IMC",
        ["riscv32"],
        "portable",
        "riscv32imc.md",
        [1740.0, 48.0],
        [50.0, 65.0],
        [28.0, 104.0, 1260.0]
    ),
    core!(
        "Cortex-M3",
        [],
        "portable",
        "cortex-m3.md",
        [1640.0, 20.0],
        [45.0, 47.0],
        [20.0, 91.0, 570.0]
    ),
    core!(
        "Cortex-M4",
        ["cortex-m7", "cortex-m33"],
        "cortex-m4",
        "cortex-m4.md",
        [1739.0, 37.0],
        [345.0, 39.0],
        [13.0, 120.0, 450.0]
    ),
    core!(
        "Cortex-M55",
        ["cortex-m85"],
        "cortex-m55",
        "cortex-m55.md",
        [1590.0, 17.0],
        [250.0, 17.5],
        [13.0, 120.0, 450.0]
    ),
];

/// Integer formats that are counted.
pub const FORMATS: [Format; 3] = [Format::W8A8, Format::W8A16, Format::W4A8];
/// Counted networks with fewer inputs take samples, which are 16-bit; the others embed tokens, as 8-bit numbers.
const EMBEDDED: usize = 128;

/// What a layer consists of, in the order of [`Cost`]'s numbers: one, units, MACs with 8-bit and with 16-bit inputs.
type Terms = [f64; 4];

/// `columns` is what those of the state are a multiple of.
fn terms(
    cell: Cell,
    (format, columns): (Format, usize),
    samples: bool,
    inputs: usize,
    hidden: usize,
) -> Terms {
    let units = hidden.next_multiple_of(LANES);
    let (of_input, of_state) = (
        (cell.products() * units * inputs) as f64,
        (cell.state_products() * units * hidden.next_multiple_of(columns)) as f64,
    );
    let (narrow, wide) = match (format.is_a8(), samples) {
        (false, _) => (0.0, of_input + of_state),
        (true, true) => (of_state, of_input),
        (true, false) => (of_input + of_state, 0.0),
    };
    [1.0, units as f64, narrow, wide]
}

/// Instructions per term.
#[derive(Debug, Clone, Copy)]
struct Cost([f64; 4]);

impl Cost {
    fn of(self, terms: Terms) -> f64 {
        self.0
            .iter()
            .zip(terms)
            .map(|(cost, term)| cost * term)
            .sum()
    }
}

/// As the tables write it.
fn cell_name(cell: Cell) -> &'static str {
    match cell {
        Cell::RnnRelu => Cell::RnnTanh.name(),
        cell => cell.name(),
    }
}

/// A counted network of one layer: inputs, hidden width and instructions.
type Count = (usize, usize, f64);

/// Samples of a counted window.
const WINDOW: f64 = 4.0;

impl Core {
    /// As options write it: "cortex-m0plus".
    pub fn key(&self) -> String {
        self.name.to_lowercase().replace('+', "plus")
    }

    /// The core of an option.
    pub fn named(key: &str) -> Option<&'static Core> {
        let named = |core: &&Core| core.key() == key || core.aliases.contains(&key);
        CORES.iter().find(named)
    }

    /// As [`Self::named`], or what could have been asked for.
    ///
    /// # Errors
    /// With the names of all cores.
    pub fn parse(key: &str) -> Result<&'static Core, String> {
        Core::named(key).ok_or_else(|| {
            let known: Vec<String> = CORES.iter().map(Core::key).collect();
            format!(
                "no core is called {key:?}; those with counted instructions are {}",
                known.join(", ")
            )
        })
    }

    /// The layout of its model files.
    pub fn layout(&self) -> Layout {
        let layouts = [Layout::CortexM0, Layout::CortexM4, Layout::CortexM55];
        let mut layouts = layouts.into_iter();
        layouts
            .find(|layout| layout.name() == self.layout)
            .unwrap_or(Layout::Portable)
    }

    /// The layout of a model whose instructions on it count, where one was asked for; portable is none.
    ///
    /// # Errors
    /// If the layout is of other cores, with those that each belongs to.
    pub fn laid_out(&self, asked: Layout) -> Result<Layout, String> {
        let own = self.layout();
        if asked == own || asked == Layout::Portable {
            return Ok(own);
        }
        let pairs: Vec<String> = CORES
            .iter()
            .map(|core| format!("--for {} for --core {}", core.layout, core.key()))
            .collect();
        Err(format!(
            "--for {}: a model that is laid out so is not what {} runs, whose instructions are counted; leave --for out, or give {}",
            asked.name(),
            self.name,
            pairs.join(", ")
        ))
    }

    /// Counted networks of one layer.
    fn counted(&self, name: &str, format: Format, layout: &str) -> Vec<Count> {
        let wanted = [name, format.name(), layout];
        let row = |line: &str| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let names = [cells.next()?, cells.next()?, cells.next()?];
            let (inputs, hidden) = cells.next()?.split_once(", ")?;
            let counted = cells.next()?.replace(',', "").parse().ok()?;
            let count = (inputs.parse().ok()?, hidden.parse().ok()?, counted);
            (names == wanted).then_some(count)
        };
        self.counts.lines().filter_map(row).collect()
    }

    /// The same of a cell, with what its layer consists of.
    fn rows(&self, cell: Cell, format: Format, layout: &str) -> Vec<(Terms, f64)> {
        let name = cell_name(cell);
        let row = |(inputs, hidden, counted): Count| {
            let samples = inputs < EMBEDDED;
            let terms = terms(cell, self.columns(format), samples, inputs, hidden);
            (terms, counted)
        };
        self.counted(name, format, layout)
            .into_iter()
            .map(row)
            .collect()
    }

    fn cost(&self, cell: Cell, format: Format, layout: &str) -> Option<Cost> {
        let rows = self.rows(cell, format, layout);
        // Everything is relative to the count.
        if format.is_a8() && rows.len() >= 6 {
            let rows = rows.iter().map(|(terms, counted)| {
                let terms = terms.iter().map(|term| term / counted);
                terms.chain([1.0]).collect()
            });
            let cost = least_squares(&rows.collect::<Vec<_>>())?;
            return cost.try_into().ok().map(Cost);
        }
        if rows.len() >= 3 {
            let rows = rows.iter().map(|([one, units, narrow, wide], counted)| {
                let terms = [*one, *units, narrow + wide];
                let terms = terms.iter().map(|term| term / counted);
                terms.chain([1.0]).collect()
            });
            let cost = least_squares(&rows.collect::<Vec<_>>())?;
            return Some(Cost([cost[0], cost[1], cost[2], cost[2]]));
        }
        if (format, layout) == (Format::W8A8, self.layout) {
            return None;
        }
        let fixed = self.cost(cell, Format::W8A8, self.layout)?.0[0];
        let rows = rows.iter().map(|([_, units, narrow, wide], counted)| {
            vec![
                units / counted,
                (narrow + wide) / counted,
                1.0 - fixed / counted,
            ]
        });
        let cost = least_squares(&rows.collect::<Vec<_>>())?;
        Some(Cost([fixed, cost[0], cost[1], cost[1]]))
    }

    fn recurrent(&self, r: &Recurrent, format: Format, samples: bool) -> Option<f64> {
        // Weights of four bits have no other layout but that of Cortex-M4.
        let layout = match format {
            Format::W4A8 if self.layout() != Layout::CortexM4 => "portable",
            _ => self.layout,
        };
        let cost = self.cost(r.cell, format, layout)?;
        let columns = self.columns(format);
        Some(cost.of(terms(r.cell, columns, samples, r.inputs, r.hidden)))
    }

    /// What the columns of a state are a multiple of.
    fn columns(&self, format: Format) -> (Format, usize) {
        let packs = self.layout() == Layout::CortexM4 && format.is_a8();
        (format, if packs { LANES } else { 4 })
    }

    /// What sums go through beyond what other activations take.
    fn activation(&self, of: &Dense) -> f64 {
        let [tanh, exp, division] = self.activation;
        let padded = of.outputs.next_multiple_of(LANES) as f64;
        match of.activation {
            Activation::Tanh | Activation::Sigmoid => tanh * padded,
            Activation::Elu => exp * padded,
            Activation::Softmax => 2.0 * exp * of.outputs as f64 + division,
            Activation::Identity | Activation::Relu | Activation::Magnitude => 0.0,
        }
    }

    /// A layer of rows that no cell has, beside `fixed` at each of so many positions: each output, its products, and what they go through.
    fn rows_of(
        &self,
        of: &Dense,
        [fixed, output]: [f64; 2],
        format: Format,
        positions: usize,
    ) -> Option<f64> {
        let Cost([_, _, mac, _]) = self.cost(Cell::RnnTanh, format, "portable")?;
        let outputs = of.outputs.next_multiple_of(LANES) as f64;
        let at = outputs * (output + mac * of.inputs as f64) + self.activation(of);
        Some(fixed + positions as f64 * at)
    }

    /// What one direction over a window takes at a sample beyond its cell: it begins, keeps what it gives, and goes on.
    fn direction(&self, hidden: usize) -> Option<f64> {
        let format = Format::W8A8;
        let lstm = self.cost(Cell::Lstm, format, self.layout)?;
        let row = |(inputs, hidden, counted): Count| {
            let cell = lstm.of(terms(
                Cell::Lstm,
                self.columns(format),
                true,
                inputs,
                hidden,
            ));
            vec![1.0, hidden as f64, counted / (2.0 * WINDOW) - cell]
        };
        let rows = self.counted("bidirectional lstm", format, self.layout);
        let more = least_squares(&rows.into_iter().map(row).collect::<Vec<_>>())?;
        Some(more[0] + more[1] * hidden.next_multiple_of(LANES) as f64)
    }

    /// Instructions of a step, where not every sample has an answer of a step on average; none where the cell or the format is not counted.
    pub fn instructions(&self, net: &Network, formats: impl Into<Formats>) -> Option<f64> {
        let formats = formats.into();
        let mut sum = 0.0;
        // Of steps, how many a layer takes part in.
        let mut share = 1.0;
        for (k, layer) in net.layers.iter().enumerate() {
            let format = formats.of(k);
            let mut own = share;
            if let Some(pool) = layer.pool() {
                share /= f64::from(pool.every);
                if pool.kernel == 1 {
                    own = share;
                }
            }
            sum += own
                * match layer {
                    // A copy of a row, which the counts of embedded inputs contain where a cell takes them.
                    Layer::Embedding(e) => match net.layers.get(k + 1) {
                        Some(Layer::Recurrent(_) | Layer::Bidirectional(_)) => 0.0,
                        _ => e.dim as f64,
                    },
                    Layer::Recurrent(r) => self.recurrent(r, format, k == 0)?,
                    // Both directions at one sample of the window.
                    Layer::Bidirectional(b) => {
                        let [forward, backward] = b.halves();
                        self.recurrent(forward, format, k == 0)?
                            + self.recurrent(backward, format, k == 0)?
                            + 2.0 * self.direction(forward.hidden)?
                    }
                    // Its products, once for each position.
                    Layer::Conv(c) => {
                        self.rows_of(&c.dense, self.conv, format, c.shape.positions())?
                    }
                    // What becomes of a number takes about as long as what becomes of a unit.
                    Layer::Norm(n) => {
                        let Cost([_, unit, ..]) =
                            self.cost(Cell::RnnTanh, Format::W8A8, self.layout)?;
                        unit * n.width() as f64
                    }
                    // A copy, or a few instructions for each number.
                    Layer::Keep(width) => *width as f64,
                    Layer::Join(j) => 8.0 * j.outputs() as f64,
                    Layer::Dense(d) => self.rows_of(d, self.dense, format, 1)?,
                };
        }
        Some(sum)
    }
}

/// The factors of the columns whose sum is closest to the last column: normal equations and elimination, which is
/// exact enough for four unknowns. None if the rows do not tell the columns apart.
fn least_squares(rows: &[Vec<f64>]) -> Option<Vec<f64>> {
    let n = rows.first()?.len() - 1;
    let product = |i: usize, j: usize| rows.iter().map(|row| row[i] * row[j]).sum::<f64>();
    let line = |i: usize| (0..=n).map(|j| product(i, j)).collect();
    let mut lines: Vec<Vec<f64>> = (0..n).map(line).collect();
    for k in 0..n {
        let pivot = lines[k].clone();
        if pivot[k] <= 1e-9 * product(k, k) {
            return None;
        }
        for (_, line) in lines.iter_mut().enumerate().filter(|(i, _)| *i != k) {
            let factor = line[k] / pivot[k];
            line.iter_mut()
                .zip(&pivot)
                .for_each(|(x, y)| *x -= factor * y);
        }
    }
    Some((0..n).map(|k| lines[k][n] / lines[k][k]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::init::{ConvPlan, LayerPlan, Rng, network};

    #[test]
    fn the_committed_counts_are_given_back_within_3_percent() {
        for core in &CORES {
            let mut rows = 0;
            for cell in [
                Cell::Lstm,
                Cell::GruResetAfter,
                Cell::RnnTanh,
                Cell::FastGrnn,
                Cell::LstmCoupled,
                Cell::LstmPeephole,
            ] {
                for format in FORMATS {
                    for (terms, counted) in core.rows(cell, format, core.layout) {
                        let estimate = core.cost(cell, format, core.layout).unwrap().of(terms);
                        let error = estimate / counted - 1.0;
                        assert!(
                            error.abs() < 0.03,
                            "{}, {cell:?}, {format:?}, {terms:?}: {estimate:.0} for {counted}, {error:+.4}",
                            core.name
                        );
                        rows += 1;
                    }
                }
            }
            assert!(rows >= 45, "{}: {rows}", core.name);
        }
    }

    #[test]
    fn windows_from_both_ends_are_estimated_as_they_were_counted() {
        for core in &CORES {
            for (inputs, hidden) in [(3, 16), (7, 32)] {
                let plan = [LayerPlan::Bidirectional(Cell::Lstm, hidden)];
                let net = network(inputs, &plan, &mut Rng::new(1));
                let estimate = WINDOW * core.instructions(&net, Format::W8A8).unwrap();
                let counts = core.counted("bidirectional lstm", Format::W8A8, core.layout);
                let same = |row: &&Count| (row.0, row.1) == (inputs, hidden);
                let &(.., counted) = counts.iter().find(same).unwrap();
                let error = estimate / counted - 1.0;
                assert!(error.abs() < 1e-6, "{}: {error:+.4}", core.name);
                assert!(core.direction(64).unwrap() > 0.0, "{}", core.name);
            }
        }
    }

    /// LSTM(6 → 32) and Dense(32 → 1). `firmware-example/run.sh` prints what they take.
    #[test]
    fn the_example_firmwares_network_is_estimated_within_15_percent() {
        let plan = [LayerPlan::Recurrent(Cell::Lstm, 32)];
        let mut net = network(6, &plan, &mut Rng::new(1));
        net.layers.push(Layer::Dense(Dense {
            inputs: 32,
            outputs: 1,
            weight: vec![0.0; 32],
            bias: vec![0.0],
            activation: Activation::Identity,
        }));
        for (name, counted) in [
            ("RV32IMC", 26_596.0),
            ("Cortex-M3", 17_788.0),
            ("Cortex-M4", 7_406.0),
            ("Cortex-M55", 3_717.0),
        ] {
            let core = CORES.iter().find(|core| core.name == name).unwrap();
            let estimate = core.instructions(&net, Format::W8A8).unwrap();
            let error = estimate / counted - 1.0f64;
            assert!(error.abs() < 0.15, "{name}: {estimate:.0}, {error:+.4}");
        }
    }

    /// What `firmware-example` took of these in QEMU: widths that are no multiples of eight, minGRU, dense layers and convolutions.
    #[test]
    fn networks_that_are_not_in_the_tables_are_estimated_within_15_percent() {
        let dense = |outputs| LayerPlan::Dense(outputs, Activation::Identity);
        let conv = |filters, kernel, dilation| {
            LayerPlan::Conv(ConvPlan {
                filters,
                kernel,
                dilation,
                pool: None,
                activation: Activation::Relu,
            })
        };
        let cell = LayerPlan::Recurrent;
        let networks = [
            (
                vec![cell(Cell::Lstm, 9), dense(1)],
                &[11_538, 8900, 6004, 3326, 2392][..],
            ),
            (
                vec![cell(Cell::Lstm, 15), dense(1)],
                &[12_540, 9827, 6652, 3368][..],
            ),
            (
                vec![
                    cell(Cell::GruResetAfter, 33),
                    dense(17),
                    dense(9),
                    dense(3),
                    dense(1),
                ],
                &[41_649, 33_850, 23_324, 12_491][..],
            ),
            (
                vec![cell(Cell::MinGru, 10), cell(Cell::MinGru, 5), dense(1)],
                &[8708, 6346, 4397, 3849][..],
            ),
            (
                vec![cell(Cell::FastGrnn, 10), cell(Cell::FastGrnn, 5), dense(1)],
                &[9786, 7279, 4793, 4301][..],
            ),
            (
                vec![
                    conv(6, 5, 1),
                    conv(6, 3, 4),
                    cell(Cell::GruResetAfter, 7),
                    dense(1),
                ],
                &[13_805, 10_007, 7475, 6265][..],
            ),
            (
                vec![
                    conv(8, 5, 1),
                    conv(8, 3, 4),
                    cell(Cell::GruResetAfter, 8),
                    dense(1),
                ],
                &[13_981, 9914, 7513, 6337, 5742][..],
            ),
            (
                vec![
                    cell(Cell::Lstm, 9),
                    LayerPlan::Dense(2, Activation::Softmax),
                ],
                &[14_174, 10_575, 6937, 4259][..],
            ),
        ];
        for (plan, counts) in networks {
            let net = network(3, &plan, &mut Rng::new(1));
            for (core, &counted) in CORES.iter().zip(counts) {
                let estimate = core.instructions(&net, Format::W8A8).unwrap();
                let error = estimate / f64::from(counted) - 1.0;
                assert!(
                    error.abs() < 0.15,
                    "{}, {plan:?}: {estimate:.0} for {counted}, {error:+.3}",
                    core.name
                );
            }
        }
    }

    #[test]
    fn least_squares_find_what_the_rows_were_made_of() {
        let row = |x: f64, y: f64| vec![1.0, x, y, 500.0 + 3.0 * x + 0.25 * y];
        let rows = [
            row(8.0, 300.0),
            row(16.0, 1200.0),
            row(64.0, 20_000.0),
            row(64.0, 9000.0),
        ];
        let found = least_squares(&rows).unwrap();
        for (found, made) in found.iter().zip([500.0, 3.0, 0.25]) {
            assert!((found / made - 1.0).abs() < 1e-9, "{found} {made}");
        }
        assert_eq!(least_squares(&rows[..1]), None);
    }

    #[test]
    fn cores_have_the_names_of_those_that_run_the_same_instructions() {
        for (key, name) in [
            ("cortex-m0plus", "Cortex-M0+"),
            ("cortex-m0", "Cortex-M0+"),
            ("riscv32", "RV32IMC"),
            ("cortex-m33", "Cortex-M4"),
            ("cortex-m85", "Cortex-M55"),
        ] {
            assert_eq!(Core::parse(key).unwrap().name, name);
        }
        assert!(Core::parse("z80").unwrap_err().contains("cortex-m3"));
    }

    #[test]
    fn a_layout_of_other_cores_is_refused() {
        let m4 = Core::parse("cortex-m7").unwrap();
        assert_eq!(m4.laid_out(Layout::Portable), Ok(Layout::CortexM4));
        assert_eq!(m4.laid_out(Layout::CortexM4), Ok(Layout::CortexM4));
        let refused = m4.laid_out(Layout::CortexM55).unwrap_err();
        assert!(
            refused.contains(
                "--for portable for --core cortex-m3, --for cortex-m4 for --core cortex-m4"
            ),
            "{refused}"
        );
    }
}

//! The order of the modules: an embedding perhaps, or convolutions, then cells, then dense layers; normalisations among them. Where
//! that fits in no way, dense layers may stand before cells too.
//!
//! A chain in which every module takes as many values as the one before it gives. All orders are
//! tried; if exactly one fits, it is the network's. If several do, the user says which, because the
//! file cannot. Modules with the same numbers in them (an output layer tied to the embedding) are
//! interchangeable and count once.

use anyhow::{Result, bail, ensure};

use super::graph::Recurrent;
use super::modules::{Filters, Matrix, Module, Weights};
use super::questions::Questions;

/// More modules than this are not tried in all orders.
const MOST: usize = 10;

/// How far a chain has come, and how many values its last module gives.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Start,
    /// A matrix without a bias came first: an embedding, or a linear layer. So many rows and columns.
    Table(usize, usize),
    Embedded(usize),
    Convolved(usize),
    /// A normalisation of samples.
    NormedSamples(usize),
    /// A normalisation stands behind a convolution, or one of a sample's numbers first.
    Normed(usize),
    Stepped(usize),
    Mapped(usize),
}

/// Puts the modules in order.
pub(super) fn chain(
    modules: Vec<Module>,
    order: &[String],
    questions: &mut Questions,
) -> Result<Vec<Module>> {
    let path = if order.is_empty() {
        derived(&modules, questions)?
    } else {
        stated(&modules, order)?
    };
    // A table may be there twice.
    Ok(path.into_iter().map(|i| modules[i].clone()).collect())
}

/// What the last layer gives.
fn state_width(cells: &[Recurrent]) -> usize {
    cells
        .last()
        .map_or(0, |cell| cell.directions.len() * cell.width())
}

/// The stage after `module`, or what keeps it from standing here. `early`: an nn.Linear may stand before a cell.
fn follow(stage: Stage, module: &Module, early: bool) -> Result<Stage, String> {
    let wrong_width = |rows: usize, found: usize, width: usize| {
        format!(
            "tensor `{}`: shape [{rows}, {found}], expected [{rows}, {width}], as the module before \
             it gives {width} values",
            module.entry
        )
    };
    match (stage, &module.weights) {
        (Stage::Table(rows, cols), _) => {
            let embedded = follow(Stage::Embedded(cols), module, early);
            match early {
                true => embedded.or_else(|reason| {
                    follow(Stage::Mapped(rows), module, early).map_err(|_| reason)
                }),
                false => embedded,
            }
        }
        (Stage::Start, Weights::Cells { cells }) => Ok(Stage::Stepped(state_width(cells))),
        (Stage::Mapped(_), Weights::Cells { .. }) if !early => {
            Err(format!("{} cannot follow an nn.Linear", module.label()))
        }
        (
            Stage::NormedSamples(width)
            | Stage::Embedded(width)
            | Stage::Convolved(width)
            | Stage::Normed(width)
            | Stage::Mapped(width)
            | Stage::Stepped(width),
            Weights::Cells { cells },
        ) => {
            let first = &cells[0];
            if first.inputs == width {
                return Ok(Stage::Stepped(state_width(cells)));
            }
            let rows = first.kind.gates() * first.hidden;
            Err(wrong_width(rows, first.inputs, width))
        }
        (
            Stage::Start,
            Weights::Matrix(Matrix {
                rows,
                cols,
                bias: None,
                ..
            }),
        ) => Ok(Stage::Table(*rows, *cols)),
        (Stage::Start, Weights::Matrix(matrix)) => match early {
            true => Ok(Stage::Mapped(matrix.rows)),
            false => Err(format!(
                "{} has a bias, so it is an nn.Linear, and stands before a cell only where nothing else fits",
                module.label()
            )),
        },
        (
            Stage::NormedSamples(_) | Stage::Embedded(_) | Stage::Convolved(_) | Stage::Normed(_),
            Weights::Matrix(_),
        ) if !early => Err(format!(
            "{} cannot stand between an nn.Embedding or nn.Conv1d and a cell",
            module.label()
        )),
        (Stage::Start, Weights::Conv(Filters { shape, .. })) => Ok(Stage::Convolved(shape[0])),
        (
            Stage::NormedSamples(width)
            | Stage::Embedded(width)
            | Stage::Convolved(width)
            | Stage::Normed(width),
            Weights::Conv(Filters { shape, .. }),
        ) => {
            let [filters, channels, _] = *shape;
            // Samples are not taken for those of several groups.
            let grouped = matches!(stage, Stage::NormedSamples(_)) && channels != width;
            if !grouped
                && width.is_multiple_of(channels)
                && filters.is_multiple_of(width / channels)
            {
                return Ok(Stage::Convolved(filters));
            }
            Err(wrong_width(filters, channels, width))
        }
        (Stage::Convolved(width), Weights::Norm(moments)) if moments.mean.len() == width => {
            Ok(Stage::Normed(width))
        }
        (Stage::Stepped(width) | Stage::Mapped(width), Weights::Norm(moments))
            if moments.mean.len() == width =>
        {
            Ok(stage)
        }
        (Stage::Start, Weights::Norm(moments)) => Ok(Stage::NormedSamples(moments.mean.len())),
        (stage, Weights::LayerNorm([gamma, _])) => {
            let width = match stage {
                Stage::Start => return Ok(Stage::Normed(gamma.len())),
                Stage::Convolved(_) => {
                    return Err(format!(
                        "{} behind an nn.Conv1d: a state dict does not say on which side of the activation it stands; export to ONNX",
                        module.label()
                    ));
                }
                Stage::Table(_, width)
                | Stage::NormedSamples(width)
                | Stage::Embedded(width)
                | Stage::Normed(width)
                | Stage::Stepped(width)
                | Stage::Mapped(width) => width,
            };
            match gamma.len() == width {
                true => Ok(stage),
                false => Err(format!(
                    "tensor `{}`: {} numbers, expected {width}, as the module before it gives",
                    module.entry,
                    gamma.len()
                )),
            }
        }
        (_, Weights::Norm(_)) => Err(format!(
            "{} stands neither first nor behind an nn.Conv1d, a cell or an nn.Linear of its width",
            module.label()
        )),
        (Stage::Stepped(_) | Stage::Mapped(_), Weights::Conv(_)) => Err(format!(
            "{} cannot follow a cell or an nn.Linear",
            module.label()
        )),
        (
            Stage::NormedSamples(width)
            | Stage::Embedded(width)
            | Stage::Convolved(width)
            | Stage::Normed(width)
            | Stage::Stepped(width)
            | Stage::Mapped(width),
            Weights::Matrix(matrix),
        ) => {
            if matrix.cols == width {
                return Ok(Stage::Mapped(matrix.rows));
            }
            Err(wrong_width(matrix.rows, matrix.cols, width))
        }
    }
}

/// The order given by `--order`, checked.
fn stated(modules: &[Module], order: &[String]) -> Result<Vec<usize>> {
    let all = || {
        modules
            .iter()
            .map(Module::label)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut path = Vec::new();
    let mut stage = Stage::Start;
    for name in order {
        let Some(i) = modules.iter().position(|m| m.flag_name() == name) else {
            bail!(
                "--order: there is no module `{name}`, expected some order of {}",
                all()
            );
        };
        // An embedding that is the head too.
        let tied = path.first() == Some(&i)
            && path.iter().filter(|&&k| k == i).count() == 1
            && path.len() + 1 == order.len()
            && is_table(&modules[i]);
        ensure!(
            tied || !path.contains(&i),
            "--order: `{name}` is there twice, expected each module once, or an embedding first and again last, whose table is the head's weights"
        );
        stage = follow(stage, &modules[i], true)
            .or_else(|reason| bail!("--order: at `{name}`: {reason}: give another order"))?;
        path.push(i);
    }
    if let Some((_, left)) = modules.iter().enumerate().find(|(i, _)| !path.contains(i)) {
        bail!(
            "--order: {} is not in it: name it, or leave it out with --ignore",
            left.label()
        );
    }
    Ok(path)
}

/// The only order that fits, or one of several, about which is asked.
fn derived(modules: &[Module], questions: &mut Questions) -> Result<Vec<usize>> {
    let labels = |path: &[usize]| path.iter().map(|&i| modules[i].label()).collect::<Vec<_>>();
    let flag = |path: &[usize]| {
        let names: Vec<_> = path.iter().map(|&i| modules[i].flag_name()).collect();
        format!("--order {}", names.join(","))
    };
    ensure!(
        modules.len() <= MOST,
        "{} modules, expected at most {MOST} without --order: give their order, or leave out what \
         does not belong with --ignore: {}",
        modules.len(),
        labels(&(0..modules.len()).collect::<Vec<_>>()).join(", ")
    );

    let search = |early: bool, like: Option<usize>| {
        let mut search = Search {
            modules,
            early,
            like,
            found: Vec::new(),
            deepest: Vec::new(),
            stopped: Vec::new(),
        };
        search.extend(&mut Vec::new(), Stage::Start);
        search
    };
    let mut orders = search(false, None);
    match &orders.found[..] {
        [] => orders = search(true, None),
        // Where linear layers could stand before cells too, nobody knows.
        [path] => {
            let others = search(true, path.first().copied());
            if others.found.len() > 1 {
                orders = others;
            }
        }
        _ => {}
    }
    match &orders.found[..] {
        [path] => Ok(path.clone()),
        [] => bail!(
            "the modules do not fit together, expected [nn.Embedding], [nn.Conv1d ...], [nn.Linear ...], cells, [nn.Linear ...], with nn.LayerNorm and nn.BatchNorm1d among them: \
             after {}, {}. Export the network to ONNX, which says how its modules are connected; --ignore PREFIX leaves out a module, and is right only where the \
             outputs do not depend on it",
            match &orders.deepest[..] {
                [] => "the input".to_owned(),
                deepest => labels(deepest).join(", "),
            },
            orders.stopped.join("; ")
        ),
        [one, other, ..] => {
            // A file leaves out weights that it has under another name.
            let first = |path: &&Vec<usize>| is_table(&modules[path[0]]);
            let tied = [one, other].into_iter().find(first).map(|path| {
                let tied: Vec<usize> = path.iter().chain(path.first()).copied().collect();
                format!(
                    "; where an embedding's table is the weights of the head too (tied), {}",
                    flag(&tied)
                )
            });
            questions.ask(format!(
                "the modules fit together in several orders, and a state dict does not say which it \
                 was: give {} or {} or another{}",
                flag(one),
                flag(other),
                tied.unwrap_or_default()
            ));
            Ok(one.clone())
        }
    }
}

/// It may be an embedding.
fn is_table(module: &Module) -> bool {
    matches!(&module.weights, Weights::Matrix(matrix) if matrix.bias.is_none())
}

/// Matrices with the same numbers: whichever stands here, the network is the same.
fn alike(a: &Module, b: &Module) -> bool {
    matches!((&a.weights, &b.weights), (Weights::Matrix(a), Weights::Matrix(b)) if a == b)
}

struct Search<'a> {
    modules: &'a [Module],
    /// Dense layers may stand before cells.
    early: bool,
    /// The first of them takes what this one takes, or is a matrix that does not narrow, as an answer does.
    like: Option<usize>,
    /// Complete orders; two are enough to know that there is a choice.
    found: Vec<Vec<usize>>,
    /// The longest incomplete order, and what kept each remaining module from following it.
    deepest: Vec<usize>,
    stopped: Vec<String>,
}

impl Search<'_> {
    fn extend(&mut self, path: &mut Vec<usize>, stage: Stage) {
        if self.found.len() == 2 {
            return;
        }
        if path.len() == self.modules.len() {
            // An order that ends with the embedding has no cell, and there is always a cell.
            self.found.push(path.clone());
            return;
        }
        let mut tried: Vec<usize> = Vec::new();
        let mut stopped = Vec::new();
        for (i, module) in self.modules.iter().enumerate() {
            let like = |k: usize| {
                let inputs = module.inputs();
                k == i || inputs.is_some() && inputs == self.modules[k].inputs()
            };
            let widens = matches!(&module.weights, Weights::Matrix(m) if m.rows >= m.cols);
            let unlike = stage == Stage::Start && !widens && !self.like.is_none_or(like);
            if unlike || path.contains(&i) || tried.iter().any(|&t| alike(&self.modules[t], module))
            {
                continue;
            }
            match follow(stage, module, self.early) {
                Ok(next) => {
                    tried.push(i);
                    path.push(i);
                    self.extend(path, next);
                    path.pop();
                }
                Err(reason) => stopped.push(reason),
            }
        }
        if tried.is_empty() && (self.stopped.is_empty() || path.len() > self.deepest.len()) {
            self.deepest = path.clone();
            self.stopped = stopped;
        }
    }
}

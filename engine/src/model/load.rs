//! From a decoded header to a model: sizes, then tensors, then the plan of the state. Whatever is wrong
//! in a file is found here, so that a step has nothing to check.

use super::{Model, Place, Plan, Stage, Tests};
use crate::cell::{Dense, DenseSpec, Embedding, Recurrent, Spec, panels};
use crate::format::{
    Activation, Cell, Feature, FeatureTransform, Header, Input, Layer, LoadError, MAX_LAYERS,
    MAX_VOCAB, MAX_WIDTH, Output, Preamble, SLOW, Shape, Target, TargetRestore, Tensors, pad,
};
use crate::kernel::LANES;
use heapless::Vec;

/// Samples of a bidirectional model's window: their rows must fit into 32-bit addresses.
const MAX_WINDOW: usize = 1 << 14;

fn size(what: &'static str, found: usize, max: usize) -> Result<usize, LoadError> {
    if found == 0 || found > max {
        Err(LoadError::Size { what, found, max })
    } else {
        Ok(found)
    }
}

/// Builds a model from a decoded header: sizes, then tensors, then the plan of the state.
pub(super) struct Loader<'a> {
    header: Header<'a>,
    preamble: Preamble,
    tensors: Tensors<'a>,
    plan: Plan,
}

impl<'a> Loader<'a> {
    pub(super) fn new(header: Header<'a>, preamble: Preamble, payload: &'a [u8]) -> Self {
        Loader {
            header,
            preamble,
            tensors: Tensors::new(payload),
            plan: Plan {
                mark: 1,
                ..Plan::default()
            },
        }
    }

    pub(super) fn load(mut self) -> Result<Model<'a>, LoadError> {
        size("number of layers", self.header.layers.len(), MAX_LAYERS)?;
        let features = self.features()?;
        let targets = self.targets()?;
        if let Shape::Window { window, hop, .. } = self.header.shape {
            size("window", window as usize, 1 << 24)?;
            size("hop", hop as usize, 1 << 24)?;
        }
        // The layers are most of a model: they are made where they stay, for the sake of small stacks.
        let mut model = Model {
            header: self.header.clone(),
            smoothing: None,
            preamble: self.preamble,
            features,
            targets,
            layers: Vec::new(),
            plan: Plan::default(),
            tests: Tests::Float {
                inputs: &[],
                outputs: &[],
            },
        };
        self.layers(&mut model.layers)?;
        model.tests = self.tests()?;
        self.tensors.finish()?;
        let (stored, need) = (self.preamble.state_len, self.plan.bytes());
        if stored != need {
            return Err(LoadError::StateSize { stored, need });
        }
        model.plan = self.plan;
        Ok(model)
    }

    fn features(&mut self) -> Result<&'a [Feature], LoadError> {
        let (Input::Features { count, names } | Input::Tokens { count, names }) = self.header.input;
        let tokens = matches!(self.header.input, Input::Tokens { .. });
        let what = if tokens {
            "number of tokens"
        } else {
            "number of features"
        };
        let count = size(
            what,
            count as usize,
            if tokens { MAX_VOCAB } else { MAX_WIDTH },
        )?;
        if names.split('\0').count() != count {
            return Err(LoadError::Value {
                what: "number of input names",
                index: 0,
            });
        }
        if tokens {
            return Ok(&[]);
        }
        let features = self.tensors.take::<Feature>(count)?;
        let (mut looks_back, mut holds) = (false, false);
        for (index, feature) in features.iter().enumerate() {
            let wrong = LoadError::Value {
                what: "feature",
                index,
            };
            let transform = FeatureTransform::from_tag(feature.tag()).ok_or(wrong)?;
            let finite = feature.offset.is_finite() && feature.scale.is_finite();
            if feature.column as usize >= count || !finite {
                return Err(wrong);
            }
            looks_back |= transform.looks_back();
            holds |= feature.holds() || transform == FeatureTransform::Missing;
        }
        if holds {
            self.plan.held = 1 + count;
        }
        self.plan.previous = self.plan.held;
        if looks_back {
            self.plan.previous += 1 + count;
        }
        Ok(features)
    }

    fn targets(&mut self) -> Result<&'a [Target], LoadError> {
        let count = self.header.output.count();
        match self.header.output {
            Output::Values { names, .. } => {
                size("number of outputs", count, MAX_WIDTH)?;
                if names.split('\0').count() != count {
                    return Err(LoadError::Value {
                        what: "number of output names",
                        index: 0,
                    });
                }
            }
            Output::Classes { names, .. } => {
                size("number of classes", count, MAX_WIDTH)?;
                if names.split('\0').count() != count {
                    return Err(LoadError::Value {
                        what: "number of class names",
                        index: 0,
                    });
                }
                return Ok(&[]);
            }
            Output::NextToken { .. } => {
                let tokens = match self.header.input {
                    Input::Tokens { count, .. } => count as usize,
                    Input::Features { .. } => 0,
                };
                if count != tokens {
                    return Err(LoadError::Value {
                        what: "number of next tokens",
                        index: 0,
                    });
                }
                return Ok(&[]);
            }
        }
        let targets = self.tensors.take::<Target>(count)?;
        let features = match self.header.input {
            Input::Features { count, .. } => count as u32,
            Input::Tokens { .. } => 0,
        };
        for (index, target) in targets.iter().enumerate() {
            let wrong = LoadError::Value {
                what: "target",
                index,
            };
            let restore = TargetRestore::from_tag(target.restore).ok_or(wrong)?;
            let refers = matches!(restore, TargetRestore::AddTo | TargetRestore::TimesExp);
            if (refers && target.column >= features)
                || (target.feeds != u32::MAX && target.feeds >= features)
                || !(target.scale.is_finite() && target.offset.is_finite())
            {
                return Err(wrong);
            }
        }
        Ok(targets)
    }

    fn layers(&mut self, stages: &mut Vec<Stage<'a>, MAX_LAYERS>) -> Result<(), LoadError> {
        let specs = self.header.layers.clone();
        let integer = specs[0].format().is_integer();
        let tokens = matches!(self.header.input, Input::Tokens { .. });
        let bidirectional = specs
            .iter()
            .any(|spec| matches!(spec, Layer::Bidirectional { .. }));
        let too_many = LoadError::Size {
            what: "number of layers, a bidirectional one counted twice,",
            found: MAX_LAYERS + 1,
            max: MAX_LAYERS,
        };
        // Width of what arrives at the next layer.
        let mut width = self.header.input.count();
        let embeds = matches!(specs[0], Layer::Embedding { .. });
        self.plan.persistent = self.plan.previous;
        if tokens && !embeds {
            size("number of tokens without an embedding", width, MAX_WIDTH)?;
        }
        let mut widest = if embeds { 0 } else { pad(width, LANES) };
        for (layer, spec) in specs.iter().enumerate() {
            let mismatch = |what, found, need| {
                Err(LoadError::Mismatch {
                    layer,
                    what,
                    found,
                    need,
                })
            };
            let format = spec.format();
            if format.is_integer() != integer {
                return Err(LoadError::Value {
                    what: "number format of layer",
                    index: layer,
                });
            }
            let stage = match *spec {
                Layer::Embedding { vocab, dim, .. } => {
                    if layer != 0 || !tokens {
                        return mismatch("place of an embedding", layer, 0);
                    }
                    let next = specs.get(1).map(|spec| (spec.format(), spec));
                    if integer
                        && !matches!(next, Some((f, Layer::Recurrent { .. } | Layer::Bidirectional { .. })) if f == format)
                    {
                        return Err(LoadError::Value {
                            what: "layer behind the embedding",
                            index: 1,
                        });
                    }
                    let vocab = size("number of tokens", vocab as usize, MAX_VOCAB)?;
                    if vocab != width {
                        return mismatch("number of embedded tokens", vocab, width);
                    }
                    width = size("embedding length", dim as usize, MAX_WIDTH)?;
                    if !integer {
                        widest = widest.max(pad(width, LANES));
                    }
                    Stage::Embedding(Embedding::take(&mut self.tensors, format, vocab, width)?)
                }
                Layer::Recurrent {
                    cell,
                    inputs,
                    hidden,
                    requant_shift,
                    cell_shift,
                    ..
                } => {
                    let inputs = size("layer input", inputs as usize, MAX_WIDTH)?;
                    let hidden = size("hidden size", hidden as usize, MAX_WIDTH)?;
                    if inputs != width {
                        return mismatch("input width", inputs, width);
                    }
                    width = hidden;
                    if bidirectional {
                        return Err(LoadError::Value {
                            what: "one direction only in layer",
                            index: layer,
                        });
                    }
                    let spec = Spec {
                        format,
                        layout: self.preamble.layout,
                        inputs,
                        hidden,
                        requant_shift,
                        slow: cell_shift & SLOW != 0,
                    };
                    let first = layer == 0 || (layer == 1 && embeds);
                    let at = self.plan.persistent;
                    self.recurrent((cell, spec, cell_shift), first, at)?
                }
                Layer::Bidirectional {
                    cell,
                    inputs,
                    hidden,
                    requant_shift,
                    cell_shift,
                    ..
                } => {
                    let inputs = size("layer input", inputs as usize, MAX_WIDTH)?;
                    let hidden = size("hidden size", hidden as usize, MAX_WIDTH)?;
                    if inputs != width {
                        return mismatch("input width", inputs, width);
                    }
                    if matches!(stages.last(), Some(Stage::Dense(..))) {
                        return Err(LoadError::Value {
                            what: "dense layer before bidirectional layer",
                            index: layer,
                        });
                    }
                    width = size("width of both directions", 2 * hidden, MAX_WIDTH)?;
                    let first = layer == 0 || (layer == 1 && embeds);
                    let spec = |half: usize| Spec {
                        format,
                        layout: self.preamble.layout,
                        inputs,
                        hidden,
                        requant_shift: requant_shift[half],
                        slow: cell_shift & SLOW != 0,
                    };
                    // Both directions, and all layers, have their states in one place: each begins anew.
                    let at = self.plan.previous;
                    let (forward, backward) = (spec(0), spec(1));
                    let forward = self.recurrent((cell, forward, cell_shift), first, at)?;
                    stages.push(forward).map_err(|_| too_many)?;
                    self.recurrent((cell, backward, cell_shift), first, at)?
                }
                Layer::Dense {
                    inputs,
                    outputs,
                    activation,
                    requant_shift,
                    frac,
                    ..
                } => {
                    let inputs = size("layer input", inputs as usize, MAX_WIDTH)?;
                    let outputs = size("dense outputs", outputs as usize, MAX_VOCAB)?;
                    if inputs != width {
                        return mismatch("input width", inputs, width);
                    }
                    width = outputs;
                    let last = layer + 1 == specs.len();
                    if activation == Activation::Softmax && !last {
                        return mismatch("place of a softmax", layer, specs.len() - 1);
                    }
                    let spec = DenseSpec {
                        format,
                        inputs,
                        outputs,
                        activation,
                        requant_shift,
                        frac,
                        last,
                    };
                    Stage::Dense(Dense::take(&mut self.tensors, spec)?, panels(outputs))
                }
            };
            if !matches!(stage, Stage::Embedding(_)) {
                widest = widest.max(pad(width, LANES));
            }
            stages.push(stage).map_err(|_| too_many)?;
        }
        if width != self.header.output.count() {
            let (found, need) = (width, self.header.output.count());
            return Err(LoadError::Mismatch {
                layer: specs.len() - 1,
                what: "output width",
                found,
                need,
            });
        }
        self.plan.buffer = if integer { widest / 2 } else { widest };
        if bidirectional {
            self.window(integer)?;
        }
        // Those that turn; behind a window the first of them reads the first buffer.
        let turns = stages.iter().filter(|stage| match stage {
            Stage::Embedding(_) => false,
            Stage::Recurrent(..) => !bidirectional,
            Stage::Dense(..) => true,
        });
        self.plan.output = self.plan.persistent + self.plan.buffer * (turns.count() % 2);
        Ok(())
    }

    /// A recurrent layer whose state begins at `at`.
    fn recurrent(
        &mut self,
        (cell, spec, cell_shift): (Cell, Spec, u8),
        first: bool,
        at: usize,
    ) -> Result<Stage<'a>, LoadError> {
        let Spec {
            format,
            inputs,
            hidden,
            ..
        } = spec;
        let columns = format.columns(inputs);
        let narrow = format.is_a8() && !first;
        let place = Place {
            at,
            units: panels(hidden),
            format,
            columns,
            narrow,
        };
        for number in [cell as usize, format as usize, inputs, hidden, at] {
            // FNV-1a, a number at a time.
            self.plan.mark = (self.plan.mark ^ number as i32).wrapping_mul(0x0100_0193);
        }
        self.plan.mark |= 1;
        // A float GRU or RNN has no other master than its hidden state.
        let master = if format.is_integer() || cell.has_cell() {
            place.master()
        } else {
            0
        };
        let end = at + master + place.hidden();
        self.plan.persistent = self.plan.persistent.max(end);
        let narrowed = if narrow { columns / 4 } else { 0 };
        let own = Recurrent::work(cell, spec, place.units * LANES);
        self.plan.work = self.plan.work.max(narrowed + own);
        if spec.slow
            && (!format.is_integer()
                || matches!(cell, Cell::RnnTanh | Cell::RnnRelu | Cell::FastGrnn))
        {
            return Err(LoadError::Value {
                what: "slow gates in layer without",
                index: 0,
            });
        }
        let layer = Recurrent::take(&mut self.tensors, cell, spec, cell_shift & !SLOW)?;
        Ok(Stage::Recurrent(layer, place))
    }

    /// Rows for a bidirectional model's window.
    fn window(&mut self, integer: bool) -> Result<(), LoadError> {
        let Shape::Window {
            window,
            exact: true,
            ..
        } = self.header.shape
        else {
            return Err(LoadError::Value {
                what: "shape of a bidirectional model:",
                index: 0,
            });
        };
        let plan = &mut self.plan;
        plan.window = size(
            "window of a bidirectional model",
            window as usize,
            MAX_WINDOW,
        )?;
        let (mut widest, mut layers) = (0, 0);
        for layer in &self.header.layers {
            if let Layer::Bidirectional { inputs, hidden, .. } = *layer {
                widest = widest.max(inputs as usize).max(2 * hidden as usize);
                layers += 1;
            }
        }
        let widest = pad(widest, LANES);
        plan.row = if integer { widest / 2 } else { widest };
        // A last layer keeps one row only.
        plan.rows = plan.window + if layers > 1 { plan.window } else { 1 };
        Ok(())
    }

    fn tests(&mut self) -> Result<Tests<'a>, LoadError> {
        let steps = self.header.test.steps as usize;
        let integer = self.header.layers[0].format().is_integer();
        let count = self.header.input.count();
        // A bidirectional model answers once a window.
        let window = self.plan.window.max(1);
        if !steps.is_multiple_of(window) {
            return Err(LoadError::Value {
                what: "number of test steps:",
                index: steps,
            });
        }
        let outputs = steps / window * self.header.output.count();
        let t = &mut self.tensors;
        let tests = if matches!(self.header.input, Input::Tokens { .. }) {
            let inputs = t.take::<u16>(steps)?;
            if let Some(index) = inputs.iter().position(|&token| token as usize >= count) {
                return Err(LoadError::Value {
                    what: "token of test step",
                    index,
                });
            }
            if integer {
                Tests::IntegerTokens {
                    inputs,
                    outputs: t.take(outputs)?,
                }
            } else {
                Tests::FloatTokens {
                    inputs,
                    outputs: t.take(outputs)?,
                }
            }
        } else if integer {
            Tests::Integer {
                inputs: t.take(steps * count)?,
                outputs: t.take(outputs)?,
            }
        } else {
            Tests::Float {
                inputs: t.take(steps * count)?,
                outputs: t.take(outputs)?,
            }
        };
        Ok(tests)
    }
}

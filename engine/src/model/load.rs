//! From a decoded header to a model: sizes, then tensors, then the plan of the state. Whatever is wrong
//! in a file is found here, so that a step has nothing to check. All of it is `const fn`: the compiler loads a file that is a
//! constant.

use super::stages::{Place, Stage, Walk, keep, keeps, widens, words};
use super::{Model, Plan, Tests};
use crate::format::{
    Activation, Combine, ConvShape, Feature, FeatureTransform, Header, Input, Layer, LoadError,
    MAX_KEEPS, MAX_LAYERS, MAX_VOCAB, MAX_WIDTH, Output, Preamble, Shape, Target, TargetRestore,
    Tensors, attempt, pad,
};
use crate::kernel::LANES;

/// Numbers of the past that a convolution remembers.
#[cfg(conv)]
const MAX_PAST: usize = 1 << 16;
/// Samples of a bidirectional model's window: their rows must fit into 32-bit addresses.
const MAX_WINDOW: usize = 1 << 14;

const fn size(what: &'static str, found: usize, max: usize) -> Result<usize, LoadError> {
    if found == 0 || found > max {
        Err(LoadError::Size { what, found, max })
    } else {
        Ok(found)
    }
}

const fn wrong(what: &'static str, index: usize) -> LoadError {
    LoadError::Value { what, index }
}

/// An error unless a list has as many names.
const fn names(what: &'static str, names: &str, count: usize) -> Result<(), LoadError> {
    let mut found = 1;
    let mut bytes = names.as_bytes();
    while let Some((&byte, rest)) = bytes.split_first() {
        found += (byte == 0) as usize;
        bytes = rest;
    }
    if found == count {
        Ok(())
    } else {
        Err(wrong(what, 0))
    }
}

impl<'a> Model<'a> {
    /// Of no file. No constant, which would lie in flash to be copied.
    #[inline(always)]
    pub(super) const fn blank() -> Self {
        Model {
            header: Header::blank(),
            smoothing: None,
            preamble: Preamble::BLANK,
            features: &[],
            targets: &[],
            logs: false,
            exponentials: false,
            stages: [None; MAX_LAYERS],
            plan: Plan::NOTHING,
            tests: Tests::Float {
                inputs: &[],
                outputs: &[],
            },
        }
    }

    /// Fills a blank model from the parts of its file, where it is: no part of it goes over the stack. `tensors` are all of the payload.
    pub(super) const fn load(
        &mut self,
        preamble: Preamble,
        header: &'a [u8],
        mut tensors: Tensors<'a>,
    ) -> Result<(), LoadError> {
        let model = self;
        model.preamble = preamble;
        let tail = attempt!(model.header.fill(header));
        model.smoothing = tail.smoothing;
        attempt!(size(
            "number of layers",
            model.header.layers.as_slice().len(),
            MAX_LAYERS
        ));
        if let Some(a) = tail.smoothing
            && !(a > 0.0 && a <= 1.0)
        {
            return Err(wrong("smoothing", 0));
        }
        if let Shape::Window { window, hop, .. } = model.header.shape {
            attempt!(size("window", window as usize, 1 << 24));
            attempt!(size("hop", hop as usize, 1 << 24));
        }
        attempt!(model.load_features(&mut tensors));
        attempt!(model.load_targets(&mut tensors));
        attempt!(model.load_layers(&mut tensors));
        attempt!(model.load_tests(&mut tensors));
        attempt!(tensors.finish());
        let (stored, need) = (preamble.state_len, model.plan.bytes());
        if stored != need {
            return Err(LoadError::StateSize { stored, need });
        }
        Ok(())
    }

    const fn load_features(&mut self, tensors: &mut Tensors<'a>) -> Result<(), LoadError> {
        let count = match self.header.input {
            Input::Tokens { count, names: list } => {
                let count = attempt!(size("number of tokens", count as usize, MAX_VOCAB));
                return names("number of input names", list, count);
            }
            Input::Features { count, names: list } => {
                let count = attempt!(size("number of features", count as usize, MAX_WIDTH));
                attempt!(names("number of input names", list, count));
                count
            }
        };
        self.features = attempt!(tensors.take::<Feature>(count));
        let (mut looks_back, mut holds) = (false, false);
        let mut index = 0;
        while index < count {
            let feature = &self.features[index];
            let Some(transform) = FeatureTransform::from_tag(feature.tag()) else {
                return Err(wrong("feature", index));
            };
            let finite = feature.offset.is_finite() && feature.scale.is_finite();
            if feature.column as usize >= count || !finite {
                return Err(wrong("feature", index));
            }
            self.logs |= transform.is_log();
            looks_back |= transform.looks_back();
            holds |= feature.holds() || matches!(transform, FeatureTransform::Missing);
            index += 1;
        }
        if holds {
            self.plan.held = 1 + count;
        }
        self.plan.previous = self.plan.held;
        if looks_back {
            self.plan.previous += 1 + count;
        }
        Ok(())
    }

    const fn load_targets(&mut self, tensors: &mut Tensors<'a>) -> Result<(), LoadError> {
        let count = self.header.output.count();
        let features = match self.header.input {
            Input::Features { count, .. } => count as u32,
            Input::Tokens { .. } => 0,
        };
        match self.header.output {
            Output::Values { names: list, .. } => {
                attempt!(size("number of outputs", count, MAX_WIDTH));
                attempt!(names("number of output names", list, count));
            }
            Output::Classes { names: list, .. } => {
                attempt!(size("number of classes", count, MAX_WIDTH));
                return names("number of class names", list, count);
            }
            Output::NextToken { .. } => {
                let tokens = match self.header.input {
                    Input::Tokens { count, .. } => count as usize,
                    Input::Features { .. } => 0,
                };
                return if count == tokens {
                    Ok(())
                } else {
                    Err(wrong("number of next tokens", 0))
                };
            }
        }
        self.targets = attempt!(tensors.take::<Target>(count));
        let mut index = 0;
        while index < count {
            let target = &self.targets[index];
            let Some(restore) = TargetRestore::from_tag(target.restore) else {
                return Err(wrong("target", index));
            };
            self.exponentials |= restore.is_exp();
            let refers = matches!(restore, TargetRestore::AddTo | TargetRestore::TimesExp);
            if (refers && target.column >= features)
                || (target.feeds != u32::MAX && target.feeds >= features)
                || !(target.scale.is_finite() && target.offset.is_finite())
            {
                return Err(wrong("target", index));
            }
            index += 1;
        }
        Ok(())
    }

    /// Checks the layers and plans the state.
    const fn load_layers(&mut self, tensors: &mut Tensors<'a>) -> Result<(), LoadError> {
        let bidirectional = self.has_bidirectional_layers();
        let Model {
            header,
            preamble,
            stages: all,
            plan,
            ..
        } = self;
        let layers = header.layers.as_slice();
        let integer = layers[0].format().is_integer();
        let embeds = matches!(layers[0], Layer::Embedding { .. });
        // Width of what arrives at the next layer.
        let mut width = header.input.count();
        plan.persistent = plan.previous;
        if !embeds && matches!(header.input, Input::Tokens { .. }) {
            let what = "number of tokens without an embedding";
            attempt!(size(what, width, MAX_WIDTH));
        }
        let mut widest = if embeds { 0 } else { pad(width, LANES) };
        let mut walk = Walk::new(layers, preamble.layout, *tensors, plan.previous);
        // Layers whose outputs go to the other buffer; behind a window the first of them reads the first one.
        let mut turns = 0;
        let (mut stages, mut index, mut dense) = (0, 0, false);
        let (mut pooled, mut kept) = (false, 0);
        while index < layers.len() {
            let layer = &layers[index];
            width = attempt!(Model::check_layer(header, index, width));
            match layer {
                Layer::Recurrent { .. } if bidirectional => {
                    return Err(wrong("one direction only in layer", index));
                }
                Layer::Bidirectional { .. } if dense => {
                    return Err(wrong("dense layer before bidirectional layer", index));
                }
                Layer::Dense { .. } => dense = true,
                Layer::Conv { .. }
                | Layer::Norm { .. }
                | Layer::Keep { .. }
                | Layer::Join { .. }
                    if bidirectional =>
                {
                    return Err(wrong("kind beside bidirectional layers: layer", index));
                }
                _ => {}
            }
            // A recurrent layer reads an embedding of integers where it lies.
            if !(integer && matches!(layer, Layer::Embedding { .. }) && !widens(layers)) {
                widest = larger(widest, pad(width, LANES));
            }
            let mut left = layer.stages();
            stages += left;
            if stages > MAX_LAYERS {
                return Err(LoadError::Size {
                    what: "number of layers, a bidirectional one counted twice,",
                    found: stages,
                    max: MAX_LAYERS,
                });
            }
            while left > 0 {
                let stage = &mut all[stages - left];
                attempt!(walk.next(stage));
                match stage {
                    Some(Stage::Recurrent(_, place)) => {
                        plan.mark = mark(plan.mark, layer, place);
                        plan.persistent = larger(plan.persistent, place.end());
                        plan.work = larger(plan.work, place.narrowed() + place.work);
                        turns += !bidirectional as usize;
                    }
                    Some(Stage::Dense(..) | Stage::Norm(_) | Stage::Join(_)) => turns += 1,
                    Some(Stage::Keep(keep)) => kept = keep.back(),
                    Some(Stage::Conv(_, place)) => {
                        plan.mark = mark_conv(plan.mark, layer, place.at);
                        plan.persistent += place.kept();
                        pooled |= place.count > 0;
                        plan.work = larger(plan.work, place.work);
                        turns += 1;
                    }
                    Some(Stage::Embedding(_)) | None => {}
                }
                left -= 1;
            }
            index += 1;
        }
        if width != header.output.count() {
            return Err(LoadError::Mismatch {
                layer: layers.len() - 1,
                what: "output width",
                found: width,
                need: header.output.count(),
            });
        }
        plan.answer = plan.persistent;
        if pooled {
            let [first, _] = answers(layers);
            if let Shape::Window { window, .. } = header.shape
                && window as usize <= first
            {
                return Err(wrong("samples of a window before the first answer:", first));
            }
            plan.persistent += 1 + words(layers[0].format(), width);
        }
        plan.buffer = if integer { widest / 2 } else { widest };
        plan.work += kept;
        if bidirectional {
            attempt!(plan.plan_window(header, integer));
        }
        plan.output = plan.persistent + plan.buffer * (turns % 2);
        *tensors = walk.tensors;
        Ok(())
    }

    /// The width of a layer's output, if its sizes are possible and fit what arrives.
    const fn check_layer(
        header: &Header<'_>,
        index: usize,
        width: usize,
    ) -> Result<usize, LoadError> {
        let layers = header.layers.as_slice();
        let integer = layers[0].format().is_integer();
        if layers[index].format().is_integer() != integer {
            return Err(wrong("number format of layer", index));
        }
        match layers[index] {
            Layer::Embedding { format, vocab, dim } => {
                if index != 0 || !matches!(header.input, Input::Tokens { .. }) {
                    return Err(mismatch(index, "place of an embedding", index, 0));
                }
                let follows = match layers.split_first_chunk::<2>() {
                    Some(([_, Layer::Recurrent { format: next, .. }], _))
                    | Some(([_, Layer::Bidirectional { format: next, .. }], _)) => {
                        *next as u8 == format as u8
                    }
                    // Other layers read activations, which are the same in all formats; in firmware with feature `conv`.
                    Some(_) => cfg!(conv),
                    None => false,
                };
                if integer && !follows {
                    return Err(wrong("layer behind the embedding", 1));
                }
                let vocab = attempt!(size("number of tokens", vocab as usize, MAX_VOCAB));
                if vocab != width {
                    let what = "number of embedded tokens";
                    return Err(mismatch(index, what, vocab, width));
                }
                size("embedding length", dim as usize, MAX_WIDTH)
            }
            Layer::Recurrent { inputs, hidden, .. } => {
                attempt!(size("layer input", inputs as usize, MAX_WIDTH));
                attempt!(size("hidden size", hidden as usize, MAX_WIDTH));
                attempt!(arrives(index, inputs, width));
                Ok(hidden as usize)
            }
            Layer::Bidirectional { inputs, hidden, .. } => {
                attempt!(size("layer input", inputs as usize, MAX_WIDTH));
                attempt!(size("hidden size", hidden as usize, MAX_WIDTH));
                attempt!(arrives(index, inputs, width));
                size("width of both directions", 2 * hidden as usize, MAX_WIDTH)
            }
            Layer::Dense {
                inputs,
                outputs,
                activation,
                ..
            } => {
                if matches!(activation, Activation::Magnitude) {
                    return Err(wrong("magnitude of a dense layer:", index));
                }
                attempt!(size("layer input", inputs as usize, MAX_WIDTH));
                attempt!(size("dense outputs", outputs as usize, MAX_VOCAB));
                attempt!(arrives(index, inputs, width));
                if matches!(activation, Activation::Softmax) && index + 1 != layers.len() {
                    let what = "place of a softmax";
                    return Err(mismatch(index, what, index, layers.len() - 1));
                }
                Ok(outputs as usize)
            }
            Layer::Conv {
                shape,
                filters,
                activation,
                ..
            } => check_conv(index, (shape, filters), activation, width),
            Layer::Norm { width: takes, .. }
            | Layer::Keep { width: takes, .. }
            | Layer::Join { width: takes, .. } => {
                attempt!(size("layer input", takes.get(), MAX_WIDTH));
                attempt!(arrives(index, takes.get() as u16, width));
                check_skip(layers, index, width)
            }
        }
    }

    const fn load_tests(&mut self, tensors: &mut Tensors<'a>) -> Result<(), LoadError> {
        let steps = self.header.test.steps as usize;
        let integer = self.is_integer();
        let count = self.header.input.count();
        // A bidirectional model answers once a window.
        let window = larger(self.plan.window, 1);
        if !steps.is_multiple_of(window) {
            return Err(wrong("number of test steps:", steps));
        }
        let results = steps / window * self.header.output.count();
        if let Input::Tokens { .. } = self.header.input {
            let inputs = attempt!(tensors.take::<u16>(steps));
            let mut index = 0;
            while index < steps {
                if inputs[index] as usize >= count {
                    return Err(wrong("token of test step", index));
                }
                index += 1;
            }
            self.tests = if integer {
                Tests::IntegerTokens {
                    inputs,
                    outputs: attempt!(tensors.take(results)),
                }
            } else {
                Tests::FloatTokens {
                    inputs,
                    outputs: attempt!(tensors.take(results)),
                }
            };
        } else if integer {
            self.tests = Tests::Integer {
                inputs: attempt!(tensors.take(steps * count)),
                outputs: attempt!(tensors.take(results)),
            };
        } else {
            self.tests = Tests::Float {
                inputs: attempt!(tensors.take(steps * count)),
                outputs: attempt!(tensors.take(results)),
            };
        }
        Ok(())
    }
}

impl Plan {
    /// Rows for a bidirectional model's window.
    const fn plan_window(&mut self, header: &Header<'_>, integer: bool) -> Result<(), LoadError> {
        let Shape::Window {
            window,
            exact: true,
            ..
        } = header.shape
        else {
            return Err(wrong("shape of a bidirectional model:", 0));
        };
        self.window = attempt!(size(
            "window of a bidirectional model",
            window as usize,
            MAX_WINDOW,
        ));
        let (mut widest, mut bidirectional, mut index) = (0, 0, 0);
        let layers = header.layers.as_slice();
        while index < layers.len() {
            if let Layer::Bidirectional { inputs, hidden, .. } = layers[index] {
                widest = larger(widest, larger(inputs as usize, 2 * hidden as usize));
                bidirectional += 1;
            }
            index += 1;
        }
        let widest = pad(widest, LANES);
        self.row = if integer { widest / 2 } else { widest };
        // A last layer keeps one row only.
        self.rows = self.window + if bidirectional > 1 { self.window } else { 1 };
        Ok(())
    }
}

/// The width of a layer's output that takes so many numbers, if it keeps them or joins them with what is kept.
const fn check_skip(layers: &[Layer], index: usize, width: usize) -> Result<usize, LoadError> {
    let (before, from) = layers.split_at(index);
    match from {
        [Layer::Keep { .. }] => Err(wrong("nothing behind what is kept by layer", index)),
        [Layer::Keep { .. }, ..] if keeps(before) == MAX_KEEPS => Err(LoadError::Size {
            what: "number of layers that keep",
            found: MAX_KEEPS + 1,
            max: MAX_KEEPS,
        }),
        [Layer::Join { with, how, .. }, ..] => {
            let kept = match keep(before, *with as usize) {
                Some(keep) => keep.width(),
                None => return Err(wrong("what is joined by layer", index)),
            };
            if matches!(how, Combine::Add | Combine::Multiply) && kept != width {
                return Err(mismatch(index, "width of what is joined", kept, width));
            }
            size("layer output", how.outputs(width, kept), MAX_WIDTH)
        }
        _ => Ok(width),
    }
}

/// There is none.
#[cfg(not(conv))]
const fn check_conv(
    _: usize,
    (shape, _): (ConvShape, u16),
    _: Activation,
    _: usize,
) -> Result<usize, LoadError> {
    match shape {}
}

/// The width of a convolution's output, if it is possible and fits what arrives.
#[cfg(conv)]
const fn check_conv(
    index: usize,
    (shape, filters): (ConvShape, u16),
    activation: Activation,
    width: usize,
) -> Result<usize, LoadError> {
    let sizes = [
        ("rows of a convolution", shape.rows),
        ("channels of a convolution", shape.channels),
        ("kernel of a convolution", shape.kernel),
        ("stride of a convolution", shape.stride),
        ("dilation of a convolution", shape.dilation),
    ];
    let mut i = 0;
    while i < sizes.len() {
        let (what, found) = sizes[i];
        attempt!(size(what, found as usize, MAX_WIDTH));
        i += 1;
    }
    attempt!(size("inputs at a position", shape.taps(), MAX_WIDTH));
    if shape.inputs() != width {
        return Err(mismatch(index, "input width", shape.inputs(), width));
    }
    if shape.past {
        // Nothing, where the kernel has one row.
        let (what, found) = ("past of a convolution", shape.remembered());
        if found > MAX_PAST {
            return Err(LoadError::Size {
                what,
                found,
                max: MAX_PAST,
            });
        }
    }
    // A mirrored row is one of the sample, and not the edge itself.
    let mirrored = if shape.past { 0 } else { shape.before };
    let mirrored = larger(mirrored as usize, shape.after as usize);
    if shape.mirror && mirrored >= shape.rows as usize {
        return Err(mismatch(
            index,
            "mirrored rows",
            mirrored,
            shape.rows as usize - 1,
        ));
    }
    attempt!(size(
        "positions of a convolution",
        shape.positions(),
        MAX_WIDTH
    ));
    let filters = attempt!(size("filters", filters as usize, MAX_WIDTH));
    match activation {
        Activation::Softmax => return Err(wrong("softmax of convolution", index)),
        Activation::Magnitude if filters % 2 == 1 => {
            return Err(wrong(
                "odd number of filters for magnitudes of convolution",
                index,
            ));
        }
        _ => {}
    }
    let width = activation.outputs(filters);
    if let Some(pool) = shape.pool {
        attempt!(size("answers of a pool", pool.kernel as usize, MAX_WIDTH));
        attempt!(size(
            "samples from one answer of a pool to the next",
            pool.every as usize,
            MAX_WIDTH
        ));
        let found = pool.remembered(width);
        if found > MAX_PAST {
            return Err(LoadError::Size {
                what: "answers that a pool remembers",
                found,
                max: MAX_PAST,
            });
        }
        let first = pool.first as usize;
        if first + 1 < pool.kernel as usize || first > MAX_PAST / 2 {
            return Err(wrong("first answer of the pool in layer", index));
        }
        if !shape.past || shape.rows != 1 || shape.positions() != 1 {
            return Err(wrong("pool of what is no stream in layer", index));
        }
    }
    size(
        "outputs of a convolution",
        shape.positions() * width,
        MAX_WIDTH,
    )
}

/// A hash that knows one more convolution.
const fn mark_conv(before: i32, layer: &Layer, at: usize) -> i32 {
    match *layer {
        Layer::Conv { format, shape, .. } => {
            let mut mark = before;
            if shape.remembered() > 0 {
                let [channels, rows, past] = shape.layout_of_past();
                mark = hash(mark, [format as usize, channels, rows, past, at]);
            }
            if let Some(pool) = shape.pool() {
                let [kernel, first, every] = [
                    pool.kernel as usize,
                    pool.first as usize,
                    pool.every as usize,
                ];
                mark = hash(mark, [pool.kind as usize, kernel, first, every, at]);
            }
            mark
        }
        _ => before,
    }
}

/// A hash that knows one more layer.
const fn mark(before: i32, layer: &Layer, place: &Place) -> i32 {
    let (Layer::Recurrent {
        cell,
        inputs,
        hidden,
        ..
    }
    | Layer::Bidirectional {
        cell,
        inputs,
        hidden,
        ..
    }) = *layer
    else {
        return before;
    };
    let (inputs, hidden) = (inputs as usize, hidden as usize);
    let numbers = [
        cell as usize,
        place.format as usize,
        inputs,
        hidden,
        place.at,
    ];
    hash(before, numbers)
}

/// A hash that knows five more numbers, never 0.
const fn hash(before: i32, numbers: [usize; 5]) -> i32 {
    let (mut mark, mut i) = (before, 0);
    while i < numbers.len() {
        // FNV-1a, a number at a time.
        mark = (mark ^ numbers[i] as i32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    mark | 1
}

/// Samples before the first answer of some layers, and from one answer to the next.
pub(super) const fn answers(mut layers: &[Layer]) -> [usize; 2] {
    let mut answers = [0, 1];
    while let Some((layer, before)) = layers.split_last() {
        if let Layer::Conv { shape, .. } = layer {
            answers = shape.answers(answers);
        }
        layers = before;
    }
    answers
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn mismatch(layer: usize, what: &'static str, found: usize, need: usize) -> LoadError {
    LoadError::Mismatch {
        layer,
        what,
        found,
        need,
    }
}

/// An error unless a layer takes what arrives.
const fn arrives(layer: usize, inputs: u16, width: usize) -> Result<(), LoadError> {
    if inputs as usize == width {
        Ok(())
    } else {
        Err(mismatch(layer, "input width", inputs as usize, width))
    }
}

//! A file in the making: its header, and the whole of it.

use super::AlignedBytes;
use super::payload::Payload;
use super::test_steps::TestInputs;
use crate::net::Layer;
use crate::package::{Feature, Input, Output, Package, Restore, Shape, Target, Transform};
use crate::quant::{Formats, input_frac};
use anyhow::{Context, Result, bail, ensure};
use kinglet::format::{self as engine, ALIGN, Format, Layout, PREAMBLE_LEN, Preamble, pad};
use kinglet::{Model, num};

/// Bytes of a cache line, and of the widest vectors.
const LINE: usize = 64;

/// A file in the making: header fields and tensors so far.
pub(super) struct Draft<'p> {
    pub(super) layout: Layout,
    /// Why layers cannot be packed as the layout wants it.
    pub(super) unpacked: Vec<String>,
    pub(super) package: &'p Package,
    pub(super) formats: &'p Formats,
    /// Of the layer that is written.
    pub(super) format: Format,
    input_names: String,
    output_names: String,
    pub(super) layers: engine::Layers,
    pub(super) payload: Payload,
    /// The layers as integers have them, and the scales of their rows.
    pub(super) dequantized: Vec<(Layer, Vec<f64>)>,
}

/// A name that can stand in a list of names.
fn listed(name: &str, unit: Option<&str>) -> Result<String> {
    ensure!(
        !name.contains(['\0', '\u{1}']) && !unit.unwrap_or("").contains(['\0', '\u{1}']),
        "a name contains U+0000 or U+0001: {name:?}"
    );
    Ok(match unit {
        Some(unit) => format!("{name}\u{1}{unit}"),
        None => name.to_owned(),
    })
}

fn list(names: impl Iterator<Item = Result<String>>) -> Result<String> {
    Ok(names.collect::<Result<Vec<_>>>()?.join("\0"))
}

pub(super) fn width(what: &str, n: usize, max: usize) -> Result<u16> {
    ensure!(n >= 1 && n <= max, "{what} is {n}, must be 1 to {max}");
    Ok(n as u16)
}

impl<'p> Draft<'p> {
    pub(super) fn new(layout: Layout, package: &'p Package, formats: &'p Formats) -> Result<Self> {
        let mut payload = Payload::default();
        let input_names = match &package.input {
            Input::Features(features) => {
                ensure!(
                    features.len() == package.net.input_width(),
                    "{} features are described, the network takes {}",
                    features.len(),
                    package.net.input_width()
                );
                payload.push(&features.iter().map(feature).collect::<Vec<_>>());
                list(features.iter().map(|f| listed(&f.name, Some(&f.unit))))?
            }
            Input::Tokens(tokens) => list(tokens.iter().map(|t| listed(t, None)))?,
        };
        let outputs = package.net.output_width();
        let output_names = match &package.output {
            Output::Values(targets) => {
                ensure!(
                    targets.len() == outputs,
                    "{} outputs are described, the network gives {outputs}",
                    targets.len()
                );
                payload.push(&targets.iter().map(target).collect::<Vec<_>>());
                list(targets.iter().map(|t| listed(&t.name, Some(&t.unit))))?
            }
            Output::Classes(classes) | Output::Transcript(classes) => {
                ensure!(
                    classes.len() == outputs,
                    "{} classes are described, the network gives {outputs}",
                    classes.len()
                );
                list(classes.iter().map(|c| listed(c, None)))?
            }
            Output::NextToken => String::new(),
        };
        let layers = engine::Layers::new();
        Ok(Draft {
            layout,
            unpacked: Vec::new(),
            package,
            formats,
            format: formats.of(0),
            input_names,
            output_names,
            layers,
            payload,
            dequantized: Vec::new(),
        })
    }

    /// The whole file with these test results.
    pub(super) fn file(
        &self,
        tests: &TestInputs,
        results: &[u8],
        digest: u32,
    ) -> Result<AlignedBytes> {
        let inputs = self.package.net.input_width();
        let header = engine::Header {
            name: &self.package.name,
            input: match &self.package.input {
                Input::Features(features) => engine::Input::Features {
                    count: width("the number of features", features.len(), engine::MAX_WIDTH)?,
                    names: &self.input_names,
                },
                Input::Tokens(tokens) => engine::Input::Tokens {
                    count: width("the number of tokens", tokens.len(), engine::MAX_VOCAB)?,
                    names: &self.input_names,
                },
            },
            output: {
                let count = width(
                    "the output width",
                    self.package.net.output_width(),
                    engine::MAX_VOCAB,
                )?;
                let names = &self.output_names;
                match &self.package.output {
                    Output::Values(_) => engine::Output::Values { count, names },
                    Output::Classes(_) | Output::Transcript(_) => {
                        engine::Output::Classes { count, names }
                    }
                    Output::NextToken => engine::Output::NextToken { count },
                }
            },
            shape: match self.package.shape {
                Shape::EveryStep => engine::Shape::EveryStep,
                Shape::Window { window, hop, exact } => engine::Shape::Window {
                    window: window as u32,
                    hop: hop as u32,
                    exact,
                },
            },
            threshold: self.package.alarm.map(|alarm| alarm.threshold),
            layers: self.layers,
            test: engine::TestVectors {
                steps: tests.steps(inputs) as u16,
                digest,
            },
        };
        let mut header = postcard::to_allocvec(&header).context("the header does not encode")?;
        let data = self.package.written.to_text();
        let data = data.context("the header does not encode")?;
        let tail = engine::Tail {
            smoothing: self.package.alarm.map(|alarm| alarm.smoothing),
            data: data.as_bytes(),
        };
        if tail != engine::Tail::default() {
            header = postcard::to_extend(&tail, header).context("the header does not encode")?;
            header.extend_from_slice(tail.data);
        }
        let mut payload = self.payload.clone();
        match tests {
            TestInputs::Samples(x) if self.formats.is_integer() => {
                let frac = if matches!(
                    self.layers[0],
                    engine::Layer::Recurrent { .. } | engine::Layer::Bidirectional { .. }
                ) {
                    input_frac(self.formats.of(0))
                } else {
                    12
                };
                let q = x
                    .iter()
                    .map(|&x| quantize_one(x, frac))
                    .collect::<Vec<i16>>();
                payload.push(&q);
            }
            TestInputs::Samples(x) => payload.push(x),
            TestInputs::Tokens(tokens) => payload.push(tokens),
        }
        payload.push(results);
        let mut payload_offset = pad(PREAMBLE_LEN + header.len(), ALIGN);
        if self.layout == Layout::Portable {
            // Loads of whole lines that lie across two cost a third of a step on x86.
            let largest = payload_offset + self.payload.largest.start;
            payload_offset += pad(largest, LINE) - largest;
        }
        let mut preamble = Preamble {
            layout: self.layout,
            header_len: header.len(),
            payload_offset,
            payload_len: payload.bytes.len(),
            state_len: 0,
            crc: 0,
        };
        let mut bytes = AlignedBytes::zeroed(payload_offset + payload.bytes.len());
        bytes[PREAMBLE_LEN..PREAMBLE_LEN + header.len()].copy_from_slice(&header);
        bytes[payload_offset..].copy_from_slice(&payload.bytes);
        // The engine plans the state; a first load tells its size.
        for _ in 0..2 {
            preamble.crc = 0;
            bytes[..PREAMBLE_LEN].copy_from_slice(&preamble.write());
            preamble.crc = engine::file_crc(&bytes);
            bytes[..PREAMBLE_LEN].copy_from_slice(&preamble.write());
            match Model::from_bytes(&bytes).map(|_| ()) {
                Err(kinglet::LoadError::StateSize { need, .. }) => preamble.state_len = need,
                Err(error) => bail!("the exported file does not load: {error}"),
                Ok(()) => return Ok(bytes),
            }
        }
        bail!("the engine did not settle on a state size")
    }
}

/// As the engine quantizes samples.
fn quantize_one(x: f32, frac: i32) -> i16 {
    let (low, high) = num::input_limits(frac as i8);
    num::quantize(x, frac as i8, low, high)
}

fn feature(f: &Feature) -> engine::Feature {
    use engine::FeatureTransform as T;
    let (transform, column) = match f.transform {
        Transform::None => (T::None, 0),
        Transform::Log => (T::Log, 0),
        Transform::Difference { column } => (T::Difference, column),
        Transform::LogRatio { column } => (T::LogRatio, column),
        Transform::Missing { column } => (T::Missing, column),
    };
    let hold = if f.hold { engine::Feature::HOLD } else { 0 };
    engine::Feature {
        transform: transform as u32 | hold,
        column: column as u32,
        offset: f.offset,
        scale: f.scale,
    }
}

fn target(t: &Target) -> engine::Target {
    use engine::TargetRestore as R;
    let (restore, column) = match t.restore {
        Restore::None => (R::None, 0),
        Restore::Exp => (R::Exp, 0),
        Restore::AddTo { column } => (R::AddTo, column),
        Restore::TimesExp { column } => (R::TimesExp, column),
    };
    engine::Target {
        restore: restore as u32,
        column: column as u32,
        feeds: t.feeds.map_or(u32::MAX, |feature| feature as u32),
        scale: t.scale,
        offset: t.offset,
    }
}

//! What every peer shares: a layer read from a folder, and a conversation over standard input and output, by
//! which one process times the loops of many in turn.
//!
//! | line | answer |
//! |---|---|
//! | `open CELL INPUTS HIDDEN` | the names of the variants; none where the peer has no such cell |
//! | `outputs VARIANT` | the output after [`SAMPLES`] steps from a state of zero |
//! | `time VARIANT STEPS` | nanoseconds per step of one loop |
//!
//! An answer that starts with `error` says why there is none. A peer whose turn it is not is blocked in a read, so it costs the one being
//! timed nothing.

use anyhow::{Context, Result, bail, ensure};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

/// Steps before the samples start over.
pub const SAMPLES: usize = 64;

/// A recurrent layer with its weights as PyTorch stacks them, and samples for it.
pub struct Layer {
    /// `lstm`, `gru` or `rnn`.
    pub cell: String,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the state.
    pub hidden: usize,
    /// `[gates * hidden, inputs]`.
    pub w_ih: Vec<f32>,
    /// `[gates * hidden, hidden]`.
    pub w_hh: Vec<f32>,
    /// `[gates * hidden]`.
    pub b_ih: Vec<f32>,
    /// `[gates * hidden]`.
    pub b_hh: Vec<f32>,
    /// `[SAMPLES, inputs]`, within ±1.
    pub samples: Vec<f32>,
}

impl Layer {
    /// Gates per unit.
    pub fn gates(&self) -> usize {
        match self.cell.as_str() {
            "lstm" => 4,
            "gru" => 3,
            _ => 1,
        }
    }

    /// The name of its files, without an extension.
    pub fn stem(&self) -> String {
        format!("{}-{}x{}", self.cell, self.inputs, self.hidden)
    }

    /// Sample by sample.
    pub fn samples(&self) -> impl Iterator<Item = &[f32]> {
        self.samples.chunks(self.inputs)
    }

    /// All tensors in the order of the fields, little endian.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let tensors = [
            &self.w_ih,
            &self.w_hh,
            &self.b_ih,
            &self.b_hh,
            &self.samples,
        ];
        let bytes: Vec<u8> = tensors
            .iter()
            .flat_map(|t| t.iter().flat_map(|v| v.to_le_bytes()))
            .collect();
        let path = folder.join(self.stem()).with_extension("f32");
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    }

    fn load(folder: &Path, cell: &str, inputs: usize, hidden: usize) -> Result<Self> {
        let mut layer = Layer {
            cell: cell.to_owned(),
            inputs,
            hidden,
            w_ih: vec![],
            w_hh: vec![],
            b_ih: vec![],
            b_hh: vec![],
            samples: vec![],
        };
        let path = folder.join(layer.stem()).with_extension("f32");
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let mut values = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let rows = layer.gates() * hidden;
        let mut take = |len| values.by_ref().take(len).collect::<Vec<f32>>();
        layer.w_ih = take(rows * inputs);
        layer.w_hh = take(rows * hidden);
        layer.b_ih = take(rows);
        layer.b_hh = take(rows);
        layer.samples = take(SAMPLES * inputs);
        ensure!(
            layer.samples.len() == SAMPLES * inputs,
            "{}: too short",
            path.display()
        );
        Ok(layer)
    }
}

/// One way to run the layer. Samples are converted to the peer's own type beforehand.
pub trait Net {
    /// Sets the state to zero.
    fn reset(&mut self);

    /// One step on a sample by its number; carries the state.
    fn step(&mut self, sample: usize);

    /// The last output.
    fn output(&self) -> Vec<f32>;

    /// Nanoseconds per step of a loop. Here, so that each peer's step can be compiled into it.
    fn time(&mut self, steps: usize) -> f64 {
        let start = Instant::now();
        for number in 0..steps {
            self.step(number % SAMPLES);
        }
        start.elapsed().as_secs_f64() * 1e9 / steps as f64
    }
}

/// The ways in which a peer can run a layer, by name.
pub type Variants = Vec<(&'static str, Box<dyn Net>)>;

/// Answers until the input ends. The folder of the layers is the first argument.
pub fn serve(open: impl Fn(&Layer, &Path) -> Result<Variants>) -> Result<()> {
    let folder = env::args_os().nth(1).context("which folder?")?;
    let folder = Path::new(&folder);
    let mut variants = Variants::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let reply = answer(&line, folder, &open, &mut variants);
        let reply =
            reply.unwrap_or_else(|e| format!("error {}", format!("{e:#}").replace('\n', " ")));
        let mut out = io::stdout().lock();
        writeln!(out, "{reply}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(
    line: &str,
    folder: &Path,
    open: impl Fn(&Layer, &Path) -> Result<Variants>,
    variants: &mut Variants,
) -> Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["open", cell, inputs, hidden] => {
            let layer = Layer::load(folder, cell, inputs.parse()?, hidden.parse()?)?;
            *variants = open(&layer, folder)?;
            let names: Vec<&str> = variants.iter().map(|(name, _)| *name).collect();
            Ok(names.join(" "))
        }
        ["outputs", name] => {
            let net = find(variants, name)?;
            net.reset();
            (0..SAMPLES).for_each(|sample| net.step(sample));
            let values: Vec<String> = net.output().iter().map(f32::to_string).collect();
            Ok(values.join(" "))
        }
        ["time", name, steps] => Ok(find(variants, name)?.time(steps.parse()?).to_string()),
        _ => bail!("not understood: {line}"),
    }
}

fn find<'v>(variants: &'v mut Variants, name: &str) -> Result<&'v mut Box<dyn Net>> {
    let mut named = variants.iter_mut();
    let net = named.find(|(n, _)| *n == name).map(|(_, net)| net);
    net.with_context(|| format!("no variant {name}"))
}

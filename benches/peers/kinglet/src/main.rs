//! Kinglet on its best table, or on the one that the variable `TABLE` names. `peer-kinglet FOLDER write` makes the layers that all peers run, and prints the table's name.
//!
//! Each integer format is timed twice: with integers in and out, and with floats, as the peers take them.

use anyhow::{Result, bail};
use kinglet::format::Format;
use kinglet::kernel::Kernels;
use kinglet::{Model, Runner};
use kinglet_benches::{CELLS, SHAPES, model, net, samples};
use kinglet_trainer::file::AlignedBytes;
use kinglet_trainer::net::Layer as NetLayer;
use peer::{Layer, Net, SAMPLES, Variants, serve};
use std::path::Path;
use std::{env, fs};

struct Floats {
    net: Runner<'static, 'static>,
    samples: Vec<f32>,
    output: Vec<f32>,
}

impl Net for Floats {
    fn reset(&mut self) {
        self.net.reset();
    }

    fn step(&mut self, sample: usize) {
        let inputs = self.net.model().inputs();
        let x = &self.samples[sample * inputs..(sample + 1) * inputs];
        self.net.step_raw(x, &mut self.output);
    }

    fn output(&self) -> Vec<f32> {
        self.output.clone()
    }
}

struct Integers {
    net: Runner<'static, 'static>,
    samples: Vec<i16>,
    output: Vec<i16>,
}

impl Net for Integers {
    fn reset(&mut self) {
        self.net.reset();
    }

    fn step(&mut self, sample: usize) {
        let inputs = self.net.model().inputs();
        let x = &self.samples[sample * inputs..(sample + 1) * inputs];
        self.net.step_q(x, &mut self.output);
    }

    fn output(&self) -> Vec<f32> {
        let lsb = f32::from(-self.net.model().output_frac()).exp2();
        self.output.iter().map(|&y| f32::from(y) * lsb).collect()
    }
}

fn kernels() -> Result<&'static Kernels> {
    let Ok(name) = env::var("TABLE") else {
        return Ok(Kernels::detect());
    };
    let mut all = Kernels::available();
    let Some(found) = all.find(|kernels| kernels.name() == name) else {
        bail!("TABLE={name}: this CPU has no such table");
    };
    Ok(found)
}

fn runner(model: &'static Model<'static>) -> Result<Runner<'static, 'static>> {
    // A few models live as long as the process.
    let state = Box::leak(Box::new(AlignedBytes::zeroed(model.state_len())));
    let runner = model.bind_bytes(state);
    Ok(runner
        .map_err(|e| anyhow::anyhow!("{e}"))?
        .with_kernels(kernels()?))
}

fn open(layer: &Layer, _: &Path) -> Result<Variants> {
    let Some((_, cell)) = CELLS.iter().find(|(name, _)| *name == layer.cell) else {
        bail!("no such cell");
    };
    let mut variants = Variants::new();
    for (format, floats, integers) in [
        (Format::F32, "f32", ""),
        (Format::W8A16, "w8a16-floats", "w8a16"),
        (Format::W8A8, "w8a8-floats", "w8a8"),
    ] {
        let file: &'static AlignedBytes =
            Box::leak(Box::new(model(*cell, (layer.inputs, layer.hidden), format)));
        let model: &'static Model<'static> = Box::leak(Box::new(Model::from_bytes(file)?));
        let output = vec![0.0; model.outputs()];
        let samples = layer.samples.clone();
        variants.push((
            floats,
            Box::new(Floats {
                net: runner(model)?,
                samples,
                output,
            }),
        ));
        if model.is_integer() {
            let mut samples = vec![0; layer.samples.len()];
            model.quantize_input(&layer.samples, &mut samples);
            let output = vec![0; model.outputs()];
            variants.push((
                integers,
                Box::new(Integers {
                    net: runner(model)?,
                    samples,
                    output,
                }),
            ));
        }
    }
    Ok(variants)
}

/// Writes every layer.
fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (name, cell) in CELLS {
        for shape in SHAPES {
            let Some(NetLayer::Recurrent(layer)) = net(cell, shape).layers.into_iter().next()
            else {
                bail!("not recurrent");
            };
            let layer = Layer {
                cell: name.to_owned(),
                inputs: layer.inputs,
                hidden: layer.hidden,
                w_ih: layer.w_ih,
                w_hh: layer.w_hh,
                b_ih: layer.b_ih,
                b_hh: layer.b_hh,
                samples: samples(shape.0, SAMPLES),
            };
            layer.save(folder)?;
        }
    }
    println!("{}", kernels()?.name());
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [folder, write_] if write_ == "write" => write(Path::new(folder)),
        _ => serve(open),
    }
}

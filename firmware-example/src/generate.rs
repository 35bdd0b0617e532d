//! What answers with more than numbers, on a device: a pair of networks that tells in words what was measured, and a network that draws
//! pictures from a class and a seed. The models are those of the guide's page on shapes (`told` and `signs`).
//!
//! The text is the same to the letter wherever it is made: an encoder hands its state to a decoder, which says the likeliest token until
//! the end; and what is drawn follows from the seed. `kinglet translate --csv` and `kinglet generate` say the same.

use crate::Failure;
use core::fmt::Write;
use kinglet::format::Input;
use kinglet::kernel::Kernels;
use kinglet::{Digest, Model, Sampler, State, argmax, include_model, state_len};

static ENCODER: &[u8] = include_model!("../model/told.encoder.kgl");
static DECODER: &[u8] = include_model!("../model/told.decoder.kgl");
static SIGNS: &[u8] = include_model!("../model/signs.kgl");

/// Flow and heat.
pub static MEASURED: [[f32; 2]; 6] = [
    [0.0, 2.0],
    [10.0, 1.0],
    [1.0, 52.0],
    [11.0, 54.0],
    [2.5, 3.5],
    [8.5, 49.0],
];
/// Tokens of an answer at the most.
const LONGEST: usize = 8;
/// Outputs of the widest of the three networks.
const WIDEST: usize = 16;

/// Pictures that are drawn, of the classes in turn, …
pub const PICTURES: usize = 20;
/// … as this says.
pub const TEMPERATURE: f32 = 0.7;
/// What the drawing follows from.
pub const SEED: u32 = 7;
const CLASSES: usize = 2;
const ROWS: usize = 3;
/// The first token of every column's levels, behind the end and the classes of every row.
const FIRST: [usize; 4] = [7, 9, 11, 13];

/// Tells, draws, and gives the digest of all tokens and of the states in which they leave the networks.
///
/// # Errors
/// See [`Failure`].
pub fn run(kernels: &'static Kernels, text: &mut impl Write) -> Result<Digest, Failure> {
    let mut digest = Digest::new();
    tell(kernels, text, &mut digest)?;
    draw(kernels, text, &mut digest)?;
    writeln!(text, "digest  {digest}")?;
    Ok(digest)
}

fn tell(
    kernels: &'static Kernels,
    text: &mut impl Write,
    digest: &mut Digest,
) -> Result<(), Failure> {
    let encoder = Model::from_bytes(ENCODER).map_err(Failure::Load)?;
    let decoder = Model::from_bytes(DECODER).map_err(Failure::Load)?;
    let mut states = (
        State::<{ state_len(ENCODER) }>::new(),
        State::<{ state_len(DECODER) }>::new(),
    );
    let reader = encoder.bind(&mut states.0).map_err(Failure::Bind)?;
    let speaker = decoder.bind(&mut states.1).map_err(Failure::Bind)?;
    let mut reader = reader.with_kernels(kernels);
    let mut speaker = speaker.with_kernels(kernels);
    let mut left = [0.0; WIDEST];
    let mut scores = [0.0; WIDEST];
    let scores = &mut scores[..decoder.outputs()];
    for sample in &MEASURED {
        reader.reset();
        reader.step(sample, &mut left[..encoder.outputs()]);
        speaker.seed_from(&reader).map_err(Failure::Pair)?;
        write!(text, "told   ")?;
        let mut token = 0;
        for _ in 0..LONGEST {
            speaker.step_token(token, scores);
            token = argmax(scores);
            digest.add_bytes(&[token as u8]);
            if token == 0 {
                break;
            }
            write!(text, " {}", name(&decoder, token))?;
        }
        writeln!(text)?;
        digest.add_bytes(speaker.layer_state());
    }
    Ok(())
}

fn draw(
    kernels: &'static Kernels,
    text: &mut impl Write,
    digest: &mut Digest,
) -> Result<(), Failure> {
    let model = Model::from_bytes(SIGNS).map_err(Failure::Load)?;
    let mut state = State::<{ state_len(SIGNS) }>::new();
    let mut net = model
        .bind(&mut state)
        .map_err(Failure::Bind)?
        .with_kernels(kernels);
    let mut scores = [0.0; WIDEST];
    let scores = &mut scores[..model.outputs()];
    let mut sampler = Sampler::new(TEMPERATURE, SEED);
    for picture in 0..PICTURES {
        net.reset();
        let class = picture % CLASSES;
        let mut token = 1 + class;
        for row in 0..ROWS {
            if row > 0 {
                // Whether there is another row.
                net.step_token(token, scores);
                token = 1 + row * CLASSES + class;
                if sampler.draw_probable(&[scores[token], scores[0]]) == 1 {
                    break;
                }
            }
            write!(text, "drawn   {picture},{}", name(&model, 1 + class))?;
            for column in FIRST.windows(2) {
                net.step_token(token, scores);
                let level = sampler.draw_probable(&scores[column[0]..column[1]]);
                token = column[0] + level;
                digest.add_bytes(&[token as u8]);
                let value = name(&model, token).rsplit('=').next().unwrap_or("");
                write!(text, ",{value}")?;
            }
            writeln!(text)?;
        }
        digest.add_bytes(net.layer_state());
    }
    Ok(())
}

fn name<'m>(model: &'m Model<'_>, token: usize) -> &'m str {
    let (Input::Tokens { names, .. } | Input::Features { names, .. }) = model.header().input;
    let name = names.split('\0').nth(token).unwrap_or("");
    name.split('\u{1}').next().unwrap_or("")
}

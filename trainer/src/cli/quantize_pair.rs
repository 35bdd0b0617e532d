//! `kinglet quantize ENCODER.kgl --decoder DECODER.kgl`.

use super::calibrate::judge;
use super::names::pair_of;
use super::pair::Languages;
use super::samples::opened;
use super::{print_json, quantize, say, say_notes, usage, writable};
use anyhow::{Context, Result, bail};
use kinglet::Model;
use kinglet::format::Format;
use kinglet_trainer::data::DataError;
use kinglet_trainer::data::csv::Reader;
use kinglet_trainer::fidelity::Fidelity;
use kinglet_trainer::file::{Exported, package, save};
use kinglet_trainer::model_file::ModelFile;
use kinglet_trainer::train::pair::{Pair, translate_all};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

/// Columns of a file of pairs, as in a task.
const COLUMNS: [&str; 2] = ["source", "target"];
/// Texts that are said in both formats, at the most.
const SAID: usize = 1000;

/// Quantizes both, the decoder from the states that the encoder leaves.
pub fn run(args: &quantize::Args, decoder: &Path) -> Result<()> {
    let Some(format) = args.precision.format() else {
        return Err(usage(
            "--decoder: both networks of a pair have one format; choose another --precision than mixed",
        ));
    };
    let paths = [&args.model, decoder];
    let inputs: [&Path; 3] = [&args.model, decoder, &args.calibrate];
    let out = pair_of(&args.out);
    for out in &out {
        writable(out, &inputs)?;
    }
    let files = [ModelFile::read(paths[0])?, ModelFile::read(paths[1])?];
    let models = [files[0].model()?, files[1].model()?];
    let texts = read(&args.calibrate, args, [&models[0], &models[1]])?;
    let [encoder, decoder] = [0, 1].map(|side: usize| {
        package(&files[side].bytes).with_context(|| paths[side].display().to_string())
    });
    let pair = Pair::of_texts(encoder?, decoder?, &texts)?;
    let exported = pair.export(args.layout, format)?;
    let result = Compared::new([&models[0], &models[1]], &exported, &texts)?;
    let sizes = [0, 1].map(|side: usize| files[side].bytes.len());
    match args.json {
        true => result.json(format, sizes, &exported)?,
        false => result.print(format, sizes, &exported)?,
    }
    let sides = ["encoder", "decoder"];
    let doubts = sides.iter().zip(&exported).flat_map(|(side, file)| {
        let doubts = file.doubts.iter();
        doubts.map(move |doubt| format!("{side}, {doubt}"))
    });
    let after = Model::from_bytes(&exported[1].bytes)?;
    judge(
        &after,
        result.fidelity.share(),
        &doubts.collect::<Vec<_>>(),
        args.force,
    )?;
    for (path, file) in out.iter().zip(&exported) {
        say_notes(&file.notes);
        save(path, &file.bytes)?;
        say(&format!("{}: written", path.display()));
    }
    Ok(())
}

/// What is read and what should be said to it, as tokens.
fn read(
    path: &Path,
    args: &quantize::Args,
    [encoder, decoder]: [&Model<'_>; 2],
) -> Result<Vec<[Vec<usize>; 2]>> {
    let languages = Languages::new(encoder, decoder)?;
    let (input, file, format, _) = opened(path, &args.csv)?;
    let mut reader = Reader::new(input, &file, &format)?;
    let names = reader.names();
    let place = |column: &str| {
        names
            .iter()
            .position(|name| name == column)
            .ok_or_else(|| DataError::UnknownColumn {
                file: file.clone(),
                column: column.into(),
                known: names.to_vec(),
            })
    };
    let places = [place(COLUMNS[0])?, place(COLUMNS[1])?];
    let mut texts = Vec::new();
    while reader.advance()? {
        let records = reader.records();
        let [read, said] = places.map(|at| &records.record()[at]);
        let at = || format!("{file}:{}", records.line());
        let (read, _) = languages.tokens(read).with_context(at)?;
        texts.push([read, languages.shown(said).with_context(at)?]);
    }
    if texts.is_empty() {
        bail!("{file}: no rows; expected at least one pair of texts");
    }
    Ok(texts)
}

/// Both pairs over the texts.
struct Compared {
    fidelity: Fidelity,
    /// Texts to which both say the same, of so many.
    same: usize,
    all: usize,
}

impl Compared {
    fn new(
        float: [&Model<'_>; 2],
        exported: &[Exported; 2],
        texts: &[[Vec<usize>; 2]],
    ) -> Result<Self> {
        let models = [
            Model::from_bytes(&exported[0].bytes)?,
            Model::from_bytes(&exported[1].bytes)?,
        ];
        let models = [&models[0], &models[1]];
        let every = texts.len().div_ceil(SAID);
        let longest = texts.iter().map(|[_, said]| said.len()).max();
        let longest = 2 * longest.unwrap_or(0) + 1;
        let said = |models| {
            let read = texts.iter().step_by(every).map(|[read, _]| &read[..]);
            translate_all(models, read, longest)
        };
        let [before, after] = [said(float)?, said(models)?];
        let same = before.iter().zip(&after).filter(|(a, b)| a == b).count();
        Ok(Compared {
            fidelity: Fidelity::over_texts(float, models, texts)?,
            same,
            all: before.len(),
        })
    }

    fn print(&self, format: Format, before: [usize; 2], after: &[Exported; 2]) -> Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "format  bytes of encoder  of decoder")?;
        let rows = [
            ("before", before),
            (format.name(), after.each_ref().map(|file| file.bytes.len())),
        ];
        for (name, [encoder, decoder]) in rows {
            writeln!(out, "{name:<6}  {encoder:>16}  {decoder:>10}")?;
        }
        writeln!(
            out,
            "{} of {} texts are answered as before ({:.1} %); after the right tokens the next one's probability differs by {:.2} % of its spread",
            self.same,
            self.all,
            100.0 * self.same as f64 / self.all as f64,
            100.0 * self.fidelity.share()
        )?;
        Ok(())
    }

    fn json(&self, format: Format, before: [usize; 2], after: &[Exported; 2]) -> Result<()> {
        let sizes = |[encoder, decoder]: [usize; 2]| json!({ "encoder_bytes": encoder, "decoder_bytes": decoder });
        print_json(&json!({
            "format": format.name(),
            "before": sizes(before),
            "after": sizes(after.each_ref().map(|file| file.bytes.len())),
            "texts": self.all,
            "answered_as_before": self.same,
            "share": self.fidelity.share(),
        }))
    }
}

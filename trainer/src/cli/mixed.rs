//! The trade-off of mixed precision, as a table and as a file.

use anyhow::Result;
use kinglet_trainer::cost::Core;
use kinglet_trainer::package::{Output, Package};
use kinglet_trainer::quant::Formats;
use kinglet_trainer::quant::mixed::{Mixed, Point};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Formats layer by layer; the last column says which was chosen.
pub fn print(mixed: &Mixed, package: &Package, core: Option<&Core>) -> Result<()> {
    let unit = match &package.output {
        Output::Values(targets) => targets[0].unit.as_str(),
        _ => "",
    };
    let mut out = io::stdout().lock();
    let cycles = core.map_or("cycles", |core| core.name);
    let error = format!(
        "RMS from f32{}{unit} over {} outputs",
        if unit.is_empty() { "" } else { ", " },
        mixed.outputs
    );
    let width = error.chars().count();
    writeln!(
        out,
        "file bytes  {cycles:>10}  {error}  formats of the layers"
    )?;
    for (place, point) in mixed.curve.iter().enumerate() {
        let cycles = point
            .cycles
            .map_or("-".to_owned(), |cycles| cycles.to_string());
        let mark = if place == mixed.chosen {
            "  chosen"
        } else {
            ""
        };
        writeln!(
            out,
            "{:>10}  {cycles:>10}  {:>width$.6}  {}{mark}",
            point.flash,
            point.error,
            name(point)
        )?;
    }
    Ok(())
}

fn name(point: &Point) -> String {
    Formats::Each(point.formats.clone()).name()
}

/// The same for programs.
pub fn json(mixed: &Mixed) -> Value {
    let point = |(place, point): (usize, &Point)| {
        json!({
            "formats": name(point),
            "file_bytes": point.flash,
            "cycles": point.cycles,
            "rms_from_f32": point.error,
            "chosen": place == mixed.chosen,
        })
    };
    mixed.curve.iter().enumerate().map(point).collect()
}

/// One row per point of the curve.
pub fn to_csv(mixed: &Mixed) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["flash", "cycles", "rms_from_f32", "formats", "chosen"])?;
    for (place, point) in mixed.curve.iter().enumerate() {
        writer.write_record([
            point.flash.to_string(),
            point
                .cycles
                .map_or(String::new(), |cycles| cycles.to_string()),
            point.error.to_string(),
            name(point),
            u8::from(place == mixed.chosen).to_string(),
        ])?;
    }
    Ok(writer.into_inner()?)
}

//! Names of the files that belong to a model.

use kinglet_trainer::save::beside;
use std::path::{Path, PathBuf};

/// `pump.kgl` becomes `pump.f32.kgl`.
pub fn float_of(out: &Path) -> PathBuf {
    let extension = out.extension().unwrap_or("kgl".as_ref());
    let mut name = out.file_stem().unwrap_or_default().to_owned();
    name.push(".f32.");
    name.push(extension);
    out.with_file_name(name)
}

/// `dates.kgl` becomes `dates.encoder.kgl` and `dates.decoder.kgl`.
pub fn pair_of(out: &Path) -> [PathBuf; 2] {
    ["encoder", "decoder"].map(|side| {
        let extension = out.extension().unwrap_or("kgl".as_ref());
        let mut name = out.file_stem().unwrap_or_default().to_owned();
        name.push(format!(".{side}."));
        name.push(extension);
        out.with_file_name(name)
    })
}

/// Of `pump.kgl` and `pump.f32.kgl`: `pump.history.csv`.
pub fn history_of(model: &Path) -> PathBuf {
    let is_model = model.extension().is_some_and(|e| e == "kgl");
    let stem = model.file_stem().map(Path::new).filter(|_| is_model);
    let float = stem.filter(|stem| stem.extension().is_some_and(|e| e == "f32"));
    match float {
        Some(stem) => beside(&model.with_file_name(stem), "f32", "history.csv"),
        None => beside(model, "kgl", "history.csv"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_lies_beside_both_of_its_models() {
        for model in ["a.b/pump.kgl", "a.b/pump.f32.kgl"] {
            assert_eq!(
                history_of(Path::new(model)),
                Path::new("a.b/pump.history.csv")
            );
        }
        assert_eq!(
            history_of(Path::new("pump.v2.kgl")),
            Path::new("pump.v2.history.csv")
        );
    }
}

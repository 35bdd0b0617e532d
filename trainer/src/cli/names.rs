//! Names of the files that belong to a model.

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
    let stem = model.with_extension("");
    let stem = match stem.extension() {
        Some(extension) if extension == "f32" => stem.with_extension(""),
        _ => stem,
    };
    let mut name = stem.file_name().unwrap_or_default().to_owned();
    name.push(".history.csv");
    stem.with_file_name(name)
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

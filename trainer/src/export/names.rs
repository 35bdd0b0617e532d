//! Names that C takes.

use anyhow::{Result, bail};

/// Longest name: what is made of it stays within the 63 characters that C99 tells apart.
const LONGEST: usize = 32;

/// Words of C and C++ that a name alone would be, and names of the engine.
const TAKEN: [&str; 21] = [
    "auto", "bool", "char", "class", "const", "double", "float", "for", "if", "int", "kgl",
    "kinglet", "long", "main", "new", "short", "signed", "static", "struct", "this", "void",
];

/// A model's name as the beginning of names in C: small letters, digits and underscores. `Pump v2` becomes `pump_v2`.
///
/// # Errors
/// If nothing of it can stand in C.
pub fn c_name(name: &str) -> Result<String> {
    let mut found = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            found.push(c.to_ascii_lowercase());
        } else if !found.is_empty() && !found.ends_with('_') {
            found.push('_');
        }
    }
    found.truncate(LONGEST);
    let found = found.trim_end_matches('_');
    if found.is_empty() {
        bail!("{name:?} has no letter that a name in C could have; give one with --name");
    }
    let wants_prefix = found.starts_with(|c: char| c.is_ascii_digit()) || TAKEN.contains(&found);
    Ok(if wants_prefix {
        format!("model_{found}")
    } else {
        found.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_c_takes() {
        let name = |name| c_name(name).unwrap();
        assert_eq!(name("pump"), "pump");
        assert_eq!(name("Pump v2 (w8a8)"), "pump_v2_w8a8");
        assert_eq!(name("7 days"), "model_7_days");
        assert_eq!(name("float"), "model_float");
        assert_eq!(name(&"a".repeat(99)).len(), 32);
        assert!(c_name("...").is_err());
        assert!(c_name("").is_err());
    }
}

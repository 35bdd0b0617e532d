//! Names that C takes.

use anyhow::{Result, bail};

/// Longest name: what is made of it stays within the 63 characters that C99 tells apart.
pub const LONGEST: usize = 32;

/// Names that a name alone may not be, in order: words of C, C++ and Rust, headers of C (`NAME.h` would hide them), crates of Rust, and
/// what stands beside a name in the code that is written.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "assert",
    "async",
    "auto",
    "await",
    "become",
    "bool",
    "box",
    "break",
    "char",
    "class",
    "complex",
    "const",
    "continue",
    "core",
    "crate",
    "ctype",
    "do",
    "double",
    "dyn",
    "else",
    "embedded",
    "enum",
    "errno",
    "extern",
    "false",
    "fenv",
    "final",
    "float",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "int",
    "inttypes",
    "iso646",
    "kgl",
    "kinglet",
    "let",
    "limits",
    "locale",
    "long",
    "loop",
    "macro",
    "main",
    "match",
    "math",
    "mod",
    "move",
    "mut",
    "net",
    "new",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "setjmp",
    "short",
    "signal",
    "signed",
    "state",
    "static",
    "std",
    "stdalign",
    "stdarg",
    "stdatomic",
    "stdbool",
    "stddef",
    "stdint",
    "stdio",
    "stdlib",
    "stdnoreturn",
    "string",
    "struct",
    "super",
    "test",
    "tgmath",
    "this",
    "threads",
    "time",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "uchar",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "void",
    "wchar",
    "wctype",
    "where",
    "while",
    "yield",
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
    let wants_prefix =
        found.starts_with(|c: char| c.is_ascii_digit()) || TAKEN.binary_search(&found).is_ok();
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
        assert_eq!(name("stdint"), "model_stdint");
        assert_eq!(name("State"), "model_state");
        assert!(TAKEN.is_sorted());
        assert_eq!(name(&"a".repeat(99)).len(), 32);
        assert!(c_name("...").is_err());
        assert!(c_name("").is_err());
    }
}

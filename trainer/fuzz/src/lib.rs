//! A file for readers that take a path.

use std::path::PathBuf;

/// Writes what a target is given; every process has a file of its own.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let name = format!("kinglet-fuzz-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

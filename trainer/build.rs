//! Where the guide and the tables of instruction counts lie: in the repository beside this folder, in a published crate inside it.

use std::env;
use std::path::Path;

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    for (name, repository, package) in [
        ("KINGLET_GUIDE", "../docs/src", "guide"),
        ("KINGLET_COUNTS", "../benches/results", "counts"),
    ] {
        let beside = Path::new(&here).join(repository);
        let dir = if beside.is_dir() {
            beside
        } else {
            Path::new(&here).join(package)
        };
        println!("cargo::rustc-env={name}={}", dir.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}

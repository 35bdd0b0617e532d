//! `kinglet.h` is what cbindgen makes of the sources. After a change: `KINGLET_WRITE_HEADER=1 cargo test`.

use std::path::Path;
use std::{env, fs};

#[test]
fn the_header_is_what_cbindgen_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/lib.rs"))
        .generate()
        .unwrap()
        .write(&mut header);
    let path = root.join("kinglet.h");
    if env::var_os("KINGLET_WRITE_HEADER").is_some() {
        fs::write(&path, &header).unwrap();
    }
    let header = String::from_utf8(header).unwrap();
    assert!(
        fs::read_to_string(path).unwrap() == header,
        "kinglet.h is older than the sources: KINGLET_WRITE_HEADER=1 cargo test"
    );
}

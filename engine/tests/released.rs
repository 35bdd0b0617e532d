//! Files of every released version load and give the outputs that they were written with: `released/VERSION/*.kgl`, and `models/*.kgl` of the version in work.

use kinglet::format::{ALIGN, Layer};
use kinglet::{Model, State};
use std::fs;
use std::path::{Path, PathBuf};

fn folders() -> Vec<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let released = fs::read_dir(tests.join("released"));
    let mut folders: Vec<_> = released
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.push(tests.join("models"));
    folders
}

#[test]
fn files_of_every_version_give_the_outputs_they_were_written_with() {
    for folder in folders() {
        let mut files = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // Aligned, as a device's flash is.
            let file = fs::read(&path).unwrap();
            let mut room = vec![0; file.len() + ALIGN];
            let start = room.as_ptr().align_offset(ALIGN);
            let bytes = &mut room[start..][..file.len()];
            bytes.copy_from_slice(&file);
            let model = Model::from_bytes(bytes)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files += 1;
            if model
                .header()
                .layers
                .iter()
                .any(|layer| matches!(layer, Layer::Bidirectional { .. }))
            {
                continue;
            }
            let mut state = State::<8192>::new();
            let mut runner = model.bind(&mut state).unwrap();
            model
                .self_test(&mut runner)
                .unwrap_or_else(|failure| panic!("{}: {failure:?}", path.display()));
        }
        assert!(files > 0, "{} is empty", folder.display());
    }
}

//! Instructions per multiplication, from the counts in `results/`: files with a table that starts
//! `| cell | format | layout | inputs, hidden | instructions | per MAC |`, one per emulated or instrumented CPU.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

const HEAD: &str = "| cell | format | layout | inputs, hidden | instructions | per MAC |";

/// Prints one row per CPU, cell, format and layout, one column per shape.
pub fn print(results: &Path) -> io::Result<()> {
    let mut files: Vec<_> = fs::read_dir(results)?.collect::<Result<_, _>>()?;
    files.sort_by_key(|file| file.file_name());
    let mut rows: BTreeMap<String, BTreeMap<(usize, usize), String>> = BTreeMap::new();
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some(cpu) = name.strip_suffix(".md") else {
            continue;
        };
        let text = fs::read_to_string(file.path())?;
        let lines = text.lines().skip_while(|line| !line.starts_with(HEAD));
        for line in lines.skip(2).take_while(|line| line.starts_with('|')) {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let mut next = || cells.next().unwrap_or_default();
            let row = format!("{cpu} {} {} {}", next(), next(), next());
            let shape = next().split_once(", ");
            let shape = shape.and_then(|(i, h)| Some((i.parse().ok()?, h.parse().ok()?)));
            let per_mac = cells.nth(1).unwrap_or_default();
            if let Some(shape) = shape {
                rows.entry(row)
                    .or_default()
                    .insert(shape, per_mac.to_owned());
            }
        }
    }
    let mut shapes: Vec<_> = rows.values().flat_map(BTreeMap::keys).copied().collect();
    // By the size of a step.
    shapes.sort_by_key(|&(inputs, hidden)| ((inputs + hidden) * hidden, inputs));
    shapes.dedup();
    let titles: Vec<_> = shapes.iter().map(|(i, h)| format!("{i}x{h}")).collect();
    super::head("instructions per MAC", &titles);
    for (row, counts) in rows {
        let cell = |shape| counts.get(shape).map_or("–", String::as_str);
        let cells: Vec<_> = shapes.iter().map(cell).collect();
        println!("| {row} | {} |", cells.join(" | "));
    }
    Ok(())
}

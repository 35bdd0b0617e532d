//! Reads what the counter prints in QEMU, and compares it with the results of the board.
//!
//! `counts [--bless] FILE TABLE,TABLE < OUTPUT`: every count must be within 3 % of the one in the file, the tables must
//! have been checked, and all layouts of a network must have one digest. With `--bless` the file takes over the counts.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::{env, fs, io};

/// How far a count may be from the expected one, in either direction.
const MARGIN: f64 = 0.03;

/// Cells of a row that tell what was measured: cell, format, layout, shape.
const NAMES: usize = 4;

/// A row of the table as its cells: the names, then instructions, instructions per MAC, bytes of state, steps.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

fn instructions(cells: &[&str]) -> Result<f64> {
    let count = cells.get(NAMES).context("a row without a count")?;
    Ok(count.replace(',', "").parse()?)
}

fn main() -> Result<()> {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let bless = args.first().is_some_and(|arg| arg == "--bless");
    args.drain(..bless as usize);
    let [file, tables] = &args[..] else {
        bail!("usage: counts [--bless] FILE TABLES < OUTPUT");
    };
    let mut checked = Vec::new();
    let mut rows = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        println!("{line}");
        if let Some((table, _)) = line.split_once(" equals scalar") {
            checked.push(table.to_owned());
        } else if line.starts_with('|') {
            rows.push(line);
        }
    }
    for table in tables.split(',') {
        ensure!(
            checked.iter().any(|t| t == table),
            "table {table} was not checked"
        );
    }
    let mut digests = BTreeMap::new();
    for row in &mut rows {
        let (counts, digest) = row.rsplit_once(' ').context("a row without a digest")?;
        let names = cells(counts);
        let network = [names[0], names[1], names[3]].join(" ");
        let first = digests.entry(network.clone()).or_insert(digest.to_owned());
        ensure!(
            first == digest,
            "{network}: layouts disagree, {first} and {digest}"
        );
        *row = counts.to_owned();
    }
    let text = fs::read_to_string(file).with_context(|| file.clone())?;
    let table = text.find("\n|---").context("no table")?;
    let body = table + 1 + text[table + 1..].find('\n').context("an empty table")? + 1;
    if bless {
        return Ok(fs::write(
            file,
            text[..body].to_owned() + &rows.join("\n") + "\n",
        )?);
    }
    let mut expected = BTreeMap::new();
    for row in text[body..].lines() {
        let row = cells(row);
        expected.insert(row[..NAMES].join(" "), instructions(&row)?);
    }
    let mut wrong = Vec::new();
    for row in &rows {
        let row = cells(row);
        let (name, count) = (row[..NAMES].join(" "), instructions(&row)?);
        match expected.remove(&name) {
            Some(want) if (count / want - 1.0).abs() <= MARGIN => {}
            Some(want) => wrong.push(format!(
                "{name}: {count} instructions, expected {want} ({:+.1} %)",
                (count / want - 1.0) * 100.0
            )),
            None => wrong.push(format!("{name}: {count} instructions, none expected")),
        }
    }
    wrong.extend(expected.keys().map(|name| format!("{name}: not measured")));
    if !wrong.is_empty() {
        bail!(
            "{file} (margin {} %; `benches/counter/run.sh --bless` takes over what is measured)\n{}",
            MARGIN * 100.0,
            wrong.join("\n")
        );
    }
    Ok(())
}

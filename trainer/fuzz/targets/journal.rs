//! The journal of a search, behind its first line.
#![no_main]

use kinglet_trainer::tune::Journal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = kinglet_trainer_fuzz::file("journal.csv", &[b"# search\n", bytes].concat());
    if let Ok(journal) = Journal::open(&path, "search") {
        let mut outcomes = journal.outcomes().to_vec();
        outcomes.sort_by(|a, b| a.better_first(b));
    }
});

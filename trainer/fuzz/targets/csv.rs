//! Text in columns, plain or packed; the first byte says how it is written.
#![no_main]

use kinglet_trainer::data::csv::{Format, Header, Missing, Table};
use kinglet_trainer::data::open::unpack;
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, text)) = bytes.split_first() else {
        return;
    };
    let format = Format {
        delimiter: [',', ';', '\t', ' '][usize::from(how & 3)],
        header: if how & 4 == 0 {
            Header::FirstLine
        } else {
            Header::None
        },
        comment: (how & 8 != 0).then_some('#'),
        newest_first: how & 16 != 0,
        missing: if how & 32 == 0 {
            Missing::Error
        } else {
            Missing::Hold
        },
        ..Format::default()
    };
    let Ok(input) = unpack(Cursor::new(text.to_vec()), &format) else {
        return;
    };
    let Ok(mut table) = Table::from_reader(input.text, "any.csv", &format) else {
        return;
    };
    let names = table.names().to_vec();
    for name in names.iter().take(3) {
        let _ = table.columns_named(&[name]);
        let _ = table.columns_with_gaps(&[name]);
        let _ = table.text_column(name);
    }
    if let Some(name) = names.first() {
        let _ = table.group_by(name);
        let again = table.clone();
        let _ = table.join(&again, name);
        table.append_test(&again);
        let _ = table.columns_named(&[name]);
    }
});

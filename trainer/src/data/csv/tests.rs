use super::super::error::DataError;
use super::*;
use std::path::Path;

fn table(text: &str, format: &Format) -> Result<Table, DataError> {
    Table::from_reader(text.as_bytes(), "pump.csv", format)
}

fn hold() -> Format {
    Format {
        missing: Missing::Hold,
        ..Format::default()
    }
}

#[test]
fn columns_come_in_the_order_asked_for() {
    let t = table(
        "date,a,b\n2020-01-01 06:00,1,2\n2020-01-01 12:00,3,4\n",
        &Format::default(),
    );
    let rows = t
        .unwrap()
        .columns_named(&["b", "hour_sin(date)", "a"])
        .unwrap();
    assert_eq!(rows[..3], [2.0, 1.0, 1.0]);
    assert_eq!((rows[3], rows[5]), (4.0, 3.0));
    assert!(rows[4].abs() < 1e-6);
}

#[test]
fn comments_names_delimiter_and_order_are_options() {
    let format = Format {
        delimiter: ';',
        header: Header::Names(vec!["a".into(), "b".into()]),
        comment: Some('#'),
        newest_first: true,
        skip: 1,
        ..Format::default()
    };
    let t = table("# x\n# y\n9;9\n1;2\n3;4\n", &format).unwrap();
    assert_eq!(t.columns_named(&["b"]).unwrap(), [4.0, 2.0]);
    assert_eq!(t.line(0), 5);
}

#[test]
fn without_a_header_columns_are_numbered() {
    let format = Format {
        header: Header::None,
        ..Format::default()
    };
    let t = table("1,2\n3,4\n", &format).unwrap();
    assert_eq!(t.columns_named(&["2"]).unwrap(), [2.0, 4.0]);
}

#[test]
fn a_gap_is_an_error_or_holds_the_row_before() {
    let text = "a,b\n1,2\nNA,3\n,4\n";
    let error = table(text, &Format::default())
        .unwrap()
        .columns_named(&["a"])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "pump.csv:3: column \"a\": a number is missing (NA); fill it in, or set missing = \"hold\" (--missing hold) to repeat the row before"
    );
    let held = table(text, &hold()).unwrap().columns_named(&["a"]).unwrap();
    assert_eq!(held, [1.0, 1.0, 1.0]);
    let error = table("a\nNA\n", &hold())
        .unwrap()
        .columns_named(&["a"])
        .unwrap_err();
    assert!(error.to_string().contains("no earlier row"), "{error}");
}

#[test]
fn errors_name_line_column_and_remedy() {
    let cases = [
        (
            "a,b\n1,2\n3\n",
            "pump.csv:3: 1 fields where 2 were expected",
        ),
        (
            "a,b\n1,x\n",
            "pump.csv:2: column \"b\": \"x\" is not a finite number",
        ),
        (
            "a,b\n1,inf\n",
            "pump.csv:2: column \"b\": \"inf\" is not a finite number",
        ),
        (
            "a,c\n1,2\n",
            "pump.csv: no column \"b\"; the columns are a, c",
        ),
        ("a,b\n", "pump.csv: no data rows"),
        ("", "pump.csv: no data rows"),
    ];
    for (text, expected) in cases {
        let error = table(text, &Format::default())
            .and_then(|t| t.columns_named(&["b"]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    let t = table("date\nnoon\n", &Format::default()).unwrap();
    let error = t
        .columns_named(&["hour_sin(date)"])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("pump.csv:2: column \"hour_sin(date)\": \"noon\" is not a time"),
        "{error}"
    );
    let error = t.columns_named(&["hour_sin(day)"]).unwrap_err().to_string();
    assert!(
        error.contains("computed from a column \"day\". The columns are date"),
        "{error}"
    );
    let error = Table::read(Path::new("nowhere.csv"), &Format::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("nowhere.csv: cannot read the data file"),
        "{error}"
    );
    let error = Table::from_reader(&b"a\n\xff\xfe\n"[..], "pump.csv", &Format::default())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("pump.csv:2: not UTF-8"), "{error}");
}

#[test]
fn the_reader_gives_the_table_row_by_row() {
    let text = "a,b\n1,2\n3,\n5,6\n";
    let whole = table(text, &hold())
        .unwrap()
        .columns_named(&["b", "a"])
        .unwrap();
    let mut reader = Reader::new(text.as_bytes(), "-", &hold()).unwrap();
    let mut columns = reader.columns(&["b", "a"]).unwrap();
    let (mut sample, mut rows) = ([0.0; 2], Vec::new());
    while reader.next_sample(&mut columns, &mut sample).unwrap() {
        rows.extend(sample);
    }
    assert_eq!(rows, whole);
}

fn error(text: &str, format: &Format) -> String {
    let read = table(text, format).and_then(|t| t.columns_named(&["a"]));
    read.unwrap_err().to_string()
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "a,b\n1,2\n\n# remark\n3,\"x\ny\"\n\n\noops,4\n".replace('\n', end);
        let format = Format {
            comment: Some('#'),
            ..Format::default()
        };
        let error = error(&text, &format);
        assert!(
            error.starts_with("pump.csv:9: column \"a\": \"oops\""),
            "{end:?}: {error}"
        );
    }
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_at_its_line() {
    let rows = "a,b\n1,x\n2,\"x\n";
    let never = error(rows, &Format::default());
    assert!(
        never.starts_with("pump.csv:3: the quotation mark that opens a field here is never closed"),
        "{never}"
    );
    // Here a second stray mark would close it, and two rows would be one.
    let swallowed = format!("{rows}3,x\n4,x\"\n5,x\n");
    let swallows = error(&swallowed, &Format::default());
    assert!(
        swallows.starts_with("pump.csv:3: ") && swallows.contains("line 4 is a row of its own"),
        "{swallows}"
    );
    let multiline = Format {
        multiline: true,
        ..Format::default()
    };
    assert_eq!(table(&swallowed, &multiline).unwrap().rows(), 3);
    let stray = error("a,b\n1,\"x\"y\n", &Format::default());
    assert!(
        stray.starts_with("pump.csv:2: something stands between"),
        "{stray}"
    );
    // A field of several lines, and one in a table of tabs, where marks are characters.
    let long = table("a,b\n1,\"x, y\nz \"\"w\"\"\"\n2,x\n", &Format::default()).unwrap();
    assert_eq!(long.text_column("b").unwrap(), ["x, y\nz \"w\"", "x"]);
    assert!(
        long.notes()[0]
            .contains("1 rows have a quoted field of several lines, the first from line 2")
    );
    let tabs = Format {
        delimiter: '\t',
        ..Format::default()
    };
    assert_eq!(table("a\tb\n1\t\"x\n2\ty\n", &tabs).unwrap().rows(), 2);
}

#[test]
fn an_empty_line_between_rows_of_one_column_is_a_gap() {
    let gaps = table("a\n1\n\n3\n\n\n", &hold()).unwrap();
    assert_eq!(gaps.columns_named(&["a"]).unwrap(), [1.0, 1.0, 3.0]);
    assert_eq!(
        gaps.notes(),
        ["pump.csv: 2 empty lines at the end, from line 5 on, are no rows"]
    );
    assert!(
        error("a\n1\n\n3\n", &Format::default())
            .starts_with("pump.csv:3: column \"a\": a number is missing")
    );
    // So are delimiters alone, but not behind the last row, as spreadsheets leave them.
    let gaps = table("a,b\n1,2\n,\n3,4\n,\n,\n", &hold()).unwrap();
    assert_eq!(gaps.columns_named(&["a"]).unwrap(), [1.0, 1.0, 3.0]);
    assert!(gaps.notes()[0].contains("2 empty lines at the end, from line 5 on"));
    assert_eq!(
        table("a,b\n1,2\n\n3,4\n", &Format::default())
            .unwrap()
            .rows(),
        2
    );
}

#[test]
fn a_header_again_a_name_twice_and_a_line_without_end_are_errors() {
    let again = error("a,b\n1,2\na,b\n3,4\n", &Format::default());
    assert!(
        again.starts_with("pump.csv:3: the header line again"),
        "{again}"
    );
    let otherwise = Format {
        on_error: OnError::Skip,
        ..Format::default()
    };
    let otherwise = error("a,b\n1,2\nb,a\n4,3\n", &otherwise);
    assert!(
        otherwise
            .starts_with("pump.csv:3: the header line again, with its columns in another order"),
        "{otherwise}"
    );
    let twice = error("a,b,a\n1,2,3\n", &Format::default());
    assert!(
        twice.contains("column \"a\" stands there 2 times (places 1, 3)"),
        "{twice}"
    );
    assert!(
        table("a,b,b\n1,2,3\n", &Format::default())
            .unwrap()
            .columns_named(&["a"])
            .is_ok()
    );
    let short = Format {
        max_field: Size(8),
        ..Format::default()
    };
    let long = error("a,b\n1,2\n123456789,4\n", &short);
    assert!(
        long.starts_with("pump.csv:3: a line or quoted field of more than 8 bytes"),
        "{long}"
    );
}

#[test]
fn after_a_broken_row_the_next_one_is_read() {
    let text = "a,b\n1,2\n3\na,b\n4,\"x\n5,6\n7,oops\n12345678901234567890,1\n8,9";
    let format = Format {
        max_field: Size(16),
        ..Format::default()
    };
    let mut reader = Reader::new(text.as_bytes(), "-", &format).unwrap();
    let mut columns = reader.columns(&["a", "b"]).unwrap();
    let (mut sample, mut rows, mut errors) = ([0.0; 2], Vec::new(), Vec::new());
    loop {
        match reader.next_sample(&mut columns, &mut sample) {
            Ok(true) => rows.push(sample),
            Ok(false) => break,
            Err(error) => {
                assert!(error.is_of_row());
                errors.push(error.to_string().split(": ").next().unwrap().to_owned());
            }
        }
    }
    assert_eq!(rows, [[1.0, 2.0], [5.0, 6.0], [8.0, 9.0]]);
    assert_eq!(errors, ["-:3", "-:4", "-:5", "-:7", "-:8"]);
    assert!(!reader.records().is_complete());
}

#[test]
fn a_group_is_all_rows_with_its_key() {
    let rows = "t,k,a\n0,A,1\n0,B,10\n5,A,2\n7,B,\n9,A,3\n";
    let mut t = table(rows, &hold()).unwrap();
    t.group_by("k").unwrap();
    let ranges: Vec<_> = t.groups().iter().map(|group| group.rows.clone()).collect();
    assert_eq!(ranges, [0..3, 3..5]);
    let columns = t.columns_named(&["a", "elapsed(t)"]).unwrap();
    assert_eq!(
        columns,
        [1.0, 0.0, 2.0, 5.0, 3.0, 4.0, 10.0, 0.0, 10.0, 7.0]
    );
    assert_eq!(
        (0..5).map(|row| t.line(row)).collect::<Vec<_>>(),
        [2, 4, 6, 3, 5]
    );

    let mut reader = Reader::new(rows.as_bytes(), "-", &hold()).unwrap();
    let names = reader.names().to_vec();
    let columns = reader.columns(&["a", "elapsed(t)"]).unwrap();
    let mut columns = columns.group_by("k", &names).unwrap();
    let (mut sample, mut found) = ([0.0; 2], Vec::new());
    while reader.next_sample(&mut columns, &mut sample).unwrap() {
        found.push((columns.group().unwrap().to_owned(), sample));
    }
    let want = [
        ("A", [1.0, 0.0]),
        ("B", [10.0, 0.0]),
        ("A", [2.0, 5.0]),
        ("B", [10.0, 7.0]),
        ("A", [3.0, 4.0]),
    ];
    assert_eq!(found, want.map(|(key, sample)| (key.to_owned(), sample)));
}

#[test]
fn an_unknown_category_is_an_error_or_zeros_that_are_counted() {
    let text = "a,w\n1,N\n2,NE\n";
    let names = ["w=N", "w=S"];
    let error = table(text, &Format::default())
        .unwrap()
        .columns_named(&names)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("pump.csv:3: column \"w=N\": \"NE\" is none of N, S")
    );
    let zeros = Format {
        unseen: Unseen::Zeros,
        ..Format::default()
    };
    assert_eq!(
        table(text, &zeros).unwrap().columns_named(&names).unwrap(),
        [1.0, 0.0, 0.0, 0.0]
    );
    let mut reader = Reader::new(text.as_bytes(), "-", &zeros).unwrap();
    let mut columns = reader.columns(&names).unwrap();
    while reader.next_sample(&mut columns, &mut [0.0; 2]).unwrap() {}
    assert!(
        columns.notes()[0]
            .contains("1 of 2 rows hold a category that is not known, such as \"NE\" in line 3")
    );
}

#[test]
fn decomposed_names_and_categories_are_the_composed_ones() {
    let t = table("gro\u{308}ße,a\ncafe\u{301},1\n", &Format::default()).unwrap();
    assert_eq!(t.text_column("größe").unwrap(), ["café"]);
}

#[test]
fn decimal_commas_thousands_and_sentinels_are_numbers_and_gaps() {
    let format = Format {
        delimiter: ';',
        decimal: ',',
        thousands: Some('.'),
        missing_values: vec!["-200".into()],
        missing: Missing::Hold,
        ..Format::default()
    };
    let t = table("a;b\n1.234,5;1\n-200,0;2\n-200;3\n", &format).unwrap();
    assert_eq!(t.columns_named(&["a"]).unwrap(), [1234.5; 3]);
    let error = error(
        "a;b\n2,5;1\n",
        &Format {
            delimiter: ';',
            ..Format::default()
        },
    );
    assert!(
        error.contains("set decimal = \",\" in the format (--decimal ',')"),
        "{error}"
    );
}

#[test]
fn a_row_that_is_left_out_parts_those_of_its_group_or_of_all() {
    let format = Format {
        on_error: OnError::Skip,
        ..Format::default()
    };
    let pieces = |text: &str| {
        let mut table = table(text, &format).unwrap();
        table.group_by("id").unwrap();
        let table = table
            .without_broken(&["x"], |_| Ok([]))
            .unwrap()
            .unwrap_or(table);
        let pieces = table.groups().iter().flat_map(|group| table.pieces(group));
        pieces.collect::<Vec<_>>()
    };
    let text = "id,x\nA,1\nB,2\nA,3\nB,4\nA,5\nB,6\n";
    assert_eq!(pieces(text), [0..3, 3..6]);
    assert_eq!(pieces(&text.replace("A,3", "A,oops")), [0..1, 1..2, 2..5]);
    // Whose row it was nobody knows.
    assert_eq!(pieces(&text.replace("A,3", "A")), [0..1, 1..2, 2..3, 3..5]);
    assert_eq!(pieces(&text.replace("A,3", "id,x\nA,3")), [0..3, 3..6]);
}

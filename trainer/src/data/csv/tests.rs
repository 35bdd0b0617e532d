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
    assert!(error.contains("line 2"), "{error}");
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

//! How a file is written: what separates its fields, where the names are, or that it is no table at all.

use std::io::{self, Read};
use std::path::Path;

use crate::data::csv::{Format, Header, are_numbered, is_separator_line};
use crate::data::open::open;
use crate::data::time::Time;

/// So much of the beginning decides.
const HEAD: u64 = 1 << 18;
/// In this order: a comma stands inside fields that semicolons or tabs separate, hardly ever the other way round.
const DELIMITERS: [char; 5] = ['\t', ';', '|', ',', ' '];
/// A table has so many rows of one length; real files have a torn line here and there.
const REGULAR: f64 = 0.95;

/// What a file is.
pub enum Written {
    /// Rows and columns, written like this.
    Table(Format),
    /// A line per word with its tags between tabs, a blank line behind every sentence.
    Tagged,
    /// A table from this line on, below others.
    Below(usize),
    /// Columns that blanks bring below each other.
    Aligned,
    /// Text without columns.
    Text,
    /// An empty file.
    Nothing,
}

/// Looks at the beginning of a file.
pub fn written(path: &Path) -> io::Result<Written> {
    let mut head = Vec::new();
    let opened = open(path, &Format::default())?;
    opened.text.take(HEAD).read_to_end(&mut head)?;
    let cut = head.len() as u64 == HEAD;
    let text = String::from_utf8_lossy(&head);
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Ok(Written::Nothing);
    }
    let mut lines: Vec<&str> = text.lines().collect();
    if cut {
        lines.pop();
    }
    if lines
        .first()
        .is_some_and(|line| is_separator_line(line.as_bytes()))
    {
        lines.remove(0);
    }
    let comment = ['#', '%'].into_iter().find(|&c| {
        let first = lines
            .first()
            .map(|line| line.trim_start_matches('\u{feff}'));
        first.is_some_and(|line| line.starts_with(c))
    });
    let (comments, lines): (Vec<&str>, Vec<&str>) = lines
        .into_iter()
        .filter(|line| !line.trim().is_empty())
        .partition(|line| comment.is_some_and(|c| line.starts_with(c)));
    if is_tagged(&lines) {
        return Ok(Written::Tagged);
    }
    let body = lines.join("\n");
    let found = DELIMITERS.into_iter().find(|&delimiter| {
        let lengths = lengths(&body, delimiter);
        let usual = mode(&lengths);
        let same = lengths.iter().filter(|&&n| n == usual).count();
        let regular = usual > 1 && same as f64 >= REGULAR * lengths.len() as f64;
        // Between words there are blanks too; between numbers they separate fields.
        let fields = || {
            lines
                .iter()
                .skip(1)
                .flat_map(|line| line.split_whitespace())
        };
        let numbers = || fields().filter(|field| is_number(field)).count() * 2 > fields().count();
        regular && (delimiter != ' ' || numbers())
    });
    let numbers = lines.iter().skip(1).filter(|line| is_number(line)).count();
    let Some(delimiter) = found.or_else(|| {
        // One column of numbers has no delimiter.
        (numbers > 0 && numbers as f64 >= 0.5 * (lines.len() - 1) as f64).then_some(',')
    }) else {
        return Ok(match is_aligned(&lines) {
            true => Written::Aligned,
            false => Written::Text,
        });
    };
    let mut format = Format {
        delimiter,
        comment,
        ..Format::default()
    };
    if let Some(line) = begins_below(&body, delimiter) {
        let above = lines[line].as_ptr() as usize - text.as_ptr() as usize;
        return Ok(Written::Below(1 + text[..above].lines().count()));
    }
    if !has_header(&body, delimiter) {
        let fields = mode(&lengths(&body, delimiter));
        let named = comments.last().map(|line| {
            let line = line.trim_start_matches(['#', '%', ' ']);
            line.split(delimiter).map(|n| n.trim().to_owned()).collect()
        });
        // The names may stand in the last comment.
        format.header = match named.filter(|names: &Vec<String>| names.len() == fields) {
            Some(names) => Header::Names(names),
            None => Header::None,
        };
    }
    Ok(Written::Table(format))
}

/// Number of fields of each of the first records.
fn lengths(body: &str, delimiter: char) -> Vec<usize> {
    let mut reader = reader(body, delimiter);
    let records = reader.records().take(500);
    records.map_while(Result::ok).map(|r| r.len()).collect()
}

/// Runs of blanks between as many words in every line, most of them numbers.
fn is_aligned(lines: &[&str]) -> bool {
    let rows: Vec<Vec<&str>> = lines
        .iter()
        .map(|l| l.split_whitespace().collect())
        .collect();
    let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
    let usual = mode(&counts);
    let same = counts.iter().filter(|&&n| n == usual).count();
    let fields = || rows.iter().skip(1).flatten();
    let numbers = fields().filter(|field| is_number(field)).count();
    usual > 1
        && rows.len() > 2
        && same as f64 >= REGULAR * rows.len() as f64
        && 2 * numbers > fields().count()
}

/// The line of `body` that the table begins with, where others stand above it that have fewer fields than its rows.
fn begins_below(body: &str, delimiter: char) -> Option<usize> {
    let usual = mode(&lengths(body, delimiter));
    let mut reader = reader(body, delimiter);
    let mut above: Option<usize> = None;
    for record in reader.records().take(100) {
        let record = record.ok()?;
        if record.len() < usual {
            above = Some(record.len());
            continue;
        }
        let line = record.position()?.line() as usize - 1;
        // A header of one name less is one, if rows come next: they begin with a number of their own.
        let is_header = above.is_some_and(|names| names + 1 >= usual) && usual > 2;
        let below = is_header && record.iter().any(is_value);
        return (line > 0 && record.len() == usual && !below).then_some(line);
    }
    None
}

fn reader(body: &str, delimiter: char) -> ::csv::Reader<&[u8]> {
    ::csv::ReaderBuilder::new()
        .delimiter(delimiter as u8)
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .quoting(delimiter != '\t')
        .from_reader(body.as_bytes())
}

fn mode(lengths: &[usize]) -> usize {
    let times = |n: usize| lengths.iter().filter(|&&m| m == n).count();
    lengths
        .iter()
        .copied()
        .max_by_key(|&n| times(n))
        .unwrap_or(0)
}

/// A number or a time, and no name.
fn is_value(text: &str) -> bool {
    is_number(text) || Time::parse(text, None).is_some()
}

fn is_number(text: &str) -> bool {
    text.trim().replacen(',', ".", 1).parse::<f64>().is_ok()
}

/// Names are no numbers and no times, and there is one for almost every column.
fn has_header(body: &str, delimiter: char) -> bool {
    let mut reader = reader(body, delimiter);
    let mut records = reader.records().map_while(Result::ok);
    let Some(first) = records.next() else {
        return true;
    };
    let value = is_value;
    if !first.iter().any(value) {
        return true;
    }
    // Columns that somebody numbered, or called by years; a row of data hardly counts so far.
    let below: Vec<_> = records.take(20).collect();
    let fields: Vec<String> = first.iter().map(String::from).collect();
    let is_fraction = |text: &str| is_number(text) && text.contains(['.', ',']);
    let fractions = || below.iter().any(|row| row.iter().any(is_fraction));
    if are_numbered(&fields) && (first.len() > 2 || fractions()) {
        return true;
    }
    // A year among names: as long as most are none.
    let names = first
        .iter()
        .filter(|text| !text.is_empty() && !value(text))
        .count();
    let rows_with_names = below.iter().filter(|row| {
        let texts = row
            .iter()
            .filter(|text| !text.is_empty() && !value(text))
            .count();
        texts >= names
    });
    names * 2 > first.len() && rows_with_names.count() == 0
}

/// CoNLL-U: a number, a word and tags between tabs.
fn is_tagged(lines: &[&str]) -> bool {
    let word = |line: &&&str| {
        let mut fields = line.split('\t');
        let number = fields.next().is_some_and(|id| id.parse::<f32>().is_ok());
        number && fields.count() == 9
    };
    let tagged: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with('#'))
        .take(50)
        .collect();
    tagged.len() >= 10 && tagged.iter().filter(|&&line| word(&line)).count() == tagged.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn of(text: &str) -> Written {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        written(file.path()).unwrap()
    }

    fn table(text: &str) -> Format {
        match of(text) {
            Written::Table(format) => format,
            _ => panic!("{text:?} is a table"),
        }
    }

    #[test]
    fn the_delimiter_is_what_every_row_has_as_often() {
        for (text, delimiter) in [
            ("a,b\n1,2\n3,4\n", ','),
            ("a;b\n1,5;2,25\n3,0;4,5\n", ';'),
            ("label\ttext\n1\tgood, really\n0\tbad\n", '\t'),
            ("a|b\n1|2\n", '|'),
            ("value\n1.5\n2.5\n", ','),
        ] {
            assert_eq!(table(text).delimiter, delimiter, "{text:?}");
        }
        assert!(matches!(
            of("It was a dark night.\nIt rained, and rained.\n"),
            Written::Text
        ));
    }

    #[test]
    fn lines_above_a_table_are_no_part_of_it() {
        let rows: String = (0..90).map(|k| format!("{k},{}\n", k * k)).collect();
        let below = |above: &str| of(&format!("{above}k,x\n{rows}"));
        assert!(matches!(
            below("Station 12\nExported: today\n\n"),
            Written::Below(4)
        ));
        assert!(matches!(below("sep=,\n"), Written::Table(_)));
        assert!(matches!(
            of("  a    b\n 1.5   2\n 10    3\n"),
            Written::Aligned
        ));
        assert!(matches!(of(" \n"), Written::Nothing));
    }

    #[test]
    fn names_are_in_the_first_line_in_a_comment_or_nowhere() {
        assert_eq!(table("a,b\n1,2\n").header, Header::FirstLine);
        for (numbered, row) in [
            ("0,1,2", "5,7,9"),
            ("100,200,300", "5,7,9"),
            (",0,1", "0,7,9"),
            ("0,1", "0.5,1.5"),
            ("2022,2021", "0.5,1.5"),
        ] {
            let header = table(&format!("{numbered}\n{row}\n{row}\n")).header;
            assert_eq!(header, Header::FirstLine, "{numbered}");
        }
        assert_eq!(table("0,1\n1,0\n").header, Header::None);
        assert_eq!(table("5.5,7\n5,7\n").header, Header::None);
        assert_eq!(table("2026-11-03,7\n2026-11-04,7\n").header, Header::None);
        let format = table("# made by hand\n# x, y\n1,2\n3,4\n");
        assert_eq!(format.comment, Some('#'));
        assert_eq!(format.header, Header::Names(vec!["x".into(), "y".into()]));
    }
}

//! Opens a data file by what is in it: text, gzip or Parquet. The first bytes decide, not the name.
//!
//! Parquet comes out as the CSV that it would print: a line of column names, then a line per row. So
//! everything that can be said about a CSV file (columns, gaps, times, order) holds for it too, and only
//! this module knows that there is another format.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use chrono::{DateTime, Utc};
use flate2::bufread::MultiGzDecoder;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;

const GZIP: &[u8] = &[0x1f, 0x8b];
const PARQUET: &[u8] = b"PAR1";
/// Rows of a Parquet file that are text at a time.
const ROWS: usize = 1024;

/// The text of a data file. `delimiter` stands between the fields of what was not text.
///
/// # Errors
/// What the system says, or what is wrong with a packed file.
pub fn open(path: &Path, delimiter: char) -> io::Result<Box<dyn BufRead>> {
    let mut input = BufReader::new(File::open(path)?);
    if input.fill_buf()?.starts_with(PARQUET) {
        let mut file = input.into_inner();
        file.rewind()?;
        return Ok(Box::new(BufReader::new(ParquetText::new(file, delimiter)?)));
    }
    unpack(input)
}

/// The text of what arrives, unpacked if it is packed.
///
/// # Errors
/// As [`open`]; Parquet has its directory at the end, so it cannot be read as it arrives.
pub fn unpack(mut input: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    let start = input.fill_buf()?;
    if start.starts_with(PARQUET) {
        return Err(io::Error::other(
            "Parquet cannot be read from a pipe; name the file",
        ));
    }
    Ok(if start.starts_with(GZIP) {
        Box::new(BufReader::new(MultiGzDecoder::new(input)))
    } else {
        Box::new(input)
    })
}

/// A Parquet file as CSV.
struct ParquetText {
    rows: RowIter<'static>,
    delimiter: u8,
    text: Cursor<Vec<u8>>,
}

impl ParquetText {
    fn new(file: File, delimiter: char) -> io::Result<Self> {
        let reader = SerializedFileReader::new(file).map_err(readable)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let columns = schema.root_schema().get_fields();
        if let Some(nested) = columns.iter().find(|c| !c.is_primitive()) {
            let name = nested.name();
            return Err(io::Error::other(format!(
                "Parquet: column {name:?} holds lists or structures; write it as plain columns"
            )));
        }
        let delimiter = delimiter as u8;
        let names = columns.iter().map(|c| c.name());
        let mut writer = writer(delimiter);
        writer.write_record(names)?;
        Ok(ParquetText {
            rows: RowIter::from_file_into(Box::new(reader)),
            delimiter,
            text: text(writer)?,
        })
    }
}

impl Read for ParquetText {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let have = self.text.read(buffer)?;
        if have > 0 || buffer.is_empty() {
            return Ok(have);
        }
        let mut writer = writer(self.delimiter);
        for row in self.rows.by_ref().take(ROWS) {
            let row = row.map_err(readable)?;
            writer.write_record(row.get_column_iter().map(|(_, field)| printed(field)))?;
        }
        self.text = text(writer)?;
        self.text.read(buffer)
    }
}

fn writer(delimiter: u8) -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(Vec::new())
}

fn text(writer: csv::Writer<Vec<u8>>) -> io::Result<Cursor<Vec<u8>>> {
    Ok(Cursor::new(
        writer.into_inner().map_err(|e| e.into_error())?,
    ))
}

/// A field as CSV files write it: floats so that they read back the same, times with their date.
fn printed(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        Field::Date(days) => {
            let midnight = DateTime::from_timestamp(i64::from(*days) * 86_400, 0);
            midnight.map_or(String::new(), |t| t.date_naive().to_string())
        }
        Field::TimestampMillis(t) => instant(DateTime::from_timestamp_millis(*t)),
        Field::TimestampMicros(t) => instant(DateTime::from_timestamp_micros(*t)),
        other => other.to_string(),
    }
}

fn instant(time: Option<DateTime<Utc>>) -> String {
    time.map_or(String::new(), |t| {
        t.format("%Y-%m-%d %H:%M:%S%.f").to_string()
    })
}

/// Says what users can do about what this build does not unpack.
fn readable(error: ParquetError) -> io::Error {
    let text = error.to_string();
    io::Error::other(match error {
        _ if text.contains("Disabled feature") => {
            format!("{text}; write it with snappy, gzip, lz4 or no compression")
        }
        ParquetError::NYI(what) => {
            format!("Parquet: {what} is not read; write that column as numbers or text")
        }
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(name: &str) -> io::Result<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packed");
        open(&folder.join(name), ',').and_then(io::read_to_string)
    }

    #[test]
    fn parquet_reads_as_the_csv_that_it_would_print() {
        let text = packed("rows.parquet").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "date,nanos,day,load,flow,count,label");
        assert_eq!(
            lines[1],
            "2026-11-03 23:59:58,1793750398000000000,2026-11-03,0.1,1,1,a"
        );
        // A gap, a delimiter inside a text, the next row group and the next day.
        assert!(
            lines[3].ends_with("2026-11-04,,0.3333333333333333,3,\"d,e\""),
            "{}",
            lines[3]
        );
        assert!(lines[4].contains(",0.000000000000000000000000000001,100000000000000000000,4,"));
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes() {
        assert_eq!(
            packed("rows.csv.gz").unwrap(),
            "load,flow\n0.1,1\n2.5,0.1\n"
        );
        let zipped = include_bytes!("../../tests/packed/rows.csv.gz");
        let broken = unpack(&zipped[..zipped.len() - 6]).and_then(io::read_to_string);
        assert!(broken.is_err());
        assert_eq!(
            unpack(&b"a,b\n"[..]).and_then(io::read_to_string).unwrap(),
            "a,b\n"
        );
        assert_eq!(unpack(&b""[..]).and_then(io::read_to_string).unwrap(), "");
    }

    #[test]
    fn what_cannot_be_read_says_what_to_do() {
        let error = packed("zstd.parquet").unwrap_err().to_string();
        assert!(error.contains("write it with snappy"), "{error}");
        let error = packed("lists.parquet").unwrap_err().to_string();
        assert!(error.contains("column \"a\" holds lists"), "{error}");
        let piped = include_bytes!("../../tests/packed/rows.parquet");
        let error = unpack(&piped[..]).err().unwrap().to_string();
        assert!(error.contains("name the file"), "{error}");
        let mut cut = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut cut, &piped[..piped.len() / 2]).unwrap();
        assert!(open(cut.path(), ',').is_err());
    }
}

//! Parquet as the CSV that it would print: a line of column names, then a line per row. So everything that can be
//! said about a CSV file (columns, gaps, times, order) holds for it too, and only this module knows that there is
//! another format.
//!
//! Instants are printed by the clock of their time zone, as the program prints them that wrote the file. Parquet
//! itself keeps them in UTC; the zone stands in what Arrow or pandas wrote beside the schema.
//!
//! The `parquet` crate unpacks zstd with a C library. Here it is told that such columns are not packed, and what it
//! then gives as pages is unpacked in Rust.

mod columns;
mod header;

pub use self::columns::{Column, Kind, NO_NAME, ParquetColumns, Print};

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, FixedOffset, Utc};
use chrono_tz::Tz;
use parquet::basic::{Compression, ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{
    ChunkReader, FileReader, Length, RowGroupReader, SerializedFileReader,
};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{Type, TypePtr};
use ruzstd::decoding::StreamingDecoder;

/// Rows that are text at a time.
const ROWS: usize = 1024;

/// Bytes of the mark at a file's end.
const END: u64 = 8;

/// A Parquet file as CSV.
pub struct ParquetText {
    rows: RowIter<'static>,
    delimiter: u8,
    columns: Vec<Printed>,
    /// Columns that are no plain ones.
    nested: Vec<String>,
    /// About time zones.
    unknown: Vec<String>,
    text: Cursor<Vec<u8>>,
}

/// How the values of a column are printed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Printed {
    AsItIs,
    /// Times in a unit of so many nanoseconds.
    Time(i64, Zone),
}

/// The clock that times are printed by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Zone {
    /// None is known: as the numbers say.
    Local,
    Named(Tz),
    Offset(FixedOffset),
}

/// What the `parquet` crate gives. Where a damaged file has numbers that it takes for granted, it panics.
fn guarded<T>(read: impl FnOnce() -> Parquet<T>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(found) => found.map_err(readable),
        Err(panic) => {
            let said = (panic.downcast_ref::<String>().map(String::as_str))
                .or(panic.downcast_ref::<&str>().copied());
            Err(io::Error::other(format!(
                "the Parquet file is damaged: {}",
                said.unwrap_or("its numbers contradict each other")
            )))
        }
    }
}

/// Refuses columns that begin or end beyond the file.
fn within(metadata: &ParquetMetaData, file: &Shared) -> io::Result<()> {
    let len = i64::try_from(file.len()).unwrap_or(i64::MAX);
    for group in metadata.row_groups() {
        for column in group.columns() {
            let start = (column.dictionary_page_offset()).unwrap_or(column.data_page_offset());
            let end = start.checked_add(column.compressed_size());
            if start < 0 || column.compressed_size() < 0 || end.is_none_or(|end| end > len) {
                return Err(io::Error::other(format!(
                    "the Parquet file is damaged: column {:?} lies at byte {start} and is {} bytes long, in a file of {len}",
                    column.column_path().string(),
                    column.compressed_size()
                )));
            }
        }
    }
    Ok(())
}

impl ParquetText {
    pub fn new(file: File, delimiter: char) -> io::Result<Self> {
        let packed = Packed::open(file)?;
        let metadata = packed.reader.metadata().file_metadata();
        let ((zones, unknown), schema) = (zones(&packed), metadata.schema_descr_ptr());
        let all = schema.root_schema().get_fields();
        let (plain, nested): (Vec<TypePtr>, Vec<TypePtr>) =
            all.iter().cloned().partition(|column| is_plain(column));
        let mut writer = writer(delimiter as u8);
        writer.write_record(plain.iter().map(|column| column.name()))?;
        let columns = plain.iter().map(|column| printed_as(column, &zones));
        let columns = columns.collect();
        let nested: Vec<String> = nested.iter().map(|c| c.name().to_owned()).collect();
        let wanted = Type::group_type_builder(schema.root_schema().name());
        let wanted = wanted.with_fields(plain).build().map_err(readable)?;
        let rows = guarded(|| {
            let rows = RowIter::from_file_into(Box::new(packed));
            if nested.is_empty() {
                return Ok(rows);
            }
            rows.project(Some(wanted))
        })?;
        Ok(ParquetText {
            rows,
            columns,
            nested,
            unknown,
            delimiter: delimiter as u8,
            text: text(writer)?,
        })
    }

    /// What is left out.
    pub fn notes(&self) -> Vec<String> {
        let note = |name| format!("column {name:?} holds lists or structures and is left out");
        let nested = self.nested.iter().map(note);
        nested.chain(self.unknown.iter().cloned()).collect()
    }
}

/// Not lists, structures, or what has no print.
fn is_plain(column: &Type) -> bool {
    if !column.is_primitive() {
        return false;
    }
    let converted = column.get_basic_info().converted_type();
    let bytes = column.get_physical_type() == Physical::FIXED_LEN_BYTE_ARRAY;
    !bytes || matches!(converted, ConvertedType::NONE | ConvertedType::DECIMAL)
}

fn printed_as(column: &Type, zones: &HashMap<String, Zone>) -> Printed {
    let info = column.get_basic_info();
    let (unit, in_utc) = match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Timestamp(time)), _) => {
            let unit = match time.unit {
                TimeUnit::MILLIS => 1_000_000,
                TimeUnit::MICROS => 1_000,
                TimeUnit::NANOS => 1,
            };
            (unit, time.is_adjusted_to_u_t_c)
        }
        (_, ConvertedType::TIMESTAMP_MILLIS) => (1_000_000, false),
        (_, ConvertedType::TIMESTAMP_MICROS) => (1_000, false),
        _ => return Printed::AsItIs,
    };
    let zone = match zones.get(column.name()) {
        Some(&zone) => zone,
        None if in_utc => Zone::Named(Tz::UTC),
        None => Zone::Local,
    };
    Printed::Time(unit, zone)
}

impl Read for ParquetText {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let have = self.text.read(buffer)?;
        if have > 0 || buffer.is_empty() {
            return Ok(have);
        }
        let mut writer = writer(self.delimiter);
        for _ in 0..ROWS {
            let Some(row) = guarded(|| self.rows.next().transpose())? else {
                break;
            };
            let fields = row.get_column_iter().zip(&self.columns);
            writer.write_record(fields.map(|((_, field), &how)| printed(field, how)))?;
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
fn printed(field: &Field, how: Printed) -> String {
    if let Printed::Time(unit, zone) = how
        && let Field::Long(t) | Field::TimestampMillis(t) | Field::TimestampMicros(t) = field
    {
        return printed_time(*t, unit, zone);
    }
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        Field::Date(days) => {
            let midnight = DateTime::from_timestamp(i64::from(*days) * 86_400, 0);
            midnight.map_or(String::new(), |t| t.date_naive().to_string())
        }
        Field::TimestampMillis(t) => instant(DateTime::from_timestamp_millis(*t), Zone::Local),
        Field::TimestampMicros(t) => instant(DateTime::from_timestamp_micros(*t), Zone::Local),
        other => other.to_string(),
    }
}

/// A time in a unit of so many nanoseconds.
fn printed_time(value: i64, unit: i64, zone: Zone) -> String {
    let nanos = i128::from(value) * i128::from(unit);
    let seconds = nanos.div_euclid(1_000_000_000) as i64;
    let rest = nanos.rem_euclid(1_000_000_000) as u32;
    instant(DateTime::from_timestamp(seconds, rest), zone)
}

fn instant(time: Option<DateTime<Utc>>, zone: Zone) -> String {
    const CLOCK: &str = "%Y-%m-%d %H:%M:%S%.f";
    const WITH_OFFSET: &str = "%Y-%m-%d %H:%M:%S%.f%:z";
    time.map_or(String::new(), |t| match zone {
        Zone::Local => t.format(CLOCK).to_string(),
        Zone::Named(zone) => t.with_timezone(&zone).format(WITH_OFFSET).to_string(),
        Zone::Offset(zone) => t.with_timezone(&zone).format(WITH_OFFSET).to_string(),
    })
}

/// The time zones of columns, from what Arrow and pandas write beside the schema, and what there is to say about them.
fn zones(packed: &Packed) -> (HashMap<String, Zone>, Vec<String>) {
    let metadata = packed.reader.metadata().file_metadata();
    let (mut found, mut unknown) = (HashMap::new(), BTreeSet::new());
    for pair in metadata.key_value_metadata().into_iter().flatten() {
        let Some(value) = &pair.value else { continue };
        let named = match &pair.key[..] {
            "ARROW:schema" => BASE64_STANDARD
                .decode(value.trim())
                .ok()
                .and_then(|bytes| arrow::zones(&bytes)),
            "pandas" => pandas(value),
            _ => None,
        };
        for (column, name) in named.into_iter().flatten() {
            let offset = name.parse().map(Zone::Offset);
            let zone = name.parse().map(Zone::Named).ok().or(offset.ok());
            match zone {
                Some(zone) => drop(found.entry(column).or_insert(zone)),
                None => drop(unknown.insert((column, name))),
            }
        }
    }
    let unknown = unknown
        .into_iter()
        .filter(|(column, _)| !found.contains_key(column));
    let notes = unknown.map(|(column, name)| {
        format!("column {column:?} is in the time zone {name:?}, which is not known here: its times are read as UTC")
    });
    let notes = notes.collect();
    (found, notes)
}

fn pandas(text: &str) -> Option<Vec<(String, String)>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let zone = |column: &serde_json::Value| {
        let name = column["field_name"].as_str().or(column["name"].as_str())?;
        let zone = column["metadata"]["timezone"].as_str()?;
        Some((name.to_owned(), zone.to_owned()))
    };
    Some(
        value["columns"]
            .as_array()?
            .iter()
            .filter_map(zone)
            .collect(),
    )
}

/// As much of Arrow's schema message as says which zone a column of times is in: a flatbuffer, whose tables are
/// `Message { version, header_type, header }`, `Schema { endianness, fields }`, `Field { name, nullable, type_type,
/// type }` and `Timestamp { unit, timezone }`.
mod arrow {
    const TIMESTAMP: u8 = 10;

    /// Column and zone.
    pub fn zones(message: &[u8]) -> Option<Vec<(String, String)>> {
        // Behind a mark and a length.
        let bytes = match message {
            [0xff, 0xff, 0xff, 0xff, _, _, _, _, rest @ ..] => rest,
            bytes => bytes,
        };
        let buffer = Buffer(bytes);
        let message = buffer.behind(0)?;
        let schema = buffer.behind(buffer.field(message, 2)?)?;
        let fields = buffer.behind(buffer.field(schema, 1)?)?;
        let mut found = Vec::new();
        for k in 0..buffer.u32(fields)? as usize {
            let field = buffer.behind(fields.checked_add(4 + 4 * k)?)?;
            let kind = buffer.field(field, 2).and_then(|at| bytes.get(at));
            if kind != Some(&TIMESTAMP) {
                continue;
            }
            let time = buffer.behind(buffer.field(field, 3)?)?;
            if let Some(zone) = buffer.field(time, 1) {
                let name = buffer.text(buffer.field(field, 0)?)?;
                found.push((name, buffer.text(zone)?));
            }
        }
        Some(found)
    }

    struct Buffer<'b>(&'b [u8]);

    impl Buffer<'_> {
        fn u32(&self, at: usize) -> Option<u32> {
            let bytes = self.0.get(at..at.checked_add(4)?)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        }

        fn u16(&self, at: usize) -> Option<usize> {
            let bytes = self.0.get(at..at.checked_add(2)?)?;
            Some(u16::from_le_bytes(bytes.try_into().ok()?).into())
        }

        /// Where the offset at `at` leads.
        fn behind(&self, at: usize) -> Option<usize> {
            at.checked_add(self.u32(at)? as usize)
        }

        /// Where field `k` of a table is, if it is there.
        fn field(&self, table: usize, k: usize) -> Option<usize> {
            let back = self.u32(table)? as i32;
            let list = usize::try_from(i64::try_from(table).ok()? - i64::from(back)).ok()?;
            let entry = 4 + 2 * k;
            if entry + 2 > self.u16(list)? {
                return None;
            }
            let offset = self.u16(list.checked_add(entry)?)?;
            (offset > 0).then_some(table + offset)
        }

        fn text(&self, at: usize) -> Option<String> {
            let start = self.behind(at)?;
            let length = self.u32(start)? as usize;
            let end = start.checked_add(4)?.checked_add(length)?;
            let bytes = self.0.get(start + 4..end)?;
            String::from_utf8(bytes.to_vec()).ok()
        }
    }
}

/// A file that several columns are read from at once, each from a place of its own: handles of a file share theirs.
#[derive(Clone)]
struct Shared(Arc<Mutex<File>>);

impl Shared {
    fn from(&self, at: u64) -> BufReader<Place> {
        let file = self.clone();
        BufReader::new(Place { file, at })
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        // Every use of it sets the place first.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Length for Shared {
    fn len(&self) -> u64 {
        self.lock().metadata().map_or(0, |found| found.len())
    }
}

impl ChunkReader for Shared {
    type T = BufReader<Place>;

    /// The end mark, which is `[length of the footer: u32, "PAR1"]`, or a page, whose header comes first.
    fn get_read(&self, start: u64) -> Parquet<Self::T> {
        if start.checked_add(END) != Some(self.len()) {
            header::check_page(self.from(start))?;
        } else {
            let mut mark = [0; END as usize];
            self.from(start).read_exact(&mut mark)?;
            let [a, b, c, d, name @ ..] = mark;
            let footer = start.checked_sub(u32::from_le_bytes([a, b, c, d]).into());
            // What else a mark may say is told by the crate.
            if let (b"PAR1", Some(footer)) = (&name, footer) {
                header::check_footer(self.from(footer))?;
            }
        }
        Ok(self.from(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parquet<Bytes> {
        let mut bytes = Vec::new();
        let mut file = self.lock();
        file.seek(SeekFrom::Start(start))?;
        // A damaged file may say any length.
        file.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "{length} bytes from byte {start} on were expected, and there are {}",
                bytes.len()
            )));
        }
        Ok(bytes.into())
    }
}

/// A place in a shared file.
struct Place {
    file: Shared,
    at: u64,
}

impl Read for Place {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A file whose zstd pages are unpacked here.
struct Packed {
    reader: SerializedFileReader<Shared>,
    file: Arc<Shared>,
}

impl Packed {
    fn open(file: File) -> io::Result<Self> {
        let file = Shared(Arc::new(Mutex::new(file)));
        let packed = Packed {
            file: Arc::new(file.clone()),
            reader: guarded(|| SerializedFileReader::new(file))?,
        };
        within(packed.reader.metadata(), &packed.file)?;
        Ok(packed)
    }
}

impl FileReader for Packed {
    fn metadata(&self) -> &ParquetMetaData {
        self.reader.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    fn get_row_group(&self, i: usize) -> Parquet<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(PackedGroup {
            group: self.reader.get_row_group(i)?,
            file: self.file.clone(),
        }))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Parquet<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct PackedGroup<'f> {
    group: Box<dyn RowGroupReader + 'f>,
    file: Arc<Shared>,
}

impl RowGroupReader for PackedGroup<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.group.metadata()
    }

    fn num_columns(&self) -> usize {
        self.group.num_columns()
    }

    fn get_column_page_reader(&self, i: usize) -> Parquet<Box<dyn PageReader>> {
        let column = self.metadata().column(i);
        if !matches!(column.compression(), Compression::ZSTD(_)) {
            return self.group.get_column_page_reader(i);
        }
        let plain = column.clone().into_builder();
        let plain = plain.set_compression(Compression::UNCOMPRESSED).build()?;
        let rows = usize::try_from(self.metadata().num_rows())?;
        let pages = SerializedPageReader::new(self.file.clone(), &plain, rows, None)?;
        Ok(Box::new(ZstdPages(pages)))
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.group.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Parquet<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

struct ZstdPages(SerializedPageReader<Shared>);

/// What zstd packed, behind `plain` bytes that it did not.
fn unpacked(bytes: &[u8], plain: usize) -> Parquet<Vec<u8>> {
    let (head, mut packed) = bytes
        .split_at_checked(plain)
        .ok_or_else(|| ParquetError::General("a page is shorter than its levels".into()))?;
    let mut all = head.to_vec();
    while !packed.is_empty() {
        let frame = StreamingDecoder::new(&mut packed);
        let mut frame = frame.map_err(|e| ParquetError::General(format!("zstd: {e}")))?;
        // A page has a length of 31 bits.
        frame.by_ref().take(1 << 31).read_to_end(&mut all)?;
    }
    Ok(all)
}

impl Iterator for ZstdPages {
    type Item = Parquet<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for ZstdPages {
    fn get_next_page(&mut self) -> Parquet<Option<Page>> {
        let Some(mut page) = self.0.get_next_page()? else {
            return Ok(None);
        };
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => {
                *buf = unpacked(buf, 0)?.into();
            }
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed: is_packed @ true,
                ..
            } => {
                let levels = (*def_levels_byte_len + *rep_levels_byte_len) as usize;
                *buf = unpacked(buf, levels)?.into();
                *is_packed = false;
            }
            Page::DataPageV2 { .. } => {}
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Parquet<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Parquet<()> {
        self.0.skip_next_page()
    }
}

/// Says what users can do about what is not read.
fn readable(error: ParquetError) -> io::Error {
    let text = error.to_string();
    io::Error::other(match error {
        _ if text.contains("Disabled feature") => {
            format!("{text}; write it with zstd, snappy, gzip, brotli, lz4 or no compression")
        }
        ParquetError::External(cause) => cause.to_string(),
        ParquetError::NYI(what) => {
            format!("Parquet: {what} is not read; write that column as numbers or text")
        }
        _ => text,
    })
}

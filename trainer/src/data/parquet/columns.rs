//! Parquet column by column, as the numbers that are in it: for tables of so many rows that printing and reading them
//! again ([`ParquetText`](super::ParquetText)) would take longer than what is done with them.
//!
//! Only what a number or a key can be is taken, flat columns of integers, floats and, for keys, text; whatever else a table
//! has is left to the way by text, so that nothing is read in two ways. A number is what its print would be read as.

use std::borrow::Cow;
use std::fs::File;
use std::io;

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::schema::types::ColumnDescriptor;
use rayon::prelude::*;

use crate::data::places::Places;

use super::{Packed, PackedGroup, Parquet, Printed, guarded, printed_as, printed_time, zones};

/// What a column is wanted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number in 32 bits.
    Number,
    /// A name or a time, as exactly as it is there.
    Key,
}

/// Some rows of a column; what is null is NaN or none.
#[derive(Debug)]
pub enum Column {
    /// Of [`Kind::Number`].
    Numbers(Vec<f32>),
    /// Keys that are integers.
    Whole(Vec<Option<i64>>),
    /// Keys that are floats.
    Real(Vec<Option<f64>>),
    /// Keys that are text: each once, and its place among them for every row, [`NO_NAME`] for none.
    Names(Vec<String>, Vec<u32>),
}

/// Of a row without a name.
pub const NO_NAME: u32 = u32::MAX;

impl Column {
    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Numbers(all) => all.len(),
            Column::Whole(all) => all.len(),
            Column::Real(all) => all.len(),
            Column::Names(_, all) => all.len(),
        }
    }

    /// Of numbers.
    pub fn numbers(&self) -> Option<&[f32]> {
        match self {
            Column::Numbers(all) => Some(all),
            _ => None,
        }
    }

    /// Of integers.
    pub fn whole(&self) -> Option<&[Option<i64>]> {
        match self {
            Column::Whole(all) => Some(all),
            _ => None,
        }
    }

    /// What a row prints.
    pub fn text(&self, row: usize) -> String {
        match self {
            Column::Numbers(all) => all[row].to_string(),
            Column::Whole(all) => all[row].map_or_else(String::new, |x| x.to_string()),
            Column::Real(all) => all[row].map_or_else(String::new, |x| x.to_string()),
            Column::Names(names, all) => {
                let name = names.get(all[row] as usize);
                name.cloned().unwrap_or_default()
            }
        }
    }
}

/// How integers print, which may be times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Print(Printed);

impl Print {
    /// As the table would have it as text.
    pub fn of(self, value: i64) -> String {
        match self.0 {
            Printed::Time(unit, zone) => printed_time(value, unit, zone),
            Printed::AsItIs => value.to_string(),
        }
    }

    /// How many nanoseconds a unit of a time is; of a plain number, as if it were of seconds.
    pub fn nanoseconds(self) -> i64 {
        match self.0 {
            Printed::Time(unit, _) => unit,
            Printed::AsItIs => 1_000_000_000,
        }
    }
}

/// A Parquet file by columns.
pub struct ParquetColumns {
    packed: Packed,
    wanted: Vec<Wanted>,
    /// Of the row group that is open.
    open: Vec<ColumnReader>,
    left: usize,
    /// The row group that is opened next.
    next: usize,
}

#[derive(Clone, Copy)]
struct Wanted {
    /// Among all columns.
    at: usize,
    kind: Kind,
    printed: Printed,
    optional: bool,
    unsigned: bool,
}

impl ParquetColumns {
    /// The names of all plain columns.
    ///
    /// # Errors
    /// If it is no Parquet file.
    pub fn names(file: &File) -> io::Result<Vec<String>> {
        let packed = Packed::open(file.try_clone()?)?;
        let schema = packed.reader.metadata().file_metadata().schema_descr_ptr();
        let fields = schema.root_schema().get_fields();
        let plain = fields.iter().filter(|column| super::is_plain(column));
        Ok(plain.map(|column| column.name().to_owned()).collect())
    }

    /// Opens a file for these columns. None, if one of them is not there once, or is nothing that is read so.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open(file: File, wanted: &[(&str, Kind)]) -> io::Result<Option<Self>> {
        let packed = Packed::open(file)?;
        let schema = packed.reader.metadata().file_metadata().schema_descr_ptr();
        let (zones, _) = zones(&packed);
        let find = |&(name, kind): &(&str, Kind)| {
            let columns = schema.columns().iter().enumerate();
            let mut named = columns.filter(|(_, column)| column.path().parts() == [name]);
            let (at, column) = named.next()?;
            let only = named.next().is_none();
            (only && is_taken(column, kind)).then(|| Wanted {
                at,
                kind,
                printed: printed_as(column.self_type(), &zones),
                optional: column.max_def_level() > 0,
                unsigned: is_unsigned(column),
            })
        };
        let wanted: Option<Vec<Wanted>> = wanted.iter().map(find).collect();
        Ok(wanted.map(|wanted| ParquetColumns {
            open: Vec::new(),
            left: 0,
            next: 0,
            wanted,
            packed,
        }))
    }

    /// The next rows, at most so many, a column for each that is wanted; without any at the end.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn read(&mut self, rows: usize) -> io::Result<Vec<Column>> {
        while self.left == 0 {
            if self.next == self.packed.num_row_groups() {
                return Ok(Vec::new());
            }
            let (packed, wanted, next) = (&self.packed, &self.wanted, self.next);
            (self.open, self.left) = guarded(|| open_group(packed, wanted, next))?;
            self.next += 1;
        }
        let rows = rows.min(self.left);
        let columns = self.open.par_iter_mut().zip(&self.wanted);
        let columns = columns.map(|(reader, wanted)| guarded(|| column(reader, *wanted, rows)));
        let columns = columns.collect::<io::Result<_>>()?;
        self.left -= rows;
        Ok(columns)
    }

    /// Columns that are wanted.
    pub fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// Whether a wanted column is of integers.
    pub fn is_whole(&self, column: usize) -> bool {
        let schema = self.packed.reader.metadata().file_metadata().schema_descr();
        let physical = schema.column(self.wanted[column].at).physical_type();
        matches!(physical, Physical::INT32 | Physical::INT64)
    }

    /// How the integers of a wanted column print.
    pub fn print_of(&self, column: usize) -> Print {
        Print(self.wanted[column].printed)
    }
}

fn open_group(
    packed: &Packed,
    wanted: &[Wanted],
    group: usize,
) -> Parquet<(Vec<ColumnReader>, usize)> {
    let group = PackedGroup {
        group: packed.reader.get_row_group(group)?,
        file: packed.file.clone(),
    };
    let schema = packed.reader.metadata().file_metadata().schema_descr_ptr();
    let reader = |wanted: &Wanted| {
        let pages = group.get_column_page_reader(wanted.at)?;
        Ok(get_column_reader(schema.column(wanted.at), pages))
    };
    let readers = wanted.iter().map(reader).collect::<Parquet<_>>()?;
    Ok((readers, usize::try_from(group.metadata().num_rows())?))
}

/// Whether a column is read as such a kind.
fn is_taken(column: &ColumnDescriptor, kind: Kind) -> bool {
    let flat = column.max_rep_level() == 0 && column.max_def_level() <= 1;
    let converted = column.converted_type();
    let plain = match column.physical_type() {
        // The print of a float as a name is that of 32 bits.
        Physical::FLOAT => kind == Kind::Number,
        Physical::DOUBLE => true,
        Physical::INT32 | Physical::INT64 => match converted {
            ConvertedType::NONE => {
                let time = matches!(column.logical_type_ref(), Some(LogicalType::Timestamp(_)));
                column.logical_type_ref().is_none() || time && kind == Kind::Key
            }
            ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS => kind == Kind::Key,
            ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64
            | ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32 => true,
            _ => false,
        },
        Physical::BYTE_ARRAY => {
            kind == Kind::Key && matches!(converted, ConvertedType::UTF8 | ConvertedType::ENUM)
        }
        _ => false,
    };
    flat && plain
}

fn is_unsigned(column: &ColumnDescriptor) -> bool {
    column.converted_type() == ConvertedType::UINT_32
}

fn column(reader: &mut ColumnReader, wanted: Wanted, rows: usize) -> Parquet<Column> {
    let whole = |x: i32| match wanted.unsigned {
        true => i64::from(x as u32),
        false => i64::from(x),
    };
    let number = wanted.kind == Kind::Number;
    let many = (rows, wanted.optional);
    Ok(match reader {
        ColumnReader::Int32ColumnReader(reader) if number => {
            Column::Numbers(values(reader, many, f32::NAN, |x| whole(x) as f32)?)
        }
        ColumnReader::Int64ColumnReader(reader) if number => {
            Column::Numbers(values(reader, many, f32::NAN, |x| x as f32)?)
        }
        ColumnReader::FloatColumnReader(reader) if number => {
            Column::Numbers(values(reader, many, f32::NAN, |x| x)?)
        }
        ColumnReader::DoubleColumnReader(reader) if number => {
            Column::Numbers(values(reader, many, f32::NAN, narrowed)?)
        }
        ColumnReader::Int32ColumnReader(reader) => {
            Column::Whole(values(reader, many, None, |x| Some(whole(x)))?)
        }
        ColumnReader::Int64ColumnReader(reader) => Column::Whole(values(reader, many, None, Some)?),
        ColumnReader::DoubleColumnReader(reader) => Column::Real(values(reader, many, None, Some)?),
        ColumnReader::ByteArrayColumnReader(reader) => {
            let mut names = Places::default();
            let places = values(reader, many, NO_NAME, |name: ByteArray| {
                names.of(name.data())
            })?;
            let names = names.names().map(String::from_utf8_lossy);
            Column::Names(names.map(Cow::into_owned).collect(), places)
        }
        _ => Column::Numbers(Vec::new()),
    })
}

/// Rows that are taken from a column at a time: they stay in the second cache until they are what is wanted of them.
const PIECE: usize = 1 << 12;

/// The rows of a column, of which nulls have no value of their own.
fn values<T: DataType, V: Clone>(
    reader: &mut ColumnReaderImpl<T>,
    (rows, optional): (usize, bool),
    null: V,
    mut of: impl FnMut(T::T) -> V,
) -> Parquet<Vec<V>> {
    let (mut found, mut levels) = (Vec::with_capacity(rows), Vec::new());
    let (mut records, mut values) = (0, Vec::new());
    while records < rows {
        values.clear();
        levels.clear();
        let into = optional.then_some(&mut levels);
        let (read, _, _) =
            reader.read_records(PIECE.min(rows - records), into, None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::General(
                "a column is shorter than its row group".into(),
            ));
        }
        records += read;
        let mut values = values.drain(..);
        match optional {
            true => found.extend(levels.iter().map(|&level| match level {
                0 => null.clone(),
                _ => values.next().map_or_else(|| null.clone(), &mut of),
            })),
            false => found.extend(values.map(&mut of)),
        }
    }
    Ok(found)
}

/// What the print of a number in 64 bits is read as in 32: where it lies in the middle of two, or among those of fewer bits, the print decides.
fn narrowed(x: f64) -> f32 {
    const BELOW: u64 = (1 << 29) - 1;
    if x.to_bits() & BELOW == 1 << 28 || x.abs() < f64::from(f32::MIN_POSITIVE) {
        return x.to_string().parse().unwrap_or(f32::NAN);
    }
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_its_print_is_read_as() {
        for x in [
            0.1,
            1.0 + 2f64.powi(-24),
            -3.0 - 3.0 * 2f64.powi(-23),
            1e39,
            1e-46,
            0.0,
            f64::from(f32::MAX),
        ] {
            let read: f32 = x.to_string().parse().unwrap();
            assert_eq!(narrowed(x).to_bits(), read.to_bits(), "{x}");
        }
        assert!(narrowed(f64::NAN).is_nan());
    }
}

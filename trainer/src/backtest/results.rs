//! A row per device, as Parquet.

use std::sync::Arc;

use anyhow::Result;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::{Counts, Met, Outcome};

/// The columns: those that may be null hold nothing where nothing is known.
const SCHEMA: &str = "
message devices {
  required binary device (STRING);
  required int64 rows;
  required int64 answers;
  required int64 measured;
  optional double metric_old;
  optional double metric_new;
  required int64 alarms_old;
  required int64 alarms_new;
  required int64 alarms_gained;
  required int64 alarms_lost;
  required int64 cut_old;
  required int64 cut_new;
  required int64 differing;
  required float largest_difference;
  optional int64 first_difference_row;
  optional binary first_difference_time (STRING);
  required int64 broken_rows;
  required int64 rows_left_out;
  optional binary fault (STRING);
}";

type Device = (Met, Counts);

/// The table. `metric` is that of a device by its figures.
///
/// # Errors
/// If it cannot be written to memory.
pub fn parquet(outcome: &Outcome, metric: impl Fn(&Counts) -> Option<[f64; 2]>) -> Result<Vec<u8>> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;
    let all = &outcome.devices;
    let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    let whole = |of: fn(&Device) -> u64| all.iter().map(move |device| of(device) as i64);
    required::<ByteArrayType>(&mut group, all.iter().map(|(met, _)| text(&met.name)))?;
    required::<Int64Type>(&mut group, whole(|(_, counts)| counts.rows))?;
    required::<Int64Type>(&mut group, whole(|(_, counts)| counts.answers))?;
    required::<Int64Type>(&mut group, whole(|(_, counts)| counts.measured))?;
    for k in 0..2 {
        let metric = all
            .iter()
            .map(|(_, counts)| metric(counts).map(|both| both[k]));
        optional::<DoubleType>(&mut group, metric)?;
    }
    let counted: [fn(&Device) -> u64; 7] = [
        |(_, counts)| counts.alarms[0],
        |(_, counts)| counts.alarms[1],
        |(_, counts)| counts.gained,
        |(_, counts)| counts.lost,
        |(_, counts)| counts.cut[0],
        |(_, counts)| counts.cut[1],
        |(_, counts)| counts.differing,
    ];
    for of in counted {
        required::<Int64Type>(&mut group, whole(of))?;
    }
    required::<FloatType>(&mut group, all.iter().map(|(_, counts)| counts.largest))?;
    let first = all.iter().map(|(_, counts)| counts.first.as_ref());
    optional::<Int64Type>(&mut group, first.clone().map(|first| Some(first?.0 as i64)))?;
    let time = first.map(|first| first?.1.as_deref().map(text));
    optional::<ByteArrayType>(&mut group, time)?;
    required::<Int64Type>(&mut group, whole(|(met, _)| met.broken))?;
    required::<Int64Type>(&mut group, whole(|(met, _)| met.left))?;
    let fault = all.iter().map(|(met, _)| met.fault.as_deref().map(text));
    optional::<ByteArrayType>(&mut group, fault)?;
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

fn required<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: impl Iterator<Item = T::T>,
) -> Result<()> {
    column::<T>(group, &values.collect::<Vec<_>>(), None)
}

fn optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut found, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        found.extend(value);
    }
    column::<T>(group, &found, Some(&levels))
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<()> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, levels, None)?;
        column.close()?;
    }
    Ok(())
}

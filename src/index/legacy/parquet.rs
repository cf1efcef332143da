//! Rows of a foreign Parquet file, by column name. Typed or not, required or not, 32 bits or 64: the values say what they are.

use super::form;
use super::wire::{self, Kind, Line, ROWS, Table};
use crate::snapshot::parquet::WRITER;
use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::FileReader;
use ::parquet::file::serialized_reader::SerializedFileReader;
use ::parquet::record::Field;
use ::parquet::schema::types::Type;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

const MARK: &[u8] = b"PAR1";

/// Whether the bytes begin as a Parquet file does.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK)
}

/// Tells the table of a Parquet file.
pub(super) fn tell(bytes: Vec<u8>, say: &mut dyn FnMut(&Line) -> Result<(), String>) -> Result<(), String> {
    if bytes.len() < 12 || !bytes.ends_with(MARK) {
        return Err("it is a Parquet file without its end: it was cut, or is being written".to_owned());
    }
    let damaged = |error: ParquetError| format!("it is damaged: {error}");
    let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(damaged)?;
    let file = reader.metadata().file_metadata();
    let root = file.schema();
    let columns: Vec<_> = root.get_fields().iter().map(|of| (of.name().to_owned(), kind(of))).collect();
    let ours = file.created_by().is_some_and(|by| by.starts_with(WRITER));
    let read: Vec<_> = root.get_fields().iter().filter(|of| of.is_primitive() && form::wanted(of.name())).collect();
    let rows = u64::try_from(file.num_rows()).map_err(|_| "it is damaged: it says that it has less than no rows")?;
    let names = read.iter().map(|of| of.name().to_owned()).collect();
    say(&Line::Table(Table { columns, read: names, rows, ours }))?;
    if rows > ROWS || read.is_empty() || ours {
        return say(&Line::End);
    }
    let fields = read.into_iter().cloned().collect::<Vec<Arc<Type>>>();
    let projection = Type::group_type_builder(root.name()).with_fields(fields).build().map_err(damaged)?;
    let mut found = 0;
    for row in reader.get_row_iter(Some(projection)).map_err(damaged)? {
        let row = row.map_err(damaged)?;
        say(&Line::Row(row.get_column_iter().map(|(_, field)| value(field)).collect()))?;
        found += 1;
    }
    if found != rows {
        return Err(format!("it is damaged: it says that it has {rows} rows, and {found} are there"));
    }
    say(&Line::End)
}

fn kind(of: &Type) -> Kind {
    if !of.is_primitive() {
        return Kind::Other;
    }
    let info = of.get_basic_info();
    match (info.logical_type_ref(), of.get_physical_type()) {
        (Some(LogicalType::Unknown), _) => Kind::Null,
        (Some(LogicalType::Timestamp { .. }), _) | (_, Physical::INT96) => Kind::Time,
        (_, Physical::BOOLEAN) => Kind::Bool,
        (_, Physical::INT32 | Physical::INT64) if info.converted_type() == ConvertedType::DECIMAL => Kind::Other,
        (_, Physical::INT32 | Physical::INT64) => Kind::Int,
        (_, Physical::FLOAT | Physical::DOUBLE) => Kind::Real,
        (_, Physical::BYTE_ARRAY) => Kind::Text,
        (_, Physical::FIXED_LEN_BYTE_ARRAY) => Kind::Other,
    }
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(is) => Value::from(*is),
        Field::Byte(number) => Value::from(*number),
        Field::Short(number) => Value::from(*number),
        Field::Int(number) => Value::from(*number),
        Field::Long(number) => Value::from(*number),
        Field::UByte(number) => Value::from(*number),
        Field::UShort(number) => Value::from(*number),
        Field::UInt(number) => Value::from(*number),
        Field::ULong(number) => Value::from(*number),
        Field::Float(number) => Value::from(*number),
        Field::Double(number) => Value::from(*number),
        Field::Str(text) => wire::text(text),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or_else(|_| wire::other(), wire::text),
        Field::TimestampMillis(at) => wire::time(at.saturating_mul(1000)),
        Field::TimestampMicros(at) => wire::time(*at),
        _ => wire::other(),
    }
}

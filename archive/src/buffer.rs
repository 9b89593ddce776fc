//! The values of one column until they are written.

use chrono::NaiveDate;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::Type;
use schema::columns::{Cell, ColumnType};

use crate::decimal::{DECIMAL_PRECISION, DECIMAL_SCALE, units};

const UUID_BYTES: i32 = 16;
const DECIMAL_BYTES: i32 = 16;
/// Of what is kept for a value beside its bytes.
const VALUE_BYTES: usize = 40;

/// Values that are there, and for each row whether there is one.
#[derive(Debug, Default)]
pub struct Buffer<T> {
    values: Vec<T>,
    present: Vec<i16>,
}

#[derive(Debug)]
pub enum ColumnBuffer {
    Bytes(Buffer<ByteArray>),
    Fixed(Buffer<FixedLenByteArray>),
    Integer(Buffer<i64>),
    Date(Buffer<i32>),
    Double(Buffer<f64>),
    Boolean(Buffer<bool>),
}

impl<T> Buffer<T> {
    fn push(&mut self, value: T) {
        self.values.push(value);
        self.present.push(1);
    }
}

impl ColumnBuffer {
    pub fn of(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Text | ColumnType::Json | ColumnType::Sealed => Self::Bytes(Buffer::default()),
            ColumnType::Uuid | ColumnType::Decimal => Self::Fixed(Buffer::default()),
            ColumnType::Timestamp | ColumnType::Integer => Self::Integer(Buffer::default()),
            ColumnType::Date => Self::Date(Buffer::default()),
            ColumnType::Double => Self::Double(Buffer::default()),
            ColumnType::Boolean => Self::Boolean(Buffer::default()),
        }
    }

    /// Takes a cell, and says how many bytes it holds more; none where the cell is of another kind of column.
    pub fn push(&mut self, cell: &Cell) -> Option<usize> {
        match (&mut *self, cell) {
            (_, Cell::Null) => self.present().push(0),
            (Self::Bytes(buffer), Cell::Text(text)) => {
                buffer.push(ByteArray::from(text.as_bytes().to_vec()));
                return Some(VALUE_BYTES + text.len());
            }
            (Self::Fixed(buffer), Cell::Uuid(id)) => buffer.push(ByteArray::from(id.as_bytes().to_vec()).into()),
            (Self::Fixed(buffer), Cell::Decimal(number)) => match units(*number) {
                Some(units) => buffer.push(ByteArray::from(units.to_be_bytes().to_vec()).into()),
                None => buffer.present.push(0),
            },
            (Self::Integer(buffer), Cell::Timestamp(at)) => buffer.push(at.timestamp_micros()),
            (Self::Integer(buffer), Cell::Integer(number)) => buffer.push(*number),
            (Self::Date(buffer), Cell::Date(date)) => {
                buffer.push(i32::try_from((*date - NaiveDate::default()).num_days()).ok()?);
            }
            (Self::Double(buffer), Cell::Double(number)) => buffer.push(*number),
            (Self::Boolean(buffer), Cell::Boolean(is)) => buffer.push(*is),
            _ => return None,
        }
        Some(VALUE_BYTES)
    }

    fn present(&mut self) -> &mut Vec<i16> {
        match self {
            Self::Bytes(buffer) => &mut buffer.present,
            Self::Fixed(buffer) => &mut buffer.present,
            Self::Integer(buffer) => &mut buffer.present,
            Self::Date(buffer) => &mut buffer.present,
            Self::Double(buffer) => &mut buffer.present,
            Self::Boolean(buffer) => &mut buffer.present,
        }
    }

    /// Writes what it holds, and is empty then.
    pub fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match (&mut *self, column.untyped()) {
            (Self::Bytes(buffer), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(&buffer.values, Some(&buffer.present), None)?;
                *buffer = Buffer::default();
            }
            (Self::Fixed(buffer), ColumnWriter::FixedLenByteArrayColumnWriter(writer)) => {
                writer.write_batch(&buffer.values, Some(&buffer.present), None)?;
                *buffer = Buffer::default();
            }
            (Self::Integer(buffer), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(&buffer.values, Some(&buffer.present), None)?;
                *buffer = Buffer::default();
            }
            (Self::Date(buffer), ColumnWriter::Int32ColumnWriter(writer)) => {
                writer.write_batch(&buffer.values, Some(&buffer.present), None)?;
                *buffer = Buffer::default();
            }
            (Self::Double(buffer), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(&buffer.values, Some(&buffer.present), None)?;
                *buffer = Buffer::default();
            }
            (Self::Boolean(buffer), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(&buffer.values, Some(&buffer.present), None)?;
                *buffer = Buffer::default();
            }
            _ => return Err(ParquetError::General("a column's type is not that of its values".to_owned())),
        }
        Ok(())
    }
}

/// What Parquet calls a column of ours.
pub fn parquet_type(name: &str, column_type: ColumnType) -> Result<Type, ParquetError> {
    let (physical, logical) = match column_type {
        // Sealed values are text to whoever has no key.
        ColumnType::Text | ColumnType::Sealed => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnType::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        ColumnType::Uuid => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)),
        ColumnType::Decimal => (
            Physical::FIXED_LEN_BYTE_ARRAY,
            Some(LogicalType::decimal(i32::from(DECIMAL_SCALE), i32::from(DECIMAL_PRECISION))),
        ),
        ColumnType::Timestamp => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        ColumnType::Integer => (Physical::INT64, None),
        ColumnType::Date => (Physical::INT32, Some(LogicalType::Date)),
        ColumnType::Double => (Physical::DOUBLE, None),
        ColumnType::Boolean => (Physical::BOOLEAN, None),
    };
    let builder =
        Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL).with_logical_type(logical);
    match column_type {
        ColumnType::Uuid => builder.with_length(UUID_BYTES),
        ColumnType::Decimal => builder
            .with_length(DECIMAL_BYTES)
            .with_precision(i32::from(DECIMAL_PRECISION))
            .with_scale(i32::from(DECIMAL_SCALE)),
        ColumnType::Text
        | ColumnType::Sealed
        | ColumnType::Json
        | ColumnType::Timestamp
        | ColumnType::Integer
        | ColumnType::Date
        | ColumnType::Double
        | ColumnType::Boolean => builder,
    }
    .build()
}

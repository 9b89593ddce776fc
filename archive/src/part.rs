//! A part of an archive: events as they are stored, one Parquet file, rows in the order of positions.
//!
//! Its columns are those of the table `events`, so that a row can be put back as it was.

use std::sync::Arc;

use chrono::DateTime;
use event_store::archiving::Hashed;
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};
use schema::digest::hex;
use schema::log::{Generation, Position};
use schema::stored::StoredEvent;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Rows that stand together: what is read of a file at once, and held in memory by who reads.
pub const ROW_GROUP_ROWS_MAX: usize = 16_384;
/// The same in bytes of text, above the last row.
pub const ROW_GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many of the row groups that a stream is not in are looked into for it all the same.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
const UUID_BYTES: i32 = 16;

/// The columns of a part, in their order, which is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Position,
    Sequence,
    Generation,
    RecordedAt,
    EventId,
    PartitionKey,
    Retention,
    Partition,
    AggregateType,
    AggregateId,
    EventType,
    EventVersion,
    Payload,
    Metadata,
    PayloadHash,
}

impl Column {
    pub const ALL: [Self; 15] = [
        Self::Position,
        Self::Sequence,
        Self::Generation,
        Self::RecordedAt,
        Self::EventId,
        Self::PartitionKey,
        Self::Retention,
        Self::Partition,
        Self::AggregateType,
        Self::AggregateId,
        Self::EventType,
        Self::EventVersion,
        Self::Payload,
        Self::Metadata,
        Self::PayloadHash,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Sequence => "sequence",
            Self::Generation => "generation",
            Self::RecordedAt => "recorded_at",
            Self::EventId => "event_id",
            Self::PartitionKey => "partition_key",
            Self::Retention => "retention",
            Self::Partition => "partition",
            Self::AggregateType => "aggregate_type",
            Self::AggregateId => "aggregate_id",
            Self::EventType => "event_type",
            Self::EventVersion => "event_version",
            Self::Payload => "payload",
            Self::Metadata => "metadata",
            Self::PayloadHash => "payload_hash",
        }
    }

    fn parquet_type(self) -> Result<Type, ParquetError> {
        let (physical, logical) = match self {
            Self::Position | Self::Sequence | Self::Generation => (Physical::INT64, None),
            Self::RecordedAt => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Self::EventId | Self::PartitionKey | Self::PayloadHash => {
                (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid))
            }
            Self::Retention | Self::Partition => (Physical::INT32, None),
            Self::AggregateType
            | Self::AggregateId
            | Self::EventType
            | Self::EventVersion
            | Self::Payload
            | Self::Metadata => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let builder = Type::primitive_type_builder(self.name(), physical).with_repetition(Repetition::REQUIRED);
        let length = if physical == Physical::FIXED_LEN_BYTE_ARRAY { UUID_BYTES } else { -1 };
        builder.with_logical_type(logical).with_length(length).build()
    }

    /// Of a row group.
    fn write(self, rows: &[StoredEvent], column: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Position => integers(rows, column, |row| row.position.0),
            Self::Sequence => integers(rows, column, |row| row.sequence),
            Self::Generation => integers(rows, column, |row| row.generation.0),
            Self::RecordedAt => integers(rows, column, |row| row.recorded_at.timestamp_micros()),
            Self::EventId => ids(rows, column, |row| row.event_id),
            Self::PartitionKey => ids(rows, column, |row| row.partition_key),
            Self::Retention => numbers(rows, column, |row| row.retention.into()),
            Self::Partition => numbers(rows, column, |row| row.partition.into()),
            Self::AggregateType => texts(rows, column, |row| row.aggregate_type.as_str().into()),
            Self::AggregateId => texts(rows, column, |row| row.aggregate_id.to_string().as_str().into()),
            Self::EventType => texts(rows, column, |row| row.event_type.as_str().into()),
            Self::EventVersion => texts(rows, column, |row| row.event_version.as_str().into()),
            Self::Payload => texts(rows, column, |row| row.payload.as_str().into()),
            Self::Metadata => texts(rows, column, |row| row.metadata.as_str().into()),
            Self::PayloadHash => ids(rows, column, |row| row.payload_hash),
        }
    }
}

/// Writes a part to memory, from which what is ready is taken as it goes.
pub struct PartWriter {
    file: SerializedFileWriter<Vec<u8>>,
    rows: Vec<StoredEvent>,
    bytes: usize,
    /// The [hash](values_sha256) of each row group.
    groups: Vec<String>,
}

impl PartWriter {
    /// `said`: what the file says of itself, beside its columns.
    pub fn new(said: &[(&str, String)]) -> Result<Self, ParquetError> {
        let fields = Column::ALL.map(|column| column.parquet_type().map(Arc::new));
        let fields = fields.into_iter().collect::<Result<Vec<_>, _>>()?;
        let schema = Type::group_type_builder("events").with_fields(fields).build()?;
        let said = said.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let file = SerializedFileWriter::new(vec![], Arc::new(schema), Arc::new(properties(said)))?;
        Ok(Self { file, rows: vec![], bytes: 0, groups: vec![] })
    }

    /// Takes the next event. Answers whether there is something to [take](Self::take).
    pub fn push(&mut self, event: StoredEvent) -> Result<bool, ParquetError> {
        self.bytes += event.payload.len() + event.metadata.len();
        self.rows.push(event);
        let full = self.rows.len() >= ROW_GROUP_ROWS_MAX || self.bytes >= ROW_GROUP_BYTES_MAX;
        if full {
            self.write_group()?;
        }
        Ok(full)
    }

    /// The bytes of the file that were not taken yet.
    pub fn take(&mut self) -> Result<Vec<u8>, ParquetError> {
        self.file.flush()?;
        Ok(std::mem::take(self.file.inner_mut()))
    }

    /// The last bytes of the file, and the [hash](values_sha256) of each of its row groups.
    pub fn finish(mut self) -> Result<(Vec<u8>, Vec<String>), ParquetError> {
        self.write_group()?;
        Ok((self.file.into_inner()?, self.groups))
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in Column::ALL {
            if let Some(mut writer) = group.next_column()? {
                column.write(&rows, writer.untyped())?;
                writer.close()?;
            }
        }
        group.close()?;
        self.groups.push(values_sha256(&rows));
        Ok(())
    }
}

/// By which a row group is known: of all values of all its rows, so that who reads one alone sees that none was altered.
pub fn values_sha256(rows: &[StoredEvent]) -> String {
    let mut hash = Sha256::new();
    for row in rows {
        let numbers = [row.position.0, row.sequence, row.generation.0, row.recorded_at.timestamp_micros()];
        for number in numbers.into_iter().chain([row.retention.into(), row.partition.into()]) {
            hash.update(number.to_be_bytes());
        }
        for id in [row.event_id, row.partition_key, row.aggregate_id, row.payload_hash] {
            hash.update(id.as_bytes());
        }
        for text in [&row.aggregate_type, &row.event_type, &row.event_version, &row.payload, &row.metadata] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
    }
    hex(&hash.finalize())
}

fn properties(said: Vec<KeyValue>) -> WriterProperties {
    let path = |column: Column| ColumnPath::from(column.name());
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("Coulomb ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(said))
        // Together, so that one request gets all of them.
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_column_bloom_filter_fpp(path(Column::AggregateId), BLOOM_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(path(Column::AggregateId), ROW_GROUP_ROWS_MAX as u64);
    for column in [Column::Position, Column::Sequence, Column::RecordedAt] {
        builder = builder
            .set_column_dictionary_enabled(path(column), false)
            .set_column_encoding(path(column), Encoding::DELTA_BINARY_PACKED);
    }
    // No value comes twice, and nobody looks for their smallest.
    for column in [Column::EventId, Column::Payload, Column::Metadata, Column::PayloadHash] {
        builder = builder
            .set_column_dictionary_enabled(path(column), false)
            .set_column_statistics_enabled(path(column), EnabledStatistics::None);
    }
    builder.build()
}

const MISTYPED: &str = "a column is not of the type that it should be";

fn mistyped() -> ParquetError {
    ParquetError::General(MISTYPED.to_owned())
}

fn integers(
    rows: &[StoredEvent],
    column: &mut ColumnWriter<'_>,
    of: fn(&StoredEvent) -> i64,
) -> Result<(), ParquetError> {
    let ColumnWriter::Int64ColumnWriter(writer) = column else { return Err(mistyped()) };
    writer.write_batch(&rows.iter().map(of).collect::<Vec<_>>(), None, None).map(|_| ())
}

fn numbers(
    rows: &[StoredEvent],
    column: &mut ColumnWriter<'_>,
    of: fn(&StoredEvent) -> i32,
) -> Result<(), ParquetError> {
    let ColumnWriter::Int32ColumnWriter(writer) = column else { return Err(mistyped()) };
    writer.write_batch(&rows.iter().map(of).collect::<Vec<_>>(), None, None).map(|_| ())
}

fn ids(rows: &[StoredEvent], column: &mut ColumnWriter<'_>, of: fn(&StoredEvent) -> Uuid) -> Result<(), ParquetError> {
    let ColumnWriter::FixedLenByteArrayColumnWriter(writer) = column else { return Err(mistyped()) };
    let values: Vec<FixedLenByteArray> =
        rows.iter().map(|row| ByteArray::from(of(row).as_bytes().to_vec()).into()).collect();
    writer.write_batch(&values, None, None).map(|_| ())
}

fn texts(
    rows: &[StoredEvent],
    column: &mut ColumnWriter<'_>,
    of: fn(&StoredEvent) -> ByteArray,
) -> Result<(), ParquetError> {
    let ColumnWriter::ByteArrayColumnWriter(writer) = column else { return Err(mistyped()) };
    writer.write_batch(&rows.iter().map(of).collect::<Vec<_>>(), None, None).map(|_| ())
}

/// The events of a row group, as they were stored.
///
/// # Errors
/// When they are not what [`PartWriter`] writes.
pub fn decode(group: &dyn RowGroupReader) -> Result<Vec<StoredEvent>, ParquetError> {
    let rows = usize::try_from(group.metadata().num_rows()).map_err(|_| mistyped())?;
    if group.num_columns() != Column::ALL.len() {
        return Err(ParquetError::General(format!("{} columns, not {}", group.num_columns(), Column::ALL.len())));
    }
    let mut columns = Columns { group, rows };
    let mut position = columns.integers(Column::Position)?.into_iter();
    let mut sequence = columns.integers(Column::Sequence)?.into_iter();
    let mut generation = columns.integers(Column::Generation)?.into_iter();
    let mut recorded_at = columns.integers(Column::RecordedAt)?.into_iter();
    let mut event_id = columns.ids(Column::EventId)?.into_iter();
    let mut partition_key = columns.ids(Column::PartitionKey)?.into_iter();
    let mut retention = columns.numbers(Column::Retention)?.into_iter();
    let mut partition = columns.numbers(Column::Partition)?.into_iter();
    let mut aggregate_type = columns.texts(Column::AggregateType)?.into_iter();
    let mut aggregate_id = columns.texts(Column::AggregateId)?.into_iter();
    let mut event_type = columns.texts(Column::EventType)?.into_iter();
    let mut event_version = columns.texts(Column::EventVersion)?.into_iter();
    let mut payload = columns.texts(Column::Payload)?.into_iter();
    let mut metadata = columns.texts(Column::Metadata)?.into_iter();
    let mut payload_hash = columns.ids(Column::PayloadHash)?.into_iter();
    let mut next = || {
        Some(StoredEvent {
            position: Position(position.next()?),
            sequence: sequence.next()?,
            generation: Generation(generation.next()?),
            recorded_at: DateTime::from_timestamp_micros(recorded_at.next()?)?,
            event_id: id(&event_id.next()?)?,
            partition_key: id(&partition_key.next()?)?,
            retention: retention.next()?.try_into().ok()?,
            partition: partition.next()?.try_into().ok()?,
            aggregate_type: text(&aggregate_type.next()?)?,
            aggregate_id: Uuid::parse_str(&text(&aggregate_id.next()?)?).ok()?,
            event_type: text(&event_type.next()?)?,
            event_version: text(&event_version.next()?)?,
            payload: text(&payload.next()?)?,
            metadata: text(&metadata.next()?)?,
            payload_hash: id(&payload_hash.next()?)?,
        })
    };
    let unreadable = |row| ParquetError::General(format!("row {row} has a value that is none of its column"));
    (0..rows).map(|row| next().ok_or_else(|| unreadable(row))).collect()
}

/// Of a row group, what digests are made of.
pub fn decode_hashes(group: &dyn RowGroupReader) -> Result<Vec<Hashed>, ParquetError> {
    let rows = usize::try_from(group.metadata().num_rows()).map_err(|_| mistyped())?;
    let mut columns = Columns { group, rows };
    let positions = columns.integers(Column::Position)?;
    let partitions = columns.numbers(Column::Partition)?;
    let hashes = columns.ids(Column::PayloadHash)?;
    let hashed = positions.into_iter().zip(partitions).zip(hashes).map(|((position, partition), hash)| {
        let partition = u8::try_from(partition).map_err(|_| mistyped())?;
        Ok(Hashed { position: Position(position), partition, payload_hash: id(&hash).ok_or_else(mistyped)? })
    });
    hashed.collect()
}

fn id(bytes: &FixedLenByteArray) -> Option<Uuid> {
    Uuid::from_slice(bytes.data()).ok()
}

fn text(bytes: &ByteArray) -> Option<String> {
    bytes.as_utf8().ok().map(str::to_owned)
}

struct Columns<'a> {
    group: &'a dyn RowGroupReader,
    rows: usize,
}

impl Columns<'_> {
    fn reader(&mut self, column: Column) -> Result<ColumnReader, ParquetError> {
        let index = Column::ALL.iter().position(|other| *other == column).ok_or_else(mistyped)?;
        let found = self.group.metadata().column(index).column_descr().name();
        if found != column.name() {
            return Err(ParquetError::General(format!("column {found} stands where {} should", column.name())));
        }
        self.group.get_column_reader(index)
    }

    fn integers(&mut self, column: Column) -> Result<Vec<i64>, ParquetError> {
        let ColumnReader::Int64ColumnReader(reader) = self.reader(column)? else { return Err(mistyped()) };
        all(reader, self.rows)
    }

    fn numbers(&mut self, column: Column) -> Result<Vec<i32>, ParquetError> {
        let ColumnReader::Int32ColumnReader(reader) = self.reader(column)? else { return Err(mistyped()) };
        all(reader, self.rows)
    }

    fn ids(&mut self, column: Column) -> Result<Vec<FixedLenByteArray>, ParquetError> {
        let ColumnReader::FixedLenByteArrayColumnReader(reader) = self.reader(column)? else { return Err(mistyped()) };
        all(reader, self.rows)
    }

    fn texts(&mut self, column: Column) -> Result<Vec<ByteArray>, ParquetError> {
        let ColumnReader::ByteArrayColumnReader(reader) = self.reader(column)? else { return Err(mistyped()) };
        all(reader, self.rows)
    }
}

fn all<T: DataType>(
    mut reader: parquet::column::reader::ColumnReaderImpl<T>,
    rows: usize,
) -> Result<Vec<T::T>, ParquetError> {
    let mut values = Vec::new();
    while values.len() < rows {
        let (read, ..) = reader.read_records(rows - values.len(), None, None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::General(format!("a column has {} of {rows} values", values.len())));
        }
    }
    Ok(values)
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use schema::digest::payload_hash;

    use super::*;

    pub fn event(position: i64) -> StoredEvent {
        let payload = format!(r#"{{"MeterValuesRecorded": {{"n" :{position}}}}}"#);
        StoredEvent {
            position: Position(position),
            sequence: position / 2,
            generation: Generation(1),
            recorded_at: DateTime::from_timestamp_micros(1_700_000_000_123_456 + position).expect("a time"),
            event_id: Uuid::from_u128(position as u128),
            partition_key: Uuid::from_u128(7),
            retention: 3,
            partition: (position % 64) as u8,
            aggregate_type: "ChargingSession".to_owned(),
            aggregate_id: Uuid::from_u128(position as u128 % 100),
            event_type: "MeterValuesRecorded".to_owned(),
            event_version: "1.0".to_owned(),
            payload_hash: payload_hash(&payload),
            payload,
            metadata: r#"{"a":  "ü"}"#.to_owned(),
        }
    }

    #[test]
    fn events_come_back_as_they_were() {
        let events: Vec<_> = (1..=70_000).map(|n| event(n * 3)).collect();
        let mut part = PartWriter::new(&[("first", "1".to_owned())]).expect("a part");
        let mut file = vec![];
        for event in &events {
            if part.push(event.clone()).expect("pushed") {
                file.extend(part.take().expect("taken"));
            }
        }
        assert!(!file.is_empty(), "a row group was ready");
        let (last, groups) = part.finish().expect("finished");
        file.extend(last);
        let file = SerializedFileReader::new(Bytes::from(file)).expect("it can be read");
        assert_eq!(file.num_row_groups(), 5);
        let mut read = vec![];
        for (number, known) in groups.iter().enumerate() {
            let group = file.get_row_group(number).expect("a group");
            let position = group.metadata().column(0).statistics().expect("statistics of positions");
            assert!(position.min_bytes_opt().is_some());
            assert!(group.metadata().column(9).bloom_filter_offset().is_some(), "streams can be looked for");
            let rows = decode(group.as_ref()).expect("decoded");
            assert_eq!(values_sha256(&rows), *known);
            read.extend(rows);
        }
        assert!(read == events, "nothing was changed");
    }
}

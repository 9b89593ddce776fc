//! Parts read back, and what is found to be wrong with an archive.

use std::fs::File;

use domain::envelope::Retention;
use event_store::archiving::Hashed;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use schema::digest::payload_hash;
use schema::log::Position;
use schema::stored::StoredEvent;

use crate::location::{self, Location};
use crate::manifest::Part;
use crate::part::{self, Column};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error("{object} is missing")]
    Missing { object: String },
    #[error("{object} is not the one that was written down: its SHA-256 is {found}, not {expected}")]
    Altered { object: String, expected: String, found: String },
    #[error("{object} can't be read: {why}")]
    Unreadable { object: String, why: String },
    #[error("the manifest is of {found}, and should be of {expected}")]
    OtherManifest { expected: String, found: String },
    #[error("{object}: {found} events, and its manifest says {expected}")]
    Count { object: String, expected: u64, found: u64 },
    #[error("{object}: position {position} does not belong there")]
    Misplaced { object: String, position: Position },
    #[error("position {position}: the payload of this {event_type} is not the one that was appended")]
    PayloadAltered { position: Position, event_type: String },
    #[error("position {position}: {column} is not what the log has")]
    Differs { position: Position, column: &'static str },
    #[error("position {position}: the log has it, and the archive has not")]
    Lacking { position: Position },
    #[error("position {position}: the archive has it, and the log has not")]
    Surplus { position: Position },
    #[error("positions {first} to {last}: the digest of what is archived is not that of the manifest")]
    BlockAltered { first: Position, last: Position },
    #[error(
        "positions {first} to {last}, partition {partition}: with what is archived the digest is not the one that was sealed"
    )]
    NotSealed { first: Position, last: Position, partition: u8 },
}

/// A part that is there, and can be read.
pub struct PartFile {
    reader: SerializedFileReader<File>,
    next: usize,
}

impl PartFile {
    /// A part, and what is wrong with it as a file. None: there is nothing to be read.
    ///
    /// # Errors
    /// When the storage can't be used, which says nothing of the part.
    pub async fn open(location: &Location, part: &Part) -> Result<(Option<Self>, Vec<Finding>), location::Error> {
        let object = || part.name.clone();
        let fetched = match location.fetch(&part.name).await {
            Ok(fetched) => fetched,
            Err(location::Error::Missing { .. }) => return Ok((None, vec![Finding::Missing { object: object() }])),
            Err(error) => return Err(error),
        };
        let mut found = vec![];
        if fetched.sha256 != part.sha256 {
            let (expected, found_) = (part.sha256.clone(), fetched.sha256);
            found.push(Finding::Altered { object: object(), expected, found: found_ });
        }
        match SerializedFileReader::new(fetched.file) {
            Ok(reader) => Ok((Some(Self { reader, next: 0 }), found)),
            Err(error) => {
                found.push(Finding::Unreadable { object: object(), why: error.to_string() });
                Ok((None, found))
            }
        }
    }

    /// The events of the next row group.
    pub fn next_events(&mut self) -> Option<Result<Vec<StoredEvent>, ParquetError>> {
        if self.next >= self.reader.num_row_groups() {
            return None;
        }
        self.next += 1;
        Some(self.reader.get_row_group(self.next - 1).and_then(|group| part::decode(group.as_ref())))
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    /// The first and the last position of a row group.
    pub fn positions(&self, group: usize) -> Option<(Position, Position)> {
        let position = Column::ALL.iter().position(|column| *column == Column::Position)?;
        match self.reader.metadata().row_group(group).column(position).statistics()? {
            Statistics::Int64(statistics) => Some((Position(*statistics.min_opt()?), Position(*statistics.max_opt()?))),
            _ => None,
        }
    }

    /// Of a row group, what digests are made of.
    pub fn hashes(&self, group: usize) -> Result<Vec<Hashed>, ParquetError> {
        part::decode_hashes(self.reader.get_row_group(group)?.as_ref())
    }
}

/// What is wrong with rows of a part in themselves: their order, their class, their payloads. `last`: of the row before.
pub fn check_rows(part: &Part, class: Retention, rows: &[StoredEvent], last: &mut Position) -> Vec<Finding> {
    let mut found = vec![];
    for row in rows {
        let position = row.position;
        let inside = position > *last && (part.first_position..=part.last_position).contains(&position.0);
        if !inside || row.retention != class.code() {
            found.push(Finding::Misplaced { object: part.name.clone(), position });
        }
        if payload_hash(&row.payload) != row.payload_hash {
            found.push(Finding::PayloadAltered { position, event_type: row.event_type.clone() });
        }
        *last = position.max(*last);
    }
    found
}

/// The first column in which an archived row is not what the log has.
pub fn difference(archived: &StoredEvent, logged: &StoredEvent) -> Option<&'static str> {
    let is_same = |column: &Column| match column {
        Column::Position => archived.position == logged.position,
        Column::Sequence => archived.sequence == logged.sequence,
        Column::Generation => archived.generation == logged.generation,
        Column::RecordedAt => archived.recorded_at == logged.recorded_at,
        Column::EventId => archived.event_id == logged.event_id,
        Column::PartitionKey => archived.partition_key == logged.partition_key,
        Column::Retention => archived.retention == logged.retention,
        Column::Partition => archived.partition == logged.partition,
        Column::AggregateType => archived.aggregate_type == logged.aggregate_type,
        Column::AggregateId => archived.aggregate_id == logged.aggregate_id,
        Column::EventType => archived.event_type == logged.event_type,
        Column::EventVersion => archived.event_version == logged.event_version,
        Column::Payload => archived.payload == logged.payload,
        Column::Metadata => archived.metadata == logged.metadata,
        Column::PayloadHash => archived.payload_hash == logged.payload_hash,
    };
    Column::ALL.iter().find(|column| !is_same(column)).map(|column| column.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::tests::event;

    fn part() -> Part {
        let (name, sha256) = ("part".into(), String::new());
        Part { name, first_position: 1, last_position: 10, events: 0, bytes: 0, sha256, row_groups: vec![] }
    }

    #[test]
    fn rows_are_checked_in_themselves() {
        let check = |rows: &[StoredEvent], class| check_rows(&part(), class, rows, &mut Position(0));
        assert_eq!(check(&[event(2), event(10)], Retention::Telemetry), []);
        let object = || "part".to_owned();
        let misplaced = |position| Finding::Misplaced { object: object(), position: Position(position) };
        assert_eq!(check(&[event(2), event(2), event(11)], Retention::Telemetry), [misplaced(2), misplaced(11)]);
        assert_eq!(check(&[event(2)], Retention::Ledger), [misplaced(2)]);
        let mut altered = event(3);
        altered.payload.push(' ');
        let event_type = "MeterValuesRecorded".to_owned();
        let finding = Finding::PayloadAltered { position: Position(3), event_type };
        assert_eq!(check(&[altered], Retention::Telemetry), [finding]);
    }

    #[test]
    fn a_difference_is_named() {
        let mut altered = event(3);
        assert_eq!(difference(&altered, &event(3)), None);
        altered.metadata.push(' ');
        assert_eq!(difference(&altered, &event(3)), Some("metadata"));
    }
}

//! Events of the log that are in archives only.

use event_store::{ArchiveError, EventStore, read};
use schema::digest::payload_hash;
use schema::log::Position;
use schema::partition::Partition;

use super::Error;
use super::log::Stored;

/// What archives have of a stretch.
pub(super) enum Archived {
    Events(Vec<Stored>),
    /// They don't have what they had.
    Broken(String),
}

/// Of a stretch of which the log has not every event, those that are in archives. The hashes are computed here.
pub(super) async fn read(store: &EventStore, after: Position, upto: Position) -> Result<Archived, Error> {
    let events = match store.read_archived(after, upto).await {
        Ok(events) => events,
        Err(read::Error::Archive(error @ (ArchiveError::Missing { .. } | ArchiveError::Altered { .. }))) => {
            return Ok(Archived::Broken(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let stored = events.into_iter().map(|event| {
        let computed_hash = payload_hash(&event.payload);
        let corrupt = read::Error::Corrupt { position: event.position, what: "partition" };
        Ok(Stored {
            position: event.position,
            partition: Partition::new(event.partition).ok_or(corrupt)?,
            computed_hash,
            intact: computed_hash == event.payload_hash,
            event_type: event.event_type,
        })
    });
    Ok(Archived::Events(stored.collect::<Result<_, read::Error>>()?))
}

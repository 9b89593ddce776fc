//! The log as it is stored.

use pool::Pool;
use schema::log::Position;
use schema::partition::Partition;
use sqlx::Row;
use uuid::Uuid;

/// Positions that one statement reads.
pub(super) const READ_POSITIONS: i64 = 16_384;

pub(super) struct Stored {
    pub position: Position,
    pub partition: Partition,
    /// Of the payload as it is now.
    pub computed_hash: Uuid,
    /// That is the hash which was taken when it was appended.
    pub intact: bool,
    /// Only where it is not intact.
    pub event_type: String,
}

/// The events in (`after`, `upto`]. The hashes are computed by the server, from the text that it holds.
pub(super) async fn read(pool: &Pool, after: Position, upto: Position) -> Result<Vec<Stored>, sqlx::Error> {
    let statement = sqlx::query(include_str!("log.sql")).bind(after.0).bind(upto.0).persistent(false);
    let rows = statement.fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let number: i16 = row.try_get(1)?;
            let partition = u8::try_from(number).ok().and_then(Partition::new);
            let unknown = || sqlx::Error::Decode(format!("there is no partition {number}").into());
            Ok(Stored {
                position: Position(row.try_get(0)?),
                partition: partition.ok_or_else(unknown)?,
                computed_hash: row.try_get(2)?,
                intact: row.try_get(3)?,
                event_type: row.try_get(4)?,
            })
        })
        .collect()
}

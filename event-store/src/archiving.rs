//! What moving ranges of the log to an archive needs of it: which ranges there are, their events, what must be there before
//! one may go, and its going.

mod record;

use chrono::{DateTime, Utc};
use domain::aggregate::Decide;
use domain::charge_point::ChargePoint;
use domain::disclosure::Disclosure;
use domain::driver::Driver;
use domain::envelope::Retention;
use domain::event::AggregateType;
use domain::log::Log;
use domain::plan::Plan;
use domain::published_tariff::PublishedTariff;
use domain::read_model::ReadModel;
use domain::session::ChargingSession;
use domain::site::Site;
use domain::station_command::StationCommand;
use domain::token::Token;
use schema::log::{Position, StreamId};
use schema::partition::Partition;
use schema::stored::StoredEvent;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

pub use record::{Folder, Leftover, RecordError, Recorded};

use crate::row::EventRow;
use crate::{EventStore, load, read, states};

/// Events that one statement answers.
pub const PAGE_EVENTS: i64 = 5_000;
/// A whole range of positions below the head, and what is known of it as to one class.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    pub first: Position,
    /// Included.
    pub last: Position,
    /// Whether the log has it. One that it doesn't have and that has no archive was dropped by hand.
    pub attached: bool,
    pub archive: Option<Archived>,
}

/// A row of log_archives.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// Of the folder that its manifest is in.
    pub url: String,
    pub manifest_sha256: Vec<u8>,
    pub events: i64,
    pub bytes: i64,
    pub archived_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
    pub detached_at: Option<DateTime<Utc>>,
}

/// By which an event is in a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hashed {
    pub position: Position,
    pub partition: u8,
    pub payload_hash: Uuid,
}

/// A stream without a state from after its last event of a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutState {
    /// As it is stored: it may be of a kind that this program doesn't know.
    pub aggregate_type: String,
    pub id: Uuid,
    pub sequence: i64,
}

/// What became of one try to take a range out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detached {
    Now,
    /// Somebody else did it.
    Before,
    /// Readers or appends had it: try again.
    Busy,
}

/// Whether aggregates of a kind can be loaded, and by which fold: each kind is one Rust type.
macro_rules! kinds {
    ($($kind:ident => $aggregate:ty),+ $(,)?) => {
        fn fold_version(aggregate: AggregateType) -> Option<i32> {
            match aggregate {
                $(AggregateType::$kind => Some(<$aggregate>::FOLD_VERSION),)+
                AggregateType::Unknown => None,
            }
        }

        impl EventStore {
            /// Stores the state of a stream as it is now, so that it is loaded without the events before it. False: of an
            /// aggregate that this program doesn't know.
            pub async fn save_state(&self, stream: StreamId) -> Result<bool, SaveError> {
                match stream.aggregate {
                    $(AggregateType::$kind => self.save::<$aggregate>(stream).await.map(|()| true),)+
                    AggregateType::Unknown => Ok(false),
                }
            }
        }
    };
}

kinds! {
    Site => Site,
    ChargePoint => ChargePoint,
    StationCommand => StationCommand,
    ChargingSession => ChargingSession,
    Token => Token,
    Driver => Driver,
    Plan => Plan,
    Tariff => PublishedTariff,
    ReadModel => ReadModel,
    Disclosure => Disclosure,
    Log => Log,
}

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error(transparent)]
    Load(#[from] load::Error),
    #[error("the state can't be written down")]
    Unwritable(#[from] serde_json::Error),
    #[error("the database can't be used")]
    Database(#[from] sqlx::Error),
    #[error("the end of the log can't be read")]
    Head(#[from] crate::read::Error),
}

impl EventStore {
    /// The whole ranges below the head, in the order of positions.
    pub async fn archivable_ranges(&self, class: Retention) -> Result<Vec<Range>, sqlx::Error> {
        let statement = sqlx::query(include_str!("archiving/ranges.sql")).bind(class.code());
        self.database().fetch_all(statement).await?.iter().map(range).collect()
    }

    /// The last position of the blocks whose digests are sealed.
    pub async fn sealed_to(&self) -> Result<Position, sqlx::Error> {
        let statement = sqlx::query("SELECT coalesce((max(block) + 1) * $1, 0) FROM log_digests");
        let row = self.database().fetch_optional(statement.bind(schema::digest::BLOCK_POSITIONS)).await?;
        row.map_or(Ok(Position::START), |row| row.try_get(0).map(Position))
    }

    /// The last position that was recorded at a time or before it.
    pub async fn recorded_to(&self, at: DateTime<Utc>) -> Result<Position, sqlx::Error> {
        let row = self.database().fetch_optional(sqlx::query("SELECT log_position_at($1)").bind(at)).await?;
        row.map_or(Ok(Position::START), |row| row.try_get(0).map(Position))
    }

    /// The events of a class in (`after`, `upto`] that the log itself has, at most [`PAGE_EVENTS`], in order.
    pub async fn page_of_class(
        &self,
        class: Retention,
        after: Position,
        upto: Position,
    ) -> Result<Vec<StoredEvent>, read::Error> {
        let statement = sqlx::query(include_str!("archiving/page.sql")).bind(class.code());
        let statement = statement.bind(after.0).bind(upto.0).bind(PAGE_EVENTS);
        self.database().fetch_all(statement).await?.iter().map(|row| EventRow::of(row)?.stored()).collect()
    }

    /// Everything that the log itself has in (`after`, `upto`] beside the range `first` to `last` of a class. To be asked of
    /// one block of positions at a time.
    pub async fn hashes_beside(
        &self,
        (after, upto): (Position, Position),
        class: Retention,
        (first, last): (Position, Position),
    ) -> Result<Vec<Hashed>, sqlx::Error> {
        let statement = sqlx::query(include_str!("archiving/others.sql")).bind(after.0).bind(upto.0);
        let statement = statement.bind(class.code()).bind(first.0).bind(last.0);
        self.database().fetch_all(statement).await?.iter().map(hashed).collect()
    }

    /// The digests of a block that is sealed: of each partition, how many events and which digest.
    pub async fn sealed_block(&self, block: i64) -> Result<Vec<(Partition, i32, Vec<u8>)>, sqlx::Error> {
        let statement = sqlx::query("SELECT partition, events, digest FROM log_digests WHERE block = $1").bind(block);
        let rows = self.database().fetch_all(statement).await?;
        let of = |row: &PgRow| {
            let number: i16 = row.try_get(0)?;
            let partition = u8::try_from(number).ok().and_then(Partition::new);
            let partition = partition.ok_or_else(|| sqlx::Error::Decode("a partition above 63".into()))?;
            Ok((partition, row.try_get(1)?, row.try_get(2)?))
        };
        rows.iter().map(of).collect()
    }

    /// Streams that have events of a class in (`after`, `upto`], and no state from after them that this program can load. To
    /// be asked of some ten thousand positions at a time.
    pub async fn streams_without_state(
        &self,
        class: Retention,
        after: Position,
        upto: Position,
    ) -> Result<Vec<WithoutState>, sqlx::Error> {
        let folds: Vec<_> =
            AggregateType::ALL.iter().filter_map(|kind| Some((kind.as_str(), fold_version(*kind)?))).collect();
        let statement = sqlx::query(include_str!("archiving/without_state.sql"))
            .bind(class.code())
            .bind(after.0)
            .bind(upto.0)
            .bind(folds.iter().map(|(name, _)| *name).collect::<Vec<_>>())
            .bind(folds.iter().map(|(_, version)| *version).collect::<Vec<_>>());
        let of = |row: &PgRow| {
            Ok(WithoutState { aggregate_type: row.try_get(0)?, id: row.try_get(1)?, sequence: row.try_get(2)? })
        };
        self.database().fetch_all(statement).await?.iter().map(of).collect()
    }

    async fn save<A: Decide + 'static>(&self, stream: StreamId) -> Result<(), SaveError> {
        // Of the history that is read: if there is another one by then, the state is not stored, and the range stays.
        let (_, generation) = self.head().await?;
        let loaded = self.load::<A>(stream.id).await?;
        let json = serde_json::to_string(loaded.state.as_ref())?;
        states::store(self.database(), stream, generation, loaded.version, A::FOLD_VERSION, json).await?;
        Ok(())
    }
}

fn range(row: &PgRow) -> Result<Range, sqlx::Error> {
    let archive = match row.try_get::<Option<String>, _>(3)? {
        Some(url) => Some(Archived {
            url,
            manifest_sha256: row.try_get(4)?,
            events: row.try_get(5)?,
            bytes: row.try_get(6)?,
            archived_at: row.try_get(7)?,
            verified_at: row.try_get(8)?,
            detached_at: row.try_get(9)?,
        }),
        None => None,
    };
    Ok(Range { first: Position(row.try_get(0)?), last: Position(row.try_get(1)?), attached: row.try_get(2)?, archive })
}

fn hashed(row: &PgRow) -> Result<Hashed, sqlx::Error> {
    let partition: i16 = row.try_get(1)?;
    let partition = u8::try_from(partition).map_err(|_| sqlx::Error::Decode("a partition below 0".into()))?;
    Ok(Hashed { position: Position(row.try_get(0)?), partition, payload_hash: row.try_get(2)? })
}

//! Reading the log for the relay: what is stored, in order, by COPY, ahead of what is being produced.

use std::time::Duration;

use futures_util::TryStreamExt;
use pool::{Connection, Pool};
use schema::log::{Generation, Position};
use schema::stored::{StoredEvent, StoredRef};
use sqlx::Row as _;
use tokio::sync::{mpsc, watch};

use crate::EventStore;
use crate::bulk::{self, BulkRow, Selection};
use crate::options::Wake;
use crate::read::{Error, READ_POSITIONS_MAX};
use crate::row::EventRow;

/// A batch goes on when it has so many events,
const BATCH_EVENTS_MAX: usize = 512;
/// or bytes.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Batches that wait to be produced.
pub(super) const BATCHES_AHEAD: usize = 8;
/// Who reads keeps a snapshot, which makes appends dearer: where nobody takes what was read, the reading ends.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(1);
/// So many are read by one statement.
const NEWEST_POSITIONS: i64 = 64;
/// Positions that are read with what archives have of them.
const ARCHIVE_POSITIONS: i64 = 2_000;
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Some events, in the order of positions.
pub(super) struct Batch {
    pub rows: Vec<Row>,
    /// Everything up to here has been read.
    pub upto: Position,
}

/// An event as it came.
pub(super) enum Row {
    Log(BulkRow),
    Stored(StoredEvent),
}

/// How reading a stretch went.
enum Went {
    /// All of it was read and taken.
    Whole,
    /// There is a position that the log itself has not.
    Hole,
    /// Nobody took what was read for too long.
    NotTaken,
}

impl Row {
    pub fn stored(&self) -> Result<StoredRef<'_>, Error> {
        match self {
            Self::Log(row) => {
                row.stored()?.ok_or(Error::Corrupt { position: row.position, what: "payload or metadata" })
            }
            Self::Stored(event) => Ok(event.as_ref()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Read(#[from] Error),
    /// The log was restored or promoted meanwhile.
    #[error("the log became generation {}; it was {}", .is.0, .was.0)]
    OtherGeneration { was: Generation, is: Generation },
    #[error("nobody takes what is read")]
    Closed,
}

/// Reads the log from after a position on, for ever.
pub(super) struct Reader {
    pub store: EventStore,
    pub at: Position,
    /// Of the log.
    pub generation: Generation,
    pub batches: mpsc::Sender<Batch>,
    /// Where the log ends.
    pub head: watch::Sender<Position>,
}

impl Reader {
    pub async fn run(mut self) -> Ended {
        let (noticed, mut notices) = mpsc::channel(1);
        let mut listener = tokio::task::JoinSet::new();
        match (&self.store.options().wake, self.store.database().pool.direct()) {
            (Wake::Listen, Some(pool)) => drop(listener.spawn(listen(pool.clone(), noticed))),
            (Wake::Listen, None) | (Wake::Poll, _) => drop(noticed),
        }
        let poll_every = self.store.options().poll_every;
        let mut connection = None;
        loop {
            match self.catch_up(&mut connection).await {
                Ok(()) => {}
                Err(error) => return error,
            }
            tokio::select! {
                Some(()) = notices.recv() => {}
                () = tokio::time::sleep(poll_every) => {}
                () = self.batches.closed() => return Ended::Closed,
            }
        }
    }

    async fn catch_up(&mut self, connection: &mut Option<Connection<'static>>) -> Result<(), Ended> {
        loop {
            let (head, newest) = self.newest().await?;
            if self.at >= head {
                return Ok(());
            }
            // Whatever is committed after this look is told of once more.
            if self.at.0 + newest.len() as i64 == head.0 && self.send(newest, head).await {
                return Ok(());
            }
            let upto = Position(head.0.min(self.at.0 + READ_POSITIONS_MAX));
            // Taken out while rows come: one whose rows were not read to the end is of no further use.
            let mut own = match connection.take() {
                Some(own) => own,
                None => self.store.database().pool.connect().await.map_err(Error::from)?,
            };
            match self.of_the_log(&mut own, upto).await? {
                Went::Whole => *connection = Some(own),
                Went::Hole => self.of_archives(upto).await?,
                // Now without a snapshot.
                Went::NotTaken => drop(self.batches.reserve().await.map_err(|_| Ended::Closed)?),
            }
        }
    }

    /// Where the log ends, and what it has up to there; only some of it, where that is more than a few events or there are
    /// holes. Mostly somebody waits for one event: this is one round trip, of a statement that is planned once.
    async fn newest(&self) -> Result<(Position, Vec<Row>), Ended> {
        let statement = sqlx::query(include_str!("newest.sql")).bind(self.at.0).bind(self.at.0 + NEWEST_POSITIONS);
        let rows = self.store.database().fetch_all(statement).await.map_err(Error::from)?;
        let end = rows.first().ok_or(Error::Unavailable(sqlx::Error::RowNotFound))?;
        let of_head = |column| end.try_get(column).map_err(Error::from);
        let (head, is) = (Position(of_head(15)?), Generation(of_head(16)?));
        if is != self.generation {
            return Err(Ended::OtherGeneration { was: self.generation, is });
        }
        self.store.era().saw(is, head);
        self.head.send_replace(head);
        let there = rows.iter().filter(|row| matches!(row.try_get::<Option<i64>, _>(0), Ok(Some(_))));
        let (mut events, mut bytes) = (vec![], 0);
        for row in there {
            let event = EventRow::of(row)?.stored()?;
            bytes += event.payload.len() + event.metadata.len();
            events.push(Row::Stored(event));
        }
        // Too large for one batch.
        if bytes > BATCH_BYTES_MAX {
            events.clear();
        }
        Ok((head, events))
    }

    /// What the log itself has up to the first position that it has not.
    async fn of_the_log(&mut self, connection: &mut Connection<'static>, upto: Position) -> Result<Went, Ended> {
        let selection = Selection::all();
        let rows = bulk::read(connection, self.at, upto, &selection).await?;
        let mut rows = std::pin::pin!(rows);
        let mut batch = vec![];
        let (mut bytes, mut at) = (0, self.at);
        while let Some(row) = rows.try_next().await? {
            if row.position.0 != at.0 + 1 {
                return Ok(if self.send(batch, at).await { Went::Hole } else { Went::NotTaken });
            }
            at = row.position;
            bytes += row.bytes();
            batch.push(Row::Log(row));
            if batch.len() >= BATCH_EVENTS_MAX || bytes >= BATCH_BYTES_MAX {
                if !self.send(std::mem::take(&mut batch), at).await {
                    return Ok(Went::NotTaken);
                }
                bytes = 0;
            }
        }
        Ok(match self.send(batch, at).await {
            false => Went::NotTaken,
            true if at < upto => Went::Hole,
            true => Went::Whole,
        })
    }

    /// Hands on what was read, and answers whether it was taken while a snapshot may wait. What was not taken is read again.
    async fn send(&mut self, rows: Vec<Row>, upto: Position) -> bool {
        if rows.is_empty() {
            return true;
        }
        let sent = self.batches.send_timeout(Batch { rows, upto }, SNAPSHOT_WAIT).await.is_ok();
        if sent {
            self.at = upto;
        }
        sent
    }

    /// The same with what archives have. A position that nobody has any more is passed over.
    async fn of_archives(&mut self, upto: Position) -> Result<(), Ended> {
        let upto = Position(upto.0.min(self.at.0 + ARCHIVE_POSITIONS));
        const STORED: &str = include_str!("../../read/range.sql");
        let statement = sqlx::query(STORED).bind(self.at.0).bind(upto.0).bind(None::<Vec<i16>>);
        let events: Vec<StoredEvent> = self.store.whole(statement, (self.at, upto)).await?;
        let gone = upto.0 - self.at.0 - events.len() as i64;
        if gone > 0 {
            tracing::warn!(after = %self.at, %upto, gone, "some events are neither in the log nor in an archive, and stay out of Kafka");
        }
        let batch = Batch { rows: events.into_iter().map(Row::Stored).collect(), upto };
        self.batches.send(batch).await.map_err(|_| Ended::Closed)?;
        self.at = upto;
        Ok(())
    }
}

/// Passes the log's notices on, of this process and of others; several at once are one.
async fn listen(pool: Pool, noticed: mpsc::Sender<()>) {
    loop {
        if let Err(error) = listen_once(&pool, &noticed).await {
            tracing::warn!(%error, "the relay gets no notices from the log; polling");
        }
        tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
    }
}

async fn listen_once(pool: &Pool, noticed: &mpsc::Sender<()>) -> Result<(), sqlx::Error> {
    let mut listener = pool.listen("coulomb_log").await?;
    loop {
        // Also what came before we listened, and while the connection was lost.
        let _ = noticed.try_send(());
        listener.try_recv().await?;
    }
}

//! Which ranges are detached, as far as a process knows. It looks again when something shows that there are others: a gap
//! where events are dense, or their number, which comes with what is read.

use std::sync::{Arc, PoisonError, RwLock};

use domain::envelope::Retention;
use schema::log::{Position, StreamId};
use schema::stored::StoredEvent;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Archive, ArchiveError, ArchivedRange};
use crate::EventStore;
use crate::read::Error;

/// Positions that are asked of an archive at once.
pub(crate) const ARCHIVE_POSITIONS: i64 = 16_384;

pub(crate) struct Archives {
    archive: Option<Arc<dyn Archive>>,
    /// By their first positions.
    known: RwLock<Arc<[ArchivedRange]>>,
}

impl Archives {
    pub fn new(archive: Option<Arc<dyn Archive>>) -> Self {
        Self { archive, known: RwLock::new(Arc::new([])) }
    }

    fn known(&self) -> Arc<[ArchivedRange]> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventStore {
    /// Whether this program can read archives.
    pub fn reads_archives(&self) -> bool {
        self.archives().archive.is_some()
    }

    /// The ranges that are in archives only, by their first positions.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn detached_ranges(&self) -> Result<Arc<[ArchivedRange]>, Error> {
        let rows = self.database().fetch_all(sqlx::query(include_str!("ranges.sql"))).await?;
        let ranges: Arc<[ArchivedRange]> = rows.iter().map(range).collect::<Result<_, _>>()?;
        *self.archives().known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&ranges);
        Ok(ranges)
    }

    /// The events in (`after`, `upto`] that are in archives only, as they were stored. The caller bounds them.
    ///
    /// # Errors
    /// When the database or an archive can't be read.
    pub async fn read_archived(&self, after: Position, upto: Position) -> Result<Vec<StoredEvent>, Error> {
        let detached = self.detached_ranges().await?;
        self.archived(&detached, Wanted::default(), (after, upto), |_| true).await
    }

    /// The ranges that are in archives only, of which there are so many.
    pub(crate) async fn detached(&self, count: i64) -> Result<Arc<[ArchivedRange]>, Error> {
        let known = self.archives().known();
        if i64::try_from(known.len()) == Ok(count) { Ok(known) } else { self.detached_ranges().await }
    }

    /// What archives have in (`after`, `upto`], ascending: of these ranges, some classes, and one stream where asked.
    pub(crate) async fn archived(
        &self,
        ranges: &[ArchivedRange],
        wanted: Wanted<'_>,
        span: (Position, Position),
        keep: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Vec<StoredEvent>, Error> {
        let error = match self.archived_of(ranges, wanted, span, &keep).await {
            Err(Error::Archive(error)) => error,
            read => return read,
        };
        // Archives may have moved.
        let moved = self.detached_ranges().await?;
        if *moved == *ranges {
            return Err(error.into());
        }
        self.archived_of(&moved, wanted, span, &keep).await
    }

    async fn archived_of(
        &self,
        ranges: &[ArchivedRange],
        wanted: Wanted<'_>,
        (after, upto): (Position, Position),
        keep: &impl Fn(&StoredEvent) -> bool,
    ) -> Result<Vec<StoredEvent>, Error> {
        let mut events = vec![];
        let ranges = ranges.iter().filter(|range| wanted.classes.is_none_or(|of| of.contains(&range.retention)));
        for range in ranges.filter(|range| range.first <= upto && range.last > after) {
            let Some(archive) = &self.archives().archive else {
                return Err(ArchiveError::NotBuilt(Box::new(range.clone())).into());
            };
            let (mut from, end) = (after.0.max(range.first.0 - 1), upto.0.min(range.last.0));
            while from < end {
                let to = end.min(from + ARCHIVE_POSITIONS);
                let mut some = archive.read(range, Position(from), Position(to), wanted.stream).await?;
                some.retain(keep);
                events.append(&mut some);
                from = to;
            }
        }
        events.sort_by_key(|event| event.position);
        Ok(events)
    }
}

/// Which of the archived events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// None: of all.
    pub classes: Option<&'a [Retention]>,
    pub stream: Option<StreamId>,
}

impl<'a> Wanted<'a> {
    pub fn of(classes: &'a [Retention]) -> Self {
        Self { classes: Some(classes), stream: None }
    }

    pub fn stream(stream: StreamId) -> Self {
        Self { classes: None, stream: Some(stream) }
    }
}

fn range(row: &PgRow) -> Result<ArchivedRange, Error> {
    let first = Position(row.try_get(1)?);
    let corrupt = |what| Error::Corrupt { position: first, what };
    let manifest_sha256: &[u8] = row.try_get(4)?;
    Ok(ArchivedRange {
        retention: Retention::from_code(row.try_get(0)?).ok_or(corrupt("retention class of its archive"))?,
        first,
        last: Position(row.try_get(2)?),
        url: row.try_get(3)?,
        manifest_sha256: manifest_sha256.try_into().map_err(|_| corrupt("manifest's hash of its archive"))?,
        events: row.try_get(5)?,
    })
}

//! Loading an aggregate: a state from memory or from its table, and the events that came after it.

use std::sync::Arc;

use cqrs_es::Aggregate;
use domain::aggregate::{Decide, Payload};
use schema::catalogue::DecodeError;
use schema::log::{Generation, Position, RawEvent, StreamId};
use schema::stored::StoredEvent;
use sqlx::Row;
use uuid::Uuid;

use crate::EventStore;
use crate::cache::Loaded;
use crate::read;
use crate::states::StateToStore;

/// Events that one statement answers.
const PAGE: i64 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log can't be reached")]
    Unavailable(#[from] sqlx::Error),
    #[error("event {sequence} of {stream}, at {position}, can't be understood")]
    Undecodable { stream: StreamId, sequence: i64, position: Position, source: Box<DecodeError> },
    /// It is never folded without them.
    #[error("{stream} can't be loaded without its earlier events, of which it has no state that this program can use")]
    Earlier { stream: StreamId, source: Box<read::Error> },
}

/// The stream of an aggregate.
pub fn stream_of<A: Decide>(id: impl Into<Uuid>) -> StreamId {
    StreamId { aggregate: A::AGGREGATE, id: id.into() }
}

impl EventStore {
    /// The aggregate as it is in the log now: one query, which answers only what the cache lacks.
    pub async fn load<A: Decide + 'static>(&self, id: impl Into<Uuid>) -> Result<Loaded<A>, Error> {
        let stream = stream_of::<A>(id);
        // Before the look: what comes to be known meanwhile makes it old.
        let generation = self.era().generation();
        let (mut state, mut version, mut stored) = match self.cache().get::<A>(stream) {
            Some(cached) => (Arc::unwrap_or_clone(cached.state), cached.version, 0),
            None => self.stored_state::<A>(stream).await?,
        };
        loop {
            let statement = sqlx::query(include_str!("load/tail.sql"))
                .bind(stream.id)
                .bind(stream.aggregate.as_str())
                .bind(version)
                .bind(PAGE);
            let rows = self.database().fetch_all(statement).await?;
            let stream_version = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(0))?;
            if stream_version < version {
                // Of a history that was lost.
                self.forget(stream);
                (state, version, stored) = (A::default(), 0, 0);
                continue;
            }
            let (after, wanted) = (version, stream_version.min(version + PAGE));
            for row in rows.iter().filter(|_| stream_version > after) {
                // Sequences are dense: what comes after a gap can't be folded yet.
                if row.try_get::<Option<i64>, _>(1)? != Some(version + 1) {
                    break;
                }
                version += 1;
                let event = Stored {
                    event_type: row.try_get(2)?,
                    event_version: row.try_get(3)?,
                    payload: row.try_get(4)?,
                    position: Position(row.try_get(5)?),
                };
                event.apply(&mut state, stream, version)?;
            }
            if version < wanted {
                for event in self.earlier(stream, version, wanted).await? {
                    version = event.sequence;
                    Stored::of(&event).apply(&mut state, stream, version)?;
                }
            }
            if version == stream_version {
                let loaded = Loaded { state: Arc::new(state), version };
                self.keep(stream, generation, &loaded, stored);
                return Ok(loaded);
            }
        }
    }

    /// Whatever the cache has, or else [`load`](Self::load): for an append that will be checked by its version.
    pub async fn load_cached<A: Decide + 'static>(&self, id: impl Into<Uuid>) -> Result<Loaded<A>, Error> {
        let id = id.into();
        match self.cache().get(stream_of::<A>(id)) {
            Some(loaded) => Ok(loaded),
            None => self.load(id).await,
        }
    }

    /// Drops what the cache has of a stream.
    pub fn forget(&self, stream: StreamId) {
        self.cache().forget(stream);
    }

    /// Tells the cache what an append has made of an aggregate.
    pub fn appended<A: Decide + 'static>(&self, id: impl Into<Uuid>, state: A, version: i64, generation: Generation) {
        self.keep(stream_of::<A>(id), generation, &Loaded { state: Arc::new(state), version }, 0);
    }

    /// Events that the log itself does not have, or not all of them.
    async fn earlier(&self, stream: StreamId, after: i64, upto: i64) -> Result<Vec<StoredEvent>, Error> {
        self.stream_page(stream, after, upto, PAGE).await.map_err(|error| match error {
            read::Error::Unavailable(error) => Error::Unavailable(error),
            source => Error::Earlier { stream, source: Box::new(source) },
        })
    }

    async fn stored_state<A: Decide>(&self, stream: StreamId) -> Result<(A, i64, i64), Error> {
        let statement = sqlx::query(include_str!("load/state.sql"))
            .bind(stream.id)
            .bind(stream.aggregate.as_str())
            .bind(A::FOLD_VERSION);
        let Some(row) = self.database().fetch_optional(statement).await? else { return Ok((A::default(), 0, 0)) };
        let version = row.try_get(0)?;
        match serde_json::from_str(row.try_get(1)?) {
            Ok(state) => Ok((state, version, version)),
            Err(error) => {
                tracing::error!(%stream, version, %error, "a stored state can't be read; folding from the start");
                Ok((A::default(), 0, 0))
            }
        }
    }

    fn keep<A: Decide + 'static>(
        &self,
        stream: StreamId,
        generation: Generation,
        loaded: &Loaded<A>,
        stored_version: i64,
    ) {
        let grown = self.cache().put(stream, generation, loaded, stored_version);
        if grown < self.options().store_state_every_events {
            return;
        }
        let state = Arc::clone(&loaded.state);
        let to_store = StateToStore {
            stream,
            generation,
            version: loaded.version,
            fold_version: A::FOLD_VERSION,
            to_json: Box::new(move || serde_json::to_string(state.as_ref())),
        };
        if self.states().offer(to_store) {
            self.cache().stored(stream, loaded.version);
        }
    }
}

/// What is folded of an event.
struct Stored<'a> {
    event_type: &'a str,
    event_version: &'a str,
    payload: &'a str,
    position: Position,
}

impl<'a> Stored<'a> {
    fn of(event: &'a StoredEvent) -> Self {
        let StoredEvent { event_type, event_version, payload, position, .. } = event;
        Self { event_type, event_version, payload, position: *position }
    }

    fn apply<A>(&self, state: &mut A, stream: StreamId, sequence: i64) -> Result<(), Error>
    where
        A: Aggregate<Event: Payload>,
    {
        let Self { event_type, event_version, payload, position } = *self;
        let raw = RawEvent { aggregate_type: stream.aggregate.as_str(), event_type, event_version, payload };
        let undecodable = |source| Error::Undecodable { stream, sequence, position, source: Box::new(source) };
        let event = raw.decode().map_err(undecodable)?;
        // Decoded as an event of this aggregate, since the stream says which it is.
        if let Some(event) = A::Event::from_event(&event) {
            state.apply(event.clone());
        }
        Ok(())
    }
}

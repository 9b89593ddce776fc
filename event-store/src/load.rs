//! Loading an aggregate: a state from memory or from its table, and the events that came after it.

use std::sync::Arc;

use cqrs_es::Aggregate;
use domain::aggregate::{Decide, Payload};
use schema::catalogue::DecodeError;
use schema::log::{Position, RawEvent, StreamId};
use sqlx::Row;
use uuid::Uuid;

use crate::EventStore;
use crate::cache::Loaded;
use crate::states::StateToStore;

/// Events that one statement answers.
const PAGE: i64 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log can't be reached")]
    Unavailable(#[from] sqlx::Error),
    #[error("event {sequence} of {stream}, at {position}, can't be understood")]
    Undecodable { stream: StreamId, sequence: i64, position: Position, source: Box<DecodeError> },
}

/// The stream of an aggregate.
pub fn stream_of<A: Decide>(id: impl Into<Uuid>) -> StreamId {
    StreamId { aggregate: A::AGGREGATE, id: id.into() }
}

impl EventStore {
    /// The aggregate as it is in the log now: one query, which answers only what the cache lacks.
    pub async fn load<A: Decide + 'static>(&self, id: impl Into<Uuid>) -> Result<Loaded<A>, Error> {
        let stream = stream_of::<A>(id);
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
            let grown = stream_version > version;
            for row in rows.iter().filter(|_| grown) {
                let Some(sequence) = row.try_get::<Option<i64>, _>(1)? else { break };
                apply(&mut state, stream, sequence, row)?;
                version = sequence;
            }
            if !grown || (rows.len() as i64) < PAGE {
                // The last ones may have been dropped with their retention class.
                let loaded = Loaded { state: Arc::new(state), version: stream_version };
                self.keep(stream, &loaded, stored);
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
    pub fn appended<A: Decide + 'static>(&self, id: impl Into<Uuid>, state: A, version: i64) {
        self.keep(stream_of::<A>(id), &Loaded { state: Arc::new(state), version }, 0);
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

    fn keep<A: Decide + 'static>(&self, stream: StreamId, loaded: &Loaded<A>, stored_version: i64) {
        let grown = self.cache().put(stream, loaded, stored_version);
        if grown < self.options().store_state_every_events {
            return;
        }
        let state = Arc::clone(&loaded.state);
        let to_store = StateToStore {
            stream,
            version: loaded.version,
            fold_version: A::FOLD_VERSION,
            to_json: Box::new(move || serde_json::to_string(state.as_ref())),
        };
        if self.states().offer(to_store) {
            self.cache().stored(stream, loaded.version);
        }
    }
}

fn apply<A>(state: &mut A, stream: StreamId, sequence: i64, row: &sqlx::postgres::PgRow) -> Result<(), Error>
where
    A: Aggregate<Event: Payload>,
{
    let raw = RawEvent {
        aggregate_type: stream.aggregate.as_str(),
        event_type: row.try_get(2)?,
        event_version: row.try_get(3)?,
        payload: row.try_get(4)?,
    };
    let position = Position(row.try_get(5)?);
    let undecodable = |source| Error::Undecodable { stream, sequence, position, source: Box::new(source) };
    let event = raw.decode().map_err(undecodable)?;
    // Decoded as an event of this aggregate, since the stream says which it is.
    if let Some(event) = A::Event::from_event(&event) {
        state.apply(event.clone());
    }
    Ok(())
}

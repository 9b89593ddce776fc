//! A batch as the columns that `log_append` takes.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use schema::log::{Generation, NewEvent, Position};
use schema::partition::partition;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgTypeInfo};
use sqlx::query::Query;
use sqlx::{Encode, Postgres, Type};
use uuid::Uuid;

use crate::append::{Append, Expected, GuardCondition, Write};
use crate::lane::order;

/// Borrowed from the appends, except for what has to be made.
#[derive(Default)]
pub(super) struct Columns<'a> {
    counts: Vec<i32>,
    writes: Writes<'a>,
    guards: Guards<'a>,
    keys: Keys<'a>,
    events: Events<'a>,
}

#[derive(Default)]
struct Writes<'a> {
    append: Vec<i32>,
    kind: Vec<&'a str>,
    id: Vec<Uuid>,
    expect: Vec<i64>,
    fence: Vec<i64>,
    count: Vec<i32>,
}

#[derive(Default)]
struct Guards<'a> {
    append: Vec<i32>,
    kind: Vec<&'a str>,
    id: Vec<Uuid>,
    version: Vec<i64>,
    fence: Vec<i64>,
}

#[derive(Default)]
struct Keys<'a> {
    append: Vec<i32>,
    last: Vec<i32>,
    scope: Vec<&'a str>,
    key: Vec<&'a str>,
    hash: Vec<&'a [u8]>,
    answer: Vec<Json<'a>>,
    expires: Vec<Option<DateTime<Utc>>>,
}

#[derive(Default)]
struct Events<'a> {
    write: Vec<i32>,
    nth: Vec<i32>,
    kind: Vec<&'a str>,
    version: Vec<&'a str>,
    id: Vec<Uuid>,
    partition_key: Vec<Uuid>,
    partition: Vec<i16>,
    retention: Vec<i16>,
    payload: Vec<Json<'a>>,
    metadata: Vec<Json<'a>>,
    hash: Vec<Uuid>,
}

/// JSON text for a `json` parameter: its bytes as they are, which the server checks as it receives them. (What sqlx
/// calls JSON goes out as `jsonb`, and text would be checked in a second pass.)
struct Json<'a>(Cow<'a, str>);

const JSON: Oid = Oid(114);
const JSON_ARRAY: Oid = Oid(199);

impl Type<Postgres> for Json<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON)
    }
}

impl PgHasArrayType for Json<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON_ARRAY)
    }
}

impl<'q> Encode<'q, Postgres> for Json<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'q, Postgres>>::encode(&self.0, buffer)
    }

    fn size_hint(&self) -> usize {
        self.0.len()
    }
}

/// An index as SQL counts, from 1. Batches are bounded far below what an i32 holds.
fn index(n: usize) -> i32 {
    i32::try_from(n).expect("a batch is bounded")
}

impl<'a> Writes<'a> {
    fn with_room(count: usize) -> Self {
        Self {
            append: vec![0; count],
            kind: vec![""; count],
            id: vec![Uuid::nil(); count],
            expect: vec![0; count],
            fence: vec![0; count],
            count: vec![0; count],
        }
    }

    fn set(&mut self, place: usize, nth_append: i32, write: &'a Write) {
        self.append[place] = nth_append;
        self.kind[place] = write.stream.aggregate.as_str();
        self.id[place] = write.stream.id;
        self.expect[place] = match write.expected {
            Expected::New => 0,
            Expected::Version(version) => version,
            Expected::Any => -1,
        };
        self.fence[place] = write.fence.map_or(0, |epoch| epoch.0);
        self.count[place] = index(write.events.len());
    }
}

impl<'a> Columns<'a> {
    pub fn of(appends: impl Iterator<Item = &'a Append> + Clone) -> Self {
        let places = order::places(appends.clone());
        let mut columns = Self { writes: Writes::with_room(places.len()), ..Self::default() };
        let mut places = places.into_iter();
        for append in appends {
            columns.push(append, &mut places);
        }
        columns
    }

    /// `places` goes on with those of its writes.
    fn push(&mut self, append: &'a Append, places: &mut impl Iterator<Item = usize>) {
        self.counts.push(index(append.event_count()));
        let nth_append = index(self.counts.len());
        for (write, place) in append.writes.iter().zip(places) {
            self.writes.set(place, nth_append, write);
            self.push_events(index(place + 1), &write.events);
        }
        for guard in &append.guards {
            let (version, fence) = match guard.condition {
                GuardCondition::Version(version) => (version, -1),
                GuardCondition::Fence(epoch) => (-1, epoch.0),
            };
            self.guards.append.push(nth_append);
            self.guards.kind.push(guard.stream.aggregate.as_str());
            self.guards.id.push(guard.stream.id);
            self.guards.version.push(version);
            self.guards.fence.push(fence);
        }
        if let Some(key) = &append.key {
            self.keys.append.push(nth_append);
            self.keys.last.push(index(self.events.id.len()));
            self.keys.scope.push(&key.scope);
            self.keys.key.push(&key.key);
            self.keys.hash.push(&key.body_hash);
            self.keys.answer.push(Json(key.answer.to_string().into()));
            self.keys.expires.push(key.expires_at);
        }
    }

    fn push_events(&mut self, write: i32, new: &'a [NewEvent]) {
        for (nth, event) in (1..).zip(new) {
            let events = &mut self.events;
            events.write.push(write);
            events.nth.push(nth);
            events.kind.push(event.event_type);
            events.version.push(event.event_version);
            events.id.push(event.event_id);
            events.partition_key.push(event.partition_key);
            events.partition.push(i16::from(partition(event.partition_key).number()));
            events.retention.push(event.retention.code());
            events.payload.push(Json(Cow::from(&event.payload)));
            events.metadata.push(Json(Cow::from(&event.metadata)));
            events.hash.push(event.payload_hash);
        }
    }

    /// `near` is where the head was last seen.
    pub fn statement(
        self,
        exclusive: bool,
        near: Option<Position>,
        (known, seen): (Generation, Option<Position>),
    ) -> Query<'a, Postgres, PgArguments> {
        let Self { counts, writes: w, guards: g, keys: k, events: e } = self;
        let statement = sqlx::query(include_str!("append.sql")).bind(exclusive).bind(near.map(|near| near.0));
        // The function could tell the others too, in the same transaction.
        let statement = statement.bind(None::<&str>).bind(counts);
        let statement = statement.bind(w.append).bind(w.kind).bind(w.id).bind(w.expect).bind(w.fence).bind(w.count);
        let statement = statement.bind(g.append).bind(g.kind).bind(g.id).bind(g.version).bind(g.fence);
        let statement =
            statement.bind(k.append).bind(k.last).bind(k.scope).bind(k.key).bind(k.hash).bind(k.answer).bind(k.expires);
        let statement = statement.bind(e.write).bind(e.nth).bind(e.kind).bind(e.version).bind(e.id);
        let statement = statement.bind(e.partition_key).bind(e.partition).bind(e.retention);
        let statement = statement.bind(e.payload).bind(e.metadata).bind(e.hash);
        statement.bind(known.0).bind(seen.map(|seen| seen.0))
    }
}

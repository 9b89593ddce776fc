//! Who appends what, for how long.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::envelope::{Actor, Envelope};
use domain::event::{AggregateType, Event};
use domain::id::{Sealed, TenantId, TokenId};
use domain::token::{TokenDetails, TokenEvent};
use event_store::{Append, Appended, EventStore, Expected, Write};
use schema::log::{NewEvent, StreamId};
use uuid::Uuid;

use super::STREAMS;

/// One who appends one event at a time, and waits for each.
pub trait Single: Send + 'static {
    fn append(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// One who appends batches.
pub trait Batch: Send + 'static {
    fn append(&mut self, count: usize) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// The streams that one writer alone writes to, in turn, and how far they are.
pub struct StreamSet {
    streams: Vec<(StreamId, i64)>,
    next: usize,
    envelope: Arc<Envelope>,
}

impl StreamSet {
    fn new(streams: usize) -> Self {
        Self::with([], streams.max(1))
    }

    /// Streams that are there, of these versions, and new ones.
    pub fn with(known: impl IntoIterator<Item = (StreamId, i64)>, new: usize) -> Self {
        let stream = || StreamId { aggregate: AggregateType::Token, id: Uuid::now_v7() };
        Self {
            streams: known.into_iter().chain((0..new).map(|_| (stream(), 0))).collect(),
            next: 0,
            envelope: Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("bench")).caused_by(Uuid::now_v7())),
        }
    }

    /// The next event: its stream, the version before it, and itself, serialised.
    pub fn next(&mut self) -> (StreamId, i64, NewEvent) {
        let index = self.next;
        self.next = (index + 1) % self.streams.len();
        let (stream, version) = &mut self.streams[index];
        let details = TokenDetails {
            token_id: TokenId(stream.id),
            kind: "ISO14443".into(),
            value: Sealed("c2VhbGVkOiAyNCBieXRlcyBvZiBub25jZSwgdGFnIGFuZCB2YWx1ZQ".into()),
            driver_id: None,
            group: Some("a group of tokens".into()),
            expires_at: None,
        };
        let event = Event::Token(TokenEvent::TokenRegistered(details));
        let before = *version;
        *version += 1;
        (*stream, before, NewEvent::new(event, Arc::clone(&self.envelope), stream.id))
    }
}

/// Events a second, of `writers` at once.
pub async fn single<S: Single>(
    writers: usize,
    turn: Duration,
    mut writer: impl FnMut(StreamSet) -> S,
) -> anyhow::Result<f64> {
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let mut writer = writer(StreamSet::new(STREAMS / writers));
            tokio::spawn(async move {
                let mut appended = 0_u64;
                while started.elapsed() < turn {
                    writer.append().await?;
                    appended += 1;
                }
                anyhow::Ok(appended)
            })
        })
        .collect();
    rate(tasks, started).await
}

/// Events a second, of `appenders` at once, in batches.
pub async fn batches<B: Batch, F: Future<Output = anyhow::Result<B>>>(
    appenders: usize,
    batch: usize,
    turn: Duration,
    mut appender: impl FnMut(StreamSet) -> F,
) -> anyhow::Result<f64> {
    let mut ready = Vec::new();
    for _ in 0..appenders {
        ready.push(appender(StreamSet::new(STREAMS / appenders)).await?);
    }
    let started = Instant::now();
    let run = |mut appender: B| async move {
        let mut appended = 0_u64;
        while started.elapsed() < turn {
            appender.append(batch).await?;
            appended += batch as u64;
        }
        anyhow::Ok(appended)
    };
    rate(ready.into_iter().map(|appender| tokio::spawn(run(appender))).collect(), started).await
}

async fn rate(tasks: Vec<tokio::task::JoinHandle<anyhow::Result<u64>>>, started: Instant) -> anyhow::Result<f64> {
    let mut appended = 0;
    for task in tasks {
        appended += task.await??;
    }
    Ok(appended as f64 / started.elapsed().as_secs_f64())
}

/// Through the event store, one event an append.
pub struct OneByOne {
    store: EventStore,
    streams: StreamSet,
}

impl OneByOne {
    pub fn new(store: EventStore, streams: StreamSet) -> Self {
        Self { store, streams }
    }
}

impl Single for OneByOne {
    async fn append(&mut self) -> anyhow::Result<()> {
        append(&self.store, &mut self.streams, 1).await
    }
}

/// Through the event store, each event of a batch in another stream.
pub struct Batches {
    store: EventStore,
    streams: StreamSet,
}

impl Batches {
    pub fn new(store: EventStore, streams: StreamSet) -> Self {
        Self { store, streams }
    }
}

impl Batch for Batches {
    async fn append(&mut self, count: usize) -> anyhow::Result<()> {
        append(&self.store, &mut self.streams, count).await
    }
}

async fn append(store: &EventStore, streams: &mut StreamSet, count: usize) -> anyhow::Result<()> {
    let write = |(stream, version, event)| Write {
        stream,
        expected: Expected::version(version),
        events: vec![event],
        fence: None,
    };
    let writes = (0..count).map(|_| write(streams.next())).collect();
    match store.append(Append { writes, guards: vec![], key: None }).await? {
        Appended::Committed { .. } => Ok(()),
        Appended::Replayed { .. } => anyhow::bail!("there was no key to replay"),
    }
}

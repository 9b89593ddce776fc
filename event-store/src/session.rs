//! A unit of work: a command loads what it needs, decides on several aggregates, and commits all of it in one append.

use std::any::Any;
use std::sync::Arc;

use domain::aggregate::{Decide, Payload};
use domain::envelope::Envelope;
use domain::id::Epoch;
use domain::refusal::Refusal;
use futures_util::future::BoxFuture;
use schema::log::{Generation, NewEvent, StreamId};
use uuid::Uuid;

use crate::append::{self, Append, Appended, CommandKey, Expected, Guard, GuardCondition, Write};
use crate::load::{self, stream_of};
use crate::{EventStore, Loaded};

/// How often a command is decided anew after somebody else was faster.
pub const ATTEMPTS_MAX: usize = 5;

/// Why a unit of work ended without an append.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Load(#[from] load::Error),
    #[error(transparent)]
    Append(#[from] append::Error),
    /// Others were faster each time: answer 503.
    #[error("others changed the same things {ATTEMPTS_MAX} times in a row")]
    Busy,
}

/// One attempt at a command. Events are decided on states of its own; the store's cache learns of them once they are
/// committed.
pub struct Session {
    store: EventStore,
    /// Of the log, when it began.
    generation: Generation,
    envelope: Arc<Envelope>,
    open: Vec<Open>,
    guards: Vec<Guard>,
    key: Option<CommandKey>,
    trust_cache: bool,
    /// Something was decided on a state that was not checked against the log.
    unchecked: bool,
}

/// An aggregate that the session has loaded.
struct Open {
    stream: StreamId,
    state: Box<dyn Opened>,
    /// Of the stream, before this session.
    version: i64,
    /// It was taken from memory, where another process's events may be missing.
    from_cache: bool,
    events: Vec<NewEvent>,
    fence: Option<Epoch>,
}

/// A loaded state, whatever its type.
trait Opened: Any + Send + Sync {
    fn publish(self: Box<Self>, store: &EventStore, id: Uuid, version: i64, generation: Generation);
}

struct State<A>(Arc<A>);

impl<A: Decide + 'static> Opened for State<A> {
    fn publish(self: Box<Self>, store: &EventStore, id: Uuid, version: i64, generation: Generation) {
        store.appended(id, Arc::unwrap_or_clone(self.0), version, generation);
    }
}

impl EventStore {
    /// A session that reads the log for whatever it loads.
    pub fn session(&self, envelope: Arc<Envelope>) -> Session {
        Session {
            store: self.clone(),
            generation: self.era().generation(),
            envelope,
            open: vec![],
            guards: vec![],
            key: None,
            trust_cache: false,
            unchecked: false,
        }
    }

    /// Runs a unit of work and commits it.
    ///
    /// The first attempt decides on cached states, which the append checks by their versions. When it is refused or
    /// loses, it is run again on states fresh from the log: hence a refusal is always one of the newest state. A conflict
    /// is decided again [`ATTEMPTS_MAX`] times. `work` may be run several times and must have no effect of its own.
    ///
    /// With neither events nor a key nothing is appended, and the answer has no [`Appended`].
    pub async fn run<T, E, F>(&self, envelope: &Arc<Envelope>, mut work: F) -> Result<(T, Option<Appended>), E>
    where
        E: From<Error>,
        F: for<'s> FnMut(&'s mut Session) -> BoxFuture<'s, Result<T, E>> + Send,
    {
        let mut trust_cache = true;
        for _ in 0..=ATTEMPTS_MAX {
            let mut session = self.session(Arc::clone(envelope));
            session.trust_cache = trust_cache;
            trust_cache = false;
            let worked = work(&mut session).await;
            if session.unchecked && (worked.is_err() || session.is_empty()) {
                continue;
            }
            let value = worked?;
            if session.is_empty() {
                return Ok((value, None));
            }
            match session.commit().await {
                Ok(appended) => return Ok((value, Some(appended))),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(Error::Append(error).into()),
            }
        }
        Err(Error::Busy.into())
    }
}

impl Session {
    /// The aggregate, with what this session has decided so far.
    pub async fn load<A: Decide + 'static>(&mut self, id: impl Into<Uuid>) -> Result<&A, Error> {
        let id = id.into();
        let index = self.open::<A>(id).await?;
        Ok(self.state::<A>(index))
    }

    /// The version of the aggregate's stream, with what this session has decided so far.
    pub async fn version<A: Decide + 'static>(&mut self, id: impl Into<Uuid>) -> Result<i64, Error> {
        let id = id.into();
        let index = self.open::<A>(id).await?;
        Ok(self.open[index].version + self.open[index].events.len() as i64)
    }

    /// Decides a command on the aggregate. The events are written with the commit; they are answered too.
    ///
    /// `partition_key`: the charge point, the account or the token; or the stream's own id.
    pub async fn decide<A: Decide + 'static>(
        &mut self,
        id: impl Into<Uuid>,
        partition_key: impl Into<Uuid>,
        command: A::Command,
    ) -> Result<Result<Vec<A::Event>, Refusal>, Error> {
        let (id, partition_key) = (id.into(), partition_key.into());
        let index = self.open::<A>(id).await?;
        Ok(match self.state::<A>(index).decide(command) {
            Ok(events) => {
                for event in &events {
                    self.take::<A>(index, partition_key, event.clone());
                }
                Ok(events)
            }
            Err(refusal) => Err(refusal),
        })
    }

    /// Sets the fence of a loaded stream's next write: it must be above the present one.
    pub async fn fence<A: Decide + 'static>(&mut self, id: impl Into<Uuid>, epoch: Epoch) -> Result<(), Error> {
        let id = id.into();
        let index = self.open::<A>(id).await?;
        self.open[index].fence = Some(epoch);
        Ok(())
    }

    /// The commit happens only if this holds.
    pub fn guard(&mut self, guard: Guard) {
        self.guards.push(guard);
    }

    /// The commit happens only if the aggregate, which was only read, is still as it was read.
    pub async fn guard_unchanged<A: Decide + 'static>(&mut self, id: impl Into<Uuid>) -> Result<(), Error> {
        let id = id.into();
        let index = self.open::<A>(id).await?;
        let Open { stream, version, .. } = self.open[index];
        self.guard(Guard { stream, condition: GuardCondition::Version(version) });
        Ok(())
    }

    /// Makes the commit idempotent.
    pub fn key(&mut self, key: CommandKey) {
        self.key = Some(key);
    }

    /// What happens next stands in this envelope: a consequence has another cause than the command.
    pub fn envelope(&mut self, envelope: Arc<Envelope>) {
        self.envelope = envelope;
    }

    /// Under which ids the aggregate's new events are written, if they are: whoever never learns that can look for them later.
    pub fn event_ids<A: Decide + 'static>(&self, id: impl Into<Uuid>) -> Vec<Uuid> {
        let stream = stream_of::<A>(id.into());
        let of_it = self.open.iter().filter(|open| open.stream == stream);
        of_it.flat_map(|open| &open.events).map(|event| event.event_id).collect()
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.open.iter().all(|open| open.events.is_empty() && open.fence.is_none())
    }

    /// Appends everything. Afterwards the cache has the new states; after a conflict it has forgotten the old ones.
    pub async fn commit(self) -> Result<Appended, append::Error> {
        let Self { store, generation, open, mut guards, key, .. } = self;
        let mut writes = Vec::with_capacity(open.len());
        let mut written = Vec::with_capacity(open.len());
        for Open { stream, state, version, from_cache, events, fence } in open {
            if events.is_empty() && fence.is_none() {
                // What was only read, or decided upon without an event, is checked as well: several processes change the same
                // things, the owner of a fence's among them, and none hears of the others' changes before it asks.
                if from_cache {
                    guards.push(Guard { stream, condition: GuardCondition::Version(version) });
                }
                continue;
            }
            writes.push(Write { stream, expected: Expected::version(version), events, fence });
            written.push((stream, state));
        }
        let appended = store.append_in(generation, Append { writes, guards, key }).await;
        match &appended {
            Ok(Appended::Committed { versions, generation, .. }) => {
                for ((stream, state), &version) in written.into_iter().zip(versions) {
                    state.publish(&store, stream.id, version, *generation);
                }
            }
            Ok(Appended::Replayed { .. }) | Err(_) => written.iter().for_each(|(stream, _)| store.forget(*stream)),
        }
        appended
    }

    async fn open<A: Decide + 'static>(&mut self, id: Uuid) -> Result<usize, Error> {
        let stream = stream_of::<A>(id);
        if let Some(index) = self.open.iter().position(|open| open.stream == stream) {
            return Ok(index);
        }
        let Loaded { state, version } = if self.trust_cache {
            self.unchecked = true;
            self.store.load_cached::<A>(id).await?
        } else {
            self.store.load::<A>(id).await?
        };
        let state = Box::new(State(state));
        self.open.push(Open { stream, state, version, from_cache: self.trust_cache, events: vec![], fence: None });
        Ok(self.open.len() - 1)
    }

    fn state<A: Decide + 'static>(&self, index: usize) -> &A {
        let state: &dyn Any = self.open[index].state.as_ref();
        &state.downcast_ref::<State<A>>().expect("opened under the aggregate type of A, of which there is one").0
    }

    fn take<A: Decide + 'static>(&mut self, index: usize, partition_key: Uuid, event: A::Event) {
        let open = &mut self.open[index];
        let new = NewEvent::new(event.clone().into_event(), Arc::clone(&self.envelope), partition_key);
        open.events.push(new);
        let state: &mut dyn Any = open.state.as_mut();
        let state = state.downcast_mut::<State<A>>().expect("opened under the aggregate type of A");
        Arc::make_mut(&mut state.0).apply(event);
    }
}

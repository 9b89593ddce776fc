//! What a process knows of the log's generation: in which it is, and how far the log went in it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schema::log::{Generation, Position};
use tokio::sync::{Notify, watch};

use super::State;

/// One for each store: its lane, its cache and its watcher have the same. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Era(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    generation: AtomicI64,
    /// With the generation in which it was seen.
    furthest: Mutex<(Generation, Position)>,
    /// The log was found to end before `furthest`.
    went_back: AtomicBool,
    look: Notify,
    state: watch::Sender<State>,
}

impl Era {
    /// Before the first look at the log.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            generation: AtomicI64::new(0),
            furthest: Mutex::new((Generation(0), Position::START)),
            went_back: AtomicBool::new(false),
            look: Notify::new(),
            state: watch::Sender::new(State::Open { generation: Generation::FIRST }),
        }))
    }

    /// The generation that this process has learned of last; what it knows from another is not to be relied on.
    pub fn generation(&self) -> Generation {
        Generation(self.0.generation.load(Ordering::Acquire))
    }

    /// The log is of this generation.
    pub fn learn(&self, generation: Generation) {
        if self.0.generation.swap(generation.0, Ordering::AcqRel) != generation.0 {
            self.0.went_back.store(false, Ordering::Release);
        }
    }

    /// The log had this position in this generation.
    pub fn saw(&self, generation: Generation, position: Position) {
        let mut furthest = self.0.furthest.lock().unwrap_or_else(PoisonError::into_inner);
        if generation > furthest.0 || (generation == furthest.0 && position > furthest.1) {
            *furthest = (generation, position);
        }
    }

    /// How far the log is known to have gone, in the newest generation of which that is known.
    pub fn furthest(&self) -> (Generation, Position) {
        *self.0.furthest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the log is known to have gone in a generation.
    pub fn furthest_in(&self, generation: Generation) -> Option<Position> {
        let furthest = self.0.furthest.lock().unwrap_or_else(PoisonError::into_inner);
        (furthest.0 == generation).then_some(furthest.1)
    }

    /// An append was refused because the log ends before what this process has seen of it.
    pub fn went_back(&self) {
        self.0.went_back.store(true, Ordering::Release);
        self.look();
    }

    pub fn has_gone_back(&self) -> bool {
        self.0.went_back.load(Ordering::Acquire)
    }

    /// Has the watcher look at once.
    pub fn look(&self) {
        self.0.look.notify_one();
    }

    pub async fn to_look(&self) {
        self.0.look.notified().await;
    }

    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// Answers whether it is another state than before.
    pub fn is_in(&self, state: State) -> bool {
        self.0.state.send_if_modified(|present| {
            let other = *present != state;
            *present = state;
            other
        })
    }
}

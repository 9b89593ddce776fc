//! Which of the waiting appends go into the next flush.

use std::collections::{BTreeMap, HashSet, VecDeque};

use schema::log::StreamId;

use crate::lane::Pending;
use crate::options::StoreOptions;

/// Takes as many as fit, in their order. Those that touch what an earlier one of the batch writes wait for another
/// flush, since the append function decides all of a batch against what was there before it; so do those that touch what
/// is under way, which they would race; and whatever touches what a waiting one touches waits behind it.
pub(super) fn next_batch(
    backlog: &mut VecDeque<Pending>,
    under_way: &BTreeMap<u64, Touched>,
    options: &StoreOptions,
    appends_max: usize,
) -> (Vec<Pending>, Touched) {
    let mut batch = Vec::with_capacity(backlog.len().min(appends_max));
    let (mut touched, mut awaited) = (Touched::default(), Touched::default());
    let mut bytes = 0;
    let mut waiting = VecDeque::new();
    while let Some(pending) = backlog.pop_front() {
        let fits = batch.is_empty()
            || (batch.len() < appends_max
                && touched.events + pending.append.event_count() <= options.flush_events_max
                && bytes + pending.weight_bytes <= options.flush_bytes_max);
        if !fits {
            waiting.push_back(pending);
            break;
        }
        if under_way.values().chain([&touched, &awaited]).all(|others| others.is_free_for(&pending)) {
            touched.take(&pending);
            bytes += pending.weight_bytes;
            batch.push(pending);
        } else {
            awaited.block(&pending);
            waiting.push_back(pending);
        }
    }
    waiting.append(backlog);
    *backlog = waiting;
    (batch, touched)
}

/// What the appends of a flush write, guard and answer for.
#[derive(Default)]
pub(super) struct Touched {
    events: usize,
    written: HashSet<StreamId>,
    guarded: HashSet<StreamId>,
    keys: HashSet<(String, String)>,
}

impl Touched {
    pub fn events(&self) -> usize {
        self.events
    }

    fn is_free_for(&self, pending: &Pending) -> bool {
        let append = &pending.append;
        let of_writes = |stream| !self.written.contains(&stream) && !self.guarded.contains(&stream);
        append.writes.iter().all(|write| of_writes(write.stream))
            && append.guards.iter().all(|guard| !self.written.contains(&guard.stream))
            && append.key.iter().all(|key| !self.keys.contains(&(key.scope.clone(), key.key.clone())))
    }

    fn take(&mut self, pending: &Pending) {
        let append = &pending.append;
        self.events += append.event_count();
        self.written.extend(append.writes.iter().map(|write| write.stream));
        self.guarded.extend(append.guards.iter().map(|guard| guard.stream));
        self.keys.extend(append.key.iter().map(|key| (key.scope.clone(), key.key.clone())));
    }

    /// It waits: nothing of the same streams may overtake it.
    fn block(&mut self, pending: &Pending) {
        self.take(pending);
        self.written.extend(pending.append.guards.iter().map(|guard| guard.stream));
    }
}

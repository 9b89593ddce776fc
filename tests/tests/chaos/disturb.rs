//! What is done to the parts of a cluster, one after another.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use cluster::{Cluster, Part, State};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

/// Between two disturbances.
const CALM: Range<f64> = 0.3..3.0;
/// How long what was killed is gone.
const GONE: Range<f64> = 0.0..4.0;
/// How long what is frozen stands still: mostly less than a lease, and now and then longer than any.
const FROZEN: Range<f64> = 0.3..6.0;
const FROZEN_LONG: Range<f64> = 16.0..20.0;
const FROZEN_LONG_PROBABILITY: f64 = 0.15;
/// Kafka and Postgres take everybody with them: not as often as the rest, and not as long.
const SERVER_PROBABILITY: f64 = 0.15;
const SERVER_STANDS: Range<f64> = 0.3..5.0;
/// Of what happens in any case, until it has.
const CERTAIN_PROBABILITY: f64 = 0.4;
/// Of the log of a part that is not as it should be.
const SAID_LINES: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Killed,
    Frozen,
    FailedOver,
}

pub struct Disturber<'c> {
    cluster: &'c Cluster,
    rng: SmallRng,
    roles: Vec<Part>,
    /// Those whose turn it is still: each has one before any has another, so that a short run meets most of them.
    waiting: Vec<Part>,
    servers: Vec<Part>,
    /// What happens in any case, however short the run is: everybody's servers, killed and frozen.
    certain: Vec<(Part, Deed)>,
    failovers: bool,
    last: String,
    done: BTreeMap<(&'static str, Deed), u32>,
}

impl<'c> Disturber<'c> {
    pub async fn new(cluster: &'c Cluster, rng: SmallRng, failovers: bool) -> Self {
        let parts = cluster.parts().await;
        let roles: Vec<_> = parts.iter().copied().filter(|part| part.is_role()).collect();
        let servers = vec![Part::Kafka(1), Part::Postgres(1), Part::PgBouncer];
        let certain = servers.iter().flat_map(|server| [(*server, Deed::Killed), (*server, Deed::Frozen)]).collect();
        let (waiting, last, done) = (vec![], String::new(), BTreeMap::new());
        Self { cluster, rng, roles, waiting, servers, certain, failovers, last, done }
    }

    /// Kills or freezes a part, and has it go on.
    ///
    /// # Panics
    /// When it does not come back.
    pub async fn disturb(&mut self) {
        self.rest(CALM).await;
        if !self.certain.is_empty() && self.rng.random_bool(CERTAIN_PROBABILITY) {
            let (part, deed) = self.certain.swap_remove(self.rng.random_range(0..self.certain.len()));
            let part = if let Part::Postgres(_) = part { self.cluster.primary().await } else { part };
            self.perform(part, deed, SERVER_STANDS).await;
        } else if self.rng.random_bool(SERVER_PROBABILITY) {
            self.disturb_server().await;
        } else {
            let part = self.next_role();
            let long = self.rng.random_bool(FROZEN_LONG_PROBABILITY);
            self.disturb_part(part, if long { FROZEN_LONG } else { FROZEN }).await;
        }
    }

    fn next_role(&mut self) -> Part {
        if self.waiting.is_empty() {
            self.waiting.clone_from(&self.roles);
            self.waiting.shuffle(&mut self.rng);
        }
        self.waiting.pop().expect("a cluster has roles")
    }

    async fn disturb_server(&mut self) {
        let mut part = self.servers[self.rng.random_range(0..self.servers.len())];
        if let Part::Postgres(_) = part {
            part = self.cluster.primary().await;
            if self.failovers && self.rng.random_bool(0.5) {
                self.cluster.kill(part).await.expect("it runs");
                self.cluster.promote().await.expect("the replica takes over");
                self.rest(GONE).await;
                self.cluster.start(part).await.expect("the former primary comes back as the replica");
                self.note(part, Deed::FailedOver);
                return;
            }
        }
        self.disturb_part(part, SERVER_STANDS).await;
    }

    async fn disturb_part(&mut self, part: Part, frozen: Range<f64>) {
        let deed = if self.rng.random_bool(0.5) { Deed::Killed } else { Deed::Frozen };
        self.perform(part, deed, frozen).await;
    }

    async fn perform(&mut self, part: Part, deed: Deed, frozen: Range<f64>) {
        if deed == Deed::Killed {
            self.well(part, "can't be killed", self.cluster.kill(part).await).await;
            self.rest(GONE).await;
            self.well(part, "does not come back", self.cluster.start(part).await).await;
            self.note(part, Deed::Killed);
        } else {
            self.well(part, "can't be frozen", self.cluster.freeze(part).await).await;
            self.rest(frozen).await;
            self.well(part, "can't be woken", self.cluster.thaw(part).await).await;
            self.note(part, Deed::Frozen);
        }
    }

    /// One that has ended by itself is not there to be killed, and said why.
    async fn well(&self, part: Part, otherwise: &str, went: Result<(), cluster::Error>) {
        let Err(error) = went else { return };
        let log = std::fs::read_to_string(self.cluster.log(part).await.expect("it is a part")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(SAID_LINES)..].join("\n");
        let ended = self.cluster.ended_with(part).await.map(|status| format!(", it ended with {status}"));
        panic!("{part} {otherwise}: {error}{}; the end of its log:\n{last}", ended.unwrap_or_default());
    }

    async fn rest(&mut self, seconds: Range<f64>) {
        let rest = Duration::from_secs_f64(self.rng.random_range(seconds));
        tokio::time::sleep(rest).await;
    }

    fn note(&mut self, part: Part, deed: Deed) {
        let (kind, deed_name) = (kind(part), name(deed));
        self.last = format!("{part} was {deed_name}");
        *self.done.entry((kind, deed)).or_default() += 1;
    }

    pub fn has_done_what_is_certain(&self) -> bool {
        self.certain.is_empty()
    }

    /// What happened last.
    pub fn last(&self) -> &str {
        &self.last
    }

    /// Every part runs again.
    ///
    /// # Panics
    /// When one has ended by itself.
    pub async fn is_over(&self) {
        for part in self.cluster.parts().await {
            let state = self.cluster.state(part).await.expect("it is a part");
            let runs = if state == State::Running { Ok(()) } else { Err(cluster::Error::NotRunning(part)) };
            self.well(part, "has ended by itself", runs).await;
            // And is ready: a start of what runs waits for that.
            self.well(part, "is not ready", self.cluster.start(part).await).await;
        }
    }

    pub fn summary(&self) -> String {
        let done = self.done.iter().map(|((kind, deed), times)| format!("{kind} {} {times}", name(*deed)));
        format!("done: {}", done.collect::<Vec<_>>().join(", "))
    }
}

fn name(deed: Deed) -> &'static str {
    match deed {
        Deed::Killed => "killed",
        Deed::Frozen => "frozen",
        Deed::FailedOver => "failed over",
    }
}

fn kind(part: Part) -> &'static str {
    match part {
        Part::Kafka(_) => "kafka",
        Part::Postgres(_) => "postgres",
        Part::PgBouncer => "pgbouncer",
        Part::Relay(_) => "relay",
        Part::Projection(_) => "projection",
        Part::Command(_) => "command",
        Part::Realtime(_) => "realtime",
        Part::Edge(_) => "edge",
        Part::Nginx => "nginx",
        Part::Traffic => "traffic",
    }
}

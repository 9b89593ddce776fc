//! From Postgres to Kafka: one process at a time writes every event there, in the order of the log.
//!
//! Who leads holds a lease. What guards Kafka's side is no lease but the consumer's rule ([`schema::record`]): all relays write
//! the same records in the same order, so that whatever a frozen leader still writes is dropped by everybody.

mod at_start;
mod beginning;
mod checkpoint;
mod keeper;
mod lasts;
mod lead;
mod produce;
mod read;
mod state;
mod tails;

use std::future::Future;
use std::time::{Duration, Instant};

use schema::log::Position;
use tokio::sync::watch;
use uuid::Uuid;

use crate::EventStore;
use crate::kafka::KafkaOptions;
use crate::leases::Lease;
use crate::lineage::KafkaTail;

pub use at_start::look_before_appending;
pub use produce::producer_config;
pub use state::{Doing, RelayState, Stopped};
pub use tails::Error as TailsError;

/// The last record of each partition of the topics: what a recovery of the log goes by. Writes nothing.
///
/// # Errors
/// When Kafka can't be read within half a minute.
pub async fn last_records(options: &KafkaOptions) -> Result<Vec<KafkaTail>, tails::Error> {
    Ok(tails::Tails::read(options, &checkpoint::Checkpoint::START, tails::WITHIN).await?.of(options))
}

/// So often in a row another has the lease, if it leads and doesn't fail as well.
const BESIDE_MAX: u32 = 15;
const LEASE: &str = "relay";
/// How often a relay on standby looks whether it may lead.
const STANDBY_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After something failed, somebody else may try first.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// What those who follow station commands count on.
pub(crate) const WATERMARK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct RelayOptions {
    pub kafka: KafkaOptions,
    /// How long a leader that is silent keeps others from leading.
    pub lease_ttl: Duration,
    /// Events that are not acknowledged yet.
    pub window_events_max: usize,
    /// Bytes of their records.
    pub window_bytes_max: usize,
    /// While the log moves, each partition of each topic gets a watermark so often, unless its last record is of the last event.
    pub watermark_every: Duration,
    pub checkpoint_every: Duration,
    /// Without an acknowledgement for so long, a leader gives up its lease: Kafka may be there for another one.
    pub kafka_patience: Duration,
    /// How long the partitions may take to say what they have, before a relay leads.
    pub tails_within: Duration,
}

impl RelayOptions {
    pub fn new(kafka: KafkaOptions) -> Self {
        Self {
            kafka,
            lease_ttl: Duration::from_secs(4),
            window_events_max: 20_000,
            window_bytes_max: 32 * 1024 * 1024,
            watermark_every: WATERMARK_EVERY,
            checkpoint_every: Duration::from_millis(250),
            kafka_patience: Duration::from_secs(10),
            tails_within: tails::WITHIN,
        }
    }
}

/// A relay that has not begun.
pub struct Relay {
    store: EventStore,
    options: RelayOptions,
    said: Said,
}

/// What the relay says of itself, to whoever asks.
pub(crate) struct Said(watch::Sender<RelayState>);

impl Relay {
    pub fn new(store: EventStore, options: RelayOptions) -> Self {
        Self { store, options, said: Said(watch::Sender::new(RelayState::new())) }
    }

    pub fn state(&self) -> watch::Receiver<RelayState> {
        self.said.0.subscribe()
    }

    /// Leads whenever nobody else does, until the end begins: then Kafka gets what was already produced, and the lease is given
    /// back.
    pub async fn run(self, end: impl Future<Output = ()> + Send) {
        let (end_now, ending) = watch::channel(false);
        let working = self.work(ending);
        let ended = async {
            end.await;
            end_now.send_replace(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = working => {}
            () = ended => {}
            () = self.look() => {}
        }
    }

    /// How far the log is, whatever Kafka does.
    async fn look(&self) {
        loop {
            if let Ok((head, _)) = self.store.head().await {
                self.said.head(head);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn work(&self, mut ending: watch::Receiver<bool>) {
        let holder = Uuid::now_v7();
        let mut failing: Option<Failing> = None;
        while !*ending.borrow() {
            let wait = match self.lease(holder).await {
                Asked::Unanswered => STANDBY_EVERY,
                Asked::AnothersIs => {
                    // Those who fail alike have it in turn, each for a moment.
                    failing = failing.take().filter(|_| !self.is_recovered()).and_then(Failing::beside_another);
                    if failing.is_none() {
                        self.said.doing(Doing::Standby);
                    }
                    STANDBY_EVERY
                }
                Asked::Mine(lease) => {
                    let ended = lead::lead(&self.store, &self.options, &lease, &self.said, ending.clone()).await;
                    if let Err(error) = self.store.release_lease(&lease).await {
                        tracing::warn!(%error, "the lease of the relay was not given back; it lapses");
                    }
                    let Err(error) = ended else { break };
                    let was = self.said.0.borrow().doing.clone();
                    let next = Failing::after(failing, &was);
                    self.said.fails(&error, next.since);
                    let wait = next.wait;
                    failing = Some(next);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = begun(&mut ending) => {}
            }
        }
        self.said.doing(Doing::Standby);
    }

    /// It stopped since something was lost, and events are appended again.
    fn is_recovered(&self) -> bool {
        let lost = match &self.said.0.borrow().doing {
            Doing::Stopped { why } => matches!(why, Stopped::LostTail(_) | Stopped::OtherHistory(_)),
            Doing::Standby | Doing::Leading | Doing::KafkaDown { .. } => false,
        };
        lost && self.store.lineage().borrow().is_open()
    }

    async fn lease(&self, holder: Uuid) -> Asked {
        match self.store.acquire_lease(LEASE, 0, holder, self.options.lease_ttl).await {
            Ok(Some(lease)) => Asked::Mine(lease),
            Ok(None) => Asked::AnothersIs,
            Err(error) => {
                tracing::warn!(%error, "the lease of the relay can't be asked for");
                Asked::Unanswered
            }
        }
    }
}

/// Who has the lease.
enum Asked {
    Mine(Lease),
    AnothersIs,
    /// The database can't be asked.
    Unanswered,
}

/// What this relay has failed at, over and over.
struct Failing {
    since: Instant,
    wait: Duration,
    /// How often in a row another had the lease.
    beside: u32,
}

impl Failing {
    /// `was`: what the leader did before it failed.
    fn after(failing: Option<Self>, was: &Doing) -> Self {
        match (failing, was) {
            // It had not led again.
            (Some(Self { since, wait, .. }), Doing::Standby | Doing::KafkaDown { .. } | Doing::Stopped { .. }) => {
                Self { since, wait: (wait * 2).min(AGAIN_AFTER_MAX), beside: 0 }
            }
            (None, Doing::KafkaDown { since, .. }) => Self { since: *since, wait: AGAIN_AFTER, beside: 0 },
            (Some(_), Doing::Leading) | (None, Doing::Standby | Doing::Leading | Doing::Stopped { .. }) => {
                Self { since: Instant::now(), wait: AGAIN_AFTER, beside: 0 }
            }
        }
    }

    /// None: another one leads for good.
    fn beside_another(self) -> Option<Self> {
        (self.beside < BESIDE_MAX).then(|| Self { beside: self.beside + 1, ..self })
    }
}

/// Waits for the end to begin.
async fn begun(ending: &mut watch::Receiver<bool>) {
    // Who would say so is gone only together with who waits.
    let _ = ending.wait_for(|ending| *ending).await;
}

impl Said {
    fn doing(&self, doing: Doing) {
        self.0.send_if_modified(|state| {
            let changed = std::mem::discriminant(&state.doing) != std::mem::discriminant(&doing);
            state.doing = doing;
            changed
        });
        self.measure();
    }

    fn leads(&self, relayed: Position, head: Position) {
        self.0.send_replace(RelayState { doing: Doing::Leading, relayed, head });
        self.measure();
    }

    /// As it stands written, while nobody here leads: another one may have led since this one did.
    fn relayed_before(&self, relayed: Position) {
        self.0.send_if_modified(|state| std::mem::replace(&mut state.relayed, relayed) != relayed);
        self.measure();
    }

    fn relayed(&self, relayed: Position) {
        self.0.send_modify(|state| {
            state.relayed = relayed;
            state.head = state.head.max(relayed);
            state.doing = Doing::Leading;
        });
        self.measure();
    }

    fn head(&self, head: Position) {
        self.0.send_if_modified(|state| {
            let moved = head > state.head;
            state.head = state.head.max(head);
            moved
        });
        self.measure();
    }

    /// Told once, until something else is wrong.
    fn fails(&self, error: &lead::Error, since: Instant) {
        let doing = error.doing(since);
        let why = state::with_causes(error);
        if std::mem::discriminant(&self.0.borrow().doing) != std::mem::discriminant(&doing) || doing.is_standby() {
            match &doing {
                Doing::Stopped { .. } => {
                    tracing::error!(why, "the relay stopped: Kafka gets nothing until this is mended")
                }
                Doing::KafkaDown { .. } => {
                    tracing::error!(why, "the relay doesn't get through to Kafka; the log goes on")
                }
                Doing::Standby | Doing::Leading => tracing::warn!(why, "this relay leads no more"),
            }
        }
        metrics::counter!("coulomb_relay_failures_total").increment(1);
        self.0.send_modify(|state| state.doing = doing);
        self.measure();
    }

    fn measure(&self) {
        let state = self.0.borrow();
        let is = |is: bool| f64::from(u8::from(is));
        metrics::gauge!("coulomb_relay_leads").set(is(state.doing.is_leading()));
        metrics::gauge!("coulomb_relay_stopped").set(is(state.doing.is_stopped()));
        metrics::gauge!("coulomb_relay_kafka_down").set(is(state.doing.is_kafka_down()));
        metrics::counter!(beginning::LOST).increment(0);
        // Who stands by knows not how far the leader is.
        if !state.doing.is_standby() {
            metrics::gauge!("coulomb_relay_position").set(state.relayed.0 as f64);
            metrics::gauge!("coulomb_relay_lag_positions").set(state.lag() as f64);
        }
    }
}

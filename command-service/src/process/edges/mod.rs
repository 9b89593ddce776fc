//! Edges that are gone: an edge whose lease has lapsed holds no charger, whatever the log says of its chargers.
//!
//! The lapsed lease is taken over first, so that an edge that was only frozen learns of it when it renews. Chargers that
//! came back elsewhere have another epoch, and nothing happens to them.
//!
//! A lease also lapses where nobody could renew it. Time in which the database did not answer is therefore no edge's fault: each
//! gets a whole term to renew its lease before any is taken over.
//!
//! What can't be recorded of one charger keeps no other from being seen to: it is told ([`Troubles`]), and tried again with its
//! edge.

mod sweep;
mod troubles;

use std::collections::HashMap;
use std::time::Instant;

use application::{Application, report};
use event_store::leases::{Lease, ShareOptions, Shares};
use pool::Pool;
use service_host::{Gate, Readiness, Shutdown};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use uuid::Uuid;

use super::options::Options;
use sweep::{Error, Swept};
use troubles::Troubles;

/// Of its lease: one owner looks at all edges.
const NAME: &str = "process:edges";
/// As operators see it.
const PART: &str = "process manager: edges";
/// Of a lease's term: after the database did not answer for so long, an edge may need the rest of the term, or more, to renew
/// its lease. An edge tries every 4 s of 15.
const SILENCE_MAX: f64 = 0.4;

pub(super) struct EdgeWatch {
    application: Application,
    pool: Pool,
    options: Options,
    readiness: Readiness,
    gate: Gate,
    id: Uuid,
    /// Since when each edge is known, or its chargers were last disconnected. A new one may take a while to have its lease,
    /// and the read models to show what was done.
    since: HashMap<String, Instant>,
    /// Edges that could not be seen to, the last one last. They come after the others.
    put_off: Vec<String>,
    troubles: Troubles,
    /// The last statement that was answered was asked then.
    asked: Instant,
    /// Edges get this long to renew their leases, after a time in which nobody could.
    wait_until: Option<Instant>,
}

impl EdgeWatch {
    pub fn new(application: Application, pool: impl Into<Pool>, options: Options, readiness: &Readiness) -> Self {
        Self {
            application,
            pool: pool.into(),
            options,
            gate: readiness.gate(PART),
            readiness: readiness.clone(),
            id: Uuid::now_v7(),
            since: HashMap::new(),
            put_off: vec![],
            troubles: Troubles::default(),
            asked: Instant::now(),
            wait_until: None,
        }
    }

    /// Until `shutdown` begins.
    pub async fn run(mut self, shutdown: Shutdown) {
        let share = ShareOptions { ttl: self.options.lease_ttl, ..ShareOptions::new(NAME, 1) };
        let mut shares = Shares::keep(self.application.store().clone(), share);
        loop {
            let mine = !shares.current().is_empty();
            tokio::select! {
                () = shutdown.begun() => break,
                () = self.look(mine) => {}
            }
            tokio::select! {
                () = shutdown.begun() => break,
                () = tokio::time::sleep(self.options.edges_every) => {}
                _ = shares.changed() => {}
            }
        }
        shares.leave().await;
    }

    /// Whatever can't be done here the rest of the process does its work, and no other would fare better: it stays ready.
    async fn look(&mut self, mine: bool) {
        if mine {
            match self.round().await {
                Ok(()) => self.troubles.all_can_be_read(),
                Err(error) => {
                    self.let_edges_renew();
                    tracing::warn!(error = &error as &dyn std::error::Error, "the edges can't be looked at");
                    self.troubles.none_can_be_read(&error);
                }
            }
        } else {
            self.troubles = Troubles::default();
            // The edges may become this process's when the database is back: it has to know that it was away.
            let _ = self.names().await;
        }
        let troubles = self.troubles.words();
        metrics::gauge!("coulomb_process_edges_degraded").set(f64::from(u8::from(troubles.is_some())));
        self.readiness.degrade(PART, troubles);
        self.gate.ready();
    }

    fn let_edges_renew(&mut self) {
        self.wait_until = Some(Instant::now() + self.options.edge_ttl);
    }

    /// A statement that was asked then has its answer now. If the database may have been away since the one before, edges are
    /// waited for.
    fn answered(&mut self, asked: Instant) {
        if self.was_silent_since(self.asked) {
            self.let_edges_renew();
        }
        self.asked = asked;
    }

    fn was_silent_since(&self, asked: Instant) -> bool {
        asked.elapsed() > self.options.edge_ttl.mul_f64(SILENCE_MAX)
    }

    fn waits(&self) -> bool {
        self.wait_until.is_some_and(|until| Instant::now() < until)
    }

    async fn names(&mut self) -> Result<Vec<String>, sqlx::Error> {
        let asked = Instant::now();
        let names = self.fetch_all(sqlx::query(include_str!("names.sql"))).await?;
        self.answered(asked);
        names.iter().map(|row| row.try_get(0)).collect()
    }

    async fn round(&mut self) -> Result<(), Error> {
        let mut names = self.names().await?;
        self.since.retain(|name, _| names.contains(name));
        self.put_off.retain(|name| names.contains(name));
        self.troubles.retain(&names);
        names.sort_by_cached_key(|name| self.put_off.iter().position(|other| other == name));
        for name in names {
            if self.waits() {
                break;
            }
            let seen = self.see_to(&name).await;
            self.put_off.retain(|other| *other != name);
            if let Err(error) = seen {
                tracing::warn!(edge = name, error = &error as &dyn std::error::Error, "an edge can't be seen to");
                self.troubles.of_edge(name.clone(), error.words());
                // The lease that was taken, if any, has to lapse before it is tried again.
                self.since.insert(name.clone(), Instant::now());
                self.put_off.push(name);
                if error.is_of_the_watch() {
                    self.let_edges_renew();
                }
                // What is next is asked anew: the database may have been away.
                break;
            }
        }
        Ok(())
    }

    /// Nothing, if the edge lives.
    async fn see_to(&mut self, name: &str) -> Result<(), Error> {
        let Some(lease) = self.take_over(name).await? else { return Ok(()) };
        let (swept, gone) = self.sweep(name, &lease).await?;
        let asked = Instant::now();
        let gone = gone && self.application.store().release_lease(&lease).await?;
        self.answered(asked);
        let Swept { disconnected, passed_over, .. } = swept;
        if !gone {
            tracing::warn!(edge = name, chargers = disconnected, "an edge that was silent has its lease again");
            self.troubles.over(name);
            return Ok(());
        }
        if disconnected > 0 {
            tracing::info!(
                edge = name,
                chargers = disconnected,
                passed_over,
                "an edge is gone, its chargers are offline"
            );
        }
        self.since.insert(name.to_owned(), Instant::now());
        match swept.why {
            Some(why) => {
                let what = format!("{passed_over} of its chargers can't be recorded as disconnected, such as {why}");
                self.troubles.of_edge(name.to_owned(), what);
            }
            None => self.troubles.over(name),
        }
        Ok(())
    }

    /// The lease of an edge that is gone; none where the edge lives, or has just begun to.
    async fn take_over(&mut self, name: &str) -> Result<Option<Lease>, sqlx::Error> {
        let ttl = self.options.edge_ttl;
        let lease = report::edge_lease(name);
        let since = *self.since.entry(name.to_owned()).or_insert_with(Instant::now);
        // The lease is looked at by itself: to ask for it, and to be answered after an outage, would be to take a living edge's.
        let asked = Instant::now();
        let lives = sqlx::query(include_str!("lives.sql")).bind(&lease).bind(self.id);
        let lives = !self.fetch_all(lives).await?.is_empty();
        self.answered(asked);
        if lives {
            // Its chargers are its own affair.
            self.troubles.over(name);
        }
        if lives || self.waits() {
            return Ok(None);
        }
        if since.elapsed() < ttl && self.application.store().lapsed_leases(&lease).await?.is_empty() {
            return Ok(None);
        }
        let asked = Instant::now();
        let taken = self.application.store().acquire_lease(&lease, 0, self.id, ttl).await?;
        self.answered(asked);
        Ok(taken)
    }

    async fn fetch_all(&self, statement: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        statement.fetch_all(&self.pool).await
    }
}

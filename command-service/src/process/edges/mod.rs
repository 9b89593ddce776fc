//! Edges that are gone: an edge whose lease has lapsed holds no charger, whatever the log says of its chargers.
//!
//! The lapsed lease is taken over first, so that an edge that was only frozen learns of it when it renews. Chargers that
//! came back elsewhere have another epoch, and nothing happens to them.
//!
//! What can't be recorded of one charger keeps no other from being seen to: it is told ([`Troubles`]), and tried again with its
//! edge.

mod troubles;

use std::collections::HashMap;
use std::time::Instant;

use application::{Application, report};
use chrono::Utc;
use domain::id::{ChargePointId, Epoch, TenantId};
use event_store::leases::{Lease, ShareOptions, Shares};
use futures_util::stream::{self, StreamExt};
use pool::Pool;
use service_host::{Gate, Readiness, Shutdown};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use uuid::Uuid;

use super::options::Options;
use troubles::{Troubles, causes};

/// Of its lease: one owner looks at all edges.
const NAME: &str = "process:edges";
/// As operators see it.
const PART: &str = "process manager: edges";
/// Chargers of one statement.
const PAGE: i64 = 500;
/// Disconnections that are appended beside each other.
const AT_ONCE: usize = 16;
/// After so many in a row that could not be recorded for want of the log, an edge's others are left for the next time.
const UNAVAILABLE_MAX: usize = 2 * AT_ONCE;
/// Chargers of an edge of which the log says that they were passed over, each time.
const TOLD_MAX: u64 = 10;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the chargers of the edges can't be read")]
    Unavailable(#[from] sqlx::Error),
    #[error("the charger's row can't be read")]
    Row(#[source] sqlx::Error),
    #[error("its disconnection can't be recorded")]
    Append(#[from] application::Error),
}

impl Error {
    /// Whether it says more of the database than of this charger.
    fn is_of_all(&self) -> bool {
        use application::Error as Append;
        match self {
            Self::Unavailable(_) | Self::Append(Append::Unavailable(_) | Append::Busy | Append::Behind) => true,
            Self::Row(_)
            | Self::Append(
                Append::Refused(_)
                | Append::RefusedBefore(_)
                | Append::IdempotencyConflict
                | Append::Fenced
                | Append::Unreadable(_),
            ) => false,
        }
    }
}

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
    troubles: Troubles,
    /// Edges get this long to renew their leases, after a time in which nobody could.
    wait_until: Option<Instant>,
}

/// A charger that an edge is said to hold.
struct Held {
    charge_point_id: ChargePointId,
    tenant_id: TenantId,
    epoch: Epoch,
}

/// What became of a gone edge's chargers.
#[derive(Default)]
struct Swept {
    disconnected: u64,
    passed_over: u64,
    /// Of the first that was passed over.
    why: Option<String>,
    unavailable_in_a_row: usize,
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
            troubles: Troubles::default(),
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
        }
        self.readiness.degrade(PART, self.troubles.words());
        self.gate.ready();
    }

    fn let_edges_renew(&mut self) {
        self.wait_until = Some(Instant::now() + self.options.edge_ttl);
    }

    async fn round(&mut self) -> Result<(), Error> {
        let names = self.fetch_all(sqlx::query(include_str!("names.sql"))).await?;
        let names = names.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        self.since.retain(|name, _| names.contains(name));
        self.troubles.retain(&names);
        if self.wait_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        for name in names {
            if let Err(error) = self.see_to(&name).await {
                self.let_edges_renew();
                tracing::warn!(edge = name, error = &error as &dyn std::error::Error, "an edge can't be seen to");
                self.troubles.of_edge(name, causes(&error));
            }
        }
        Ok(())
    }

    /// Nothing, if the edge lives.
    async fn see_to(&mut self, name: &str) -> Result<(), Error> {
        let Some(lease) = self.take_over(name).await? else { return Ok(()) };
        let Swept { disconnected, passed_over, why, .. } = self.sweep(name, &lease).await?;
        self.application.store().release_lease(&lease).await?;
        tracing::info!(edge = name, chargers = disconnected, passed_over, "an edge is gone, its chargers are offline");
        self.since.insert(name.to_owned(), Instant::now());
        match why {
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
        let (store, ttl) = (self.application.store(), self.options.edge_ttl);
        let lease = report::edge_lease(name);
        let since = *self.since.entry(name.to_owned()).or_insert_with(Instant::now);
        if since.elapsed() < ttl && store.lapsed_leases(&lease).await?.is_empty() {
            return Ok(None);
        }
        let taken = store.acquire_lease(&lease, 0, self.id, ttl).await?;
        if taken.is_none() {
            // It lives; its chargers are its own affair.
            self.troubles.over(name);
        }
        Ok(taken)
    }

    /// Ends the connections of a gone edge's chargers.
    async fn sweep(&self, name: &str, lease: &Lease) -> Result<Swept, Error> {
        let (mut after, mut swept) = (String::new(), Swept::default());
        loop {
            let page = sqlx::query(include_str!("chargers.sql")).bind(name).bind(&after).bind(PAGE);
            let rows = self.fetch_all(page).await?;
            let keys = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
            let Some(last) = keys.last() else { return Ok(swept) };
            after.clone_from(last);
            let held = keys.into_iter().zip(rows.iter().map(held).collect::<Vec<_>>());
            let mut outcomes = stream::iter(held)
                .map(|(charger, held)| async { (charger, self.presume_disconnected(held).await) })
                .buffer_unordered(AT_ONCE);
            while let Some((charger, outcome)) = outcomes.next().await {
                swept.note(name, &charger, outcome)?;
            }
            if !self.application.store().renew_lease(lease, self.options.edge_ttl).await? {
                // It lives, after all.
                return Ok(swept);
            }
        }
    }

    async fn presume_disconnected(&self, held: Result<Held, sqlx::Error>) -> Result<(), Error> {
        let Held { charge_point_id, tenant_id, epoch } = held.map_err(Error::Row)?;
        report::presume_disconnected(&self.application, tenant_id, charge_point_id, epoch, Utc::now()).await?;
        Ok(())
    }

    async fn fetch_all(&self, statement: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        statement.fetch_all(&self.pool).await
    }
}

impl Swept {
    /// Goes on after what concerns one charger. The error: there is no use in going on now.
    fn note(&mut self, edge: &str, charger: &str, outcome: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = outcome else {
            metrics::counter!("coulomb_process_chargers_presumed_disconnected_total").increment(1);
            self.disconnected += 1;
            self.unavailable_in_a_row = 0;
            return Ok(());
        };
        metrics::counter!("coulomb_process_chargers_passed_over_total").increment(1);
        self.passed_over += 1;
        if self.passed_over <= TOLD_MAX {
            let error = causes(&error);
            tracing::error!(edge, charger, error, "a charger of a gone edge can't be recorded as disconnected");
        }
        self.why.get_or_insert_with(|| format!("{charger}: {error}"));
        if error.is_of_all() {
            self.unavailable_in_a_row += 1;
        }
        if self.unavailable_in_a_row < UNAVAILABLE_MAX { Ok(()) } else { Err(error) }
    }
}

fn held(row: &PgRow) -> Result<Held, sqlx::Error> {
    let id = |text: &str| Uuid::parse_str(text).map_err(|error| sqlx::Error::Decode(error.into()));
    Ok(Held {
        charge_point_id: ChargePointId(id(row.try_get(0)?)?),
        tenant_id: TenantId(id(row.try_get(1)?)?),
        epoch: Epoch(row.try_get(2)?),
    })
}

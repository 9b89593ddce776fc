//! Edges that are gone: an edge whose lease has lapsed holds no charger, whatever the log says of its chargers.
//!
//! The lapsed lease is taken over first, so that an edge that was only frozen learns of it when it renews. Chargers that
//! came back elsewhere have another epoch, and nothing happens to them.

use std::collections::HashMap;
use std::time::Instant;

use application::{Application, report};
use chrono::Utc;
use domain::id::{ChargePointId, Epoch, TenantId};
use event_store::leases::{Lease, ShareOptions, Shares};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use pool::Pool;
use service_host::{Gate, Shutdown};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use uuid::Uuid;

use super::options::Options;

/// Of its lease: one owner looks at all edges.
const NAME: &str = "process:edges";
/// Chargers of one statement.
const PAGE: i64 = 500;
/// Disconnections that are appended beside each other.
const AT_ONCE: usize = 16;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the chargers of the edges can't be read")]
    Unavailable(#[from] sqlx::Error),
    #[error("a disconnection can't be appended")]
    Append(#[from] application::Error),
}

pub(super) struct EdgeWatch {
    application: Application,
    pool: Pool,
    options: Options,
    gate: Gate,
    id: Uuid,
    /// Since when each edge is known, or its chargers were last disconnected. A new one may take a while to have its lease,
    /// and the read models to show what was done.
    since: HashMap<String, Instant>,
    /// Edges get this long to renew their leases, after a time in which nobody could.
    wait_until: Option<Instant>,
}

/// A charger that an edge is said to hold.
struct Held {
    charge_point_id: ChargePointId,
    tenant_id: TenantId,
    epoch: Epoch,
}

impl EdgeWatch {
    pub fn new(application: Application, pool: impl Into<Pool>, options: Options, gate: Gate) -> Self {
        let pool = pool.into();
        let id = Uuid::now_v7();
        Self { application, pool, options, gate, id, since: HashMap::new(), wait_until: None }
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

    async fn look(&mut self, mine: bool) {
        if !mine {
            self.gate.ready();
            return;
        }
        match self.round().await {
            Ok(()) => self.gate.ready(),
            Err(error) => {
                self.wait_until = Some(Instant::now() + self.options.edge_ttl);
                self.gate.not_ready(error.to_string());
                tracing::warn!(error = &error as &dyn std::error::Error, "the edges can't be looked at");
            }
        }
    }

    async fn round(&mut self) -> Result<(), Error> {
        let names = self.fetch_all(sqlx::query(include_str!("names.sql"))).await?;
        let names = names.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        if self.wait_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        self.since.retain(|name, _| names.contains(name));
        for name in names {
            if let Some(lease) = self.take_over(&name).await? {
                let count = self.sweep(&name, &lease).await?;
                self.application.store().release_lease(&lease).await?;
                metrics::counter!("coulomb_process_chargers_presumed_disconnected_total").increment(count);
                tracing::info!(edge = name, chargers = count, "an edge is gone, its chargers are offline");
                self.since.insert(name, Instant::now());
            }
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
        store.acquire_lease(&lease, 0, self.id, ttl).await
    }

    /// Ends the connections of a gone edge's chargers.
    async fn sweep(&self, name: &str, lease: &Lease) -> Result<u64, Error> {
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let page = sqlx::query(include_str!("chargers.sql")).bind(name).bind(&after).bind(PAGE);
            let rows = self.fetch_all(page).await?;
            let held = rows.iter().map(held).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = held.last() else { return Ok(count) };
            after = last.charge_point_id.to_string();
            count += held.len() as u64;
            stream::iter(held)
                .map(|Held { charge_point_id, tenant_id, epoch }| {
                    let app = &self.application;
                    async move {
                        report::presume_disconnected(app, tenant_id, charge_point_id, epoch, Utc::now()).await
                    }
                })
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            self.application.store().renew_lease(lease, self.options.edge_ttl).await?;
        }
    }

    async fn fetch_all(&self, statement: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        statement.fetch_all(&self.pool).await
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

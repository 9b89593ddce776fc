//! The chargers of an edge that is gone, one after another, for as long as its lease is held here.

use std::time::Instant;

use application::report;
use chrono::Utc;
use domain::id::{ChargePointId, Epoch, TenantId};
use event_store::leases::Lease;
use futures_util::stream::{self, StreamExt};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::EdgeWatch;
use super::troubles::causes;

/// Chargers of one statement.
const PAGE: i64 = 500;
/// Disconnections that are appended beside each other.
const AT_ONCE: usize = 16;
/// After so many in a row that could not be recorded for want of the log, an edge's others are left for the next time.
const UNAVAILABLE_IN_A_ROW_MAX: usize = 2 * AT_ONCE;
/// And after so many with others between them.
const UNAVAILABLE_MAX: usize = 8 * AT_ONCE;
/// Chargers of an edge of which the log says that they were passed over, each time.
const TOLD_MAX: u64 = 10;
/// Times that the lease is renewed in its term: every 3.75 s of 15.
const RENEWALS: u32 = 4;

/// Its words, without the causes, are fit for everybody; the causes may name users and hosts of the database.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the chargers of the edges can't be read")]
    Unavailable(#[from] sqlx::Error),
    #[error("the charger's row can't be read")]
    Row(#[source] sqlx::Error),
    #[error("the disconnection can't be recorded")]
    Append(#[from] application::Error),
}

impl Error {
    /// Whether the watch's own statements are not answered, which hold for all edges.
    pub fn is_of_the_watch(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Row(_) | Self::Append(_) => false,
        }
    }

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

    /// For operators, whoever can read it: what of the log can't be understood has to be named, what ails the database not.
    pub fn words(&self) -> String {
        match self {
            Self::Append(application::Error::Unreadable(source)) => format!("{self}: {source}"),
            Self::Append(error) => format!("{self}: {error}"),
            Self::Unavailable(_) | Self::Row(_) => self.to_string(),
        }
    }
}

/// A charger that an edge is said to hold.
struct Held {
    charge_point_id: ChargePointId,
    tenant_id: TenantId,
    epoch: Epoch,
}

/// What became of a gone edge's chargers.
#[derive(Default)]
pub(super) struct Swept {
    pub disconnected: u64,
    pub passed_over: u64,
    /// Of the first that was passed over.
    pub why: Option<String>,
    unavailable: usize,
    unavailable_in_a_row: usize,
}

impl EdgeWatch {
    /// Ends the connections of a gone edge's chargers. False: the edge has its lease again, and the others were left alone.
    pub(super) async fn sweep(&mut self, name: &str, lease: &Lease) -> Result<(Swept, bool), Error> {
        let (mut swept, mut asked, mut silent) = (Swept::default(), self.asked, false);
        let done = tokio::select! {
            done = self.disconnect_all(name, &mut swept) => done.map(|()| true),
            lost = self.hold(lease, &mut asked, &mut silent) => lost.map(|()| false).map_err(Error::from),
        };
        self.asked = asked;
        if silent {
            self.let_edges_renew();
        }
        Ok((swept, done?))
    }

    /// Renews the lease until it is lost. `asked`: when the last statement began that was answered; `silent`: whether edges may
    /// have been unable to renew theirs meanwhile.
    async fn hold(&self, lease: &Lease, asked: &mut Instant, silent: &mut bool) -> Result<(), sqlx::Error> {
        loop {
            tokio::time::sleep(self.options.edge_ttl / RENEWALS).await;
            let begun = Instant::now();
            let held = self.application.store().renew_lease(lease, self.options.edge_ttl).await?;
            *silent |= self.was_silent_since(*asked);
            *asked = begun;
            if !held {
                return Ok(());
            }
        }
    }

    async fn disconnect_all(&self, name: &str, swept: &mut Swept) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = sqlx::query(include_str!("chargers.sql")).bind(name).bind(&after).bind(PAGE);
            let rows = self.fetch_all(page).await?;
            let keys = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
            let Some(last) = keys.last() else { return Ok(()) };
            after.clone_from(last);
            let held = keys.into_iter().zip(rows.iter().map(held).collect::<Vec<_>>());
            let mut outcomes = stream::iter(held)
                .map(|(charger, held)| async { (charger, self.presume_disconnected(held).await) })
                .buffer_unordered(AT_ONCE);
            while let Some((charger, outcome)) = outcomes.next().await {
                swept.note(name, &charger, outcome)?;
            }
        }
    }

    /// Whether it was connected.
    async fn presume_disconnected(&self, held: Result<Held, sqlx::Error>) -> Result<bool, Error> {
        let Held { charge_point_id, tenant_id, epoch } = held.map_err(Error::Row)?;
        Ok(report::presume_disconnected(&self.application, tenant_id, charge_point_id, epoch, Utc::now()).await?)
    }
}

impl Swept {
    /// Goes on after what concerns one charger. The error: there is no use in going on now.
    fn note(&mut self, edge: &str, charger: &str, outcome: Result<bool, Error>) -> Result<(), Error> {
        let error = match outcome {
            Ok(news) => {
                if news {
                    metrics::counter!("coulomb_process_chargers_presumed_disconnected_total").increment(1);
                    self.disconnected += 1;
                }
                self.unavailable_in_a_row = 0;
                return Ok(());
            }
            Err(error) => error,
        };
        metrics::counter!("coulomb_process_chargers_passed_over_total").increment(1);
        self.passed_over += 1;
        if self.passed_over <= TOLD_MAX {
            let error = causes(&error);
            tracing::error!(edge, charger, error, "a charger of a gone edge can't be recorded as disconnected");
        }
        self.why.get_or_insert_with(|| format!("{charger}: {}", error.words()));
        if error.is_of_all() {
            self.unavailable += 1;
            self.unavailable_in_a_row += 1;
        }
        let in_vain = self.unavailable_in_a_row >= UNAVAILABLE_IN_A_ROW_MAX || self.unavailable >= UNAVAILABLE_MAX;
        if in_vain { Err(error) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Result<bool, Error> {
        Err(Error::Append(application::Error::Busy))
    }

    #[test]
    fn a_sweep_ends_where_too_much_fails_in_a_row_or_at_all() {
        let mut swept = Swept::default();
        let ends = (1..).find(|_| swept.note("edge", "charger", busy()).is_err());
        assert_eq!(ends, Some(UNAVAILABLE_IN_A_ROW_MAX));

        let mut swept = Swept::default();
        let ends = (1..).find(|_| {
            swept.note("edge", "charger", Ok(true)).expect("done");
            swept.note("edge", "charger", busy()).is_err()
        });
        assert_eq!(ends, Some(UNAVAILABLE_MAX));
    }

    #[test]
    fn what_ails_the_database_is_told_to_the_log_alone() {
        let mut swept = Swept::default();
        let row = Error::Row(sqlx::Error::Protocol("user=secret".to_owned()));
        swept.note("edge", "charger", Err(row)).expect("goes on");
        assert_eq!(swept.why.as_deref(), Some("charger: the charger's row can't be read"));

        let mut swept = Swept::default();
        let unreadable = application::Error::Unreadable("event 3 can't be understood".into());
        swept.note("edge", "charger", Err(unreadable.into())).expect("goes on");
        let why = "charger: the disconnection can't be recorded: event 3 can't be understood";
        assert_eq!(swept.why.as_deref(), Some(why));
    }
}

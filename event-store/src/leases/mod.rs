//! Leases: who owns which share of a work (docs/decisions/0003).
//!
//! A lease is a row with an epoch that rises with each change of hands. What an owner commits, it commits under its
//! epoch ([`assert_in`]), so that a frozen process that wakes can do no harm. Time is the database's.

mod share;

use std::time::Duration;

use pool::Transaction;
use sqlx::Row;
use uuid::Uuid;

use crate::EventStore;

pub use share::{Share, ShareOptions, Shares};

/// A transaction that has asserted a lease may be idle for so long; then the server ends it, since it keeps the next
/// owner waiting.
const IDLE_IN_ASSERTED_TRANSACTION: Duration = Duration::from_secs(3);

/// A lease that this process held when it last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    pub partition: i16,
    pub holder: Uuid,
    pub epoch: i64,
}

impl EventStore {
    /// Takes a lease that is free, lapsed, or one's own already. None: another has it.
    ///
    /// The epoch rises whenever the holder changes, and when one's own had lapsed.
    pub async fn acquire_lease(
        &self,
        name: &str,
        partition: i16,
        holder: Uuid,
        ttl: Duration,
    ) -> Result<Option<Lease>, sqlx::Error> {
        let statement = sqlx::query(include_str!("acquire.sql")).bind(name).bind(partition).bind(holder);
        let row = self.database().fetch_optional(statement.bind(ttl.as_secs_f64())).await?;
        let lease = |epoch| Lease { name: name.to_owned(), partition, holder, epoch };
        row.map(|row| row.try_get(0).map(lease)).transpose()
    }

    /// Prolongs a lease. False: it lapsed and another has it, or had it.
    pub async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, sqlx::Error> {
        let statement = sqlx::query(include_str!("renew.sql")).bind(&lease.name).bind(lease.partition);
        let statement = statement.bind(lease.holder).bind(lease.epoch).bind(ttl.as_secs_f64());
        Ok(self.database().execute(statement).await? == 1)
    }

    /// Gives a lease back at once, instead of letting it lapse.
    pub async fn release_lease(&self, lease: &Lease) -> Result<bool, sqlx::Error> {
        self.renew_lease(lease, Duration::ZERO).await
    }

    /// Lets every lease lapse now. For a process that has just started and knows that it is alone on its database: whoever
    /// held them is gone, and nothing has to wait for it.
    pub async fn lapse_all_leases(&self) -> Result<(), sqlx::Error> {
        self.database().execute(sqlx::query(include_str!("lapse_all.sql"))).await.map(|_| ())
    }

    /// The leases of a name that lapsed and were not taken or released since: whose holders are gone.
    pub async fn lapsed_leases(&self, name: &str) -> Result<Vec<Lease>, sqlx::Error> {
        let rows = self.database().fetch_all(sqlx::query(include_str!("lapsed.sql")).bind(name)).await?;
        let lease = |row: &sqlx::postgres::PgRow| {
            let (partition, holder, epoch) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok(Lease { name: name.to_owned(), partition, holder, epoch })
        };
        rows.iter().map(lease).collect()
    }
}

/// Whether all of these leases are still held under their epochs. They stay so until the transaction ends: nobody takes
/// one over before. If the answer is false, roll back.
///
/// To be asked last, just before the commit, since it keeps a successor waiting.
pub async fn assert_in(transaction: &mut Transaction<'_>, leases: &[Lease]) -> Result<bool, sqlx::Error> {
    let names: Vec<&str> = leases.iter().map(|lease| lease.name.as_str()).collect();
    let partitions: Vec<i16> = leases.iter().map(|lease| lease.partition).collect();
    let holders: Vec<Uuid> = leases.iter().map(|lease| lease.holder).collect();
    let epochs: Vec<i64> = leases.iter().map(|lease| lease.epoch).collect();
    let statement = sqlx::query(include_str!("assert.sql")).bind(names).bind(partitions).bind(holders).bind(epochs);
    let idle = format!("{}ms", IDLE_IN_ASSERTED_TRANSACTION.as_millis());
    let rows = statement.bind(idle).persistent(false).fetch_all(&mut **transaction).await?;
    Ok(rows.len() == leases.len())
}

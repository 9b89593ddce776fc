//! The handle: cheap to clone, always that of the primary.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryFutureExt, TryStreamExt};
use sqlx::postgres::{
    PgConnectOptions, PgPool, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres,
};
use sqlx::{ConnectOptions, Describe, Either, Error, Execute, Executor};
use tokio::sync::watch;

use crate::begin::begin;
use crate::connection::{Connection, Kept, Transaction};

/// Connections to one database.
///
/// A statement on the pool itself, on a [`Connection`] or in a [`Transaction`] of it can be carried by a pooler in
/// transaction mode, if that is what the pool leads through. Where the pool follows the primary, what is under way on
/// a server that is the primary no more ends with an error.
#[derive(Clone)]
pub struct Pool {
    node: Source,
    carried: bool,
    /// Where a pooler can't be used: for LISTEN and what else lives longer than a transaction.
    direct: Option<Box<Pool>>,
}

#[derive(Clone)]
enum Source {
    Fixed(PgPool),
    Following(watch::Receiver<Node>),
}

/// The primary, as long as it is known.
#[derive(Clone)]
pub(crate) struct Node {
    pub pool: Option<PgPool>,
    /// Another for every change.
    pub number: u64,
    /// What is under way on one with a lower number ends.
    pub ended_below: u64,
    /// Of the last pool that there was: for how long a place is waited for, and what to connect to meanwhile.
    pub last: PgPool,
}

impl Node {
    pub fn first(pool: PgPool) -> Self {
        Self { pool: Some(pool.clone()), number: 0, ended_below: 0, last: pool }
    }
}

/// Notices when the primary is another node than it was.
#[derive(Clone)]
pub(crate) struct Moved {
    node: watch::Receiver<Node>,
    number: u64,
}

impl Moved {
    /// What is under way there has ended.
    pub fn happened(&self) -> bool {
        self.number < self.node.borrow().ended_below
    }

    /// What begins now begins elsewhere.
    fn begun(&self) -> bool {
        self.node.borrow().number != self.number
    }

    /// Completes when it has happened; never, when nobody looks any more.
    pub async fn wait(mut self) {
        let number = self.number;
        if self.node.wait_for(|node| number < node.ended_below).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The error of what was under way on a server that is the primary no more. It may have been committed.
pub(crate) fn moved_on() -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the primary is another server now"))
}

impl From<PgPool> for Pool {
    /// Leads to one server, directly.
    fn from(pool: PgPool) -> Self {
        Self { node: Source::Fixed(pool), carried: false, direct: None }
    }
}

impl From<PgConnectOptions> for Pool {
    /// Connects when it is first used.
    fn from(options: PgConnectOptions) -> Self {
        PgPoolOptions::new().connect_lazy_with(options).into()
    }
}

impl From<&PgPool> for Pool {
    fn from(pool: &PgPool) -> Self {
        pool.clone().into()
    }
}

impl From<&Pool> for Pool {
    fn from(pool: &Pool) -> Self {
        pool.clone()
    }
}

impl Pool {
    pub(crate) fn following(node: watch::Receiver<Node>) -> Self {
        Self { node: Source::Following(node), carried: false, direct: None }
    }

    /// Leads through a pooler in transaction mode. `direct`: the same database without the pooler.
    #[must_use]
    pub fn carried(self, direct: Option<Pool>) -> Self {
        Self { carried: true, direct: direct.map(Box::new), ..self }
    }

    /// Whether it leads through a pooler in transaction mode.
    pub fn is_carried(&self) -> bool {
        self.carried
    }

    /// The same database without a pooler; none: there is no way but through one.
    pub fn direct(&self) -> Option<&Pool> {
        if self.carried { self.direct.as_deref() } else { Some(self) }
    }

    /// Of the node that is the primary, or was the last one.
    pub fn connect_options(&self) -> Arc<PgConnectOptions> {
        match &self.node {
            Source::Fixed(pool) => pool.connect_options(),
            Source::Following(node) => node.borrow().last.connect_options(),
        }
    }

    /// The pool of sqlx, for what is no service: one that leads to the present primary, and goes on leading there.
    pub fn of_now(&self) -> PgPool {
        match &self.node {
            Source::Fixed(pool) => pool.clone(),
            Source::Following(node) => node.borrow().last.clone(),
        }
    }

    pub fn is_closed(&self) -> bool {
        match &self.node {
            Source::Fixed(pool) => pool.is_closed(),
            Source::Following(node) => node.has_changed().is_err() || node.borrow().last.is_closed(),
        }
    }

    pub async fn close(&self) {
        if let Some(direct) = &self.direct {
            Box::pin(direct.close()).await;
        }
        self.of_now().close().await;
    }

    /// The pool of the primary, and the notice of another one. Waits for a primary as long as for a free connection.
    async fn node(&self) -> Result<(PgPool, Option<Moved>), Error> {
        let node = match &self.node {
            Source::Fixed(pool) => return Ok((pool.clone(), None)),
            Source::Following(node) => node,
        };
        let now = node.borrow().clone();
        let found = match now.pool {
            Some(_) => now,
            None => {
                let mut waiting = node.clone();
                let wait_max = now.last.options().get_acquire_timeout();
                let found = tokio::time::timeout(wait_max, waiting.wait_for(|node| node.pool.is_some())).await;
                found.map_err(|_| Error::PoolTimedOut)?.map_err(|_| Error::PoolClosed)?.clone()
            }
        };
        let moved = Moved { node: node.clone(), number: found.number };
        Ok((found.pool.ok_or(Error::PoolTimedOut)?, Some(moved)))
    }

    /// What a node gives; begun anew at the next one when that becomes the primary meanwhile.
    pub(crate) async fn of_primary<T, F>(&self, get: impl Fn(PgPool) -> F) -> Result<(T, Option<Moved>), Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            let (pool, moved) = self.node().await?;
            let Some(moved) = moved else { return Ok((get(pool).await?, None)) };
            let got = tokio::select! {
                biased;
                got = get(pool) => got,
                () = moved.clone().wait() => continue,
            };
            match got {
                Ok(got) => return Ok((got, Some(moved))),
                Err(_) if moved.begun() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A free connection of the pool.
    pub async fn acquire(&self) -> Result<Connection<'static>, Error> {
        let (connection, moved) = self.of_primary(|pool| async move { pool.acquire().await }).await?;
        Ok(Connection::new(Kept::Pooled(connection.into()), self.carried, moved))
    }

    pub async fn begin(&self) -> Result<Transaction<'static>, Error> {
        let (transaction, moved) = self.of_primary(|pool| async move { begin(pool.acquire().await?).await }).await?;
        Ok(Transaction::new(transaction, self.carried, moved))
    }

    /// A connection of one's own, beside those of the pool.
    pub async fn connect(&self) -> Result<Connection<'static>, Error> {
        let (connection, moved) = self.of_primary(|pool| async move { pool.connect_options().connect().await }).await?;
        Ok(Connection::new(Kept::Own(connection), self.carried, moved))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = crate::hosts::name(&self.connect_options());
        f.debug_struct("Pool").field("node", &node).field("carried", &self.carried).finish_non_exhaustive()
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
        'q: 'e,
    {
        if let Source::Fixed(pool) = &self.node
            && !self.carried
        {
            return pool.fetch_many(query);
        }
        let answered = async move {
            let mut connection = self.acquire().await?;
            let answer: Vec<_> = (&mut connection).fetch_many(query).try_collect().await?;
            Ok(stream::iter(answer.into_iter().map(Ok)))
        };
        answered.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
        'q: 'e,
    {
        if let Source::Fixed(pool) = &self.node
            && !self.carried
        {
            return pool.fetch_optional(query);
        }
        Box::pin(async move { self.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, Error>>
    where
        'p: 'e,
    {
        Box::pin(async move { self.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e, 'q: 'e>(self, sql: &'q str) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'p: 'e,
    {
        Box::pin(async move { self.acquire().await?.describe(sql).await })
    }
}

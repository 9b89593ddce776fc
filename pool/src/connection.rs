//! Connections and transactions whose statements a pooler can carry.

use std::fmt;
use std::ops::{Deref, DerefMut};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryFutureExt, TryStreamExt};
use sqlx::postgres::{PgConnection, PgCopyIn, PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{Connection as _, Describe, Either, Error, Execute, Executor};

use crate::begin::Pooled;
use crate::handle::{Moved, moved_on};
use crate::statement::Unkept;

/// A connection. Through a pooler each statement is a transaction of its own, as it would be without one.
pub struct Connection<'c> {
    kept: Kept<'c>,
    carried: bool,
    moved: Option<Moved>,
}

pub(crate) enum Kept<'c> {
    Pooled(Pooled),
    Own(PgConnection),
    Transaction(sqlx::Transaction<'c, Postgres>),
}

/// A transaction: rolled back when dropped.
pub struct Transaction<'c>(Connection<'c>);

impl From<PgConnection> for Connection<'static> {
    /// One that leads to a server directly.
    fn from(connection: PgConnection) -> Self {
        Self::new(Kept::Own(connection), false, None)
    }
}

impl<'c> Connection<'c> {
    pub(crate) fn new(kept: Kept<'c>, carried: bool, moved: Option<Moved>) -> Self {
        Self { kept, carried, moved }
    }

    fn raw(&mut self) -> &mut PgConnection {
        match &mut self.kept {
            Kept::Pooled(connection) => connection,
            Kept::Own(connection) => connection,
            Kept::Transaction(transaction) => transaction,
        }
    }

    /// Through a pooler, the parts of a statement's exchange stay on one server only within a transaction.
    fn needs_transaction(&self) -> bool {
        self.carried && !matches!(self.kept, Kept::Transaction(_))
    }

    /// Whether its server is not the primary any more.
    pub fn is_left_behind(&self) -> bool {
        self.moved.as_ref().is_some_and(Moved::happened)
    }

    /// Given up halfway, the connection is of no further use: drop it.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        let (carried, moved) = (self.carried, self.moved.clone());
        let begins = async {
            match &mut self.kept {
                Kept::Pooled(connection) => connection.begin().await,
                Kept::Own(connection) => connection.begin().await,
                Kept::Transaction(transaction) => transaction.begin().await,
            }
        };
        Ok(Transaction::new(guarded(begins, moved.clone()).await?, carried, moved))
    }

    pub async fn ping(&mut self) -> Result<(), Error> {
        let moved = self.moved.clone();
        guarded(self.raw().ping(), moved).await
    }

    /// One of a pool is closed in the background.
    pub async fn close(self) -> Result<(), Error> {
        match self.kept {
            Kept::Pooled(connection) => {
                connection.close();
                Ok(())
            }
            Kept::Own(connection) => connection.close().await,
            Kept::Transaction(transaction) => guarded(transaction.rollback(), self.moved).await,
        }
    }

    /// One message and its answer: a pooler carries it as it is.
    pub async fn copy_in_raw(&mut self, statement: &str) -> Result<CopyIn<'_>, Error> {
        let moved = self.moved.clone();
        let copy = guarded(self.raw().copy_in_raw(statement), moved.clone()).await?;
        Ok(CopyIn { copy, moved })
    }

    /// As [`Connection::copy_in_raw`].
    pub async fn copy_out_raw<'o>(
        &'o mut self,
        statement: &str,
    ) -> Result<BoxStream<'o, Result<bytes::Bytes, Error>>, Error> {
        let moved = self.moved.clone();
        let rows = guarded(self.raw().copy_out_raw(statement), moved.clone()).await?;
        Ok(guarded_stream(rows, moved))
    }
}

/// A COPY to a table: nothing of it is there unless it was finished.
pub struct CopyIn<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    moved: Option<Moved>,
}

impl CopyIn<'_> {
    pub async fn send(&mut self, bytes: impl Deref<Target = [u8]>) -> Result<(), Error> {
        let moved = self.moved.clone();
        guarded(self.copy.send(bytes), moved).await.map(|_| ())
    }

    /// Answers how many rows there are.
    pub async fn finish(self) -> Result<u64, Error> {
        guarded(self.copy.finish(), self.moved).await
    }
}

impl fmt::Debug for CopyIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyIn").finish_non_exhaustive()
    }
}

impl<'c> Transaction<'c> {
    pub(crate) fn new(transaction: sqlx::Transaction<'c, Postgres>, carried: bool, moved: Option<Moved>) -> Self {
        Self(Connection::new(Kept::Transaction(transaction), carried, moved))
    }

    /// # Errors
    /// What came of it is not known then.
    pub async fn commit(self) -> Result<(), Error> {
        let Connection { kept, moved, .. } = self.0;
        match kept {
            Kept::Transaction(transaction) => guarded(transaction.commit(), moved).await,
            Kept::Pooled(_) | Kept::Own(_) => Ok(()),
        }
    }

    pub async fn rollback(self) -> Result<(), Error> {
        let Connection { kept, moved, .. } = self.0;
        match kept {
            Kept::Transaction(transaction) => guarded(transaction.rollback(), moved).await,
            Kept::Pooled(_) | Kept::Own(_) => Ok(()),
        }
    }
}

impl<'c> Deref for Transaction<'c> {
    type Target = Connection<'c>;
    fn deref(&self) -> &Connection<'c> {
        &self.0
    }
}

impl<'c> DerefMut for Transaction<'c> {
    fn deref_mut(&mut self) -> &mut Connection<'c> {
        &mut self.0
    }
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("carried", &self.carried).finish_non_exhaustive()
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ends with an error when the server is the primary no more: one that is frozen or cut off would never answer.
async fn guarded<T>(work: impl Future<Output = Result<T, Error>>, moved: Option<Moved>) -> Result<T, Error> {
    let Some(moved) = moved else { return work.await };
    tokio::select! {
        biased;
        done = work => done,
        () = moved.wait() => Err(moved_on()),
    }
}

fn guarded_stream<'w, T: Send + 'w>(
    work: BoxStream<'w, Result<T, Error>>,
    moved: Option<Moved>,
) -> BoxStream<'w, Result<T, Error>> {
    let Some(moved) = moved else { return work };
    let (ended, waits) = (moved.clone(), moved.wait());
    let after = stream::once(async move { if ended.happened() { Some(Err(moved_on())) } else { None } });
    work.take_until(waits).chain(after.filter_map(std::future::ready)).boxed()
}

impl<'c, 't: 'c> Executor<'c> for &'c mut Connection<'t> {
    type Database = Postgres;

    fn fetch_many<'e, 'q, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
        'q: 'e,
    {
        let moved = self.moved.clone();
        if self.needs_transaction() {
            let answered = async move {
                let mut transaction = self.begin().await?;
                let answer: Vec<_> = (&mut *transaction).fetch_many(query).try_collect().await?;
                transaction.commit().await?;
                Ok(stream::iter(answer.into_iter().map(Ok)))
            };
            return answered.try_flatten_stream().boxed();
        }
        let carried = self.carried;
        let connection = self.raw();
        let work = if carried { connection.fetch_many(Unkept(query)) } else { connection.fetch_many(query) };
        guarded_stream(work, moved)
    }

    fn fetch_optional<'e, 'q, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
        'q: 'e,
    {
        let moved = self.moved.clone();
        if self.needs_transaction() {
            return Box::pin(async move {
                let mut transaction = self.begin().await?;
                let row = (&mut *transaction).fetch_optional(query).await?;
                transaction.commit().await?;
                Ok(row)
            });
        }
        let carried = self.carried;
        let connection = self.raw();
        let work = if carried { connection.fetch_optional(Unkept(query)) } else { connection.fetch_optional(query) };
        Box::pin(guarded(work, moved))
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, Error>>
    where
        'c: 'e,
    {
        if self.carried {
            let why = "a pooler in transaction mode carries no prepared statements";
            return Box::pin(std::future::ready(Err(Error::Configuration(why.into()))));
        }
        let moved = self.moved.clone();
        Box::pin(guarded(self.raw().prepare_with(sql, parameters), moved))
    }

    fn describe<'e, 'q: 'e>(self, sql: &'q str) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        if self.carried {
            let why = "a pooler in transaction mode carries no prepared statements";
            return Box::pin(std::future::ready(Err(Error::Configuration(why.into()))));
        }
        let moved = self.moved.clone();
        Box::pin(guarded(self.raw().describe(sql), moved))
    }
}

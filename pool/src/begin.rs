//! A `BEGIN` that is given up halfway, because who waited for it was cancelled.
//!
//! sqlx 0.8 counts a transaction only once the server has answered. A connection that goes back to the pool before that has a
//! transaction on it of which nobody knows: what is run there next answers as if it were done, is never committed, and keeps
//! its locks.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use sqlx::{Connection as _, Error, Transaction};
use tokio::runtime::Handle;

/// Begins a transaction. Given up halfway, it goes on in the background until the server has answered, and is rolled back.
pub(crate) async fn begin(connection: PoolConnection<Postgres>) -> Result<Transaction<'static, Postgres>, Error> {
    GoesOn(Some(Transaction::begin(connection, None))).await
}

struct GoesOn(Option<BoxFuture<'static, Result<Transaction<'static, Postgres>, Error>>>);

impl Future for GoesOn {
    type Output = Result<Transaction<'static, Postgres>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(begun) = &mut self.0 else { return Poll::Pending };
        let begun = ready!(begun.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(begun)
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        if let (Some(begun), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(begun);
        }
    }
}

/// A connection of a pool, which does not go back there when a `BEGIN` on it was given up halfway.
pub(crate) struct Pooled {
    connection: PoolConnection<Postgres>,
    /// Whether the server has been asked to begin and has not answered.
    begins: bool,
}

impl From<PoolConnection<Postgres>> for Pooled {
    fn from(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, begins: false }
    }
}

impl Pooled {
    pub async fn begin(&mut self) -> Result<Transaction<'_, Postgres>, Error> {
        self.begins = true;
        let begun = self.connection.begin().await;
        self.begins = begun.is_err();
        begun
    }

    /// In the background; the place in the pool is free then.
    pub fn close(mut self) {
        self.connection.close_on_drop();
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if self.begins {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Pooled {
    type Target = PoolConnection<Postgres>;
    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

//! One at a time works on the builds of a read model.

use pool::Connection;
use schema::view::Model;

use super::{Error, Rebuilder};

/// Held on a connection of its own, so that the server gives it up with the process, however that ends.
#[derive(Debug)]
pub(super) struct Guard {
    connection: Connection<'static>,
    model: Model,
}

impl Guard {
    pub async fn take(rebuilder: &Rebuilder, model: Model) -> Result<Self, Error> {
        let mut connection = rebuilder.connect().await?;
        let statement = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('coulomb builds'), hashtext($1))");
        let taken: bool = statement.bind(model.name()).fetch_one(&mut connection).await?;
        if taken { Ok(Self { connection, model }) } else { Err(Error::Busy(model)) }
    }

    /// Gives it back, so that whoever comes next need not wait for the server to notice that the connection is closed.
    pub async fn release(mut self) {
        let statement = sqlx::query("SELECT pg_advisory_unlock(hashtext('coulomb builds'), hashtext($1))");
        // Should it fail, the connection is gone, and the lock with it.
        let _ = statement.bind(self.model.name()).execute(&mut self.connection).await;
        let _ = self.connection.close().await;
    }
}

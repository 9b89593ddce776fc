//! LISTEN, on a connection that no pooler shares out.

use sqlx::Error;
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};

use crate::handle::{Moved, Pool, moved_on};

/// Notices of one channel of the primary.
pub struct Listener {
    listener: PgListener,
    moved: Option<Moved>,
}

impl Pool {
    /// Listens on a connection of its own, at the direct way to the database.
    ///
    /// # Errors
    /// Also when there is no way but through a pooler.
    pub async fn listen(&self, channel: &str) -> Result<Listener, Error> {
        let why = "a pooler in transaction mode carries no notices: a direct way to the database is needed";
        let direct = self.direct().ok_or_else(|| Error::Configuration(why.into()))?;
        let (node, moved) = direct.node().await?;
        let options = node.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(channel).await?;
        Ok(Listener { listener, moved })
    }
}

impl Listener {
    /// The next notice; none: the connection was lost and has been opened anew, and what came in between was not heard.
    /// Cancel safe.
    ///
    /// # Errors
    /// When the server can't be reached, or is the primary no more: listen anew.
    pub async fn try_recv(&mut self) -> Result<Option<PgNotification>, Error> {
        let Some(moved) = self.moved.clone() else { return self.listener.try_recv().await };
        tokio::select! {
            notice = self.listener.try_recv() => notice,
            () = moved.wait() => Err(moved_on()),
        }
    }
}

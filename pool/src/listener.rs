//! LISTEN, on a connection that no pooler shares out.

use std::time::Duration;

use sqlx::Error;
use sqlx::postgres::{PgListener, PgNotification, PgPool, PgPoolOptions};

use crate::handle::{Moved, Pool, moved_on};

/// For the connection, also where it was lost; past that one listens anew.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

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
        let listening = |node: PgPool| async move {
            let options = node.connect_options().as_ref().clone();
            let one = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_WITHIN);
            let mut listener = PgListener::connect_with(&one.connect_with(options).await?).await?;
            listener.listen(channel).await?;
            Ok(listener)
        };
        let (listener, moved) = direct.of_primary(listening).await?;
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

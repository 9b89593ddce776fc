//! By what a log is told from others.

use std::sync::{Arc, Mutex, PoisonError};

use schema::log::Position;
use sqlx::Row;
use uuid::Uuid;

use crate::EventStore;

/// The id of the log's first event, which no other log has, and each backup and copy of it has; where that is archived, what is
/// made of its digests. As this process knows it; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity(Arc<Mutex<Option<Uuid>>>);

impl Identity {
    /// None: the log has no event yet, as far as is known.
    pub fn known(&self) -> Option<Uuid> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, identity: Option<Uuid>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = identity;
    }
}

impl EventStore {
    /// Asks for it where it is not known yet.
    pub(crate) async fn learn_identity(&self, head: Position) {
        if self.identity_known().known().is_none() {
            self.refresh_identity(head).await;
        }
    }

    /// Asks for it, where the log has an event by now. Nothing else waits for that to work.
    pub(crate) async fn refresh_identity(&self, head: Position) {
        if head > Position::START
            && let Err(error) = self.identity().await
        {
            tracing::debug!(%error, "by what the log is told from others can't be asked");
        }
    }

    /// By what the log is told from others: the id of its first event, which backups and copies of it have too. None: it has no
    /// event yet. Asked for anew each time, since another log may have been put in the place of this one.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn identity(&self) -> Result<Option<Uuid>, sqlx::Error> {
        let rows = self.database().fetch_all(sqlx::query("SELECT log_identity()")).await?;
        let identity = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        self.identity_known().learn(identity);
        Ok(identity)
    }
}

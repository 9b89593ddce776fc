//! Tells other processes that the log went on, after the commit.
//!
//! Postgres has one lock for all transactions that notify, and a commit keeps it until it is on the disk: appends that
//! notified themselves would wait for each other's disk, and commits of read models would wait between them. So a notice is
//! a transaction of its own that waits for no disk. One is under way at a time, and those that come meanwhile are one.
//! A notice that is lost with its process is made up for by polling.

use std::time::Duration;

use pool::{Connection, Pool};
use tokio::sync::mpsc;

const WITHIN: Duration = Duration::from_secs(5);
/// On a connection that was kept: whatever lies between may have forgotten it.
const WITHIN_ON_KEPT: Duration = Duration::from_secs(1);
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The way to whoever tells. It ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(super) struct Notices(mpsc::Sender<()>);

impl Notices {
    /// `sender`: who tells the others, so that it can pass over its own.
    pub fn start(pool: Pool, sender: String) -> Self {
        let (notices, mut wanted) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut connection = None;
            while wanted.recv().await.is_some() {
                let mut failed = false;
                while let Err(error) = tell(&pool, &mut connection, &sender).await {
                    if !failed {
                        tracing::warn!(%error, "other processes can't be told that the log went on; they poll");
                    }
                    failed = true;
                    tokio::time::sleep(AGAIN_AFTER).await;
                    if wanted.is_closed() {
                        return;
                    }
                }
            }
        });
        Self(notices)
    }

    /// Something was committed, or may have been.
    pub fn tell(&self) {
        // One that waits says this too.
        let _ = self.0.try_send(());
    }
}

async fn tell(pool: &Pool, kept: &mut Option<Connection<'static>>, sender: &str) -> Result<(), sqlx::Error> {
    // Taken out, so that one that fails or is given up is of no further use.
    if let Some(mut connection) = kept.take().filter(|kept| !kept.is_left_behind())
        && let Ok(Ok(())) = tokio::time::timeout(WITHIN_ON_KEPT, notify(&mut connection, sender)).await
    {
        *kept = Some(connection);
        return Ok(());
    }
    let told = async {
        let mut connection = pool.connect().await?;
        notify(&mut connection, sender).await?;
        *kept = Some(connection);
        Ok(())
    };
    tokio::time::timeout(WITHIN, told).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn notify(connection: &mut Connection<'static>, sender: &str) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("notice.sql")).bind(sender).execute(connection).await.map(|_| ())
}

//! Keeps the ring up to date with what other processes append: woken by their notices, and by polling in case one is lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pool::Pool;
use tokio::sync::mpsc;

use crate::options::Wake;
use crate::read;
use crate::store::WeakStore;
use crate::tail::{Limits, Standing, Tail};

const CHANNEL: &str = "coulomb_log";
/// What another lane of this process has committed and not yet published comes within this; reading it would be in vain.
const GRACE: Duration = Duration::from_millis(2);
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Runs until the store is dropped.
pub(crate) async fn run(store: WeakStore, tail: Tail, poll_every: Duration, wake: Wake, pool: Pool) {
    tail.0.followed.store(true, Ordering::Release);
    let (noticed, mut notices) = mpsc::channel(1);
    let listen_at = match wake {
        Wake::Listen => pool.direct().cloned(),
        Wake::Poll => None,
    };
    if let Some(pool) = listen_at {
        tokio::spawn(listen(pool, noticed, tail.sender().to_owned()));
    }
    let mut failed = false;
    loop {
        let Some(current) = store.upgrade() else { return };
        if current.database().pool.is_closed() {
            return;
        }
        let looked = look(&current, &tail).await;
        drop(current);
        if let Err(error) = &looked
            && !failed
        {
            tracing::warn!(%error, "the tail can't read the log");
        }
        failed = looked.is_err();
        tokio::select! {
            () = tail.0.look.notified() => tokio::time::sleep(GRACE).await,
            _ = notices.recv() => {}
            () = tokio::time::sleep(poll_every) => {}
        }
    }
}

/// Brings the ring up to the head.
async fn look(store: &crate::EventStore, tail: &Tail) -> Result<(), read::Error> {
    loop {
        let mark = tail.mark();
        let (head, generation) = store.head().await?;
        let Standing::Upto(from) = tail.compare(mark, head, generation, Limits::of(store.options())) else {
            return Ok(());
        };
        if from >= head {
            return Ok(());
        }
        let stretch = store.read_piece(from, head).await?;
        if let Some(upto) = tail.with_ring(|ring| {
            ring.take(stretch);
            ring.upto()
        }) {
            tail.moved(upto);
        }
    }
}

/// Passes notices of other processes on; several at once are one. Ends with the watcher.
async fn listen(pool: Pool, noticed: mpsc::Sender<()>, own: String) {
    while !noticed.is_closed() {
        if let Err(error) = listen_once(&pool, &noticed, &own).await {
            tracing::warn!(%error, "no notices from the log; polling");
        }
        tokio::select! {
            () = tokio::time::sleep(LISTEN_AGAIN_AFTER) => {}
            () = noticed.closed() => {}
        }
    }
}

async fn listen_once(pool: &Pool, noticed: &mpsc::Sender<()>, own: &str) -> Result<(), sqlx::Error> {
    let mut listener = pool.listen(CHANNEL).await?;
    // What came before we listened.
    let _ = noticed.try_send(());
    loop {
        tokio::select! {
            // None: the connection was lost, and notices with it.
            notice = listener.try_recv() => {
                if notice?.is_none_or(|notice| notice.payload() != own) {
                    let _ = noticed.try_send(());
                }
            }
            () = noticed.closed() => return Ok(()),
        }
    }
}

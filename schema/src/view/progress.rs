use std::time::Duration;

use tokio::sync::watch;

use crate::log::{Generation, Position};

/// How far the read models are: they contain every event up to the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    pub generation: Generation,
    pub position: Position,
}

/// How far somebody has got in the read models, to wait on. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Progress(watch::Sender<Reached>);

/// The position was not reached in the time given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the read models are at {}, not yet at {wanted}", reached.position)]
pub struct NotReached {
    pub wanted: Position,
    pub reached: Reached,
}

impl Progress {
    pub fn new(reached: Reached) -> Self {
        Self(watch::Sender::new(reached))
    }

    pub fn reached(&self) -> Reached {
        *self.0.borrow()
    }

    /// Positions don't go back, except to those of another generation.
    pub fn advance(&self, to: Reached) {
        self.0.send_if_modified(|at| {
            let moved = to.generation != at.generation || to.position > at.position;
            if moved {
                *at = to;
            }
            moved
        });
    }

    pub fn subscribe(&self) -> watch::Receiver<Reached> {
        self.0.subscribe()
    }

    /// Waits until everything up to the position is contained.
    pub async fn wait_until(&self, wanted: Position, at_most: Duration) -> Result<Reached, NotReached> {
        let mut moved = self.0.subscribe();
        let reached = tokio::time::timeout(at_most, moved.wait_for(|at| at.position >= wanted)).await;
        match reached {
            Ok(Ok(reached)) => Ok(*reached),
            // The sender is `self`: it can't be gone.
            Ok(Err(_)) | Err(_) => Err(NotReached { wanted, reached: self.reached() }),
        }
    }
}

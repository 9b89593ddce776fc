//! Building a read model anew beside the one that serves, and letting it take its place (docs/decisions/0007).

mod builds;

pub use builds::{Build, BuildState, list};

/// What kept a build from being made, compared or exchanged. Whatever it was, the live read model is as before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database can't be used")]
    Database(#[from] sqlx::Error),
}

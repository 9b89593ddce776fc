//! Storing aggregate states, off the hot path: a state that isn't stored is folded again, no more.

use schema::log::{Generation, StreamId};
use tokio::sync::mpsc;

use crate::database::Database;

/// States that wait to be written; when there is no room, they aren't.
const WAITING_MAX: usize = 256;

pub(crate) struct StateToStore {
    pub stream: StreamId,
    /// Of the log that it was folded from.
    pub generation: Generation,
    pub version: i64,
    pub fold_version: i32,
    /// Makes the JSON, in the writer's task.
    pub to_json: Box<dyn FnOnce() -> serde_json::Result<String> + Send>,
}

#[derive(Clone)]
pub(crate) struct StateWriter(mpsc::Sender<StateToStore>);

impl StateWriter {
    /// Ends with its last handle.
    pub fn start(database: Database) -> Self {
        let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            while let Some(state) = waiting.recv().await {
                write(&database, state).await;
            }
        });
        Self(sender)
    }

    /// Whether it will be tried.
    pub fn offer(&self, state: StateToStore) -> bool {
        self.0.try_send(state).is_ok()
    }
}

async fn write(database: &Database, state: StateToStore) {
    let StateToStore { stream, generation, version, fold_version, to_json } = state;
    let json = match to_json() {
        Ok(json) => json,
        Err(error) => return tracing::error!(%stream, %error, "a state can't be serialised"),
    };
    if let Err(error) = store(database, stream, generation, version, fold_version, json).await {
        tracing::warn!(%stream, %error, "a state was not stored");
    }
}

/// Stores the state of a stream as it was after its event `version`, unless a newer one stands, or the log is of another
/// generation than the one that it was folded from.
pub(crate) async fn store(
    database: &Database,
    stream: StreamId,
    generation: Generation,
    version: i64,
    fold_version: i32,
    json: String,
) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(include_str!("states/store.sql"))
        .bind(stream.id)
        .bind(stream.aggregate.as_str())
        .bind(version)
        .bind(fold_version)
        .bind(json)
        .bind(generation.0);
    database.execute(statement).await.map(drop)
}

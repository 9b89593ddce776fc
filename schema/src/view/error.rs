use super::query::Column;
use super::row::Model;

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the read models can't be read")]
    Unavailable(#[from] sqlx::Error),
    #[error("the row {key} of {} can't be understood", model.name())]
    Corrupt { model: Model, key: String, source: serde_json::Error },
    #[error("{} has no column {}", model.name(), column.name())]
    NoSuchColumn { model: Model, column: Column },
}

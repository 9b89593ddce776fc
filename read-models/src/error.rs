use std::sync::Arc;

use schema::catalogue::DecodeError;
use schema::log::Position;
use schema::view::Model;

/// Why an event could not be folded. Nothing is skipped: its partition waits until it can be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FoldError {
    #[error("the event at {position} can't be understood")]
    Undecodable { position: Position, source: Arc<DecodeError> },
    /// The log has no such beginning: a later event of something that never began.
    #[error("the event at {position} changes the row {key} of {}, which is not there", model.name())]
    NoRow { position: Position, model: Model, key: String },
    /// A row of another read model was given.
    #[error("the row {key} is none of {}", model.name())]
    OtherModel { model: Model, key: String },
}

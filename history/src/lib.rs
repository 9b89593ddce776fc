//! Read models as they were: at a position of the log, or at a time.
//!
//! One row is folded from its events, beginning with what is kept of it (migration 0430). A list is read as it was at the
//! boundary before the position, and what came after that is folded, by the folds of the builds that serve. An event that
//! can't be folded leaves its row as it was, with all that follows in its stream, unless somebody has had it skipped by then.

mod delta;
mod error;
mod list;
mod moment;
mod past;
mod row;
mod sources;
mod step;

pub use error::Error;
pub use moment::{Asked, Moment};
pub use past::Past;

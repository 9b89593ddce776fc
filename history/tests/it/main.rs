//! What was, on a real Postgres, beside a fold of the log up to there.

mod folds;
mod kept;
mod support;

//! What must be true of a log, given what was seen from the outside. Each check panics at what it finds wrong.

mod acknowledged;
mod asked;
mod billed;
mod chargers;
mod fact;
mod held;
#[cfg(test)]
pub(crate) mod made_up;

pub use acknowledged::everything_acknowledged_is_there_once;
pub use asked::nothing_was_asked_twice;
pub use billed::nobody_is_billed_twice;
pub use held::nothing_is_held_by_what_is_over;

//! The reference of events, for those who read the log: what each type says, in which versions, how long it is kept.

mod meanings;

pub use meanings::{Alternative, Empty, EventMeaning, Kind, Meanings, Member, Part, Word};

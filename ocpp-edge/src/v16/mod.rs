//! OCPP 1.6 JSON: one file per message, named after it.
//!
//! [`from_charger`] reads leniently and answers strictly; [`to_charger`] checks strictly before it sends and reads
//! answers leniently. [`action`] is the table of all actions.

pub mod action;
pub mod from_charger;
mod limited;
pub(crate) mod report;
pub mod to_charger;

pub use action::Action;
pub use limited::{Limited, OutOfLimits};

/// The longest `IdToken` (1.6 section 7), in characters. Chargers send longer ones.
pub const ID_TAG_MAX_CHARS: usize = 20;

/// A tag, or a group of tags, that a charger can be told.
pub type IdTag = Limited<1, ID_TAG_MAX_CHARS>;

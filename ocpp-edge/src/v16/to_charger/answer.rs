use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{Kind, Node};
use crate::lenient::{Deviations, Fields};

/// What a charger said to a command.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    pub verdict: Verdict<'a>,
    /// As it was sent, for the record.
    pub raw: &'a RawValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// `Accepted`, or `Unlocked`. For GetConfiguration: answered.
    Accepted,
    /// ChangeAvailability: once the transaction is over.
    Scheduled,
    /// ChangeConfiguration: taken, in force after a reboot.
    RebootRequired,
    /// With the charger's word for it: `Rejected`, `UnlockFailed`, `NotSupported`, `NotImplemented`.
    Rejected { word: Cow<'a, str> },
    /// A word that is none of the specification's, or no word: nobody knows what will happen.
    Unclear { word: Option<Cow<'a, str>> },
}

impl<'a> Answer<'a> {
    pub(super) fn read(payload: Node<'a>) -> Self {
        let mut deviations = Deviations::default();
        let word = match payload.kind() {
            // `[3, id, "Accepted"]` has been seen.
            Kind::Text => Some(payload.text()),
            _ => Fields::of_payload(payload, &mut deviations).text("status", usize::MAX),
        };
        Self { verdict: Verdict::of(word), raw: payload.raw() }
    }

    /// Of an answer that has no status: any object is one.
    pub(super) fn read_without_status(payload: Node<'a>) -> Self {
        Self {
            verdict: match payload.kind() {
                Kind::Object | Kind::Null => Verdict::Accepted,
                _ => Verdict::Unclear { word: None },
            },
            raw: payload.raw(),
        }
    }
}

impl<'a> Verdict<'a> {
    fn of(word: Option<Cow<'a, str>>) -> Self {
        let Some(word) = word else {
            return Self::Unclear { word: None };
        };
        match word.trim().to_ascii_lowercase().as_str() {
            "accepted" | "unlocked" => Self::Accepted,
            "scheduled" => Self::Scheduled,
            "rebootrequired" => Self::RebootRequired,
            "rejected" | "unlockfailed" | "notsupported" | "notimplemented" => Self::Rejected { word },
            _ => Self::Unclear { word: Some(word) },
        }
    }
}

//! What each event and each of its members means.
//!
//! It is said once, in the doc comments of `domain`; a test of this crate reads them from there and writes
//! `reference/events.json`, so that the program knows them without the sources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of all events: the content of `reference/events.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meanings {
    /// What the events of an aggregate are about.
    pub aggregates: BTreeMap<String, String>,
    /// By type.
    pub events: BTreeMap<String, EventMeaning>,
    /// What objects within events are made of, by the name of their kind.
    pub parts: BTreeMap<String, Part>,
}

/// An event in its newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMeaning {
    pub version: String,
    pub says: String,
    pub members: Vec<Member>,
    /// How each older version differs in structure from the one after it, a line for each member: `- ` before what is no
    /// more, `+ ` before what is new.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, Vec<String>>,
}

/// An object within an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub says: String,
    /// The members of every such object; or, where there are alternatives, none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// The object has exactly one member, with the name of an alternative and its members in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    pub name: String,
    pub says: String,
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    #[serde(flatten)]
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Empty::is_never")]
    pub empty: Empty,
    /// A personal value, or free text of a charger: sealed under a key of whom it is about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    pub says: String,
}

/// What a member holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Kind {
    /// Of an open list where `words` are given: others may come.
    Text {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        words: Vec<Word>,
    },
    /// A text that must have a certain form, as the meaning says.
    FormedText,
    /// One of a closed list.
    OneOf {
        words: Vec<Word>,
    },
    Uuid,
    /// A moment (RFC 3339, UTC).
    Time,
    /// A day.
    Date,
    /// An exact decimal, written as a text.
    Decimal,
    Number,
    Integer {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_zero: bool,
        /// Otherwise 64.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bits_32: bool,
    },
    Boolean,
    /// Whatever it may be.
    Anything,
    /// An object, described among the [parts](Meanings::parts).
    Object {
        part: String,
    },
    List {
        of: Box<Kind>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    pub word: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub says: String,
}

/// How it is said that a member has nothing to say.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// It always says something.
    #[default]
    Never,
    /// The member is null.
    Null,
    /// The member is absent.
    Absent,
}

impl Empty {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

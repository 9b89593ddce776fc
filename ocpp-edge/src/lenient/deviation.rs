use std::fmt;

/// The most deviations that are kept of one message: a StopTransaction may have the same one in each of its thousands of
/// readings.
pub const DEVIATIONS_MAX: usize = 32;

/// Something that the specification does not allow and that was tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The object that has the field, e.g. `sampledValue`; empty for the payload itself.
    pub within: &'static str,
    pub field: &'static str,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A field that must be there is not.
    Missing,
    /// An empty string, or `null`, where the field should be left out: taken as absent.
    Empty,
    /// Longer than allowed: kept whole.
    TooLong { max_chars: usize },
    /// Another JSON type that could be read all the same, e.g. `"10"` for 10.
    WrongType,
    /// Could not be read: taken as absent.
    Unreadable,
    /// A number with decimals where an integer should be.
    NotAnInteger,
    /// None of the specification's words: kept.
    UnknownWord,
    /// One of the specification's words, or a field's name, in another case.
    OddCase,
    /// A time without a zone: kept as text.
    NoZone,
    /// No time of RFC 3339: kept as text.
    NoTime,
    /// One element where a list of them should be.
    NotAList,
}

/// The distinct deviations of one message, at most [`DEVIATIONS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deviations(Vec<Deviation>);

impl Deviations {
    pub fn note(&mut self, deviation: Deviation) {
        if self.0.len() < DEVIATIONS_MAX && !self.0.contains(&deviation) {
            self.0.push(deviation);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Deviation> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.within.is_empty() {
            write!(out, "{}.", self.within)?;
        }
        write!(out, "{} {}", self.field, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("is missing"),
            Self::Empty => out.write_str("is empty"),
            Self::TooLong { max_chars } => write!(out, "has more than {max_chars} characters"),
            Self::WrongType => out.write_str("is of another type"),
            Self::Unreadable => out.write_str("cannot be read"),
            Self::NotAnInteger => out.write_str("is not an integer"),
            Self::UnknownWord => out.write_str("is an unknown word"),
            Self::OddCase => out.write_str("is in another case"),
            Self::NoZone => out.write_str("has no time zone"),
            Self::NoTime => out.write_str("is no time"),
            Self::NotAList => out.write_str("is not a list"),
        }
    }
}

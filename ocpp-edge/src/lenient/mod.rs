//! Reading what a charger says, whatever its make: tolerate, and name what was tolerated.

mod deviation;
mod device_time;
mod fields;
mod word;

pub use deviation::{Deviation, Deviations, What};
pub use device_time::{DeviceTime, Reading};
pub use fields::Fields;
pub(crate) use word::words;
pub use word::{Word, Words};

use crate::frame::ErrorCode;
use crate::json::Node;

/// A message that can be acted on, and where it departs from the specification.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    pub message: T,
    pub deviations: Deviations,
}

/// A message that cannot be acted on at all. Its CALLERROR is the code and this error's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {}", self.reason())]
pub struct Refused {
    pub code: ErrorCode,
    pub field: &'static str,
}

impl Refused {
    fn reason(&self) -> &'static str {
        match self.code {
            ErrorCode::OccurenceConstraintViolation => "is missing",
            ErrorCode::TypeConstraintViolation => "cannot be read",
            _ => "the payload is not of the message's shape",
        }
    }
}

/// A message that a peer sends, read field by field.
pub trait Message<'a>: Sized {
    /// # Errors
    /// What is needed to act on the message is not in it.
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused>;

    /// # Errors
    /// What is needed to act on the message is not in it.
    fn parse(payload: Node<'a>) -> Result<Parsed<Self>, Refused> {
        let mut deviations = Deviations::default();
        let message = Self::read(&mut Fields::of_payload(payload, &mut deviations))?;
        Ok(Parsed { message, deviations })
    }
}

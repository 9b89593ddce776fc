use std::fmt;

use serde::{Deserialize, Serialize};

/// A text of `MIN` to `MAX` characters: the specification's `CiString`s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Limited<const MIN: usize, const MAX: usize>(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have {min} to {max} characters and no control characters")]
pub struct OutOfLimits {
    pub min: usize,
    pub max: usize,
}

impl<const MIN: usize, const MAX: usize> Limited<MIN, MAX> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<String> for Limited<MIN, MAX> {
    type Error = OutOfLimits;

    fn try_from(text: String) -> Result<Self, OutOfLimits> {
        let chars = text.chars().count();
        if (MIN..=MAX).contains(&chars) && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err(OutOfLimits { min: MIN, max: MAX })
        }
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Limited<MIN, MAX> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

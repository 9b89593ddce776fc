use super::Error;

const CHARS_MIN: usize = 8;
const CHARS_MAX: usize = 256;

/// A password in the clear: on its way to be hashed, and nowhere else.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// A password that somebody chooses.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is shorter than 8 or longer than 256 characters. No other rule: what makes people write
    /// passwords down protects nobody (NIST SP 800-63B, section 5.1.1.2).
    pub fn choose(text: &str) -> Result<Self, Error> {
        if text.chars().count() < CHARS_MIN {
            return Err(Error::Invalid { field: "password", why: "has at least 8 characters" });
        }
        Self::present(text)
    }

    /// A password that somebody logs in with.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is longer than any that can be chosen.
    pub fn present(text: &str) -> Result<Self, Error> {
        if text.chars().count() > CHARS_MAX {
            return Err(Error::Invalid { field: "password", why: "has at most 256 characters" });
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

use std::fmt;

use super::Error;

/// The longest identity, as OCPP 2.0.1's `identifierString`; 1.6 names no limit.
pub const IDENTITY_MAX_CHARS: usize = 48;

/// The name by which a charger connects: 1 to [`IDENTITY_MAX_CHARS`] printable characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChargerIdentity(String);

impl ChargerIdentity {
    /// # Errors
    /// [`Error::Identity`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_long = text.chars().nth(IDENTITY_MAX_CHARS).is_some();
        let is_printable = text.chars().all(|c| !c.is_control()) && text.trim() == text;
        if text.is_empty() || is_long || !is_printable {
            return Err(Error::Identity);
        }
        Ok(Self(text.to_owned()))
    }

    /// From the request's path, `/{id}` or `/ocpp/{id}`, the id percent-encoded (OCPP-J 1.6 section 3.1.1). A query is
    /// not part of the path. An encoded `/` is part of the id.
    ///
    /// # Errors
    /// [`Error::Path`] or [`Error::Identity`].
    pub fn from_path(path: &str) -> Result<Self, Error> {
        let path = path.strip_prefix('/').ok_or(Error::Path)?;
        let id = match path.split_once('/') {
            None => path,
            Some(("ocpp", id)) => id,
            Some((id, "")) => id,
            Some(_) => return Err(Error::Path),
        };
        // Some chargers end their URL with a slash.
        let id = id.strip_suffix('/').unwrap_or(id);
        if id.contains('/') {
            return Err(Error::Path);
        }
        Self::parse(&decode(id).ok_or(Error::Identity)?)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChargerIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// `None` if an escape is cut short, has no hex digits, or the result is no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = hex_digit(bytes.next()?)?;
                high << 4 | hex_digit(bytes.next()?)?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The value of one hexadecimal digit.
fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let long = "x".repeat(48);
        let long_path = format!("/{long}");
        let too_long = format!("/{long}x");
        for (path, expected) in [
            ("/CP001", Ok("CP001")),
            ("/ocpp/CP001", Ok("CP001")),
            ("/ocpp/CP001/", Ok("CP001")),
            ("/CP001/", Ok("CP001")),
            ("/ocpp", Ok("ocpp")),
            ("/RDAM%20123", Ok("RDAM 123")),
            ("/a%2Fb", Ok("a/b")),
            ("/%C3%A9t%c3%a9", Ok("été")),
            (&long_path, Ok(long.as_str())),
            (&too_long, Err(Error::Identity)),
            ("/", Err(Error::Identity)),
            ("/ocpp/", Err(Error::Identity)),
            ("/%00", Err(Error::Identity)),
            ("/a%0Ab", Err(Error::Identity)),
            ("/%20", Err(Error::Identity)),
            ("/a%2", Err(Error::Identity)),
            ("/a%zz", Err(Error::Identity)),
            ("/%ff", Err(Error::Identity)),
            ("", Err(Error::Path)),
            ("CP001", Err(Error::Path)),
            ("/a/b", Err(Error::Path)),
            ("/ocpp/a/b", Err(Error::Path)),
            ("/ocpp/1.6/a", Err(Error::Path)),
        ] {
            let identity = ChargerIdentity::from_path(path);
            assert_eq!(identity.as_ref().map(ChargerIdentity::as_str).map_err(|e| *e), expected, "{path}");
        }
    }
}

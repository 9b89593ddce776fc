//! The password of a charger: the one form in which it is hashed and compared, whoever wrote it and how.

use std::fmt;

use argon2::password_hash;

use crate::argon;

/// The hexadecimal digits of an `AuthorizationKey` of 20 bytes (1.6 security whitepaper).
const KEY_HEX_DIGITS: usize = 40;

/// A charger's password in the one form that is stored (hashed) and compared: 40 hexadecimal digits are the 20 bytes that
/// they stand for, anything else is itself. So it does not matter whether operator and charger write the key as text, in
/// which case of letters, or as bytes. It has no `==`: hashes are compared, in constant time.
#[derive(Clone)]
pub struct CanonicalPassword(Vec<u8>);

/// The stored credential is none that argon2 can verify.
#[derive(Debug, thiserror::Error)]
#[error("the stored credential can't be verified: {0}")]
pub struct BrokenCredential(password_hash::Error);

impl CanonicalPassword {
    /// Of a presented or of a registered password.
    pub fn of(password: &[u8]) -> Self {
        Self(decode_key(password).unwrap_or_else(|| password.to_vec()))
    }

    /// What to hash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is what was hashed: some 20 ms of one core, so not on an async thread.
    ///
    /// # Errors
    /// The credential is no PHC string of argon2.
    pub fn matches(&self, credential: &str) -> Result<bool, BrokenCredential> {
        argon::matches(credential, &self.0).map_err(BrokenCredential)
    }
}

impl fmt::Debug for CanonicalPassword {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CanonicalPassword(…)")
    }
}

fn decode_key(password: &[u8]) -> Option<Vec<u8>> {
    if password.len() != KEY_HEX_DIGITS {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    password.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    #[test]
    fn a_key_is_the_same_as_text_in_any_case_and_as_bytes() {
        let text = "0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF";
        let key = CanonicalPassword::of(text.as_bytes());
        assert_eq!(key.as_bytes().len(), 20);
        for same in [CanonicalPassword::of(text.to_lowercase().as_bytes()), CanonicalPassword::of(key.as_bytes())] {
            assert_eq!(same.as_bytes(), key.as_bytes());
        }
        assert!(!format!("{key:?}").contains("00"));
    }

    #[test]
    fn only_what_was_hashed_matches() {
        let credential = argon::hash(&Params::new(8, 1, 1, None).unwrap(), b"correct horse").unwrap();
        assert!(CanonicalPassword::of(b"correct horse").matches(&credential).unwrap());
        assert!(!CanonicalPassword::of(b"battery staple").matches(&credential).unwrap());
        assert!(CanonicalPassword::of(b"correct horse").matches("not a hash").is_err());
    }
}

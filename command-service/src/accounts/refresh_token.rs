//! Refresh tokens: a chain for each device, of which every link follows from the one before it.
//!
//! A token is 256 secret bits, the family they belong to, and their number in it. The first is random; each further one is
//! the keyed hash of its predecessor, under a key that is not in the database. The database has the SHA-256 of the newest
//! alone, and that is enough: who presents the predecessor of the newest can be given the same successor again, and who
//! presents an older one is recognised by following the chain. Nobody who reads the database can make a token.

use std::fmt;

use application::vault::MasterKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Tells a refresh token from other secrets, for people and for scanners of leaked ones.
const PREFIX: &str = "crt_";
const SECRET_BYTES: usize = 32;
const BYTES: usize = 16 + 4 + SECRET_BYTES;
const PURPOSE: &str = "refresh token's successor";

/// A token as its device has it. Its clear form is in answers only.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub family_id: Uuid,
    /// How many came before it.
    pub number: u32,
    secret: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// The first of a new family.
    pub fn first() -> Self {
        Self { family_id: Uuid::now_v7(), number: 0, secret: rand::random() }
    }

    /// The one that it can be exchanged for: always the same.
    pub fn successor(&self, master: &MasterKey) -> Self {
        let secret = master.hash(PURPOSE, &self.to_bytes());
        Self { family_id: self.family_id, number: self.number.saturating_add(1), secret }
    }

    /// As a device presents it; none for what was never one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?.try_into().ok()?;
        let (family_id, rest) = bytes.split_first_chunk()?;
        let (number, secret) = rest.split_first_chunk()?;
        Some(Self {
            family_id: Uuid::from_bytes(*family_id),
            number: u32::from_be_bytes(*number),
            secret: secret.try_into().ok()?,
        })
    }

    /// As a device is given it.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }

    /// SHA-256: what is stored. The secret is random, so nothing slower is needed.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(self.family_id.as_bytes());
        bytes[16..20].copy_from_slice(&self.number.to_be_bytes());
        bytes[20..].copy_from_slice(&self.secret);
        bytes
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({}, {}, …)", self.family_id, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_whole_and_nonsense_does_not() {
        let token = RefreshToken::first();
        assert_eq!(RefreshToken::parse(&token.to_text()), Some(token.clone()));
        let text = token.to_text();
        for wrong in ["", PREFIX, &text[1..], &text[..text.len() - 1], &format!("{text}A"), "crt_*"] {
            assert_eq!(RefreshToken::parse(wrong), None, "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&text[30..]));
    }

    #[test]
    fn a_successor_is_always_the_same_and_needs_the_key() {
        let (master, other) = (MasterKey::new(rand::random()), MasterKey::new(rand::random()));
        let token = RefreshToken::first();
        assert_eq!(token.successor(&master), token.successor(&master));
        assert_ne!(token.successor(&master), token.successor(&other));
        assert_eq!(token.successor(&master).number, 1);
        assert_ne!(token.successor(&master).digest(), token.digest());
    }
}

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use application::credential::CanonicalPassword;

use super::{ChargerIdentity, Error};

/// Some chargers leave out the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `user:password` of an `Authorization: Basic` header (RFC 7617). Not necessarily text: chargers that follow the 1.6
/// security whitepaper to the letter send the bytes of their key.
#[derive(Clone)]
pub struct BasicAuth(Vec<u8>);

impl BasicAuth {
    /// # Errors
    /// [`Error::Authorization`]: another scheme, no base64, or no colon.
    pub fn parse(header: &[u8]) -> Result<Self, Error> {
        let header = header.trim_ascii();
        let (scheme, credentials) = header.split_first_chunk::<6>().ok_or(Error::Authorization)?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return Err(Error::Authorization);
        }
        let pair = BASE64.decode(credentials.trim_ascii()).map_err(|_| Error::Authorization)?;
        if !pair.contains(&b':') {
            return Err(Error::Authorization);
        }
        Ok(Self(pair))
    }

    /// The password, if the user is this charger: the identity is the user name, exactly. `None` for any other user.
    ///
    /// An identity with a colon in it is found too, which splitting at the first colon would not.
    pub fn password_for(&self, charger: &ChargerIdentity) -> Option<CanonicalPassword> {
        self.0.strip_prefix(charger.as_str().as_bytes())?.strip_prefix(b":").map(CanonicalPassword::of)
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("BasicAuth(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF";

    fn header(pair: &[u8]) -> Vec<u8> {
        let mut header = b"Basic ".to_vec();
        header.extend(BASE64.encode(pair).into_bytes());
        header
    }

    fn password(pair: &[u8], charger: &str) -> Option<Vec<u8>> {
        let charger = ChargerIdentity::parse(charger).unwrap();
        BasicAuth::parse(&header(pair)).unwrap().password_for(&charger).map(|password| password.as_bytes().to_vec())
    }

    #[test]
    fn the_user_must_be_the_charger() {
        assert_eq!(password(b"CP001:secret", "CP001"), Some(b"secret".to_vec()));
        assert_eq!(password(b"CP001:se:cret", "CP001"), Some(b"se:cret".to_vec()));
        assert_eq!(password(b"a:b:secret", "a:b"), Some(b"secret".to_vec()));
        assert_eq!(password(b"CP001:", "CP001"), Some(Vec::new()));
        for other in ["CP00", "CP0011", "cp001", "CP002"] {
            assert_eq!(password(b"CP001:secret", other), None, "{other}");
        }
    }

    #[test]
    fn a_key_is_the_same_as_text_in_any_case_and_as_bytes() {
        let key = CanonicalPassword::of(KEY.as_bytes());
        let same = |other: CanonicalPassword| assert_eq!(other.as_bytes(), key.as_bytes());
        same(CanonicalPassword::of(KEY.to_lowercase().as_bytes()));
        same(CanonicalPassword::of(key.as_bytes()));
        assert_eq!(key.as_bytes().len(), 20);
        // The example of the security whitepaper: AL1000 with the bytes of the key.
        let auth = BasicAuth::parse(b"Basic QUwxMDAwOgABAgMEBQYH////////////////").unwrap();
        let charger = ChargerIdentity::parse("AL1000").unwrap();
        same(auth.password_for(&charger).unwrap());
    }

    #[test]
    fn headers() {
        for good in ["Basic YTpi", "basic YTpi", "BASIC   YTpi ", "Basic YTpiYw", "Basic YTpiYw=="] {
            assert!(BasicAuth::parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "Basic", "Basic ", "Bearer YTpi", "Basic !!!", "Basic YWI=", "YTpi"] {
            assert!(BasicAuth::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let auth = BasicAuth::parse(&header(b"CP001:secret")).unwrap();
        assert!(!format!("{auth:?}").contains("secret"));
    }
}

//! What an account says of its person.

use super::Error;

const NAME_CHARS_MAX: usize = 200;
/// E.164 has at most 15 digits; fewer than 5 reach nobody.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// How a person wants to be called.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// # Errors
    /// [`Error::Invalid`] when empty, too long, or with control characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let invalid = |why| Err(Error::Invalid { field: "name", why });
        if text.is_empty() {
            return invalid("must not be empty");
        }
        if text.chars().count() > NAME_CHARS_MAX {
            return invalid("has at most 200 characters");
        }
        if text.chars().any(char::is_control) {
            return invalid("must not have control characters");
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A telephone number: digits, after a `+` when it has a country code.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// # Errors
    /// [`Error::Invalid`] unless digits are left when what people write between them is taken away.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let number: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
        let digits = number.strip_prefix('+').unwrap_or(&number);
        if !PHONE_DIGITS.contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::Invalid { field: "phone", why: "is a number such as +49 30 901820" });
        }
        Ok(Self(number))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephone_numbers_keep_their_digits() {
        for (given, expected) in [
            ("+49 (30) 90-18.20", Some("+4930901820")),
            ("030/901820", Some("030901820")),
            ("", None),
            ("+", None),
            ("1234", None),
            ("+49+30901820", None),
            ("call me", None),
            ("1234567890123456", None),
        ] {
            assert_eq!(Phone::parse(given).ok().map(|phone| phone.0).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(Name::parse("  Maria Example ").ok().map(|name| name.0).as_deref(), Some("Maria Example"));
        for wrong in ["", "   ", "a\u{7}b", &"a".repeat(201)] {
            assert!(Name::parse(wrong).is_err());
        }
    }
}

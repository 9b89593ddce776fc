use super::Error;

/// RFC 5321, section 4.5.3.1: what fits into a path, without its brackets.
const BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

/// An e-mail address in the form by which accounts are told apart: trimmed and in lower case.
///
/// Case matters before the `@` by the letter of RFC 5321, and nowhere in the field: two accounts that differ in it only
/// would be one person who can't log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// # Errors
    /// [`Error::Invalid`] for what can't be an address. Whether it is one, only a message to it could tell.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why| Error::Invalid { field: "email", why };
        let text = text.trim().to_lowercase();
        if text.len() > BYTES_MAX {
            return Err(invalid("has at most 254 characters"));
        }
        let (local, domain) = text.rsplit_once('@').ok_or(invalid("is an address such as name@example.org"))?;
        let local_fits = (1..=LOCAL_BYTES_MAX).contains(&local.len()) && local.chars().all(is_local);
        let labels_fit = domain.contains('.') && domain.split('.').all(is_label);
        if local_fits && labels_fit { Ok(Self(text)) } else { Err(invalid("is an address such as name@example.org")) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters of any script are allowed (RFC 6531). Quoted local parts are not: nobody has one.
fn is_local(c: char) -> bool {
    c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised_or_refused() {
        for (given, expected) in [
            ("maria@example.org", "maria@example.org"),
            ("  Maria.Example+ev@Example.ORG\n", "maria.example+ev@example.org"),
            ("o'neill@mail.example.co.uk", "o'neill@mail.example.co.uk"),
            ("jürgen@müller.example", "jürgen@müller.example"),
        ] {
            assert_eq!(Email::parse(given).map(|email| email.0).ok().as_deref(), Some(expected), "{given:?}");
        }
        let too_long = format!("a@{}.org", "a".repeat(300));
        for wrong in [
            "",
            "@",
            "maria",
            "maria@",
            "@example.org",
            "maria@example",
            "maria@.org",
            "maria@example..org",
            "maria@-example.org",
            "ma ria@example.org",
            "maria@exa mple.org",
            "maria@@example.org",
            "ma\0ria@example.org",
            "maria@example.org,other@example.org",
            &too_long,
        ] {
            assert!(Email::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! The access token that a request presents.

use axum::http::{HeaderMap, header};

use crate::problem::{Code, Problem};

/// The token of the header `Authorization` (RFC 6750, section 2.1). The scheme's case does not matter (RFC 9110, section
/// 11.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// The same, where there has to be one.
///
/// # Errors
/// `unauthenticated`, which says how the header has to be.
pub fn required_bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    bearer(headers).ok_or_else(|| {
        Problem::new(Code::Unauthenticated, "The header Authorization must be: Bearer and an access token.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearers_have_a_token() {
        for (header, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("abc", None),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, header.parse().unwrap())]);
            assert_eq!(bearer(&headers), token, "{header}");
        }
        assert_eq!(required_bearer(&HeaderMap::new()).unwrap_err().code(), Code::Unauthenticated);
    }
}

use axum::http::HeaderMap;
use service_host::{Code, Problem};

const HEADER: &str = "Idempotency-Key";
const CHARS_MAX: usize = 255;

/// The client's own name for its request.
///
/// # Errors
/// A problem that names the header, unless it has 1 to 255 visible characters of ASCII and is there once.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match value.to_str().map(str::trim) {
        Ok(key) if (1..=CHARS_MAX).contains(&key.len()) && values.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(Code::InvalidRequest, format!("The header {HEADER} has 1 to {CHARS_MAX} characters."))
            .with("field", HEADER)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_unambiguous() {
        let key = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, value.parse().unwrap());
            }
            idempotency_key(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["a"]), Ok(Some("a".to_owned())));
        assert_eq!(key(&[&"a".repeat(255)]), Ok(Some("a".repeat(255))));
        for wrong in [&[""][..], &[" "], &[&"a".repeat(256)], &["a", "b"], &["schlüssel"]] {
            assert_eq!(key(wrong), Err(Code::InvalidRequest), "{wrong:?}");
        }
    }
}

//! What `jsonb` can't hold.

/// Postgres' `jsonb` has no character U+0000, and chargers do send it: U+FFFD stands in its place. For the JSON that
/// serde_json writes.
pub fn without_nul(json: String) -> String {
    const NUL: &str = "\\u0000";
    if !json.contains(NUL) {
        return json;
    }
    let mut clean = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        clean.push_str(before);
        let length = if escape.starts_with("\\u") { NUL.len() } else { 2 };
        let (escape, after) = escape.split_at(length);
        clean.push_str(if escape == NUL { "\u{fffd}" } else { escape });
        rest = after;
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_character_goes() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a\u{0}b", "a\u{fffd}b"),
            ("\u{0}\u{0}", "\u{fffd}\u{fffd}"),
            ("not one: \\u0000", "not one: \\u0000"),
            ("\\\u{0}\\", "\\\u{fffd}\\"),
            ("\u{1}\n\"ü\u{0}", "\u{1}\n\"ü\u{fffd}"),
        ] {
            let json = without_nul(serde_json::to_string(text).unwrap());
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), expected);
        }
    }
}

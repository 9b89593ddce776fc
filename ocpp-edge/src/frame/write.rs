//! Frames as the specification wants them (OCPP-J 1.6 section 4.2).

use serde::Serialize;

use super::{ErrorCode, MessageId, MessageType};

/// The longest `errorDescription` of a CALLERROR, in characters.
pub const DESCRIPTION_MAX_CHARS: usize = 255;

/// `[2, id, action, payload]`.
///
/// # Errors
/// The payload's own serialisation fails.
pub fn call(id: &str, action: &str, payload: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(&(MessageType::Call as u8, id, action, payload))
}

/// `[3, id, payload]`.
///
/// # Errors
/// The payload's own serialisation fails.
pub fn result(id: MessageId<'_>, payload: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(&(MessageType::Result as u8, id, payload))
}

/// `[4, id, code, description, {}]`; the description is cut at [`DESCRIPTION_MAX_CHARS`].
pub fn error(id: MessageId<'_>, code: ErrorCode, description: &str) -> String {
    #[derive(Serialize)]
    struct NoDetails {}

    let description = match description.char_indices().nth(DESCRIPTION_MAX_CHARS) {
        Some((end, _)) => &description[..end],
        None => description,
    };
    serde_json::to_string(&(MessageType::Error as u8, id, code, description, NoDetails {}))
        .expect("numbers, strings and an already valid id always serialise")
}

#[cfg(test)]
mod tests {
    use super::super::{Call, Frame, read};
    use super::*;

    fn with_id(text: &str, check: impl Fn(MessageId<'_>)) {
        match read(text) {
            Ok(Frame::Call(Call { id, .. })) => check(id),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_id_goes_back_as_it_came() {
        for id in [r#""a""#, "17", r#""quote \" and é""#] {
            with_id(&format!(r#"[2,{id},"Heartbeat",{{}}]"#), |parsed| {
                assert_eq!(result(parsed, &()).unwrap(), format!("[3,{id},null]"));
                assert_eq!(
                    error(parsed, ErrorCode::OccurenceConstraintViolation, "x"),
                    format!(r#"[4,{id},"OccurenceConstraintViolation","x",{{}}]"#)
                );
            });
        }
    }

    #[test]
    fn a_long_description_is_cut_between_characters() {
        with_id(r#"[2,"a","X",{}]"#, |id| {
            let text = error(id, ErrorCode::InternalError, &"é".repeat(400));
            match read(&text) {
                Ok(Frame::Error(error)) => assert_eq!(error.description.chars().count(), DESCRIPTION_MAX_CHARS),
                other => panic!("{other:?}"),
            }
        });
    }
}

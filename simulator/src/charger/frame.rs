//! OCPP-J frames (1.6 section 4), as a charger writes and reads them.

use serde_json::{Value, json};

/// What came from the other side.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    Call { id: String, action: String, payload: Value },
    Result { id: String, payload: Value },
    Error { id: String, code: String, description: String },
}

impl Frame {
    /// None: this is no OCPP message.
    pub fn parse(text: &str) -> Option<Self> {
        let Value::Array(mut parts) = serde_json::from_str(text).ok()? else { return None };
        let kind = parts.first()?.as_u64()?;
        let mut part = |index: usize| parts.get_mut(index).map(Value::take);
        let mut string = |index: usize| match part(index) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let id = string(1)?;
        match kind {
            2 => {
                let action = string(2)?;
                Some(Self::Call { id, action, payload: part(3)? })
            }
            3 => Some(Self::Result { id, payload: part(2)? }),
            4 => {
                let (code, description) = (string(2)?, string(3).unwrap_or_default());
                Some(Self::Error { id, code, description })
            }
            _ => None,
        }
    }
}

pub fn call(id: &str, action: &str, payload: &Value) -> String {
    json!([2, id, action, payload]).to_string()
}

pub fn result(id: &str, payload: &Value) -> String {
    json!([3, id, payload]).to_string()
}

pub fn error(id: &str, code: &str) -> String {
    json!([4, id, code, "", {}]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_are_written() {
        let payload = json!({"type": "Soft"});
        let (id, action) = ("1".to_owned(), "Reset".to_owned());
        let read = Frame::parse(&call("1", "Reset", &payload));
        assert_eq!(read, Some(Frame::Call { id: id.clone(), action, payload: payload.clone() }));
        assert_eq!(Frame::parse(&result("1", &payload)), Some(Frame::Result { id: id.clone(), payload }));
        let code = "NotImplemented".to_owned();
        assert_eq!(Frame::parse(&error("1", &code)), Some(Frame::Error { id, code, description: String::new() }));
        for text in ["", "{}", "[]", "[2]", "[2,\"1\"]", "[9,\"1\",{}]", "[3,1,{}]"] {
            assert_eq!(Frame::parse(text), None, "{text}");
        }
    }
}

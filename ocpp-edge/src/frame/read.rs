//! From the text of a WebSocket message to a [`Frame`], in one pass.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::{Call, CallError, CallResult, ErrorCode, Frame, MessageId, MessageType};
use crate::json::{Kind, Node};

/// The most elements that a frame has a meaning for (CALLERROR); what follows them is ignored.
const ELEMENTS_MAX: usize = 5;

/// A text that is no OCPP message. It never closes the socket.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{fault}")]
pub struct Error<'a> {
    /// Readable even where what follows it is not JSON.
    pub id: Option<MessageId<'a>>,
    pub message_type: Option<MessageType>,
    /// Of a call whose payload is not JSON. So a broken StopTransaction can be acknowledged and kept, rather than be
    /// repeated for ever.
    pub action: Option<Cow<'a, str>>,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("not a JSON array")]
    NotAnArray,
    #[error("no known message type")]
    MessageType,
    #[error("no message id")]
    MessageId,
    #[error("no action")]
    Action,
}

impl<'a> Error<'a> {
    /// The CALLERROR to send, or `None`: then it is counted and dropped. An answer is never answered.
    pub fn reply(&self) -> Option<(MessageId<'a>, ErrorCode)> {
        match self.message_type {
            Some(MessageType::Result | MessageType::Error) => None,
            Some(MessageType::Call) | None => self.id.map(|id| (id, ErrorCode::FormationViolation)),
        }
    }
}

/// Reads a frame; see [`super`] for what is tolerated.
///
/// Around the array: white space, byte order marks and NUL bytes (firmware that sends its buffer). Inside: a message type
/// as a string, an id as a number or of any length, no payload or a `null`, further elements.
///
/// # Errors
/// The text is no OCPP message; the error says whether it can be answered.
pub fn read(text: &str) -> Result<Frame<'_>, Error<'_>> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0'));
    let mut elements = [None; ELEMENTS_MAX];
    let mut json = serde_json::Deserializer::from_str(text);
    let syntax = Elements(&mut elements).deserialize(&mut json).and_then(|()| json.end());

    let [message_type, id, third, fourth, fifth] = elements;
    let message_type = message_type.and_then(read_message_type);
    let id = id.and_then(MessageId::from_node);
    let action =
        third.filter(|node| message_type == Some(MessageType::Call) && node.kind() == Kind::Text).map(Node::text);
    let error = |fault| Error { id, message_type, action: action.clone(), fault };

    if let Err(cause) = syntax {
        return Err(error(if cause.is_data() { Fault::NotAnArray } else { Fault::NotJson(cause.to_string()) }));
    }
    let message_type = message_type.ok_or_else(|| error(Fault::MessageType))?;
    let id = id.ok_or_else(|| error(Fault::MessageId))?;
    Ok(match message_type {
        MessageType::Call => Frame::Call(Call {
            id,
            action: action.clone().ok_or_else(|| error(Fault::Action))?,
            payload: fourth.unwrap_or(Node::NULL),
        }),
        MessageType::Result => Frame::Result(CallResult { id, payload: third.unwrap_or(Node::NULL) }),
        MessageType::Error => Frame::Error(CallError {
            id,
            code: third.map(Node::text).unwrap_or_default(),
            description: fourth.map(Node::text).unwrap_or_default(),
            details: fifth.unwrap_or(Node::NULL),
        }),
    })
}

fn read_message_type(node: Node<'_>) -> Option<MessageType> {
    match node.text().trim() {
        "2" => Some(MessageType::Call),
        "3" => Some(MessageType::Result),
        "4" => Some(MessageType::Error),
        _ => None,
    }
}

/// Fills the slots in order, so that those before a syntax error keep what was read.
struct Elements<'s, 'a>(&'s mut [Option<Node<'a>>; ELEMENTS_MAX]);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Elements<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Elements<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for slot in self.0.iter_mut() {
            *slot = seq.next_element()?;
            if slot.is_none() {
                return Ok(());
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str) -> Call<'_> {
        match read(text) {
            Ok(Frame::Call(call)) => call,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn calls_of_real_chargers() {
        for (text, id, action, payload) in [
            (r#"[2,"1","Heartbeat",{}]"#, "1", "Heartbeat", "{}"),
            ("\u{feff} [2 , \"1\" ,\"Heartbeat\",{} ]\r\n\0", "1", "Heartbeat", "{}"),
            (r#"[2,1234,"Heartbeat",{}]"#, "1234", "Heartbeat", "{}"),
            (r#"["2","a","Heartbeat",{}]"#, "a", "Heartbeat", "{}"),
            (r#"[2,"a","Heartbeat",null]"#, "a", "Heartbeat", "null"),
            (r#"[2,"a","Heartbeat"]"#, "a", "Heartbeat", "null"),
            (r#"[2,"a","heartbeat",{},"x",1,2,3]"#, "a", "heartbeat", "{}"),
            (r#"[2,"","X",{}]"#, "", "X", "{}"),
        ] {
            let call = call(text);
            assert_eq!(call.id.text(), id, "{text}");
            assert_eq!(call.action, action, "{text}");
            assert_eq!(call.payload.raw().get(), payload, "{text}");
        }
        let long = "i".repeat(200);
        assert_eq!(call(&format!(r#"[2,"{long}","Heartbeat",{{}}]"#)).id.text(), long);
    }

    #[test]
    fn answers_of_real_chargers() {
        assert!(matches!(read(r#"[3,"a"]"#), Ok(Frame::Result(r)) if r.payload.kind() == Kind::Null));
        assert!(matches!(
            read(r#"[4,"a","NotImplemented"]"#),
            Ok(Frame::Error(e)) if e.code == "NotImplemented" && e.description.is_empty()
        ));
        assert!(matches!(
            read(r#"[4,"a","GenericError",null,{"k":1}]"#),
            Ok(Frame::Error(e)) if e.details.raw().get() == r#"{"k":1}"#
        ));
    }

    /// The id that a CALLERROR goes to, or that there is none.
    #[test]
    fn what_is_no_message_is_answered_where_its_id_can_be_read() {
        for (text, answered) in [
            ("", None),
            ("hello", None),
            ("{}", None),
            (r#"{"2":"a"}"#, None),
            ("null", None),
            ("[]", None),
            ("[2]", None),
            (r#"[2,null,"Heartbeat",{}]"#, None),
            (r#"[2,["a"],"Heartbeat",{}]"#, None),
            (r#"[2,"a"]"#, Some("a")),
            (r#"[2,"a",7,{}]"#, Some("a")),
            (r#"[2,"a","Heartbeat",{"x":}]"#, Some("a")),
            (r#"[2,"a","Heartbeat",{}"#, Some("a")),
            (r#"[2,"a","Heartbeat",{}][2,"b"]"#, Some("a")),
            (r#"[9,"a","Heartbeat",{}]"#, Some("a")),
            (r#"[null,"a"]"#, Some("a")),
            // An answer is never answered.
            (r#"[3,"a",{"x":}]"#, None),
            (r#"[4,"a","#, None),
        ] {
            let error = read(text).expect_err(text);
            let reply = error.reply();
            assert_eq!(reply.map(|(id, _)| id.text().into_owned()).as_deref(), answered, "{text}");
            if let Some((_, code)) = reply {
                assert_eq!(code, ErrorCode::FormationViolation, "{text}");
            }
        }
    }

    #[test]
    fn a_broken_call_still_names_its_action() {
        for payload in ["{\"transactionId\":7,}", "{\"idTag\":\"raw \u{1}\"}", "{\"idT"] {
            let text = format!(r#"[2,"a","StopTransaction",{payload}]"#);
            let error = read(&text).expect_err(payload);
            assert_eq!(error.action.as_deref(), Some("StopTransaction"), "{payload}");
        }
    }

    #[test]
    fn a_broken_answer_still_names_the_call_it_belongs_to() {
        let error = read(r#"[3,"a",{"x":}]"#).unwrap_err();
        assert_eq!(error.message_type, Some(MessageType::Result));
        assert_eq!(error.id.unwrap().text(), "a");
    }
}

//! OCPP-J frames (OCPP-J 1.6 section 4): one JSON array in one WebSocket text message.
//!
//! Reading borrows from the text and tolerates what real chargers send: [`read`]. Writing is strict: [`write`].

mod error_code;
mod message_id;
pub mod read;
pub mod write;

pub use error_code::ErrorCode;
pub use message_id::MessageId;
pub use read::{Error, Fault, read};

use std::borrow::Cow;

use crate::json::Node;

/// The message type numbers of OCPP-J 1.6 section 4.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    Call = 2,
    Result = 3,
    Error = 4,
}

/// One message as it came from the peer.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    Call(Call<'a>),
    Result(CallResult<'a>),
    Error(CallError<'a>),
}

/// `[2, id, action, payload]`: the peer asks.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub id: MessageId<'a>,
    /// As sent; compare through `v16::Action::find`, which forgives odd case.
    pub action: Cow<'a, str>,
    /// [`Node::NULL`] if there was none.
    pub payload: Node<'a>,
}

/// `[3, id, payload]`: the peer answers.
#[derive(Clone, Debug)]
pub struct CallResult<'a> {
    pub id: MessageId<'a>,
    /// [`Node::NULL`] if there was none.
    pub payload: Node<'a>,
}

/// `[4, id, code, description, details]`: the peer could not answer.
#[derive(Clone, Debug)]
pub struct CallError<'a> {
    pub id: MessageId<'a>,
    /// The peer's word, which may be none of [`ErrorCode`]; empty if there was none.
    pub code: Cow<'a, str>,
    pub description: Cow<'a, str>,
    pub details: Node<'a>,
}

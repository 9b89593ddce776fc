use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::json::{Kind, Node};

/// The id that ties an answer to its call (OCPP-J 1.6 section 4.1.4), as the peer wrote it.
///
/// It goes back verbatim, a number as a number: what a charger compares it with is what it sent. Ids longer than the 36
/// characters of the specification are taken, too; the frame's limit bounds them. An id says nothing about whether a
/// message is a retry.
#[derive(Clone, Copy, Debug)]
pub struct MessageId<'a>(Node<'a>);

impl<'a> MessageId<'a> {
    /// `None` unless it is a string or a number.
    pub(super) fn from_node(node: Node<'a>) -> Option<Self> {
        matches!(node.kind(), Kind::Text | Kind::Number).then_some(Self(node))
    }

    /// For looking up the call that this answers, and for logs.
    pub fn text(&self) -> Cow<'a, str> {
        self.0.text()
    }
}

impl Serialize for MessageId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.raw().serialize(serializer)
    }
}

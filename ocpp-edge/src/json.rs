//! A borrowed view of a JSON value that is only looked into on demand.
//!
//! The frame's text is scanned once to find the value's ends; a level below is scanned when somebody asks for it. So a
//! StopTransaction of 500 KB costs time linear in its length (times its fixed depth) and copies no string without
//! escapes, numbers stay verbatim (`10.10` is not `10.1`), and a deeply nested value cannot exhaust the stack.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A syntactically complete JSON value inside the text of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a>(&'a RawValue);

/// What a [`Node`] is, told by its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

impl<'a> Node<'a> {
    /// What stands for a value that is not there.
    pub const NULL: Node<'static> = Node(RawValue::NULL);

    /// # Errors
    /// The text is not exactly one JSON value.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub fn kind(self) -> Kind {
        match self.0.get().as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The value exactly as it was sent.
    pub fn raw(self) -> &'a RawValue {
        self.0
    }

    /// The content of a string with its escapes resolved; any other value as its JSON text.
    ///
    /// A string whose escapes are no Unicode (a lone surrogate) keeps them unresolved: the text is for the record, and
    /// refusing it would help nobody.
    pub fn text(self) -> Cow<'a, str> {
        let json = self.0.get();
        if self.kind() != Kind::Text {
            return Cow::Borrowed(json);
        }
        let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json);
        if !inner.contains('\\') {
            return Cow::Borrowed(inner);
        }
        serde_json::from_str(json).map_or(Cow::Borrowed(inner), Cow::Owned)
    }

    /// The members of an object in their order, duplicates included; `None` if it is no object.
    pub fn members(self) -> Option<Vec<(Cow<'a, str>, Node<'a>)>> {
        serde_json::from_str::<Members<'a>>(self.0.get()).ok().map(|members| members.0)
    }

    /// The elements of an array; `None` if it is no array.
    pub fn items(self) -> Option<Vec<Node<'a>>> {
        serde_json::from_str::<Items<'a>>(self.0.get()).ok().map(|items| items.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(deserializer).map(Node)
    }
}

/// A member's name, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(Cow<'de, str>, Node<'de>)>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), node)) = map.next_entry()? {
                    members.push((name, node));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Members)
    }
}

struct Items<'a>(Vec<Node<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<Node<'de>>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(node) = seq.next_element()? {
                    items.push(node);
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(Collect).map(Items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_texts() {
        for (json, kind, text) in [
            ("null", Kind::Null, "null"),
            ("true", Kind::Bool, "true"),
            ("10.10", Kind::Number, "10.10"),
            ("-1", Kind::Number, "-1"),
            (r#""plain""#, Kind::Text, "plain"),
            (r#""tab\tand é""#, Kind::Text, "tab\tand é"),
            (r#""lone \ud800""#, Kind::Text, r"lone \ud800"),
            ("[1]", Kind::List, "[1]"),
            ("{}", Kind::Object, "{}"),
        ] {
            let node = Node::parse(json).unwrap();
            assert_eq!(node.kind(), kind, "{json}");
            assert_eq!(node.text(), text, "{json}");
        }
    }

    #[test]
    fn a_string_without_escapes_is_borrowed() {
        assert!(matches!(Node::parse(r#""AA""#).unwrap().text(), Cow::Borrowed("AA")));
    }

    #[test]
    fn deep_nesting_is_no_recursion() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let node = Node::parse(&deep).unwrap();
        assert_eq!(node.items().unwrap().len(), 1);
        assert!(node.members().is_none());
    }
}

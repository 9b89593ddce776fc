use std::borrow::Cow;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Deviation, Deviations, DeviceTime, Reading, Refused, What, Word, Words};
use crate::frame::ErrorCode;
use crate::json::{Kind, Node};

/// The fields of an object from the wire, each read as what it should be, noting where it is not.
///
/// `null` and the empty string are an absent field. Of a name that occurs twice the last counts, as in most JSON readers.
pub struct Fields<'a, 'd> {
    members: Vec<(Cow<'a, str>, Node<'a>)>,
    /// False if there was something else than an object, so that no field can be expected in it.
    is_object: bool,
    within: &'static str,
    deviations: &'d mut Deviations,
}

impl<'a, 'd> Fields<'a, 'd> {
    /// The payload of a message. Nothing (`null`, `""`, `[]`, no payload) is an object without fields; so is what is
    /// no object, and then [`Self::required`] refuses it as such.
    pub fn of_payload(payload: Node<'a>, deviations: &'d mut Deviations) -> Self {
        let members = payload.members();
        if members.is_none() {
            let is_nothing = matches!(payload.raw().get(), "null" | "\"\"" | "[]");
            deviations.note(Deviation {
                within: "",
                field: "payload",
                what: if is_nothing { What::Empty } else { What::Unreadable },
            });
            return Self { members: Vec::new(), is_object: is_nothing, within: "", deviations };
        }
        Self { members: members.unwrap_or_default(), is_object: true, within: "", deviations }
    }

    fn note(&mut self, field: &'static str, what: What) {
        self.deviations.note(Deviation { within: self.within, field, what });
    }

    /// Notes those of the fields that the specification demands and that are not there.
    pub fn expect(&mut self, fields: &[&'static str]) {
        for field in fields {
            if self.position(field).is_none() {
                self.note(field, What::Missing);
            }
        }
    }

    fn position(&self, field: &str) -> Option<usize> {
        self.members
            .iter()
            .rposition(|(name, _)| name == field)
            .or_else(|| self.members.iter().rposition(|(name, _)| name.eq_ignore_ascii_case(field)))
    }

    /// The field's value, whatever it is; `None` if it is absent, `null` or an empty string.
    pub fn node(&mut self, field: &'static str) -> Option<Node<'a>> {
        let (name, node) = &self.members[self.position(field)?];
        let (odd_case, node) = (name != field, *node);
        if odd_case {
            self.note(field, What::OddCase);
        }
        if node.kind() == Kind::Null || node.raw().get() == "\"\"" {
            self.note(field, What::Empty);
            return None;
        }
        Some(node)
    }

    /// A text of at most `max_chars`; a longer one is kept whole, another type as its JSON text.
    pub fn text(&mut self, field: &'static str, max_chars: usize) -> Option<Cow<'a, str>> {
        let node = self.node(field)?;
        if node.kind() != Kind::Text {
            self.note(field, What::WrongType);
        }
        let text = node.text();
        if text.len() > max_chars && text.chars().count() > max_chars {
            self.note(field, What::TooLong { max_chars });
        }
        Some(text)
    }

    /// A number as a decimal, also out of a string.
    pub fn decimal(&mut self, field: &'static str) -> Option<Decimal> {
        let node = self.node(field)?;
        let text = node.text();
        let text = text.trim();
        let number = text
            .parse()
            .or_else(|_| Decimal::from_scientific(text))
            .ok()
            .filter(|_| matches!(node.kind(), Kind::Number | Kind::Text));
        match number {
            None => self.note(field, What::Unreadable),
            Some(_) if node.kind() == Kind::Text => self.note(field, What::WrongType),
            Some(_) => {}
        }
        number
    }

    /// As [`Self::decimal`], for a field that should be an integer and in which decimals matter.
    pub fn quantity(&mut self, field: &'static str) -> Option<Decimal> {
        let number = self.decimal(field)?;
        if number.scale() > 0 {
            self.note(field, What::NotAnInteger);
        }
        Some(number.normalize())
    }

    /// An integer, also as `"10"` or `10.0`; one with other decimals than 0 is unreadable.
    pub fn integer(&mut self, field: &'static str) -> Option<i64> {
        let number = self.quantity(field)?;
        let integer = number.to_i64().filter(|_| number.is_integer());
        if integer.is_none() {
            self.note(field, What::Unreadable);
        }
        integer
    }

    /// As [`Self::integer`], for numbers that count something: a negative one is unreadable.
    pub fn ordinal(&mut self, field: &'static str) -> Option<u32> {
        let integer = self.integer(field)?;
        self.counted(field, integer)
    }

    /// What the field's integer counts.
    pub fn counted(&mut self, field: &'static str, integer: i64) -> Option<u32> {
        let ordinal = u32::try_from(integer).ok();
        if ordinal.is_none() {
            self.note(field, What::Unreadable);
        }
        ordinal
    }

    /// `true` or `false`, also as a string in any case.
    pub fn boolean(&mut self, field: &'static str) -> Option<bool> {
        let node = self.node(field)?;
        let boolean = match node.text().trim().to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        match boolean {
            None => self.note(field, What::Unreadable),
            Some(_) if node.kind() != Kind::Bool => self.note(field, What::WrongType),
            Some(_) => {}
        }
        boolean
    }

    pub fn time(&mut self, field: &'static str) -> Option<DeviceTime<'a>> {
        let time = DeviceTime::new(self.text(field, usize::MAX)?);
        match time.reading {
            Reading::Zoned(_) => {}
            Reading::Zoneless(_) => self.note(field, What::NoZone),
            Reading::Unreadable => self.note(field, What::NoTime),
        }
        Some(time)
    }

    pub fn word<E: Words>(&mut self, field: &'static str) -> Option<Word<'a, E>> {
        let text = self.text(field, usize::MAX)?;
        let known = E::find(text.trim());
        match known {
            None => self.note(field, What::UnknownWord),
            Some(word) if word.as_str() != text => self.note(field, What::OddCase),
            Some(_) => {}
        }
        Some(Word { text, known })
    }

    /// Reads the objects in a list, or the single object that stands in its place; what is no object is left out.
    pub fn objects<T>(
        &mut self,
        field: &'static str,
        mut read: impl FnMut(&mut Fields<'a, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = self.node(field) else {
            return Vec::new();
        };
        let items = node.items().unwrap_or_else(|| {
            self.note(field, What::NotAList);
            vec![node]
        });
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let Some(members) = item.members() else {
                self.note(field, What::Unreadable);
                continue;
            };
            values.extend(read(&mut Fields { members, is_object: true, within: field, deviations: self.deviations }));
        }
        values
    }

    /// The texts in a list.
    pub fn texts(&mut self, field: &'static str, max_chars: usize) -> Vec<Cow<'a, str>> {
        let Some(node) = self.node(field) else {
            return Vec::new();
        };
        let items = node.items().unwrap_or_else(|| {
            self.note(field, What::NotAList);
            vec![node]
        });
        let texts: Vec<_> = items.into_iter().map(Node::text).collect();
        if texts.iter().any(|text| text.chars().count() > max_chars) {
            self.note(field, What::TooLong { max_chars });
        }
        texts
    }

    /// Demands a field without which nothing can be done about the message.
    ///
    /// # Errors
    /// There was none, and why.
    pub fn required<T>(&self, field: &'static str, value: Option<T>) -> Result<T, Refused> {
        value.ok_or_else(|| {
            let is_there = self.position(field).is_some_and(|index| self.members[index].1.kind() != Kind::Null);
            Refused {
                code: match (self.is_object, is_there) {
                    (false, _) => ErrorCode::FormationViolation,
                    (true, false) => ErrorCode::OccurenceConstraintViolation,
                    (true, true) => ErrorCode::TypeConstraintViolation,
                },
                field,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(payload: &str, read: impl FnOnce(&mut Fields<'_, '_>) -> T) -> (T, Vec<What>) {
        let mut deviations = Deviations::default();
        let node = Node::parse(payload).unwrap();
        let value = read(&mut Fields::of_payload(node, &mut deviations));
        (value, deviations.iter().map(|d| d.what).collect())
    }

    #[test]
    fn integers() {
        for (json, expected, noted) in [
            ("10", Some(10), vec![]),
            ("-7", Some(-7), vec![]),
            ("10.0", Some(10), vec![What::NotAnInteger]),
            ("\"10\"", Some(10), vec![What::WrongType]),
            ("\" 10 \"", Some(10), vec![What::WrongType]),
            ("\"10.0\"", Some(10), vec![What::WrongType, What::NotAnInteger]),
            ("1e3", Some(1000), vec![]),
            ("10.5", None, vec![What::NotAnInteger, What::Unreadable]),
            ("\"ten\"", None, vec![What::Unreadable]),
            ("true", None, vec![What::Unreadable]),
            ("{}", None, vec![What::Unreadable]),
            ("99999999999999999999", None, vec![What::Unreadable]),
            ("1e400", None, vec![What::Unreadable]),
            ("1e4294967295", None, vec![What::Unreadable]),
            ("1e-4294967295", None, vec![What::Unreadable]),
            ("null", None, vec![What::Empty]),
            ("\"\"", None, vec![What::Empty]),
        ] {
            let read = with(&format!("{{\"n\":{json}}}"), |fields| fields.integer("n"));
            assert_eq!(read, (expected, noted), "{json}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(with(r#"{"n":1,"n":2}"#, |f| f.integer("n")).0, Some(2));
        assert_eq!(with(r#"{"N":1}"#, |f| f.integer("n")), (Some(1), vec![What::OddCase]));
        assert_eq!(with(r#"{"N":1,"n":2}"#, |f| f.integer("n")), (Some(2), vec![]));
    }

    #[test]
    fn payloads_that_are_no_objects() {
        for (payload, code) in [
            ("null", ErrorCode::OccurenceConstraintViolation),
            ("\"\"", ErrorCode::OccurenceConstraintViolation),
            ("[]", ErrorCode::OccurenceConstraintViolation),
            ("{}", ErrorCode::OccurenceConstraintViolation),
            (r#"{"n":null}"#, ErrorCode::OccurenceConstraintViolation),
            (r#"{"n":"x"}"#, ErrorCode::TypeConstraintViolation),
            ("[1]", ErrorCode::FormationViolation),
            ("7", ErrorCode::FormationViolation),
        ] {
            let (refused, _) = with(payload, |fields| {
                let n = fields.integer("n");
                fields.required("n", n)
            });
            assert_eq!(refused, Err(Refused { code, field: "n" }), "{payload}");
        }
    }

    #[test]
    fn the_same_deviation_is_noted_once() {
        let payload = format!("{{\"list\":[{}]}}", vec!["{\"n\":\"1\"}"; 1000].join(","));
        let (numbers, noted) = with(&payload, |fields| fields.objects("list", |item| item.integer("n")));
        assert_eq!((numbers.len(), noted), (1000, vec![What::WrongType]));
    }
}

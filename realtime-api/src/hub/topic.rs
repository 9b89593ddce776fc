//! What can be followed.

use domain::id::{ChargePointId, SessionId, TenantId};
use uuid::Uuid;

/// A topic as clients name it, split at the first colon only: identities of chargers may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicName<'t> {
    Charger(&'t str),
    Session(&'t str),
    Me,
    Fleet,
    Station(&'t str),
}

impl<'t> TopicName<'t> {
    pub fn parse(text: &'t str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "me" => Some(Self::Me),
            None if text == "fleet" => Some(Self::Fleet),
            Some(("charger", id)) if !id.is_empty() => Some(Self::Charger(id)),
            Some(("session", id)) if !id.is_empty() => Some(Self::Session(id)),
            Some(("station", id)) if !id.is_empty() => Some(Self::Station(id)),
            _ => None,
        }
    }
}

/// A topic by the identities of things, which names may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The public face of a charger.
    Charger(ChargePointId),
    Session(SessionId),
    /// A user's open sessions and unsettled commands.
    Me(Uuid),
    /// Every charger of a tenant, its open sessions and its unsettled commands.
    Fleet(TenantId),
    /// A charger with its open sessions and unsettled commands.
    Station(ChargePointId),
}

impl Topic {
    /// Whether resources come and go in it; otherwise it is one resource, which stays whatever becomes of it.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::Me(_) | Self::Fleet(_) | Self::Station(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_split_at_the_first_colon() {
        for (text, expected) in [
            ("charger:CP001", Some(TopicName::Charger("CP001"))),
            ("charger:DE:ABC:1", Some(TopicName::Charger("DE:ABC:1"))),
            ("session:x", Some(TopicName::Session("x"))),
            ("station: CP", Some(TopicName::Station(" CP"))),
            ("me", Some(TopicName::Me)),
            ("fleet", Some(TopicName::Fleet)),
            ("me:x", None),
            ("charger:", None),
            ("charger", None),
            ("", None),
            (":", None),
        ] {
            assert_eq!(TopicName::parse(text), expected, "{text}");
        }
    }
}

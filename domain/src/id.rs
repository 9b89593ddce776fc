//! Identities. Each is a type of its own, so that one can't be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one, ordered by time (UUIDv7).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

uuid_ids! {
    /// The organisation whose network it is. There is one by default, [`TenantId::DEFAULT`].
    TenantId,
    SiteId,
    /// The stream of a charge point. What the charger calls itself is its [`ChargePointIdentity`].
    ChargePointId,
    SessionId,
    /// A command, and the stream of a station command.
    CommandId,
    TokenId,
    /// A driver, who is also the account of the same id.
    DriverId,
    PlanId,
    TariffId,
    /// A recorded decision on whether, for whom and at whose cost a charge may happen.
    AuthorizationId,
}

impl TenantId {
    pub const DEFAULT: Self = Self(Uuid::from_u128(1));
}

/// The public name of an EVSE, the same for ever and whatever protocol its charger speaks: `<charge point id>.<evse id>`.
/// Clients treat it as opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvseUid {
    pub charge_point_id: ChargePointId,
    pub evse_id: EvseId,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such evse_uid")]
pub struct InvalidEvseUid;

impl fmt::Display for EvseUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.charge_point_id, self.evse_id)
    }
}

impl FromStr for EvseUid {
    type Err = InvalidEvseUid;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (charge_point, evse) = text.split_once('.').ok_or(InvalidEvseUid)?;
        Ok(Self {
            charge_point_id: charge_point.parse().map_err(|_| InvalidEvseUid)?,
            evse_id: EvseId(evse.parse().map_err(|_| InvalidEvseUid)?),
        })
    }
}

/// What a charger calls itself: 1–48 printable characters (OCPP 2.0.1 `identifierString` allows 48), unique in the
/// tenant, renameable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChargePointIdentity(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a charge point's identity has 1 to 48 printable characters, without '/' and control characters")]
pub struct InvalidIdentity;

impl ChargePointIdentity {
    pub const MAX_CHARS: usize = 48;

    pub fn parse(text: &str) -> Result<Self, InvalidIdentity> {
        let count = text.chars().count();
        let printable = |c: char| !c.is_control() && c != '/';
        if count == 0 || count > Self::MAX_CHARS || text.trim() != text || !text.chars().all(printable) {
            return Err(InvalidIdentity);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChargePointIdentity {
    type Error = InvalidIdentity;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ChargePointIdentity> for String {
    fn from(identity: ChargePointIdentity) -> Self {
        identity.0
    }
}

impl fmt::Display for ChargePointIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An EVSE of a charge point, from 1 (OCPP 2.0.1 part 1, the three-tier model). OCPP 1.6's connector n is EVSE n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvseId(pub u32);

/// A connector of an EVSE, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectorId(pub u32);

impl fmt::Display for EvseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an OCPP 1.6 charger calls one of its connectors, from 1; its 0 is the charge point itself. Which outlet that is,
/// [`crate::charge_point::ConnectorNumbers`] knows.
pub type ConnectorNumber = std::num::NonZeroU32;

/// One place to plug in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Outlet {
    /// The EVSE of the charge point, from 1.
    pub evse_id: EvseId,
    /// The connector of the EVSE, from 1.
    pub connector_id: ConnectorId,
}

impl Outlet {
    /// The outlet that an OCPP 1.6 charger calls connector `n`, where its connectors are not grouped.
    pub const fn of_v16_connector(n: ConnectorNumber) -> Self {
        Self { evse_id: EvseId(n.get()), connector_id: ConnectorId(1) }
    }

    /// An EVSE of its own, whose connector keeps its number.
    pub(crate) const fn numbered(n: ConnectorNumber) -> Self {
        Self { evse_id: EvseId(n.get()), connector_id: ConnectorId(n.get()) }
    }
}

/// The name of a transaction, unique with its charger: a positive 31-bit integer in OCPP 1.6, a string in 2.x.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub String);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The epoch of a charger's connection: the newest authenticated socket has the highest, and only its facts are taken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// A personal value, sealed under the key of a person or of an unowned token. Only `application` can open it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

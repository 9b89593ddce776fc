//! What a place to plug in is, and how it is.

use serde::{Deserialize, Serialize};

use crate::id::{ConnectorId, EvseId, Outlet};

/// Our own words for the status of an outlet; the raw OCPP word is kept beside each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutletStatus {
    /// Free.
    Available,
    /// Plugged in, or the driver has identified; not charging yet.
    Preparing,
    /// Energy flows, or may.
    Charging,
    /// The car or the charger has paused.
    Suspended,
    /// The transaction is over; the plug is still in.
    Finishing,
    /// Kept for somebody.
    Reserved,
    /// Taken out of service.
    Unavailable,
    /// Out of order.
    Faulted,
    /// OCPP 2.x: in use; what exactly, the transaction tells.
    Occupied,
    /// Offline, not refreshed since it came back, or a word of a later version.
    #[default]
    #[serde(other)]
    Unknown,
}

impl OutletStatus {
    /// From the words of OCPP 1.6 (ChargePointStatus) and 2.0.1 (ConnectorStatusEnumType), compared without case.
    pub fn from_ocpp(word: &str) -> Self {
        let known: [(&str, Self); 10] = [
            ("Available", Self::Available),
            ("Preparing", Self::Preparing),
            ("Charging", Self::Charging),
            ("SuspendedEV", Self::Suspended),
            ("SuspendedEVSE", Self::Suspended),
            ("Finishing", Self::Finishing),
            ("Reserved", Self::Reserved),
            ("Unavailable", Self::Unavailable),
            ("Faulted", Self::Faulted),
            ("Occupied", Self::Occupied),
        ];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map_or(Self::Unknown, |(_, status)| status)
    }

    pub const fn is_out_of_order(self) -> bool {
        matches!(self, Self::Faulted | Self::Unavailable)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Preparing => "preparing",
            Self::Charging => "charging",
            Self::Suspended => "suspended",
            Self::Finishing => "finishing",
            Self::Reserved => "reserved",
            Self::Unavailable => "unavailable",
            Self::Faulted => "faulted",
            Self::Occupied => "occupied",
            Self::Unknown => "unknown",
        }
    }
}

/// An EVSE as the operator describes it: one vehicle at a time, through one of its connectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evse {
    /// Its number at the charge point, from 1.
    pub evse_id: EvseId,
    /// Its connectors, of which one is used at a time.
    pub connectors: Vec<Connector>,
}

impl Evse {
    pub fn outlets(&self) -> impl Iterator<Item = Outlet> {
        let evse_id = self.evse_id;
        self.connectors.iter().map(move |connector| Outlet { evse_id, connector_id: connector.connector_id })
    }
}

/// A plug or socket of an EVSE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connector {
    /// Its number at the EVSE, from 1; where an operator grouped the connectors of an OCPP 1.6 charger, the charger's
    /// own number.
    pub connector_id: ConnectorId,
    /// The plug, in OCPI's words (`IEC_62196_T2`, `IEC_62196_T2_COMBO`, `CHADEMO`, …); null while nobody said.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The most that it gives, in W; null while nobody said.
    pub max_power_w: Option<u32>,
}

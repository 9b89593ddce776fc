//! The catalogue: every event there is, and what is the same for all.

use serde::de::Error as _;
use serde_json::Value;

use crate::charge_point::ChargePointEvent;
use crate::disclosure::DisclosureEvent;
use crate::driver::DriverEvent;
use crate::envelope::Retention;
use crate::log::LogEvent;
use crate::plan::PlanEvent;
use crate::published_tariff::TariffEvent;
use crate::read_model::ReadModelEvent;
use crate::session::SessionEvent;
use crate::site::SiteEvent;
use crate::station_command::StationCommandEvent;
use crate::token::TokenEvent;

macro_rules! catalogue {
    ($($kind:ident($event:ty)),+ $(,)?) => {
        /// What a stream is the history of. Its name is stored with each event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AggregateType {
            $($kind,)+
            /// Of a program that knows more than this one. Nothing is appended to it here.
            Unknown,
        }

        impl AggregateType {
            /// Those that this program knows.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)+ Self::Unknown => "Unknown" }
            }

            pub fn parse(name: &str) -> Option<Self> {
                match name { $(stringify!($kind) => Some(Self::$kind),)+ _ => None }
            }

            /// The types of event of this aggregate, with the newest version of each.
            pub const fn event_types(self) -> &'static [(&'static str, &'static str)] {
                match self { $(Self::$kind => <$event>::TYPES,)+ Self::Unknown => &[] }
            }
        }

        /// Any event. Its payload is stored as `{"<type>": {…}}`, so that cqrs-es reads it too.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event { $($kind($event)),+ }

        impl Event {
            pub const fn aggregate(&self) -> AggregateType {
                match self { $(Self::$kind(_) => AggregateType::$kind),+ }
            }

            pub const fn event_type(&self) -> &'static str {
                match self { $(Self::$kind(event) => event.name()),+ }
            }

            pub const fn event_version(&self) -> &'static str {
                match self { $(Self::$kind(event) => event.version()),+ }
            }

            /// The stored payload.
            pub fn to_json(&self) -> String {
                match self { $(Self::$kind(event) => serde_json::to_string(event)),+ }
                    .expect("events have string keys and finite numbers only")
            }

            /// From a stored payload of the newest version.
            pub fn from_json(aggregate: AggregateType, payload: &str) -> Result<Self, serde_json::Error> {
                match aggregate {
                    $(AggregateType::$kind => serde_json::from_str(payload).map(Self::$kind),)+
                    AggregateType::Unknown => Err(serde_json::Error::custom("its aggregate is not known")),
                }
            }

            /// From a payload that an upcaster has made.
            pub fn from_value(aggregate: AggregateType, payload: Value) -> Result<Self, serde_json::Error> {
                match aggregate {
                    $(AggregateType::$kind => serde_json::from_value(payload).map(Self::$kind),)+
                    AggregateType::Unknown => Err(serde_json::Error::custom("its aggregate is not known")),
                }
            }
        }
    };
}

catalogue! {
    Site(SiteEvent),
    ChargePoint(ChargePointEvent),
    StationCommand(StationCommandEvent),
    ChargingSession(SessionEvent),
    Token(TokenEvent),
    Driver(DriverEvent),
    Plan(PlanEvent),
    Tariff(TariffEvent),
    ReadModel(ReadModelEvent),
    Disclosure(DisclosureEvent),
    Log(LogEvent),
}

impl Event {
    /// How long it is kept.
    pub const fn retention(&self) -> Retention {
        match self {
            Self::ChargePoint(event) => event.retention(),
            Self::ChargingSession(event) => event.retention(),
            Self::Tariff(_) | Self::Plan(_) => Retention::Ledger,
            Self::Site(_)
            | Self::StationCommand(_)
            | Self::Token(_)
            | Self::Driver(_)
            | Self::ReadModel(_)
            | Self::Disclosure(_)
            | Self::Log(_) => Retention::Operational,
        }
    }
}

//! What stands around every event, whatever it says.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::clock::TimeSource;
use crate::id::{ChargePointId, DriverId, TenantId};

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    Driver,
    Operator,
    Charger,
    System,
    Partner,
}

impl ActorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Operator => "operator",
            Self::Charger => "charger",
            Self::System => "system",
            Self::Partner => "partner",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Driver, Self::Operator, Self::Charger, Self::System, Self::Partner]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for ActorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    pub kind: ActorKind,
    /// The id of the driver, account or charge point; of the system, the name of the part that acted.
    pub id: String,
}

impl Actor {
    pub fn driver(id: DriverId) -> Self {
        Self { kind: ActorKind::Driver, id: id.to_string() }
    }

    pub fn operator(account: Uuid) -> Self {
        Self { kind: ActorKind::Operator, id: account.to_string() }
    }

    pub fn charger(id: ChargePointId) -> Self {
        Self { kind: ActorKind::Charger, id: id.to_string() }
    }

    pub fn system(part: &'static str) -> Self {
        Self { kind: ActorKind::System, id: part.to_owned() }
    }
}

/// How long an event is kept, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// Money: ten years.
    Ledger,
    /// What happened to things and people: years.
    Operational,
    /// Meter values, repeated statuses, connections: months.
    Telemetry,
}

impl Retention {
    pub const ALL: [Self; 3] = [Self::Ledger, Self::Operational, Self::Telemetry];

    /// The number under which it is stored.
    pub const fn code(self) -> i16 {
        match self {
            Self::Ledger => 1,
            Self::Operational => 2,
            Self::Telemetry => 3,
        }
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Operational => "operational",
            Self::Telemetry => "telemetry",
        }
    }
}

/// The times of a charger's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportTimes {
    pub received_at: DateTime<Utc>,
    /// What the charger wrote, to the byte.
    pub device_at: Option<String>,
    /// When it happened, as far as can be told.
    pub occurred_at: Option<DateTime<Utc>>,
    pub source: TimeSource,
}

/// The envelope of an event. The position, sequence and `recorded_at` are added by the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub tenant_id: TenantId,
    pub actor: Actor,
    /// Why, in the actor's words, where one gave any.
    pub reason: Option<String>,
    /// The command or event that this follows from.
    pub causation_id: Option<Uuid>,
    /// What a person would call one affair: the session, or the command that began it.
    pub correlation_id: Option<Uuid>,
    /// W3C trace id, 32 hex digits: from the charger's socket to the phone.
    pub trace_id: Option<String>,
    /// Where a charger reported it.
    pub times: Option<ReportTimes>,
}

impl Envelope {
    pub fn new(tenant_id: TenantId, actor: Actor) -> Self {
        Self { tenant_id, actor, reason: None, causation_id: None, correlation_id: None, trace_id: None, times: None }
    }

    pub fn caused_by(mut self, id: Uuid) -> Self {
        self.causation_id = Some(id);
        self
    }

    pub fn correlated_with(mut self, id: Uuid) -> Self {
        self.correlation_id = Some(id);
        self
    }
}

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::aggregate::event_names;
use crate::charge_point::{Authorization, Limits};
use crate::envelope::Retention;
use crate::id::{ChargePointId, CommandId, ConnectorId, DriverId, EvseId, SessionId, TokenId, TransactionId};
use crate::meter::{MeterReading, SampledValue};
use crate::published_tariff::Pricing;
use crate::tariff::PricedSession;
use crate::word::{ChargingState, Flag, StopReason, TriggerReason};

/// Somebody asked for a charge; the charger has not begun it yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRequest {
    pub session_id: SessionId,
    pub charge_point_id: ChargePointId,
    pub evse_id: EvseId,
    pub connector_id: Option<ConnectorId>,
    pub command_id: CommandId,
    pub driver_id: Option<DriverId>,
    pub authorization: Authorization,
    /// The one-off idTag, hex, at most 20 characters, by which the transaction will be known.
    pub remote_tag: String,
    /// `remoteStartId` of OCPP 2.x.
    pub remote_start_id: i32,
    pub pricing: Option<Pricing>,
    pub requested_at: DateTime<Utc>,
    /// Not begun by then, the start has failed (not for ever: a transaction that comes later is taken, flagged).
    pub deadline_at: DateTime<Utc>,
}

/// The charger began a transaction. What it did not say is null, and may come later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionStarted {
    pub session_id: SessionId,
    pub charge_point_id: ChargePointId,
    pub evse_id: Option<EvseId>,
    pub connector_id: Option<ConnectorId>,
    pub transaction_id: TransactionId,
    /// `occurred_at`; null where no clock could be trusted.
    pub started_at: Option<DateTime<Utc>>,
    /// When it arrived here.
    pub received_at: DateTime<Utc>,
    pub meter_start_wh: Option<Decimal>,
    /// By which a retry is known: a hash of charger, connector, token, timestamp and meter.
    pub content_hash: Option<String>,
    /// What the outlet can give, where it is known: more is implausible.
    pub max_power_w: Option<u32>,
    pub token_id: Option<TokenId>,
    pub driver_id: Option<DriverId>,
    /// None where the request's holds.
    pub authorization: Option<Authorization>,
    /// None where the request's holds, or nothing is charged for.
    pub pricing: Option<Pricing>,
    pub remote_start_id: Option<i32>,
    pub seq_no: Option<i64>,
    pub trigger_reason: Option<TriggerReason>,
    pub charging_state: Option<ChargingState>,
    pub offline: bool,
    pub reservation_id: Option<i64>,
    pub limits: Limits,
    pub continues_session_id: Option<SessionId>,
    pub flags: Vec<Flag>,
}

/// A reading, and the moment that was decided for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "FlatReading")]
pub struct RecordedReading {
    /// Null where no clock could be trusted.
    pub occurred_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub reading: MeterReading,
}

/// As it is stored. Of all events most are readings, and `flatten` would read each of them twice.
#[derive(Deserialize)]
struct FlatReading {
    occurred_at: Option<DateTime<Utc>>,
    timestamp: String,
    device_at: Option<DateTime<Utc>>,
    sampled: Vec<SampledValue>,
}

impl From<FlatReading> for RecordedReading {
    fn from(FlatReading { occurred_at, timestamp, device_at, sampled }: FlatReading) -> Self {
        Self { occurred_at, reading: MeterReading { timestamp, device_at, sampled } }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedReadings {
    pub readings: Vec<RecordedReading>,
    /// By which a retry is known: a hash of transaction, values and timestamps.
    pub content_hash: String,
    pub seq_no: Option<i64>,
    /// When it arrived here.
    pub received_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionEnded {
    /// `occurred_at`; null where no clock could be trusted.
    pub stopped_at: Option<DateTime<Utc>>,
    pub received_at: DateTime<Utc>,
    pub meter_stop_wh: Option<Decimal>,
    pub stop_reason: StopReason,
    /// Who stopped it, where a token was shown.
    pub token_id: Option<TokenId>,
    pub seq_no: Option<i64>,
    pub flags: Vec<Flag>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SessionEvent {
    SessionRequested(Box<SessionRequest>),
    TransactionStarted(Box<TransactionStarted>),
    MeterValuesRecorded(RecordedReadings),
    ChargingStateChanged {
        charging_state: ChargingState,
        at: Option<DateTime<Utc>>,
    },
    StopRequested {
        command_id: CommandId,
        at: DateTime<Utc>,
    },
    /// The charger would not, or could not be asked; the session goes on.
    StopFailed {
        command_id: CommandId,
        detail: String,
    },
    TransactionEnded(TransactionEnded),
    /// The price from now on; a correction is a new revision.
    SessionPriced {
        revision: u32,
        priced: PricedSession,
    },
    /// The cable left: parking ends.
    Departed {
        at: DateTime<Utc>,
    },
    SessionFailed {
        code: String,
        detail: String,
        at: DateTime<Utc>,
    },
    SessionFlagged {
        flags: Vec<Flag>,
    },
    /// Its driver asked to start where it runs, and was answered with it.
    StartAnswered {
        command_id: CommandId,
    },
}

event_names!(SessionEvent {
    SessionRequested => "1",
    TransactionStarted => "1",
    MeterValuesRecorded => "1",
    ChargingStateChanged => "1",
    StopRequested => "1",
    StopFailed => "1",
    TransactionEnded => "1",
    SessionPriced => "1",
    Departed => "1",
    SessionFailed => "1",
    SessionFlagged => "1",
    StartAnswered => "1",
});

impl SessionEvent {
    pub const fn retention(&self) -> Retention {
        match self {
            Self::MeterValuesRecorded(_) | Self::ChargingStateChanged { .. } => Retention::Telemetry,
            Self::TransactionStarted(_)
            | Self::TransactionEnded(_)
            | Self::SessionPriced { .. }
            | Self::Departed { .. } => Retention::Ledger,
            Self::SessionRequested(_)
            | Self::StopRequested { .. }
            | Self::StopFailed { .. }
            | Self::SessionFailed { .. }
            | Self::SessionFlagged { .. }
            | Self::StartAnswered { .. } => Retention::Operational,
        }
    }
}

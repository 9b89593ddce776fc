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
    /// The session: the id of its stream.
    pub session_id: SessionId,
    /// Where to charge.
    pub charge_point_id: ChargePointId,
    /// At which EVSE, from 1.
    pub evse_id: EvseId,
    /// Through which connector of the EVSE, from 1; null: any.
    pub connector_id: Option<ConnectorId>,
    /// The command that asked for it, and that the charger is sent.
    pub command_id: CommandId,
    /// Who charges; null where an operator started it for nobody.
    pub driver_id: Option<DriverId>,
    /// The decision by which it may be.
    pub authorization: Authorization,
    /// The one-off idTag, hex, at most 20 characters, by which the transaction will be known.
    pub remote_tag: String,
    /// `remoteStartId` of OCPP 2.x; in 1.6 the charger is not told it.
    pub remote_start_id: i32,
    /// What it is priced by; null: nothing is charged for.
    pub pricing: Option<Pricing>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// Not begun by then, the start has failed (not for ever: a transaction that comes later is taken, flagged).
    pub deadline_at: DateTime<Utc>,
}

/// The charger began a transaction. What it did not say is null, and may come later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionStarted {
    /// The session: the id of its stream.
    pub session_id: SessionId,
    /// The charge point where it began.
    pub charge_point_id: ChargePointId,
    /// At which EVSE, from 1.
    pub evse_id: Option<EvseId>,
    /// Through which connector of the EVSE, from 1.
    pub connector_id: Option<ConnectorId>,
    /// The name of the transaction, unique with its charger: a positive 31-bit integer as text in OCPP 1.6.
    pub transaction_id: TransactionId,
    /// When it began (`occurred_at`); null where no clock could be trusted.
    pub started_at: Option<DateTime<Utc>>,
    /// When it arrived here.
    pub received_at: DateTime<Utc>,
    /// What the meter showed when it began, in Wh.
    pub meter_start_wh: Option<Decimal>,
    /// By which a retry is known: a hash of charger, connector, token, timestamp and meter.
    pub content_hash: Option<String>,
    /// What the outlet can give, in W, where it is known: more is implausible.
    pub max_power_w: Option<u32>,
    /// The token that was shown; null for a start from an app.
    pub token_id: Option<TokenId>,
    /// Who charges and pays.
    pub driver_id: Option<DriverId>,
    /// The decision by which it may be; null where the request's holds.
    pub authorization: Option<Authorization>,
    /// What it is priced by; null where the request's holds, or nothing is charged for.
    pub pricing: Option<Pricing>,
    /// `remoteStartId` of OCPP 2.x.
    pub remote_start_id: Option<i32>,
    /// `seqNo` of OCPP 2.x: the number of the report within its transaction.
    pub seq_no: Option<i64>,
    /// Why it was reported: `triggerReason` of OCPP 2.0.1.
    pub trigger_reason: Option<TriggerReason>,
    /// The charging state when it began.
    pub charging_state: Option<ChargingState>,
    /// Whether it began while the charger was offline.
    pub offline: bool,
    /// The reservation that it uses.
    pub reservation_id: Option<i64>,
    /// Where it must end by itself.
    pub limits: Limits,
    /// The session that this one goes on with.
    pub continues_session_id: Option<SessionId>,
    /// What does not fit, for people to look at.
    pub flags: Vec<Flag>,
}

/// A meter reading, and the moment that was decided for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "FlatReading")]
pub struct RecordedReading {
    /// When it was measured, by the charger's corrected clock; null where no clock could be trusted.
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
    /// The readings, in the order in which they were sent.
    pub readings: Vec<RecordedReading>,
    /// By which a retry is known: a hash of transaction, values and timestamps.
    pub content_hash: String,
    /// `seqNo` of OCPP 2.x: the number of the report within its transaction; null in 1.6.
    pub seq_no: Option<i64>,
    /// When it arrived here.
    pub received_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionEnded {
    /// When it ended (`occurred_at`); null where no clock could be trusted.
    pub stopped_at: Option<DateTime<Utc>>,
    /// When that arrived here, or was concluded.
    pub received_at: DateTime<Utc>,
    /// What the meter showed when it ended, in Wh; null where the charger did not say.
    pub meter_stop_wh: Option<Decimal>,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// The token of who stopped it; null where none was shown.
    pub token_id: Option<TokenId>,
    /// `seqNo` of OCPP 2.x: the number of the report within its transaction; null in 1.6.
    pub seq_no: Option<i64>,
    /// What does not fit, for people to look at.
    pub flags: Vec<Flag>,
}

/// What happens in a session: asked for, charging, ended, priced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SessionEvent {
    /// Somebody asked for a charge; the charger has not begun it yet.
    SessionRequested(Box<SessionRequest>),
    /// The charger began a transaction, with a request or without one. What it did not say is null.
    TransactionStarted(Box<TransactionStarted>),
    /// The charger sent meter values of the session, live or kept while it was offline.
    MeterValuesRecorded(RecordedReadings),
    /// Whether energy flows changed: the car or the charger paused, or goes on.
    ChargingStateChanged {
        /// The charging state from now on.
        charging_state: ChargingState,
        /// Since when (`occurred_at`); null where no clock could be trusted.
        at: Option<DateTime<Utc>>,
    },
    /// Somebody asked to stop it; the charger has not done so yet.
    StopRequested {
        /// The command that asks the charger.
        command_id: CommandId,
        /// When it was asked.
        at: DateTime<Utc>,
    },
    /// The charger would not stop it, or could not be asked; the session goes on.
    StopFailed {
        /// The command that came to nothing.
        command_id: CommandId,
        /// Why, in words.
        detail: String,
    },
    /// The charger ended the transaction, or it is taken for ended (flag `presumed_ended`); what the charger says of
    /// that later, counts.
    TransactionEnded(TransactionEnded),
    /// The price of the session once it has ended. Whatever changes it later is a new revision.
    SessionPriced {
        /// The number of the price within the session, from 1: the highest counts.
        revision: u32,
        /// The price and how it comes about.
        priced: PricedSession,
    },
    /// The cable left the car after the charge: parking ends.
    Departed {
        /// When it left.
        at: DateTime<Utc>,
    },
    /// The session did not begin. Should its transaction come after all, it is taken, flagged.
    SessionFailed {
        /// Why, as a word for programs, such as `start-timed-out` or `cancelled`.
        code: String,
        /// Why, in words.
        detail: String,
        /// When that was concluded.
        at: DateTime<Utc>,
    },
    /// Something of the session does not fit, for people to look at.
    SessionFlagged {
        /// What does not fit; added to the flags it has.
        flags: Vec<Flag>,
    },
    /// Its driver asked to start where it runs, and was answered with it.
    StartAnswered {
        /// The command that asked.
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

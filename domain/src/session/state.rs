use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::event::{RecordedReadings, SessionEvent, SessionRequest, TransactionEnded, TransactionStarted};
use crate::charge_point::{Authorization, Limits};
use crate::id::{ChargePointId, CommandId, ConnectorId, DriverId, EvseId, SessionId, TokenId, TransactionId};
use crate::meter::{EnergyMeter, MeterFlag};
use crate::published_tariff::Pricing;
use crate::tariff::{ChargeFacts, PricedSession, price};
use crate::word::{ChargingState, Flag, StopReason};

/// Reports of readings remembered to know a retry by. A charger repeats its last messages, not its first.
const READING_HASHES_MAX: usize = 32;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    #[default]
    Requested,
    Active,
    /// A stop was asked for and is not yet reported.
    Stopping,
    Completed,
    Failed,
}

impl SessionState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Stopping => "stopping",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub detail: String,
}

/// The state of a session, and the row of its read model.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChargingSession {
    pub session_id: Option<SessionId>,
    pub charge_point_id: Option<ChargePointId>,
    pub evse_id: Option<EvseId>,
    pub connector_id: Option<ConnectorId>,
    pub transaction_id: Option<TransactionId>,
    pub state: SessionState,
    pub charging_state: Option<ChargingState>,
    pub driver_id: Option<DriverId>,
    pub token_id: Option<TokenId>,
    /// Whose tokens may stop it.
    pub group: Option<String>,
    pub authorization: Option<Authorization>,
    pub pricing: Option<Pricing>,
    pub limits: Limits,

    pub command_id: Option<CommandId>,
    pub remote_tag: Option<String>,
    pub requested_at: Option<DateTime<Utc>>,
    pub deadline_at: Option<DateTime<Utc>>,
    pub stop_command_id: Option<CommandId>,
    /// Of a session that nobody had asked for: the command that was answered with it.
    #[serde(default)]
    answered_command_id: Option<CommandId>,

    pub started_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub departed_at: Option<DateTime<Utc>>,
    pub stop_reason: Option<StopReason>,
    /// When its charger was last heard of it: by our clock.
    pub heard_at: Option<DateTime<Utc>>,
    pub seq_no: Option<i64>,

    pub meter: EnergyMeter,
    pub facts: ChargeFacts,
    pub max_power_w: Option<u32>,
    pub power_w: Option<Decimal>,
    pub soc_percent: Option<Decimal>,
    pub metered_at: Option<DateTime<Utc>>,
    /// Of the report that it started with.
    pub start_hash: Option<String>,
    reading_hashes: VecDeque<String>,

    pub price_revision: u32,
    pub final_price: Option<PricedSession>,
    pub failure: Option<Failure>,
    pub flags: Vec<Flag>,
}

impl ChargingSession {
    pub fn is_open(&self) -> bool {
        self.session_id.is_some() && !self.state.is_over()
    }

    /// The command by which a start that is answered with this session can be followed.
    pub fn answering_command_id(&self) -> Option<CommandId> {
        self.command_id.or(self.answered_command_id)
    }

    /// Imported by the car, in Wh; none is unknown.
    pub fn energy_wh(&self) -> Option<Decimal> {
        self.meter.energy_wh()
    }

    /// Whether readings of this content were recorded: then it is a retry.
    pub fn has_readings(&self, content_hash: &str) -> bool {
        self.reading_hashes.iter().any(|hash| hash == content_hash)
    }

    /// What it costs as of its last event; none where no tariff holds, or nothing has begun.
    pub fn price(&self) -> Option<PricedSession> {
        let pricing = self.pricing.as_ref().filter(|_| self.transaction_id.is_some())?;
        let mut priced = price(&pricing.tariff, pricing.time_zone, &self.facts);
        priced.estimated |= self.flags.iter().any(Flag::casts_doubt);
        Some(priced)
    }

    /// Closed by conclusion, and its Stop has not come.
    pub fn is_presumed_ended(&self) -> bool {
        self.state == SessionState::Completed
            && self.flags.contains(&Flag::PRESUMED_ENDED)
            && !self.flags.contains(&Flag::REOPENED)
    }

    /// As [`apply`](cqrs_es::Aggregate::apply), for who keeps the event: most are readings, which need not be copied.
    pub fn observe(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::MeterValuesRecorded(readings) => self.recorded(readings),
            other => self.apply_event(other.clone()),
        }
    }

    pub(super) fn apply_event(&mut self, event: SessionEvent) {
        use SessionEvent as Event;
        match event {
            Event::SessionRequested(request) => self.requested(*request),
            Event::TransactionStarted(started) => self.started(*started),
            Event::MeterValuesRecorded(readings) => self.recorded(&readings),
            Event::ChargingStateChanged { charging_state, at } => {
                self.charging_state = Some(charging_state);
                self.heard_at = self.heard_at.max(at);
                if let Some(at) = at {
                    self.facts.observe(at);
                }
            }
            Event::StopRequested { command_id, .. } => {
                self.state = SessionState::Stopping;
                self.stop_command_id = Some(command_id);
            }
            Event::StopFailed { .. } => {
                if self.state == SessionState::Stopping {
                    self.state = SessionState::Active;
                }
                self.stop_command_id = None;
            }
            Event::TransactionEnded(ended) => self.ended(ended),
            Event::SessionPriced { revision, priced } => {
                self.price_revision = revision;
                self.final_price = Some(priced);
            }
            Event::Departed { at } => {
                self.departed_at = Some(at);
                self.facts.depart(at);
            }
            Event::SessionFailed { code, detail, .. } => {
                self.state = SessionState::Failed;
                self.failure = Some(Failure { code, detail });
            }
            Event::SessionFlagged { flags } => self.flag(flags),
            Event::StartAnswered { command_id } => self.answered_command_id = Some(command_id),
        }
    }

    fn requested(&mut self, request: SessionRequest) {
        self.session_id = Some(request.session_id);
        self.charge_point_id = Some(request.charge_point_id);
        self.evse_id = Some(request.evse_id);
        self.connector_id = request.connector_id;
        self.command_id = Some(request.command_id);
        self.driver_id = request.driver_id;
        self.group = request.authorization.group.clone();
        self.token_id = request.authorization.token_id;
        self.limits = request.authorization.limits.clone();
        self.authorization = Some(request.authorization);
        self.pricing = request.pricing;
        self.remote_tag = Some(request.remote_tag);
        self.requested_at = Some(request.requested_at);
        self.deadline_at = Some(request.deadline_at);
    }

    fn started(&mut self, started: TransactionStarted) {
        self.session_id = Some(started.session_id);
        self.charge_point_id = Some(started.charge_point_id);
        self.evse_id = started.evse_id.or(self.evse_id);
        self.connector_id = started.connector_id.or(self.connector_id);
        self.transaction_id = Some(started.transaction_id);
        self.state = SessionState::Active;
        self.failure = None;
        self.charging_state = started.charging_state.or(self.charging_state.take());
        self.driver_id = started.driver_id.or(self.driver_id);
        self.token_id = started.token_id.or(self.token_id);
        if let Some(authorization) = started.authorization {
            self.group = authorization.group.clone();
            self.authorization = Some(authorization);
        }
        self.pricing = started.pricing.or(self.pricing.take());
        self.limits = started.limits.or(std::mem::take(&mut self.limits));
        self.started_at = started.started_at;
        self.heard_at = self.heard_at.max(Some(started.received_at));
        self.seq_no = started.seq_no.or(self.seq_no);
        self.start_hash = started.content_hash;
        self.max_power_w = started.max_power_w;
        self.meter.start(started.started_at, started.meter_start_wh);
        // Readings may have come before it.
        self.facts.set_started_at(started.started_at);
        self.flag(started.flags);
        self.take_energy(started.started_at, None);
    }

    fn recorded(&mut self, recorded: &RecordedReadings) {
        if self.reading_hashes.len() == READING_HASHES_MAX {
            self.reading_hashes.pop_front();
        }
        self.reading_hashes.push_back(recorded.content_hash.clone());
        self.heard_at = self.heard_at.max(Some(recorded.received_at));
        self.seq_no = recorded.seq_no.or(self.seq_no);
        for reading in &recorded.readings {
            let measured = reading.reading.measured();
            let then = self.meter.observe(reading.occurred_at, &measured, self.max_power_w);
            self.take_energy(reading.occurred_at, then);
            // A late reading must not replace what is known of now.
            if reading.occurred_at >= self.metered_at || reading.occurred_at.is_none() {
                // Nor one that comes after the stop make it charge again.
                self.power_w = measured.power_w.or(self.power_w).filter(|_| !self.state.is_over());
                self.soc_percent = measured.soc_percent.or(self.soc_percent);
                self.metered_at = reading.occurred_at.or(self.metered_at);
            }
        }
    }

    fn ended(&mut self, ended: TransactionEnded) {
        self.state = SessionState::Completed;
        self.charging_state = None;
        self.power_w = None;
        self.stopped_at = ended.stopped_at;
        self.stop_reason = Some(ended.stop_reason);
        self.heard_at = self.heard_at.max(Some(ended.received_at));
        self.seq_no = ended.seq_no.or(self.seq_no);
        let then = self.meter.stop(ended.stopped_at, ended.meter_stop_wh, self.max_power_w);
        self.facts.reopen();
        self.take_energy(ended.stopped_at, then);
        self.facts.stop(ended.stopped_at);
        if let Some(departed_at) = self.departed_at {
            self.facts.depart(departed_at);
        }
        self.flag(ended.flags);
    }

    /// What pricing is to know of a moment: the energy at it, where that is known, and the newest total.
    fn take_energy(&mut self, at: Option<DateTime<Utc>>, then: Option<Decimal>) {
        let tariff = self.pricing.as_ref().map(|pricing| (&pricing.tariff, pricing.time_zone));
        self.facts.record(at, then, self.meter.energy_wh(), tariff);
        let seen = self.meter.flags().iter().map(|flag| match flag {
            MeterFlag::RegisterReset => Flag::METER_RESET,
            MeterFlag::ImplausibleStart | MeterFlag::ImplausibleJump | MeterFlag::StopBelowStart => {
                Flag::IMPLAUSIBLE_METER
            }
        });
        let seen: Vec<_> = seen.collect();
        self.flag(seen);
    }

    fn flag(&mut self, flags: Vec<Flag>) {
        for flag in flags {
            if !self.flags.contains(&flag) {
                self.flags.push(flag);
            }
        }
    }
}

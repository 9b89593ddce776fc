use chrono::{DateTime, Utc};

use super::event::{RecordedReadings, SessionEvent, SessionRequest, TransactionEnded, TransactionStarted};
use super::state::{ChargingSession, SessionState};
use crate::aggregate::{Decide, aggregate};
use crate::event::AggregateType;
use crate::id::CommandId;
use crate::refusal::Refusal;
use crate::word::{ChargingState, Flag, StopReason};

#[derive(Debug, Clone)]
pub enum SessionCommand {
    Request(Box<SessionRequest>),
    /// Refused when the session is over.
    RequestStop {
        command_id: CommandId,
        at: DateTime<Utc>,
    },
    /// Somebody wants to start what runs already: the command that they can follow, unless there is one.
    AnswerStart {
        command_id: CommandId,
    },

    // What follows is reported or concluded, and never refused.
    StartTransaction(Box<TransactionStarted>),
    RecordReadings(RecordedReadings),
    ReportChargingState {
        charging_state: ChargingState,
        at: Option<DateTime<Utc>>,
    },
    EndTransaction(TransactionEnd),
    /// The start came to nothing.
    FailStart {
        code: &'static str,
        detail: String,
        at: DateTime<Utc>,
    },
    FailStop {
        command_id: CommandId,
        detail: String,
    },
    /// It was silent too long, or its EVSE has a newer transaction.
    PresumeEnded {
        at: DateTime<Utc>,
    },
    Depart {
        at: DateTime<Utc>,
    },
}

/// The code of a start that was taken back before it began.
const CANCELLED: &str = "cancelled";

/// A StopTransaction, or the last TransactionEvent.
#[derive(Debug, Clone)]
pub struct TransactionEnd {
    pub ended: TransactionEnded,
    /// Readings that came with it.
    pub readings: Vec<RecordedReadings>,
}

impl Decide for ChargingSession {
    const AGGREGATE: AggregateType = AggregateType::ChargingSession;
    const FOLD_VERSION: i32 = 2;

    fn decide(&self, command: SessionCommand) -> Result<Vec<SessionEvent>, Refusal> {
        use SessionCommand as Command;
        match command {
            Command::Request(request) if self.session_id.is_none() => Ok(vec![SessionEvent::SessionRequested(request)]),
            Command::Request(_) => Err(Refusal::AlreadyExists("The session exists already.")),
            Command::StartTransaction(started) => Ok(self.start(started)),
            _ if self.session_id.is_none() => Err(Refusal::SessionUnknown),
            Command::AnswerStart { .. } if self.answering_command_id().is_some() => Ok(vec![]),
            Command::AnswerStart { command_id } => Ok(vec![SessionEvent::StartAnswered { command_id }]),
            Command::RequestStop { command_id, at } => self.request_stop(command_id, at),
            Command::RecordReadings(readings) => Ok(self.record(readings)),
            Command::ReportChargingState { charging_state, .. }
                if self.charging_state.as_ref() == Some(&charging_state) || !self.is_open() =>
            {
                Ok(vec![])
            }
            Command::ReportChargingState { charging_state, at } => {
                Ok(vec![SessionEvent::ChargingStateChanged { charging_state, at }])
            }
            Command::EndTransaction(end) => Ok(self.end(end)),
            Command::FailStart { code, detail, at } if self.state == SessionState::Requested => {
                Ok(vec![SessionEvent::SessionFailed { code: code.to_owned(), detail, at }])
            }
            Command::FailStart { .. } => Ok(vec![]),
            Command::FailStop { command_id, detail } if self.stop_command_id == Some(command_id) && self.is_open() => {
                Ok(vec![SessionEvent::StopFailed { command_id, detail }])
            }
            Command::FailStop { .. } => Ok(vec![]),
            Command::PresumeEnded { at } => Ok(self.presume_ended(at)),
            Command::Depart { at } => Ok(self.depart(at)),
        }
    }
}

impl ChargingSession {
    fn start(&self, mut started: Box<TransactionStarted>) -> Vec<SessionEvent> {
        if self.transaction_id.is_some() {
            return vec![];
        }
        if self.state == SessionState::Failed && self.session_id.is_some() {
            started.flags.push(Flag::LATE_START);
            if self.failure.as_ref().is_some_and(|failure| failure.code == CANCELLED) {
                started.flags.push(Flag::CANCELLED);
            }
        }
        vec![SessionEvent::TransactionStarted(started)]
    }

    fn request_stop(&self, command_id: CommandId, at: DateTime<Utc>) -> Result<Vec<SessionEvent>, Refusal> {
        match self.state {
            SessionState::Requested => Ok(vec![SessionEvent::SessionFailed {
                code: CANCELLED.to_owned(),
                detail: "The start was cancelled before charging began.".to_owned(),
                at,
            }]),
            SessionState::Active => Ok(vec![SessionEvent::StopRequested { command_id, at }]),
            // Asked for already: that request is this one's answer.
            SessionState::Stopping => Ok(vec![]),
            SessionState::Completed | SessionState::Failed => Err(Refusal::SessionOver),
        }
    }

    fn record(&self, readings: RecordedReadings) -> Vec<SessionEvent> {
        if self.has_readings(&readings.content_hash) {
            return vec![];
        }
        let after_stop = self.state == SessionState::Completed && !self.is_presumed_ended();
        let first_after = after_stop && !self.flags.contains(&Flag::READINGS_AFTER_STOP);
        let flagged = first_after.then(|| SessionEvent::SessionFlagged { flags: vec![Flag::READINGS_AFTER_STOP] });
        self.priced([SessionEvent::MeterValuesRecorded(readings)].into_iter().chain(flagged).collect())
    }

    fn end(&self, TransactionEnd { mut ended, readings }: TransactionEnd) -> Vec<SessionEvent> {
        if self.state == SessionState::Completed && !self.is_presumed_ended() {
            let first = !self.flags.contains(&Flag::STOPPED_TWICE);
            let flagged = first.then(|| SessionEvent::SessionFlagged { flags: vec![Flag::STOPPED_TWICE] });
            return self.priced(flagged.into_iter().collect());
        }
        if self.is_presumed_ended() {
            ended.flags.push(Flag::REOPENED);
        }
        let readings = readings.into_iter().filter(|readings| !self.has_readings(&readings.content_hash));
        let events =
            readings.map(SessionEvent::MeterValuesRecorded).chain([SessionEvent::TransactionEnded(ended)]).collect();
        self.priced(events)
    }

    fn presume_ended(&self, at: DateTime<Utc>) -> Vec<SessionEvent> {
        if !matches!(self.state, SessionState::Active | SessionState::Stopping) {
            return vec![];
        }
        let ended = TransactionEnded {
            // The last moment at which anything was seen of it: what came after is not billed.
            stopped_at: self.facts.observed_until(),
            received_at: at,
            meter_stop_wh: None,
            stop_reason: StopReason::OTHER,
            token_id: None,
            seq_no: None,
            flags: vec![Flag::PRESUMED_ENDED],
        };
        self.priced(vec![SessionEvent::TransactionEnded(ended)])
    }

    fn depart(&self, at: DateTime<Utc>) -> Vec<SessionEvent> {
        if self.state != SessionState::Completed || self.departed_at.is_some() {
            return vec![];
        }
        self.priced(vec![SessionEvent::Departed { at }])
    }

    /// The events, and a new revision of the price where they end the transaction or change what it costs.
    fn priced(&self, mut events: Vec<SessionEvent>) -> Vec<SessionEvent> {
        let mut after = self.clone();
        for event in &events {
            after.apply_event(event.clone());
        }
        if after.state != SessionState::Completed {
            return events;
        }
        let price = after.price();
        if let Some(priced) = price.filter(|priced| self.final_price.as_ref() != Some(priced)) {
            events.push(SessionEvent::SessionPriced { revision: self.price_revision + 1, priced });
        }
        events
    }
}

aggregate!(ChargingSession, SessionCommand, SessionEvent, ChargingSession);

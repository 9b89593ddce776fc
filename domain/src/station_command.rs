//! What a charger is asked to do: a short stream of its own, requested → sent → accepted → done, or one of the other ends.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::id::{ChargePointId, CommandId, Outlet, SessionId, TransactionId};
use crate::refusal::Refusal;

/// What is asked of the charger, in no protocol's words: it is told in those of its version.
///
/// `O` is how it names an outlet: those who ask, and the charger, do it by a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StationAction<O = Outlet> {
    /// Begin a transaction.
    RemoteStart {
        /// Where to begin.
        outlet: O,
        /// The one-off idTag of the transaction, hex, at most 20 characters.
        tag: String,
        /// `remoteStartId` of OCPP 2.x; in 1.6 the charger is not told it.
        remote_start_id: i32,
        /// The group whose tokens may stop it; null: none.
        group: Option<String>,
    },
    /// End a transaction.
    RemoteStop {
        /// Which, by the name it has with its charger.
        transaction_id: TransactionId,
    },
    /// Boot anew.
    Reset {
        /// Whether to boot at once, and not when what runs has ended in an orderly way.
        hard: bool,
    },
    /// Let go of a plug.
    UnlockConnector {
        /// Whose plug.
        outlet: O,
    },
    /// Be available for charging, or not.
    ChangeAvailability {
        /// Which outlet; null: the whole charge point.
        outlet: Option<O>,
        /// Whether it is to be available.
        operative: bool,
    },
    /// Tell how it is configured.
    GetConfiguration {
        /// The names of settings; empty: all there are.
        keys: Vec<String>,
    },
    /// Change a setting.
    ChangeConfiguration {
        /// The name of the setting.
        key: String,
        /// What it is to be.
        value: String,
    },
    /// Send a message.
    TriggerMessage {
        /// OCPP's name of the message.
        requested_message: String,
        /// Of which outlet; null: of the charge point.
        outlet: Option<O>,
    },
    /// Forget which tokens it knows.
    ClearCache {},
}

impl<O> StationAction<O> {
    /// The same with its outlet named otherwise.
    pub fn with_outlet<P>(self, named: impl FnOnce(O) -> P) -> StationAction<P> {
        match self {
            Self::RemoteStart { outlet, tag, remote_start_id, group } => {
                StationAction::RemoteStart { outlet: named(outlet), tag, remote_start_id, group }
            }
            Self::RemoteStop { transaction_id } => StationAction::RemoteStop { transaction_id },
            Self::Reset { hard } => StationAction::Reset { hard },
            Self::UnlockConnector { outlet } => StationAction::UnlockConnector { outlet: named(outlet) },
            Self::ChangeAvailability { outlet, operative } => {
                StationAction::ChangeAvailability { outlet: outlet.map(named), operative }
            }
            Self::GetConfiguration { keys } => StationAction::GetConfiguration { keys },
            Self::ChangeConfiguration { key, value } => StationAction::ChangeConfiguration { key, value },
            Self::TriggerMessage { requested_message, outlet } => {
                StationAction::TriggerMessage { requested_message, outlet: outlet.map(named) }
            }
            Self::ClearCache {} => StationAction::ClearCache {},
        }
    }

    /// Whether something is to be seen after the charger has accepted; otherwise accepted is done.
    pub const fn has_effect_to_await(&self) -> bool {
        matches!(self, Self::RemoteStart { .. } | Self::RemoteStop { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StationRequest {
    /// The command: the id of its stream.
    pub command_id: CommandId,
    /// Which charge point is asked.
    pub charge_point_id: ChargePointId,
    /// What it is for those who asked: `start_charging`, `stop_charging`, `reset`, …
    pub kind: String,
    /// What is asked.
    pub action: StationAction,
    /// The session that it starts or stops; null where it is about none.
    pub session_id: Option<SessionId>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// Not sent by then, it never will be.
    pub expires_at: DateTime<Utc>,
}

/// What becomes of something that a charger is asked to do: requested, sent, accepted, done, or one of the other ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StationCommandEvent {
    /// A charger is to be asked for something, by a person or by the platform.
    StationCommandRequested(StationRequest),
    /// It is about to be sent: appended before the frame is written, so that what was sent is never sent twice.
    StationCommandSent {
        /// Until when the charger's answer is waited for.
        answer_until: DateTime<Utc>,
    },
    /// The charger said that it will.
    StationCommandAccepted {
        /// The charger's answer as OCPP has it, without the values of secret settings.
        answer: Value,
    },
    /// The effect was seen; or there is none to be seen.
    StationCommandDone {},
    /// The charger said that it won't.
    StationCommandRejected {
        /// The charger's answer as OCPP has it.
        answer: Value,
        /// Why, in the charger's word.
        reason: String,
    },
    /// It could not be said, was answered by an error, lost its connection, or its session ended otherwise.
    StationCommandFailed {
        /// Why, in words.
        reason: String,
    },
    /// No answer in time.
    StationCommandTimedOut {},
    /// Never sent, and too late now.
    StationCommandExpired {},
}

event_names!(StationCommandEvent {
    StationCommandRequested => "1",
    StationCommandSent => "1",
    StationCommandAccepted => "1",
    StationCommandDone => "1",
    StationCommandRejected => "1",
    StationCommandFailed => "1",
    StationCommandTimedOut => "1",
    StationCommandExpired => "1",
});

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    #[default]
    Requested,
    Sent,
    Accepted,
    Done,
    Rejected,
    Failed,
    TimedOut,
    Expired,
}

impl CommandState {
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Rejected | Self::Failed | Self::TimedOut | Self::Expired)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Expired => "expired",
        }
    }
}

#[derive(Debug, Clone)]
pub enum StationCommandCommand {
    Request(StationRequest),
    /// About to be written to the socket; refused when it was sent before, is settled, or has expired.
    Send {
        now: DateTime<Utc>,
        answer_until: DateTime<Utc>,
    },
    Accept {
        answer: Value,
    },
    Done,
    Reject {
        answer: Value,
        reason: String,
    },
    Fail {
        reason: String,
    },
    TimeOut,
    /// Ends what was never sent and is past its time; nothing otherwise.
    Expire {
        now: DateTime<Utc>,
    },
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct StationCommand {
    pub request: Option<StationRequest>,
    pub state: CommandState,
    pub answer_until: Option<DateTime<Utc>>,
    pub answer: Option<Value>,
    /// Why it ended as it did, where there is something to say.
    pub reason: Option<String>,
}

impl Decide for StationCommand {
    const AGGREGATE: AggregateType = AggregateType::StationCommand;
    const FOLD_VERSION: i32 = 1;

    /// What comes late changes nothing: a settled command stays as it is.
    fn decide(&self, command: StationCommandCommand) -> Result<Vec<StationCommandEvent>, Refusal> {
        use StationCommandCommand as Command;
        use StationCommandEvent as Event;
        let Some(request) = &self.request else {
            return match command {
                Command::Request(request) => Ok(vec![Event::StationCommandRequested(request)]),
                _ => Err(Refusal::CommandUnknown),
            };
        };
        if self.state.is_settled() {
            return Ok(vec![]);
        }
        Ok(match command {
            Command::Request(_) => return Err(Refusal::AlreadyExists("The command exists already.")),
            Command::Send { .. } if self.state != CommandState::Requested => vec![],
            Command::Send { now, .. } if request.expires_at <= now => vec![Event::StationCommandExpired {}],
            Command::Send { answer_until, .. } => vec![Event::StationCommandSent { answer_until }],
            // A charger answers once, and only what it was sent; and its answer may overtake the timer that waits for it.
            Command::Accept { .. } | Command::Reject { .. } | Command::TimeOut if self.state != CommandState::Sent => {
                vec![]
            }
            Command::Accept { answer } => vec![Event::StationCommandAccepted { answer }],
            Command::Reject { answer, reason } => vec![Event::StationCommandRejected { answer, reason }],
            Command::TimeOut => vec![Event::StationCommandTimedOut {}],
            Command::Done => vec![Event::StationCommandDone {}],
            Command::Fail { reason } => vec![Event::StationCommandFailed { reason }],
            Command::Expire { now } if self.state == CommandState::Requested && request.expires_at <= now => {
                vec![Event::StationCommandExpired {}]
            }
            Command::Expire { .. } => vec![],
        })
    }
}

impl StationCommand {
    fn apply_event(&mut self, event: StationCommandEvent) {
        use StationCommandEvent as Event;
        match event {
            Event::StationCommandRequested(request) => self.request = Some(request),
            Event::StationCommandSent { answer_until } => {
                self.state = CommandState::Sent;
                self.answer_until = Some(answer_until);
            }
            Event::StationCommandAccepted { answer } => {
                self.state = CommandState::Accepted;
                self.answer = Some(answer);
            }
            Event::StationCommandDone {} => self.state = CommandState::Done,
            Event::StationCommandRejected { answer, reason } => {
                self.state = CommandState::Rejected;
                self.answer = Some(answer);
                self.reason = Some(reason);
            }
            Event::StationCommandFailed { reason } => {
                self.state = CommandState::Failed;
                self.reason = Some(reason);
            }
            Event::StationCommandTimedOut {} => self.state = CommandState::TimedOut,
            Event::StationCommandExpired {} => self.state = CommandState::Expired,
        }
    }
}

aggregate!(StationCommand, StationCommandCommand, StationCommandEvent, StationCommand);

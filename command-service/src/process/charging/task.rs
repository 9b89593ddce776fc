use std::fmt;

use domain::id::{ChargePointId, CommandId, EvseId, SessionId};
use schema::log::Position;
use serde::{Deserialize, Serialize};

use crate::process::manager;

/// What the charging processes do. Stored with timers: names of variants and fields stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::process) enum Task {
    /// The session was to begin by now.
    FailStart { session_id: SessionId },
    /// The start failed: its command must not stay open, whatever has come of the session since.
    SettleStart { session_id: SessionId, reason: String },
    /// The command was to be sent by now.
    ExpireCommand { command_id: CommandId },
    /// The charger was to answer by now.
    TimeOutCommand { command_id: CommandId },
    /// The charger was to do by now what it agreed to, if that was a stop. A start has the deadline of its session.
    FailStop { command_id: CommandId },
    /// The command came to nothing: the session that waits for it must know.
    TellSession { command_id: CommandId },
    /// The session was cancelled, and began all the same.
    StopCancelled { session_id: SessionId },
    /// Nothing may have been heard of the session for too long.
    EndSilent { session_id: SessionId },
    /// The outlet has been available for a while: whatever holds it is over.
    EndVacant { charge_point_id: ChargePointId, evse_id: EvseId },
    /// An event could not be understood by the program that met it.
    LookAgain { position: Position },
}

/// What a timer is for. A command waits for one thing at a time: the next one's timer replaces the last one's.
pub(super) enum Timer {
    Start(SessionId),
    StartSettled(SessionId),
    Command(CommandId),
    Told(CommandId),
    Cancelled(SessionId),
    Silence(SessionId),
    Vacant(ChargePointId, EvseId),
    LookAgain(Position),
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(id) => write!(f, "start:{id}"),
            Self::StartSettled(id) => write!(f, "start-settled:{id}"),
            Self::Command(id) => write!(f, "command:{id}"),
            Self::Told(id) => write!(f, "told:{id}"),
            Self::Cancelled(id) => write!(f, "cancelled:{id}"),
            Self::Silence(id) => write!(f, "silence:{id}"),
            Self::Vacant(id, evse) => write!(f, "vacant:{id}.{evse}"),
            Self::LookAgain(position) => write!(f, "look-again:{position}"),
        }
    }
}

impl manager::Task for Task {
    fn timer(&self) -> String {
        let timer = match *self {
            Self::FailStart { session_id } => Timer::Start(session_id),
            Self::SettleStart { session_id, .. } => Timer::StartSettled(session_id),
            Self::ExpireCommand { command_id }
            | Self::TimeOutCommand { command_id }
            | Self::FailStop { command_id } => Timer::Command(command_id),
            Self::TellSession { command_id } => Timer::Told(command_id),
            Self::StopCancelled { session_id } => Timer::Cancelled(session_id),
            Self::EndSilent { session_id } => Timer::Silence(session_id),
            Self::EndVacant { charge_point_id, evse_id } => Timer::Vacant(charge_point_id, evse_id),
            Self::LookAgain { position } => Timer::LookAgain(position),
        };
        timer.to_string()
    }

    fn look_again(position: Position) -> Self {
        Self::LookAgain { position }
    }

    fn looks_again_at(&self) -> Option<Position> {
        match self {
            Self::LookAgain { position } => Some(*position),
            Self::FailStart { .. }
            | Self::SettleStart { .. }
            | Self::ExpireCommand { .. }
            | Self::TimeOutCommand { .. }
            | Self::FailStop { .. }
            | Self::TellSession { .. }
            | Self::StopCancelled { .. }
            | Self::EndSilent { .. }
            | Self::EndVacant { .. } => None,
        }
    }
}

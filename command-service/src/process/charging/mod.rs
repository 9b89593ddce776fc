//! Starts and stops: what becomes of a request when its charger refuses, is silent, or is late.

mod cancelled;
mod command;
mod silence;
mod start;
mod stop;
mod task;
#[cfg(test)]
mod tests;
mod vacant;

use application::settle::{Cause, Conclusion, conclude};
use application::{Application, Error};
use chrono::TimeDelta;
use domain::charge_point::{ChargePoint, ChargePointEvent};
use domain::event::Event;
use domain::session::{ChargingSession, SessionEvent};
use domain::station_command::{StationCommand, StationCommandEvent};
use schema::log::RecordedEvent;

use super::manager::{self, Manager, Outcome};
use super::options::Options;
pub(super) use task::Task;

type Action = manager::Action<Task>;

/// How long the processes wait.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub expiry_grace: TimeDelta,
    pub answer_grace: TimeDelta,
    pub stop_deadline: TimeDelta,
    pub silence_limit: TimeDelta,
    pub stop_again_after: TimeDelta,
    pub vacant_after: TimeDelta,
}

pub(super) struct Charging {
    application: Application,
    settings: Settings,
}

impl Charging {
    pub fn new(application: Application, options: &Options) -> Self {
        let settings = Settings {
            expiry_grace: options.expiry_grace,
            answer_grace: options.answer_grace,
            stop_deadline: application.settings().stop_deadline,
            silence_limit: application.settings().silence_limit,
            stop_again_after: options.stop_again_after,
            vacant_after: application.settings().vacant_after,
        };
        Self { application, settings }
    }

    /// Whether anything was changed by it.
    async fn conclude(&self, cause: &Cause, conclusion: Option<Conclusion>) -> Result<bool, Error> {
        let Some(conclusion) = conclusion else { return Ok(false) };
        let kind = conclusion.kind();
        let changed = conclude(&self.application, cause, conclusion).await?;
        let outcome = if changed { "appended" } else { "nothing to do" };
        metrics::counter!("coulomb_process_conclusions_total", "kind" => kind, "outcome" => outcome).increment(1);
        Ok(changed)
    }
}

/// Whether any process cares: most events are told apart here and cost no more.
fn concerns(event: &Event) -> bool {
    match event {
        Event::ChargingSession(event) => match event {
            SessionEvent::SessionRequested(_)
            | SessionEvent::TransactionStarted(_)
            | SessionEvent::TransactionEnded(_)
            | SessionEvent::SessionFailed { .. } => true,
            SessionEvent::MeterValuesRecorded(_)
            | SessionEvent::ChargingStateChanged { .. }
            | SessionEvent::StopRequested { .. }
            | SessionEvent::StopFailed { .. }
            | SessionEvent::SessionPriced { .. }
            | SessionEvent::Departed { .. }
            | SessionEvent::SessionFlagged { .. }
            | SessionEvent::StartAnswered { .. } => false,
        },
        Event::StationCommand(event) => match event {
            StationCommandEvent::StationCommandRequested(_)
            | StationCommandEvent::StationCommandSent { .. }
            | StationCommandEvent::StationCommandAccepted { .. }
            | StationCommandEvent::StationCommandDone {}
            | StationCommandEvent::StationCommandRejected { .. }
            | StationCommandEvent::StationCommandFailed { .. }
            | StationCommandEvent::StationCommandTimedOut {}
            | StationCommandEvent::StationCommandExpired {} => true,
        },
        Event::ChargePoint(event) => match event {
            ChargePointEvent::ConnectorStatusReported { .. } => true,
            ChargePointEvent::ChargePointRegistered(_)
            | ChargePointEvent::ChargePointRenamed { .. }
            | ChargePointEvent::ChargePointMoved { .. }
            | ChargePointEvent::ChargePointConnected { .. }
            | ChargePointEvent::ChargePointDisconnected { .. }
            | ChargePointEvent::ChargePointBooted { .. }
            | ChargePointEvent::EvseClaimed { .. }
            | ChargePointEvent::EvseReleased { .. }
            | ChargePointEvent::CommandQueued { .. }
            | ChargePointEvent::CommandSettled { .. }
            | ChargePointEvent::AuthorizationDecided(_)
            | ChargePointEvent::ReadingsReported { .. }
            | ChargePointEvent::FirmwareStatusReported { .. }
            | ChargePointEvent::DiagnosticsStatusReported { .. }
            | ChargePointEvent::DataTransferred { .. }
            | ChargePointEvent::ReportQuarantined { .. } => false,
        },
        Event::Site(_)
        | Event::Token(_)
        | Event::Driver(_)
        | Event::Plan(_)
        | Event::Tariff(_)
        | Event::ReadModel(_)
        | Event::Disclosure(_)
        | Event::Log(_) => false,
    }
}

/// What all processes make of an event.
fn react(event: &RecordedEvent, settings: &Settings) -> Vec<Action> {
    let processes = [start::react, stop::react, command::react, cancelled::react, silence::react, vacant::react];
    processes.iter().flat_map(|react| react(event, settings)).collect()
}

impl Manager for Charging {
    const NAME: &'static str = "charging";

    type Task = Task;

    fn react(&self, event: &RecordedEvent) -> Vec<Action> {
        match &event.event {
            Ok(content) if concerns(content) => react(event, &self.settings),
            _ => vec![],
        }
    }

    async fn perform(&self, task: &Task, cause: &Cause) -> Result<Outcome, Error> {
        let store = self.application.store();
        let conclusion = match *task {
            Task::FailStart { session_id } => Some(start::too_late(session_id)),
            Task::SettleStart { session_id, ref reason } => {
                start::settled(&store.load::<ChargingSession>(session_id).await?.state, reason)
            }
            Task::ExpireCommand { command_id } => {
                command::expired(&store.load::<StationCommand>(command_id).await?.state)
            }
            Task::TimeOutCommand { command_id } => {
                command::unanswered(&store.load::<StationCommand>(command_id).await?.state)
            }
            Task::FailStop { command_id } => stop::too_late(&store.load::<StationCommand>(command_id).await?.state),
            Task::TellSession { command_id } => {
                let command = store.load::<StationCommand>(command_id).await?.state;
                start::refused(&command).or_else(|| stop::refused(&command))
            }
            Task::StopCancelled { session_id } => {
                let stopped = self.conclude(cause, Some(cancelled::stop(session_id, cause.id))).await;
                return cancelled::outcome(stopped, cause.now + self.settings.stop_again_after);
            }
            // Whoever runs this reads the event, and does what follows from it.
            Task::LookAgain { .. } => return Ok(Outcome::Settled),
            Task::EndVacant { charge_point_id, evse_id } => {
                let charge_point = store.load::<ChargePoint>(charge_point_id).await?.state;
                match vacant::holder(&charge_point, evse_id) {
                    Some(session_id) => vacant::ended(
                        &store.load::<ChargingSession>(session_id).await?.state,
                        cause.now - self.settings.vacant_after,
                    ),
                    None => None,
                }
            }
            Task::EndSilent { session_id } => {
                let limit = self.settings.silence_limit;
                let before = store.load::<ChargingSession>(session_id).await?.state;
                if let Some(listen_until) = silence::listen_until(&before, limit).filter(|at| *at > cause.now) {
                    return Ok(Outcome::Again(listen_until));
                }
                self.conclude(cause, silence::ended(&before)).await?;
                // It may have spoken in this very moment.
                let after = store.load::<ChargingSession>(session_id).await?.state;
                return Ok(silence::listen_until(&after, limit).map_or(Outcome::Settled, Outcome::Again));
            }
        };
        self.conclude(cause, conclusion).await?;
        Ok(Outcome::Settled)
    }
}

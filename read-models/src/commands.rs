use domain::Event;
use domain::charge_point::ChargePointEvent;
use domain::driver::DriverEvent;
use domain::envelope::{ActorKind, Retention};
use domain::id::{ChargePointId, CommandId, SessionId};
use domain::plan::PlanEvent;
use domain::published_tariff::TariffEvent;
use domain::session::SessionEvent;
use domain::site::SiteEvent;
use domain::station_command::{CommandState, StationCommandEvent};
use domain::token::TokenEvent;
use schema::view::{CommandRow, Model};

use crate::{Fact, FoldError, ReadModel};

/// Commands: those to stations as their streams tell, and all others, which were done when they were taken.
///
/// A command of the second kind has no stream. Its row is made of the one event that represents it, whose cause is the
/// command: were it made of more, they could be of several partition keys, and what the row says would depend on who
/// came last. Of a command that goes on to a station (`start_charging`, …), the station's stream is the row.
pub struct Commands;

impl ReadModel for Commands {
    const MODEL: Model = Model::Commands;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Ledger, Retention::Operational];
    type Row = CommandRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        match fact.event {
            Event::StationCommand(_) => Some(fact.stream_key()),
            _ => Done::by(fact).map(|done| done.command_id.to_string()),
        }
    }

    fn begins(fact: &Fact<'_>) -> bool {
        // A command that changed several things (a driver's first plan with the driver) is the first of them.
        matches!(fact.event, Event::StationCommand(_)) && fact.recorded.sequence == 1
    }

    fn apply(row: Option<CommandRow>, fact: &Fact<'_>) -> Result<CommandRow, FoldError> {
        match (fact.event, row) {
            (Event::StationCommand(event), row) => station_command(row, event, fact),
            (_, Some(row)) => Ok(row),
            (_, None) => Done::by(fact).map(|done| done.row(fact)).ok_or_else(|| fact.no_row(Self::MODEL)),
        }
    }
}

fn station_command(
    row: Option<CommandRow>,
    event: &StationCommandEvent,
    fact: &Fact<'_>,
) -> Result<CommandRow, FoldError> {
    use StationCommandEvent as Happened;
    let mut row = match (row, event) {
        (Some(row), _) => row,
        (None, Happened::StationCommandRequested(request)) => CommandRow {
            tenant_id: fact.tenant_id(),
            command_id: request.command_id,
            kind: request.kind.clone(),
            charge_point_id: Some(request.charge_point_id),
            session_id: request.session_id,
            state: CommandState::Requested,
            reason: None,
            answer: None,
            requested_by: fact.recorded.envelope.actor.clone(),
            requested_at: request.requested_at,
            settled_at: None,
        },
        (None, _) => return Err(fact.no_row(Commands::MODEL)),
    };
    row.state = match event {
        Happened::StationCommandRequested(_) => CommandState::Requested,
        Happened::StationCommandSent { .. } => CommandState::Sent,
        Happened::StationCommandAccepted { answer } => {
            row.answer = Some(answer.clone());
            CommandState::Accepted
        }
        Happened::StationCommandDone {} => CommandState::Done,
        Happened::StationCommandRejected { answer, reason } => {
            row.answer = Some(answer.clone());
            row.reason = Some(reason.clone());
            CommandState::Rejected
        }
        Happened::StationCommandFailed { reason } => {
            row.reason = Some(reason.clone());
            CommandState::Failed
        }
        Happened::StationCommandTimedOut {} => CommandState::TimedOut,
        Happened::StationCommandExpired {} => CommandState::Expired,
    };
    row.settled_at = row.state.is_settled().then(|| fact.recorded_at());
    Ok(row)
}

/// A command that was done when it was taken.
struct Done {
    command_id: CommandId,
    kind: &'static str,
    charge_point_id: Option<ChargePointId>,
    session_id: Option<SessionId>,
}

impl Done {
    /// What the event represents, if a driver or an operator asked for it.
    fn by(fact: &Fact<'_>) -> Option<Self> {
        let envelope = &fact.recorded.envelope;
        let asked = match envelope.actor.kind {
            ActorKind::Driver | ActorKind::Operator => true,
            ActorKind::Charger | ActorKind::System | ActorKind::Partner => false,
        };
        let command_id = CommandId(envelope.causation_id.filter(|_| asked)?);
        let (mut charge_point_id, mut session_id) = (None, None);
        let kind = match fact.event {
            Event::Site(event) => match event {
                SiteEvent::SiteRegistered(_) => "register_site",
                SiteEvent::SiteChanged(_) => "change_site",
            },
            Event::ChargePoint(event) => {
                charge_point_id = Some(ChargePointId(fact.recorded.stream.id));
                charge_point_kind(event)?
            }
            Event::ChargingSession(event) => {
                charge_point_id = Some(ChargePointId(fact.recorded.partition_key));
                session_id = Some(SessionId(fact.recorded.stream.id));
                session_kind(event, envelope.actor.kind)?
            }
            Event::Token(event) => match event {
                TokenEvent::TokenRegistered(_) => "register_token",
                TokenEvent::TokenBlocked {} => "block_token",
                TokenEvent::TokenUnblocked {} => "unblock_token",
            },
            Event::Driver(event) => match event {
                DriverEvent::DriverRegistered { .. } => "register_driver",
                DriverEvent::PlanActivated { .. } => "activate_plan",
                DriverEvent::DriverErased { .. } => "erase_driver",
                // Of a change of plans, the activation is the command.
                DriverEvent::PlanEnded { .. } => return None,
            },
            Event::Plan(event) => match event {
                PlanEvent::PlanPublished { .. } => "publish_plan",
            },
            Event::Tariff(event) => match event {
                TariffEvent::TariffPublished { .. } => "publish_tariff",
            },
            // Done to read models and with the history, not to the network.
            Event::StationCommand(_) | Event::ReadModel(_) | Event::Disclosure(_) | Event::Log(_) => return None,
        };
        Some(Self { command_id, kind, charge_point_id, session_id })
    }

    fn row(self, fact: &Fact<'_>) -> CommandRow {
        CommandRow {
            tenant_id: fact.tenant_id(),
            command_id: self.command_id,
            kind: self.kind.to_owned(),
            charge_point_id: self.charge_point_id,
            session_id: self.session_id,
            state: CommandState::Done,
            reason: None,
            answer: None,
            requested_by: fact.recorded.envelope.actor.clone(),
            requested_at: fact.recorded_at(),
            settled_at: Some(fact.recorded_at()),
        }
    }
}

fn charge_point_kind(event: &ChargePointEvent) -> Option<&'static str> {
    use ChargePointEvent as Happened;
    match event {
        Happened::ChargePointRegistered(_) => Some("register_charger"),
        Happened::ChargePointRenamed { .. } => Some("rename_charger"),
        Happened::ChargePointMoved { .. } => Some("move_charger"),
        // Parts of a start, a stop or a station command, or reports.
        Happened::EvseClaimed { .. }
        | Happened::EvseReleased { .. }
        | Happened::CommandQueued { .. }
        | Happened::CommandSettled { .. }
        | Happened::ChargePointConnected { .. }
        | Happened::ChargePointDisconnected { .. }
        | Happened::ChargePointBooted { .. }
        | Happened::ConnectorStatusReported { .. }
        | Happened::AuthorizationDecided(_)
        | Happened::ReadingsReported { .. }
        | Happened::FirmwareStatusReported { .. }
        | Happened::DiagnosticsStatusReported { .. }
        | Happened::DataTransferred { .. }
        | Happened::ReportQuarantined { .. } => None,
    }
}

fn session_kind(event: &SessionEvent, asked_by: ActorKind) -> Option<&'static str> {
    use SessionEvent as Happened;
    match event {
        // People end a session that has not begun by stopping it; no station is asked.
        Happened::SessionFailed { .. } => Some("stop_charging"),
        // What was to be started runs already; no station is asked.
        Happened::StartAnswered { .. } => Some(match asked_by {
            ActorKind::Operator => "remote_start",
            ActorKind::Driver | ActorKind::Charger | ActorKind::System | ActorKind::Partner => "start_charging",
        }),
        // A station command says the rest.
        Happened::SessionRequested(_)
        | Happened::StopRequested { .. }
        | Happened::TransactionStarted(_)
        | Happened::MeterValuesRecorded(_)
        | Happened::ChargingStateChanged { .. }
        | Happened::StopFailed { .. }
        | Happened::TransactionEnded(_)
        | Happened::SessionPriced { .. }
        | Happened::Departed { .. }
        | Happened::SessionFlagged { .. } => None,
    }
}

//! The processes as tables: what an event sets in motion, what is concluded from a state.

use std::sync::Arc;

use application::settle::Conclusion;
use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::{Authorization, AuthorizationStatus};
use domain::envelope::{Actor, Envelope, Retention};
use domain::event::Event;
use domain::id::{
    AuthorizationId, ChargePointId, CommandId, ConnectorId, EvseId, Outlet, SessionId, TenantId, TransactionId,
};
use domain::session::{RecordedReadings, SessionEvent, SessionRequest, TransactionEnded};
use domain::station_command::{CommandState, StationAction, StationCommand, StationCommandEvent, StationRequest};
use domain::word::{Flag, StopReason};
use schema::log::{Generation, Position, RecordedEvent, StreamId};
use schema::partition::partition;
use uuid::Uuid;

use super::{Settings, Task, command, react, silence, start, stop};
use crate::process::manager::Action;
use crate::process::tests::transaction_started;

const SESSION: SessionId = SessionId(Uuid::from_u128(1));
const COMMAND: CommandId = CommandId(Uuid::from_u128(2));
const CHARGE_POINT: ChargePointId = ChargePointId(Uuid::from_u128(3));

fn settings() -> Settings {
    Settings {
        expiry_grace: TimeDelta::seconds(1),
        answer_grace: TimeDelta::seconds(2),
        stop_deadline: TimeDelta::seconds(3),
        silence_limit: TimeDelta::seconds(4),
        vacant_after: TimeDelta::seconds(5),
        stop_again_after: TimeDelta::seconds(5),
    }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).expect("in range")
}

fn recorded(event: Event) -> RecordedEvent {
    let id = match event {
        Event::ChargingSession(_) => SESSION.0,
        _ => COMMAND.0,
    };
    RecordedEvent {
        position: Position(1),
        generation: Generation::FIRST,
        partition: partition(CHARGE_POINT.0),
        partition_key: CHARGE_POINT.0,
        stream: StreamId { aggregate: event.aggregate(), id },
        sequence: 1,
        event_id: Uuid::from_u128(9),
        event_type: event.event_type().into(),
        event_version: event.event_version().into(),
        retention: Retention::Operational,
        recorded_at: at(100),
        envelope: Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test"))),
        payload_hash: Uuid::nil(),
        event: Ok(Arc::new(event)),
    }
}

fn requested() -> SessionRequest {
    SessionRequest {
        session_id: SESSION,
        charge_point_id: CHARGE_POINT,
        evse_id: EvseId(1),
        connector_id: None,
        command_id: COMMAND,
        driver_id: None,
        authorization: Authorization {
            authorization_id: AuthorizationId(Uuid::from_u128(4)),
            status: AuthorizationStatus::Accepted,
            token_id: None,
            evse_id: None,
            driver_id: None,
            group: None,
            plan_id: None,
            limits: Default::default(),
            decided_at: at(0),
            expires_at: None,
        },
        remote_tag: "tag".into(),
        remote_start_id: 1,
        pricing: None,
        requested_at: at(0),
        deadline_at: at(10),
    }
}

fn request(action: StationAction, session_id: Option<SessionId>) -> StationRequest {
    StationRequest {
        command_id: COMMAND,
        charge_point_id: CHARGE_POINT,
        kind: "test".into(),
        action,
        session_id,
        requested_at: at(0),
        expires_at: at(20),
    }
}

fn remote_start() -> StationAction {
    let outlet = Outlet { evse_id: EvseId(1), connector_id: ConnectorId(1) };
    StationAction::RemoteStart { outlet, tag: "tag".into(), remote_start_id: 1, group: None }
}

fn remote_stop() -> StationAction {
    StationAction::RemoteStop { transaction_id: TransactionId("7".into()) }
}

#[test]
fn what_events_set_in_motion() {
    use SessionEvent as S;
    use StationCommandEvent as C;
    let cancel = |name: &str, id: Uuid| Action::Cancel(format!("{name}:{id}"));
    let (session, command) = (Event::ChargingSession, Event::StationCommand);
    let started = |flags| {
        let started = transaction_started(SESSION, CHARGE_POINT, at(30));
        session(S::TransactionStarted(Box::new(domain::session::TransactionStarted { flags, ..started })))
    };
    let ended = TransactionEnded {
        stopped_at: None,
        received_at: at(40),
        meter_stop_wh: None,
        stop_reason: StopReason::LOCAL,
        token_id: None,
        seq_no: None,
        flags: vec![],
    };
    let readings =
        RecordedReadings { readings: vec![], content_hash: String::new(), seq_no: None, received_at: at(35) };
    let silent = Action::At(at(34), Task::EndSilent { session_id: SESSION });
    let told = || vec![cancel("command", COMMAND.0), Action::Now(Task::TellSession { command_id: COMMAND })];
    let table = [
        (
            session(S::SessionRequested(Box::new(requested()))),
            vec![Action::At(at(10), Task::FailStart { session_id: SESSION })],
        ),
        (started(vec![]), vec![cancel("start", SESSION.0), silent.clone()]),
        (
            started(vec![Flag::LATE_START, Flag::CANCELLED]),
            vec![cancel("start", SESSION.0), Action::Now(Task::StopCancelled { session_id: SESSION }), silent],
        ),
        (session(S::MeterValuesRecorded(readings)), vec![]),
        (session(S::StopRequested { command_id: COMMAND, at: at(36) }), vec![]),
        (session(S::StopFailed { command_id: COMMAND, detail: String::new() }), vec![]),
        (session(S::TransactionEnded(ended)), vec![cancel("cancelled", SESSION.0), cancel("silence", SESSION.0)]),
        (
            session(S::SessionFailed { code: "any".into(), detail: "why".into(), at: at(11) }),
            vec![
                cancel("start", SESSION.0),
                Action::Now(Task::SettleStart { session_id: SESSION, reason: "why".into() }),
            ],
        ),
        (
            command(C::StationCommandRequested(request(remote_start(), Some(SESSION)))),
            vec![Action::At(at(21), Task::ExpireCommand { command_id: COMMAND })],
        ),
        (
            command(C::StationCommandSent { answer_until: at(50) }),
            vec![Action::At(at(52), Task::TimeOutCommand { command_id: COMMAND })],
        ),
        (
            command(C::StationCommandAccepted { answer: serde_json::Value::Null }),
            vec![Action::At(at(103), Task::FailStop { command_id: COMMAND })],
        ),
        (command(C::StationCommandDone {}), vec![cancel("command", COMMAND.0)]),
        (command(C::StationCommandRejected { answer: serde_json::Value::Null, reason: String::new() }), told()),
        (command(C::StationCommandFailed { reason: String::new() }), told()),
        (command(C::StationCommandTimedOut {}), told()),
        (command(C::StationCommandExpired {}), told()),
    ];
    for (event, expected) in table {
        let name = event.event_type();
        assert_eq!(react(&recorded(event), &settings()), expected, "{name}");
    }
}

#[test]
fn what_is_concluded_of_a_command() {
    use CommandState as S;
    /// Expired, unanswered, the stop too late, the start refused, the stop refused: its name, where there is one.
    type Concluded = [Option<&'static str>; 5];
    let concluded = |state, action| -> Concluded {
        let request = Some(request(action, Some(SESSION)));
        let state = StationCommand { request, state, reason: Some("why".into()), ..StationCommand::default() };
        let conclusions = [
            command::expired(&state),
            command::unanswered(&state),
            stop::too_late(&state),
            start::refused(&state),
            stop::refused(&state),
        ];
        conclusions.map(|conclusion| match conclusion? {
            Conclusion::StartFailed { code, detail, .. } => {
                assert!(detail.ends_with("(why)"), "{detail}");
                Some(code)
            }
            other => Some(other.kind()),
        })
    };
    let expired = Some("command_expired");
    let unanswered = Some("command_timed_out");
    let stop_failed = Some("stop_failed");
    let table: [(S, StationAction, Concluded); 13] = [
        (S::Requested, remote_start(), [expired, None, None, None, None]),
        (S::Sent, remote_start(), [None, unanswered, None, None, None]),
        (S::Accepted, remote_start(), [None, None, None, None, None]),
        (S::Done, remote_start(), [None, None, None, None, None]),
        (S::Rejected, remote_start(), [None, None, None, Some("charger-rejected"), None]),
        (S::Failed, remote_start(), [None, None, None, Some("charger-failed"), None]),
        (S::TimedOut, remote_start(), [None, None, None, Some("charger-did-not-answer"), None]),
        (S::Expired, remote_start(), [None, None, None, Some("charger-not-reached"), None]),
        (S::Accepted, remote_stop(), [None, None, Some("command_failed"), None, None]),
        (S::Rejected, remote_stop(), [None, None, None, None, stop_failed]),
        (S::Expired, remote_stop(), [None, None, None, None, stop_failed]),
        (S::Done, remote_stop(), [None, None, None, None, None]),
        (S::Failed, StationAction::ClearCache {}, [None, None, None, None, None]),
    ];
    for (state, action, expected) in table {
        assert_eq!(concluded(state, action.clone()), expected, "{state:?} {action:?}");
    }
}

#[test]
fn an_open_session_is_listened_for_from_when_it_was_last_heard() {
    use domain::session::{ChargingSession, SessionState};
    let session = |state, heard_at| {
        let mut session = ChargingSession::default();
        (session.session_id, session.state, session.heard_at) = (Some(SESSION), state, heard_at);
        session
    };
    let limit = TimeDelta::seconds(4);
    let table = [
        (SessionState::Active, Some(at(1)), Some(at(5))),
        (SessionState::Stopping, Some(at(2)), Some(at(6))),
        (SessionState::Completed, Some(at(1)), None),
        (SessionState::Requested, None, None),
    ];
    for (state, heard_at, expected) in table {
        assert_eq!(silence::listen_until(&session(state, heard_at), limit), expected, "{state:?}");
    }
}

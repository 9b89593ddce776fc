//! The charging processes on a real log: each test does what people and chargers do, and waits for what follows.

use application::Settings;
use application::report::CommandAnswer;
use application::settle::Cause;
use chrono::{TimeDelta, Utc};
use domain::event::Event;
use domain::session::{SessionEvent, SessionState};
use domain::station_command::{CommandState, StationCommand};
use serde_json::json;

use super::world::{World, failure, patient};
use crate::process::charging::{Charging, Task};
use crate::process::manager::{Manager, Outcome};

const MOMENT: TimeDelta = TimeDelta::milliseconds(200);

/// Nobody plugs in: the session fails, the EVSE is free, the command is settled with the reason.
#[tokio::test]
async fn a_start_that_never_begins_fails_in_time() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, command_id) = world.request_start().await;
    world.link.command_sent(command_id, Utc::now()).await.expect("sent");
    world.link.command_answered(command_id, CommandAnswer::Accepted(json!({}))).await.expect("answered");
    let (code, detail) = failure(world.event(session_id, "SessionFailed").await);
    assert_eq!(code, "start-timed-out");
    world.event(command_id, "StationCommandFailed").await;
    let command = world.app.store().load::<StationCommand>(command_id).await.expect("loaded").state;
    assert_eq!(command.reason.as_deref(), Some(detail.as_str()));
    let charge_point = world.charge_point().await;
    assert!(charge_point.claims.is_empty() && charge_point.open_commands.is_empty());
}

#[tokio::test]
async fn a_start_that_the_charger_refuses_fails_at_once() {
    let world = World::new(patient()).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, command_id) = world.request_start().await;
    world.link.command_sent(command_id, Utc::now()).await.expect("sent");
    let answer = CommandAnswer::Rejected { answer: json!({}), reason: "Rejected".into() };
    world.link.command_answered(command_id, answer).await.expect("answered");
    assert_eq!(failure(world.event(session_id, "SessionFailed").await).0, "charger-rejected");
    assert!(world.charge_point().await.claims.is_empty());
}

#[tokio::test]
async fn a_command_that_was_never_sent_expires() {
    let world = World::new(Settings { command_expiry: MOMENT, ..patient() }).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, command_id) = world.request_start().await;
    world.event(command_id, "StationCommandExpired").await;
    assert_eq!(failure(world.event(session_id, "SessionFailed").await).0, "charger-not-reached");
}

#[tokio::test]
async fn a_command_that_was_never_answered_times_out() {
    let world = World::new(Settings { answer_timeout: MOMENT, ..patient() }).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, command_id) = world.request_start().await;
    world.link.command_sent(command_id, Utc::now()).await.expect("sent");
    world.event(command_id, "StationCommandTimedOut").await;
    assert_eq!(failure(world.event(session_id, "SessionFailed").await).0, "charger-did-not-answer");
}

/// A start in time takes all its timers back, but the one for silence.
#[tokio::test]
async fn a_start_in_time_leaves_nothing_to_fail() {
    let world = World::new(patient()).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, command_id) = world.request_start().await;
    world.until("SELECT count(*) = 2 FROM process_timers").await;
    world.link.command_sent(command_id, Utc::now()).await.expect("sent");
    world.link.command_answered(command_id, CommandAnswer::Accepted(json!({}))).await.expect("answered");
    world.begin(session_id).await;
    world.until(&format!("SELECT array_agg(name) = '{{silence:{session_id}}}' FROM process_timers")).await;
    assert_eq!(world.session(session_id).await.state, SessionState::Active);
}

#[tokio::test]
async fn a_stop_that_is_accepted_and_not_done_fails() {
    let world = World::new(Settings { stop_deadline: MOMENT, ..patient() }).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, _) = world.request_start().await;
    world.begin(session_id).await;
    let stop = world.request_stop(session_id).await;
    world.link.command_sent(stop, Utc::now()).await.expect("sent");
    world.link.command_answered(stop, CommandAnswer::Accepted(json!({}))).await.expect("answered");
    world.event(session_id, "StopFailed").await;
    let command = world.app.store().load::<StationCommand>(stop).await.expect("loaded").state;
    assert_eq!(command.state, CommandState::Failed);
    assert_eq!(world.session(session_id).await.state, SessionState::Active);
}

#[tokio::test]
async fn a_stop_that_the_charger_refuses_fails_at_once() {
    let world = World::new(patient()).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, _) = world.request_start().await;
    world.begin(session_id).await;
    let stop = world.request_stop(session_id).await;
    world.link.command_sent(stop, Utc::now()).await.expect("sent");
    let answer = CommandAnswer::Rejected { answer: json!({}), reason: "Rejected".into() };
    world.link.command_answered(stop, answer).await.expect("answered");
    world.event(session_id, "StopFailed").await;
    assert_eq!(world.session(session_id).await.state, SessionState::Active);
}

/// The start was cancelled, and the charger begins: it is told to stop, also when it was away at first.
#[tokio::test]
async fn a_cancelled_start_that_begins_is_stopped() {
    let world = World::new(patient()).await;
    let (session_id, command_id) = world.request_start().await;
    world.request_stop(session_id).await;
    world.link.disconnect("test", Utc::now()).await.expect("offline");
    world.begin_late(session_id).await;
    let _runner = world.start_runner(world.charging()).await;
    world.event(command_id, "StationCommandFailed").await;
    world.until("SELECT count(*) > 0 FROM process_timers WHERE name LIKE 'cancelled:%'").await;
    let id = world.link.charge_point_id;
    let back = application::report::connect(&world.app, world.link.tenant_id, id, "ocpp1.6", "edge", None, Utc::now());
    back.await.expect("connected");
    let stop = world.event(session_id, "StopRequested").await;
    let Ok(Event::ChargingSession(SessionEvent::StopRequested { command_id, .. })) = stop.event.as_deref() else {
        panic!("no stop")
    };
    world.event(*command_id, "StationCommandRequested").await;
}

#[tokio::test]
async fn a_session_that_falls_silent_is_presumed_ended() {
    let world = World::new(Settings { silence_limit: MOMENT, ..patient() }).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, _) = world.request_start().await;
    world.begin(session_id).await;
    world.event(session_id, "TransactionEnded").await;
    assert!(world.charge_point().await.claims.is_empty());
    world.until("SELECT count(*) = 0 FROM process_timers WHERE name LIKE 'silence:%'").await;
}

/// A charger that lost its power forgets the transaction, and calls the outlet available.
#[tokio::test]
async fn a_session_whose_outlet_is_available_is_presumed_ended() {
    let world = World::new(Settings { vacant_after: MOMENT, ..patient() }).await;
    let _runner = world.start_runner(world.charging()).await;
    let (session_id, _) = world.request_start().await;
    world.begin(session_id).await;
    world.report_status("Available").await;
    world.event(session_id, "TransactionEnded").await;
    assert!(world.charge_point().await.claims.is_empty());
}

/// Its timer is set anew for as long as it was heard of meanwhile.
#[tokio::test]
async fn a_session_that_is_heard_of_is_listened_to_further() {
    let world = World::new(patient()).await;
    let (session_id, _) = world.request_start().await;
    world.begin(session_id).await;
    let cause = Cause {
        tenant_id: world.link.tenant_id,
        manager: Charging::NAME,
        id: session_id.0,
        correlation_id: None,
        trace_id: None,
        now: Utc::now(),
    };
    let heard_at = world.session(session_id).await.heard_at.expect("heard of");
    let outcome = world.charging().perform(&Task::EndSilent { session_id }, &cause).await.expect("looked");
    assert_eq!(outcome, Outcome::Again(heard_at + patient().silence_limit));

    let much_later = Cause { now: heard_at + patient().silence_limit, ..cause };
    let outcome = world.charging().perform(&Task::EndSilent { session_id }, &much_later).await.expect("looked");
    assert_eq!(outcome, Outcome::Settled);
    assert_eq!(world.session(session_id).await.state, SessionState::Completed);
}

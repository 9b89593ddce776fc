//! A driver stops; and what was asked for is settled with it.

use application::command::{RemoteStop, StopCharging, remote_stop, stop_charging};
use application::settle::{Cause, Conclusion, conclude};
use chrono::TimeDelta;
use domain::id::{EvseId, SessionId, TenantId, TransactionId};
use domain::session::SessionState;
use domain::station_command::{CommandState, StationAction};
use uuid::Uuid;

use crate::support::{at, code, keyed, operator, start_of, stop_of, told, world};

#[tokio::test]
async fn a_session_is_stopped_by_its_driver() {
    let world = world().await;
    let link = world.connect().await;
    let (driver, other) = (world.driver().await, world.driver().await);
    let session_id = world.start(&driver, 1).await.session_id.unwrap();
    let tag = world.tag(session_id).await;
    let started = link.start_transaction(&told(1), start_of(1, &tag, 1_000)).await.expect("started");
    let stop = || StopCharging { session_id };
    // Somebody else's session is as unknown as none.
    assert_eq!(code(stop_charging(&world.app, &other, stop()).await), "session-unknown");
    let nowhere = StopCharging { session_id: SessionId::generate() };
    assert_eq!(code(stop_charging(&world.app, &driver, nowhere).await), "session-unknown");

    let accepted = stop_charging(&world.app, &driver, stop()).await.expect("accepted");
    assert_eq!(world.session(session_id).await.state, SessionState::Stopping);
    let request = world.command(accepted.command_id).await.request.expect("requested");
    let transaction_id = TransactionId(started.transaction_id.to_string());
    assert_eq!(request.action, StationAction::RemoteStop { transaction_id });
    // Asked for already: that request is this one's answer.
    let again = stop_charging(&world.app, &driver, stop()).await.expect("accepted");
    assert_eq!(again.command_id, accepted.command_id);

    // The stop closes the session, frees the EVSE and settles the command, in one append.
    link.stop_transaction(&told(60), stop_of(&started, 11_000)).await.expect("recorded");
    let session = world.session(session_id).await;
    assert_eq!((session.state, session.price_revision), (SessionState::Completed, 1));
    assert_eq!(session.final_price.map(|price| price.total.to_string()).as_deref(), Some("5.00 EUR"));
    assert!(world.charge_point().await.claims.is_empty());
    assert_eq!(world.command(accepted.command_id).await.state, CommandState::Done);
    assert!(world.charge_point().await.open_commands.is_empty());
    assert_eq!(code(stop_charging(&world.app, &driver, stop()).await), "session-over");
}

#[tokio::test]
async fn offline_chargers_cant_stop() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let session_id = world.start(&driver, 1).await.session_id.unwrap();
    let tag = world.tag(session_id).await;
    link.start_transaction(&told(1), start_of(1, &tag, 1_000)).await.expect("started");
    link.disconnect("closed", at(2)).await.expect("disconnected");
    assert_eq!(code(stop_charging(&world.app, &driver, StopCharging { session_id }).await), "charger-offline");
    assert_eq!(world.session(session_id).await.state, SessionState::Active);
}

#[tokio::test]
async fn a_start_is_cancelled_before_it_began() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let accepted = world.start(&driver, 1).await;
    let session_id = accepted.session_id.unwrap();
    let tag = world.tag(session_id).await;
    stop_charging(&world.app, &driver, StopCharging { session_id }).await.expect("cancelled");
    let session = world.session(session_id).await;
    assert_eq!(
        (session.state, session.failure.map(|failure| failure.code).as_deref()),
        (SessionState::Failed, Some("cancelled"))
    );
    assert!(world.charge_point().await.claims.is_empty());
    // What was not sent is not sent any more.
    assert_eq!(world.command(accepted.command_id).await.state, CommandState::Failed);
    assert_eq!(link.command_sent(accepted.command_id, at(0)).await.expect("decided"), None);

    // It had been sent already, and the charger begins all the same.
    let started = link.start_transaction(&told(2), start_of(1, &tag, 1_000)).await.expect("started");
    let session = world.session(session_id).await;
    assert_eq!((started.session_id, session.state), (session_id, SessionState::Active));
    let flags: Vec<_> = session.flags.iter().map(|flag| flag.as_str()).collect();
    assert_eq!(flags, ["late_start", "cancelled"]);
}

#[tokio::test]
async fn operators_stop_by_session_or_transaction() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let session_id = world.start(&driver, 1).await.session_id.unwrap();
    let tag = world.tag(session_id).await;
    let started = link.start_transaction(&told(1), start_of(1, &tag, 1_000)).await.expect("started");
    let by_transaction = |charger: &str, transaction: &str| RemoteStop::Transaction {
        charger_id: charger.into(),
        transaction_id: TransactionId(transaction.into()),
    };
    let number = started.transaction_id.to_string();
    assert_eq!(code(remote_stop(&world.app, &driver, by_transaction("CP001", &number)).await), "forbidden");
    assert_eq!(code(remote_stop(&world.app, &operator(), by_transaction("CP404", &number)).await), "charger-unknown");
    let unknown = keyed(&operator(), "unknown", 1);
    assert_eq!(code(remote_stop(&world.app, &unknown, by_transaction("CP001", "-1")).await), "session-unknown");
    assert_eq!(code(remote_stop(&world.app, &unknown, by_transaction("CP001", "-1")).await), "session-unknown");
    let accepted = remote_stop(&world.app, &operator(), by_transaction("CP001", &number)).await.expect("accepted");
    assert_eq!(accepted.session_id, Some(session_id));
    let same = remote_stop(&world.app, &operator(), RemoteStop::Session(session_id)).await.expect("accepted");
    assert_eq!(same.command_id, accepted.command_id);
}

#[tokio::test]
async fn a_start_that_failed_is_not_final() {
    let world = world().await;
    let link = world.connect().await;
    let (driver, other) = (world.driver().await, world.driver().await);
    let accepted = world.start(&driver, 1).await;
    let session_id = accepted.session_id.unwrap();
    let tag = world.tag(session_id).await;
    let cause = Cause {
        tenant_id: TenantId::DEFAULT,
        manager: "charging",
        id: Uuid::now_v7(),
        correlation_id: None,
        trace_id: None,
        now: at(3),
    };
    let too_late = || Conclusion::StartFailed { session_id, code: "start-timed-out", detail: "Too late.".into() };
    conclude(&world.app, &cause, too_late()).await.expect("concluded");
    let head = world.head().await;
    conclude(&world.app, &cause, too_late()).await.expect("nothing more");
    assert_eq!(world.head().await, head);
    assert_eq!(world.session(session_id).await.state, SessionState::Failed);
    assert_eq!(world.command(accepted.command_id).await.state, CommandState::Failed);

    // Somebody else asks for the EVSE; but there is the transaction after all.
    let overtaken = world.start(&other, 1).await;
    let started = link.start_transaction(&told(5), start_of(1, &tag.to_lowercase(), 1_000)).await.expect("started");
    let session = world.session(session_id).await;
    assert_eq!((started.session_id, session.state), (session_id, SessionState::Active));
    assert_eq!((session.driver_id, session.flags[0].as_str()), (driver.caller.driver_id(), "late_start"));
    let claim = world.charge_point().await.claims[&EvseId(1)].clone();
    assert_eq!((claim.session_id, claim.driver_id), (session_id, driver.caller.driver_id()));
    let failed = world.session(overtaken.session_id.unwrap()).await;
    assert_eq!(
        (failed.state, failed.failure.map(|failure| failure.code).as_deref()),
        (SessionState::Failed, Some("connector-occupied"))
    );
    assert_eq!(world.command(overtaken.command_id).await.state, CommandState::Failed);
}

#[tokio::test]
async fn silence_ends_a_session() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let session_id = world.start(&driver, 1).await.session_id.unwrap();
    let tag = world.tag(session_id).await;
    link.start_transaction(&told(1), start_of(1, &tag, 1_000)).await.expect("started");
    let stop = stop_charging(&world.app, &driver, StopCharging { session_id }).await.expect("accepted");
    let conclude_at = |unheard_since| {
        let id = Uuid::now_v7();
        let cause = Cause {
            tenant_id: TenantId::DEFAULT,
            manager: "charging",
            id,
            correlation_id: None,
            trace_id: None,
            now: at(2_000),
        };
        (cause, Conclusion::SessionSilent { session_id, unheard_since })
    };
    let (cause, heard_since) = conclude_at(at(1) - TimeDelta::minutes(1));
    conclude(&world.app, &cause, heard_since).await.expect("nothing");
    assert_eq!(world.session(session_id).await.state, SessionState::Stopping);
    let (cause, silent) = conclude_at(at(1));
    conclude(&world.app, &cause, silent).await.expect("concluded");
    let session = world.session(session_id).await;
    assert_eq!((session.state, session.is_presumed_ended()), (SessionState::Completed, true));
    assert!(world.charge_point().await.claims.is_empty());
    assert_eq!(world.command(stop.command_id).await.state, CommandState::Failed);
}

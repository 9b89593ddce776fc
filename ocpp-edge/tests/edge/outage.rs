//! While the log can't be written, nothing is acknowledged.

use std::time::{Duration, Instant};

use application::Settings;
use chrono::TimeDelta;
use domain::station_command::{CommandState, StationAction};
use ocpp_edge::Limits;
use serde_json::json;

use crate::support::{Closed, Edge, Network, UNHEARD_AFTER, until};

#[tokio::test]
async fn what_a_charger_keeps_is_not_answered_and_comes_again() {
    let network = Network::impatient().await;
    network.register("CP001", None).await;
    let limits = Limits {
        report_retry_for: Duration::from_millis(50),
        authorize_retry_for: Duration::from_millis(50),
        ..Limits::default()
    };
    let edge = Edge::start_limited(&network.app, limits).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;

    network.break_log().await;
    // A driver waits: an error at once is better than none.
    assert_eq!(charger.error(r#"[2,"a","Authorize",{"idTag":"NOBODY"}]"#).await, "InternalError");
    // Heartbeats are no history.
    charger.call("Heartbeat", json!({})).await;
    let stop = json!({"transactionId": 7, "meterStop": 1500, "timestamp": "2026-03-01T12:00:00Z"});
    charger.text(&json!([2, "b", "StopTransaction", stop]).to_string()).await;
    assert_eq!(charger.closed().await, Closed::With(1013));
    assert!(edge.try_charger("/CP001", Some("ocpp1.6"), None).await.is_err());

    network.mend_log().await;
    let mut charger = edge.charger("/CP001").await;
    assert_eq!(charger.call("StopTransaction", stop).await, json!({}));
    assert_eq!(network.count_of("CP001", "TransactionEnded").await, 1);
    edge.stop().await;
}

/// What a charger has not reported is not asked for: it has nothing to answer but the command of the test.
fn asking_nothing() -> Limits {
    Limits { stable_after: Duration::from_secs(3600), ..Limits::default() }
}

/// The log takes the command as sent, and its answer comes after whoever waits for it has given up, several times over.
#[tokio::test]
async fn a_command_whose_recording_was_not_answered_is_sent_all_the_same_and_once() {
    let network = Network::unheard(Settings::default()).await;
    network.register("CP001", None).await;
    let edge = Edge::start_limited(&network.app, asking_nothing()).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    network.delay_first("StationCommandSent").await;

    let asked = Instant::now();
    let command = network.ask("CP001", StationAction::Reset { hard: false }).await;
    let frame = charger.next().await;
    assert_eq!((&frame[0], &frame[2]), (&json!(2), &json!("Reset")), "{frame}");
    assert!(asked.elapsed() > 2 * UNHEARD_AFTER, "the outcome was unknown at first: {:?}", asked.elapsed());
    assert_eq!(network.command(command).await.state, CommandState::Sent);
    charger.text(&json!([3, frame[1], {"status": "Accepted"}]).to_string()).await;
    until(async || network.command(command).await.state == CommandState::Done).await;
    assert_eq!(network.count_of("CP001", "StationCommandSent").await, 1);
    // Had it been written twice, that would come before the answer.
    charger.call("Heartbeat", json!({})).await;
    edge.stop().await;
}

/// The charger might do it when it already counts as timed out.
#[tokio::test]
async fn a_command_of_which_it_is_learned_late_that_it_was_recorded_is_not_sent_and_has_failed() {
    // Of which more than half is over when it is learned.
    let network = Network::unheard(Settings { answer_timeout: TimeDelta::seconds(11), ..Settings::default() }).await;
    network.register("CP001", None).await;
    let edge = Edge::start_limited(&network.app, asking_nothing()).await;
    let mut charger = edge.charger("/CP001").await;
    charger.boot().await;
    network.delay_first("StationCommandSent").await;
    let command = network.ask("CP001", StationAction::Reset { hard: false }).await;
    until(async || network.command(command).await.state == CommandState::Failed).await;
    assert_eq!(network.count_of("CP001", "StationCommandSent").await, 1);
    // A frame would have come before the answer.
    charger.call("Heartbeat", json!({})).await;
    edge.stop().await;
}

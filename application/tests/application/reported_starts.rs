//! StartTransaction: matched with its request, known when it comes again, and never in the way of what runs.

use application::report::MeterValues;
use domain::charge_point::AuthorizationStatus;
use domain::envelope::TimeSource;
use domain::event::AggregateType;
use domain::id::{DriverId, EvseId, TransactionId};
use domain::session::SessionState;
use domain::station_command::CommandState;
use rust_decimal::Decimal;

use crate::people::card;
use crate::support::{at, outlet, process, reading, start_of, stop_of, told, told_with, world};

fn words(flags: &[domain::word::Flag]) -> Vec<&str> {
    flags.iter().map(|flag| flag.as_str()).collect()
}

#[tokio::test]
async fn the_tag_of_a_request_finds_it_in_any_letter_case() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let accepted = world.start(&driver, 1).await;
    let session_id = accepted.session_id.unwrap();
    let tag = world.tag(session_id).await.to_lowercase();
    let verdict = link.authorize(&told(0), &tag).await.expect("decided");
    assert_eq!(verdict.status, AuthorizationStatus::Accepted);
    let started = link.start_transaction(&told(1), start_of(1, &tag, 1_000)).await.expect("started");
    assert_eq!((started.session_id, started.verdict.status), (session_id, AuthorizationStatus::Accepted));
    assert_eq!(started.verdict.group, Some(domain::driver::Driver::group_tag(DriverId(driver.caller.user_id))));
    let session = world.session(session_id).await;
    assert_eq!((session.state, words(&session.flags)), (SessionState::Active, vec![]));
    assert_eq!(session.transaction_id, Some(TransactionId(started.transaction_id.to_string())));
    assert!(session.pricing.is_some(), "the request's price holds");
    assert_eq!(world.command(accepted.command_id).await.state, CommandState::Done);
    assert!(world.charge_point().await.open_commands.is_empty());
    assert_eq!(
        world.history(AggregateType::ChargingSession, session_id).await,
        ["SessionRequested", "TransactionStarted"]
    );

    // The same transaction told in other words: the tag was given out once.
    let again = link.start_transaction(&told(2), start_of(1, &tag, 1_001)).await.expect("started");
    assert_eq!(again, started);
    // But not on another connector.
    let other = link.start_transaction(&told(2), start_of(2, &tag, 1_001)).await.expect("started");
    assert_ne!(other.session_id, session_id);
    assert_eq!(other.verdict.status, AuthorizationStatus::Invalid);
}

#[tokio::test]
async fn a_retry_gets_the_first_answer_for_ever() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let first = link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await.expect("started");
    let head = world.head().await;
    let same = || start_of(1, "card", 1_000);
    assert_eq!(link.start_transaction(&told(1), same()).await.expect("started"), first);
    // Over a new connection, in another process, with the token blocked meanwhile.
    let other_process = process(&world.database, &world.master).await;
    let (tenant_id, id) = (link.tenant_id, link.charge_point_id);
    let next = application::report::connect(&other_process, tenant_id, id, "ocpp1.6", "other", None, at(5));
    let next = next.await.expect("connected");
    assert_eq!(next.start_transaction(&told(1), same()).await.expect("started"), first);
    assert_eq!(world.head().await, head + 1, "only the connection");
    // After it has ended.
    next.stop_transaction(&told(60), stop_of(&first, 2_000)).await.expect("recorded");
    assert_eq!(next.start_transaction(&told(1), same()).await.expect("started"), first);
    // Another time is another transaction, with another number.
    let second = next.start_transaction(&told(61), same()).await.expect("started");
    assert_ne!((second.session_id, second.transaction_id), (first.session_id, first.transaction_id));
    assert!(second.transaction_id > first.transaction_id && first.transaction_id > 0);
}

#[tokio::test]
async fn two_retries_at_one_moment_are_one() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let start = || async { link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await };
    let (one, other) = tokio::join!(start(), start());
    assert_eq!(one.expect("started"), other.expect("started"));
}

#[tokio::test]
async fn without_a_credible_clock_only_the_open_session_is_meant() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    for (received_at, source) in [(Some(at(1)), TimeSource::Received), (None, TimeSource::Unknown)] {
        let clock = || told_with(1, received_at, source);
        let first = link.start_transaction(&clock(), start_of(1, "CARD", 1_000)).await.expect("started");
        assert_eq!(link.start_transaction(&clock(), start_of(1, "CARD", 1_000)).await.expect("started"), first);
        link.stop_transaction(&told(2), stop_of(&first, 2_000)).await.expect("recorded");
        // After a boot the clock starts anew, and what looks the same is another transaction.
        let second = link.start_transaction(&clock(), start_of(1, "CARD", 1_000)).await.expect("started");
        assert_ne!(second.session_id, first.session_id);
        link.stop_transaction(&told(3), stop_of(&second, 2_000)).await.expect("recorded");
        let flagged = words(&world.session(second.session_id).await.flags).contains(&"no_trusted_time");
        assert_eq!(flagged, received_at.is_none());
    }
}

#[tokio::test]
async fn a_refused_start_does_not_end_what_runs() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let running = link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await.expect("started");
    let refused = link.start_transaction(&told(2), start_of(1, "STRANGER", 1_500)).await.expect("recorded");
    assert_eq!(refused.verdict.status, AuthorizationStatus::Invalid);
    assert_eq!(world.session(running.session_id).await.state, SessionState::Active);
    assert_eq!(world.charge_point().await.claims[&EvseId(1)].session_id, running.session_id);
    // It is not open beside the one that runs; its stop is taken all the same.
    let recorded = world.session(refused.session_id).await;
    assert_eq!(
        (recorded.state, words(&recorded.flags)),
        (SessionState::Completed, vec!["unknown_token", "not_authorized", "presumed_ended"])
    );
    link.stop_transaction(&told(3), stop_of(&refused, 1_600)).await.expect("recorded");
    assert_eq!(world.charge_point().await.claims[&EvseId(1)].session_id, running.session_id);
    let stopped = world.session(refused.session_id).await;
    assert_eq!((stopped.stopped_at, stopped.energy_wh()), (Some(at(3)), Some(Decimal::from(100))));
}

#[tokio::test]
async fn a_refused_start_overtakes_one_that_was_refused_too_and_is_overtaken_by_an_accepted_one() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let mut last = None;
    for (minute, tag) in [(1, "STRANGER"), (2, "ANOTHER"), (3, "CARD")] {
        let started = link.start_transaction(&told(minute), start_of(1, tag, 1_000)).await.expect("recorded");
        assert_eq!(world.charge_point().await.claims[&EvseId(1)].session_id, started.session_id, "{tag}");
        assert_eq!(world.session(started.session_id).await.state, SessionState::Active, "{tag}");
        if let Some(overtaken) = last.replace(started.session_id) {
            assert_eq!(world.session(overtaken).await.state, SessionState::Completed, "before {tag}");
        }
    }
}

#[tokio::test]
async fn a_refused_start_leaves_a_request_its_evse() {
    let world = world().await;
    let link = world.connect().await;
    let requested = world.start(&world.driver().await, 1).await.session_id.unwrap();
    let refused = link.start_transaction(&told(1), start_of(1, "STRANGER", 1_000)).await.expect("recorded");
    assert_eq!(world.session(refused.session_id).await.state, SessionState::Completed);
    let tag = world.tag(requested).await;
    let begun = link.start_transaction(&told(2), start_of(1, &tag, 1_000)).await.expect("started");
    assert_eq!((begun.session_id, world.session(requested).await.state), (requested, SessionState::Active));
}

#[tokio::test]
async fn starts_on_numbers_that_are_no_connector_are_told_apart() {
    let world = world().await;
    let link = world.connect().await;
    let mut sessions = std::collections::HashSet::new();
    for number in [Some(-1), Some(0), None] {
        let start = || {
            let mut start = start_of(1, "CARD", 1_000);
            (start.outlet, start.connector) = (None, number);
            start
        };
        let first = link.start_transaction(&told(1), start()).await.expect("recorded");
        assert_eq!(link.start_transaction(&told(1), start()).await.expect("a retry"), first);
        sessions.insert(first.session_id);
    }
    assert_eq!(sessions.len(), 3);
}

#[tokio::test]
async fn a_newer_transaction_ends_the_older() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let older = link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await.expect("started");
    let values = MeterValues {
        outlet: Some(outlet(1)),
        transaction_id: Some(TransactionId(older.transaction_id.to_string())),
        readings: vec![reading(30, 6_000)],
    };
    link.meter_values(&told(30), values.clone()).await.expect("recorded");
    let head = world.head().await;
    link.meter_values(&told(31), values).await.expect("a retry");
    assert_eq!(world.head().await, head);
    let newer = link.start_transaction(&told(50), start_of(1, "CARD", 7_000)).await.expect("started");
    let ended = world.session(older.session_id).await;
    assert_eq!((ended.state, ended.stopped_at), (SessionState::Completed, Some(at(30))));
    assert_eq!(
        ended.final_price.map(|price| (price.total.to_string(), price.estimated)),
        Some(("2.50 EUR".into(), true))
    );
    assert_eq!(world.charge_point().await.claims[&EvseId(1)].session_id, newer.session_id);
    // Its stop comes after all.
    link.stop_transaction(&told(40), stop_of(&older, 7_000)).await.expect("recorded");
    let reopened = world.session(older.session_id).await;
    assert_eq!((reopened.price_revision, words(&reopened.flags)), (2, vec!["presumed_ended", "reopened"]));
    assert_eq!(reopened.energy_wh(), Some(Decimal::from(6_000)));
    assert_eq!(world.session(newer.session_id).await.state, SessionState::Active);
}

#[tokio::test]
async fn a_charge_may_begin_elsewhere_than_it_was_asked_to() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let session_id = world.start(&driver, 1).await.session_id.unwrap();
    let tag = world.tag(session_id).await;
    link.start_transaction(&told(1), start_of(2, &tag, 1_000)).await.expect("started");
    let claims = world.charge_point().await.claims;
    assert_eq!(claims.keys().collect::<Vec<_>>(), [&EvseId(2)]);
    assert_eq!((claims[&EvseId(2)].session_id, claims[&EvseId(2)].driver_id), (session_id, driver.caller.driver_id()));
    assert_eq!(world.session(session_id).await.evse_id, Some(EvseId(2)));
}

#[tokio::test]
async fn whatever_is_missing_the_start_is_recorded() {
    let world = world().await;
    let link = world.connect().await;
    let mut bare = start_of(1, "", 0);
    (bare.outlet, bare.connector, bare.id_tag, bare.meter_start_wh, bare.reservation_id, bare.offline) =
        (None, None, None, None, Some(-1), true);
    let started = link.start_transaction(&told_with(1, None, TimeSource::Unknown), bare).await.expect("recorded");
    let session = world.session(started.session_id).await;
    assert_eq!((session.state, session.evse_id, session.started_at), (SessionState::Active, None, None));
    assert_eq!(
        words(&session.flags),
        ["no_trusted_time", "unknown_outlet", "offline", "unknown_token", "not_authorized"]
    );
}

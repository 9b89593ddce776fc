//! StopTransaction: counts once, is recorded whatever it names, and brings what it brings.

use application::Error;
use application::report::{MeterValues, StopTransaction};
use domain::charge_point::AuthorizationStatus;
use domain::event::AggregateType;
use domain::id::TransactionId;
use domain::meter::SampledValue;
use domain::session::SessionState;
use rust_decimal::Decimal;
use sqlx::Row;

use crate::people::card;
use crate::support::{World, at, outlet, reading, start_of, stop_of, told, world};

async fn sessions(world: &World) -> i64 {
    let count = "SELECT count(DISTINCT aggregate_id) FROM events WHERE aggregate_type = 'ChargingSession'";
    sqlx::query(count).fetch_one(world.database.pool()).await.unwrap().get(0)
}

#[tokio::test]
async fn a_retry_counts_once() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let started = link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await.expect("started");
    let stop = || StopTransaction {
        id_tag: Some("card".into()),
        readings: vec![reading(30, 6_000)],
        reason: Some("EVDisconnected".into()),
        ..stop_of(&started, 11_000)
    };
    let verdict = link.stop_transaction(&told(60), stop()).await.expect("recorded").expect("of the card");
    assert_eq!(verdict.status, AuthorizationStatus::Accepted);
    let head = world.head().await;
    let next = world.connect().await;
    // Later, over a new connection, and even with other content: the transaction has one end.
    assert_eq!(next.stop_transaction(&told(60), stop()).await.expect("recorded"), Some(verdict.clone()));
    assert_eq!(next.stop_transaction(&told(90), stop_of(&started, 99_000)).await.expect("recorded"), Some(verdict));
    assert_eq!(world.head().await, head + 1, "only the connection");
    let session = world.session(started.session_id).await;
    assert_eq!((session.energy_wh(), session.price_revision), (Some(Decimal::from(10_000)), 1));
    assert_eq!(session.stop_reason.map(|reason| reason.to_string()).as_deref(), Some("EVDisconnected"));
    assert_eq!(
        world.history(AggregateType::ChargingSession, started.session_id).await,
        ["TransactionStarted", "MeterValuesRecorded", "TransactionEnded", "SessionPriced"]
    );
}

#[tokio::test]
async fn an_end_without_a_beginning_is_recorded() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let stop = |transaction_id, meter| StopTransaction {
        transaction_id,
        id_tag: Some("CARD".into()),
        meter_stop_wh: Some(Decimal::from(meter)),
        reason: None,
        readings: vec![],
    };
    for (n, transaction_id) in [0, -1, -2, 4_711, i64::from(i32::MAX) + 1].into_iter().enumerate() {
        let verdict = link.stop_transaction(&told(1), stop(transaction_id, 5_000)).await.expect("acknowledged");
        assert_eq!(verdict.map(|verdict| verdict.status), Some(AuthorizationStatus::Accepted));
        link.stop_transaction(&told(1), stop(transaction_id, 5_000)).await.expect("a retry");
        assert_eq!(sessions(&world).await, n as i64 + 1);
    }
    // Several offline transactions may all be called -1.
    link.stop_transaction(&told(2), stop(-1, 6_000)).await.expect("acknowledged");
    assert_eq!(sessions(&world).await, 6);
    let query = "SELECT aggregate_id::uuid FROM events WHERE event_type = 'TransactionEnded' ORDER BY position LIMIT 1";
    let id: uuid::Uuid = sqlx::query_scalar(query).fetch_one(world.database.pool()).await.unwrap();
    let session = world.session(id.into()).await;
    let flags: Vec<_> = session.flags.iter().map(|flag| flag.as_str()).collect();
    assert_eq!((session.state, session.energy_wh()), (SessionState::Completed, None));
    assert_eq!(flags, ["start_missing", "no_trusted_time", "unknown_outlet"]);
    assert!(session.driver_id.is_some(), "the card tells whose it was");
}

#[tokio::test]
async fn a_number_that_was_given_but_never_begun_can_end() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let session_id = world.start(&driver, 1).await.session_id.unwrap();
    // As after a crash between the number and the append.
    sqlx::query("INSERT INTO transactions VALUES ($1, '77', $2)")
        .bind(link.charge_point_id.0)
        .bind(session_id.0)
        .execute(world.database.pool())
        .await
        .unwrap();
    let stop = StopTransaction {
        transaction_id: 77,
        id_tag: None,
        meter_stop_wh: Some(Decimal::from(5_000)),
        reason: None,
        readings: vec![],
    };
    link.stop_transaction(&told(5), stop).await.expect("acknowledged");
    assert_eq!(world.session(session_id).await.state, SessionState::Completed);
    assert!(world.charge_point().await.claims.is_empty());
}

/// 4,000 readings of signed text: far more than one event may hold.
fn many() -> Vec<domain::session::RecordedReading> {
    let sampled = |n: i64| SampledValue { signed: Some("x".repeat(120)), ..SampledValue::of((1_000 + n).to_string()) };
    let reading = |n: i64| {
        let mut reading = reading(1, 0);
        reading.occurred_at = Some(at(1) + chrono::TimeDelta::seconds(n));
        reading.reading.timestamp = reading.occurred_at.unwrap().to_rfc3339();
        reading.reading.sampled = vec![sampled(n)];
        reading
    };
    (0..4_000).map(reading).collect()
}

async fn assert_all_are_there(world: &World, event_type: &str) {
    let query = "SELECT count(*), sum(json_array_length(payload->$1->'readings')), max(length(payload::text)) FROM events WHERE event_type = $1";
    let row = sqlx::query(query).bind(event_type).fetch_one(world.database.pool()).await.unwrap();
    let (events, readings, largest): (i64, i64, i32) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(readings, 4_000);
    assert!(events > 1 && largest <= 512 * 1024, "{events} events of up to {largest} bytes");
}

#[tokio::test]
async fn a_long_sessions_readings_are_split_over_events() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let readings = many();
    assert!(serde_json::to_string(&readings).unwrap().len() > 512 * 1024);
    let started = link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await.expect("started");
    let stop = StopTransaction { readings, ..stop_of(&started, 4_999) };
    link.stop_transaction(&told(70), stop).await.expect("recorded");
    assert_all_are_there(&world, "MeterValuesRecorded").await;
    let session = world.session(started.session_id).await;
    assert_eq!((session.state, session.energy_wh()), (SessionState::Completed, Some(Decimal::from(3_999))));
}

#[tokio::test]
async fn as_are_those_of_meter_values() {
    let world = world().await;
    let link = world.connect().await;
    let values = MeterValues { outlet: Some(outlet(1)), transaction_id: None, readings: many() };
    link.meter_values(&told(70), values).await.expect("recorded");
    assert_all_are_there(&world, "ReadingsReported").await;
}

#[tokio::test]
async fn one_moment_of_too_many_values_is_split_too() {
    let world = world().await;
    let link = world.connect().await;
    let mut huge = reading(1, 0);
    huge.reading.sampled =
        (0..4_000).map(|_| SampledValue { signed: Some("x".repeat(200)), ..SampledValue::of("1") }).collect();
    let values = MeterValues { outlet: Some(outlet(1)), transaction_id: None, readings: vec![huge] };
    link.meter_values(&told(1), values).await.expect("recorded");
    let query = "SELECT max(length(payload::text)) FROM events WHERE event_type = 'ReadingsReported'";
    let largest: i32 = sqlx::query_scalar(query).fetch_one(world.database.pool()).await.unwrap();
    assert!(largest <= 512 * 1024, "{largest}");
}

#[tokio::test]
async fn readings_find_their_session() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let started = link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await.expect("started");
    let values = |connector, transaction: Option<&str>, minute, wh| MeterValues {
        outlet: Some(outlet(connector)),
        transaction_id: transaction.map(|id| TransactionId(id.to_owned())),
        readings: vec![reading(minute, wh)],
    };
    let number = started.transaction_id.to_string();
    link.meter_values(&told(2), values(1, Some(&number), 2, 1_100)).await.expect("by its number");
    link.meter_values(&told(3), values(1, None, 3, 1_200)).await.expect("by its connector");
    link.meter_values(&told(4), values(1, Some("-1"), 4, 1_300)).await.expect("by its connector");
    link.meter_values(&told(5), values(2, None, 5, 9_000)).await.expect("of no session");
    let session = world.session(started.session_id).await;
    assert_eq!((session.energy_wh(), session.metered_at), (Some(Decimal::from(300)), Some(at(4))));
    let reported = world.history(AggregateType::ChargePoint, link.charge_point_id).await;
    assert_eq!(reported.iter().filter(|event| *event == "ReadingsReported").count(), 1);
}

#[tokio::test]
async fn a_fenced_connection_ends_nothing() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "CARD").await;
    let started = link.start_transaction(&told(1), start_of(1, "CARD", 1_000)).await.expect("started");
    world.connect().await;
    let head = world.head().await;
    let fenced = link.stop_transaction(&told(60), stop_of(&started, 2_000)).await;
    assert!(matches!(fenced, Err(Error::Fenced)), "{fenced:?}");
    assert_eq!(world.head().await, head);
    assert_eq!(world.session(started.session_id).await.state, SessionState::Active);
}

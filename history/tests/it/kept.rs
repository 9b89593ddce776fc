//! Moments, and what is kept no more.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::Event;
use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::TenantId;
use domain::read_model::{ReadModel, ReadModelEvent};
use event_store::{Append, Expected, Write};
use history::{Asked, Error};
use read_models::fold_all;
use read_models::testing::Network;
use schema::log::{NewEvent, Position, RecordedEvent, StreamId};
use schema::view::{Model, Query};

use crate::support::{World, assert_same, expected, json, of};

#[tokio::test]
async fn a_time_is_the_last_position_that_was_recorded_by_then() {
    let world = World::new(1_000).await;
    let mut network = Network::new(1);
    world.grow(&mut network, 60).await;
    let log = world.log().await;
    let position_at = async |time| world.past.moment(Asked::Time(time)).await.unwrap().position;
    for event in log.iter().step_by(7) {
        // Events of one flush are recorded at one time.
        let last = log.iter().rfind(|other| other.recorded_at == event.recorded_at).unwrap();
        assert_eq!(position_at(event.recorded_at).await, last.position);
        let before = log.iter().rfind(|other| other.recorded_at < event.recorded_at);
        let just_before = event.recorded_at - TimeDelta::microseconds(1);
        assert_eq!(position_at(just_before).await, before.map_or(Position::START, |event| event.position));
    }
    let first = world.past.moment(Asked::Time(DateTime::<Utc>::UNIX_EPOCH)).await.unwrap();
    assert_eq!((first.position, first.recorded_at), (Position::START, None));
    let head = log.last().unwrap();
    let now = world.past.moment(Asked::Time(Utc::now())).await.unwrap();
    assert_eq!((now.position, now.recorded_at), (head.position, Some(head.recorded_at)));
}

#[tokio::test]
async fn what_has_not_come_yet_is_refused() {
    let world = World::new(1_000).await;
    let head = world.grow(&mut Network::new(1), 10).await;
    let above = world.past.moment(Asked::Position(Position(head.0 + 1))).await;
    assert!(matches!(above, Err(Error::AboveHead { head: named }) if named == head), "{above:?}");
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let not_yet = world.past.moment(Asked::Time(tomorrow)).await;
    assert!(matches!(not_yet, Err(Error::NotYet { time }) if time == tomorrow), "{not_yet:?}");
}

/// Events that were archived are missed only where they are needed.
#[tokio::test]
async fn what_is_gone_is_said_to_be_gone() {
    let world = World::new(50).await;
    let mut network = Network::new(3);
    let process = world.start("worker");
    let head = world.grow(&mut network, 300).await;
    world.contained(head).await;
    drop(process);
    let session = world.views.list(&Query::of(Model::Sessions)).await.unwrap().rows[0].clone();
    let (middle, boundary) = (world.at(head.0 / 50 * 50 - 20).await, world.at(head.0 / 50 * 50 - 50).await);
    let sessions = Query::of(Model::Sessions);
    world.past.list(&sessions, &middle).await.unwrap();

    let detach = "ALTER TABLE events_telemetry DETACH PARTITION events_telemetry_1";
    sqlx::query(detach).execute(world.database.pool()).await.unwrap();
    let past = history::Past::new(world.store.clone(), world.views.clone());
    // The first range of the log ends there.
    let gone = past.list(&sessions, &middle).await;
    assert!(matches!(gone, Err(Error::NotKept { earliest: Position(10_000_000) })), "{gone:?}");
    // At a boundary nothing needs to be folded, and sites are not made of telemetry.
    assert!(!past.list(&sessions, &boundary).await.unwrap().rows.is_empty());
    assert!(!past.list(&Query::of(Model::Commands), &middle).await.unwrap().rows.is_empty());
    // What has not changed since needs no events either.
    let at = world.at(head.0).await;
    let now = past.get(Model::Sessions, &session.key, &at).await.unwrap().unwrap();
    assert_eq!(now.position, session.position);
}

/// A database that is older than what keeps rows: the log alone says what was before.
#[tokio::test]
async fn before_anything_was_kept_the_log_is_folded() {
    let world = World::new(50).await;
    let mut network = Network::new(4);
    let process = world.start("worker");
    let head = world.grow(&mut network, 200).await;
    world.contained(head).await;
    drop(process);
    for model in Model::ALL.map(Model::name) {
        sqlx::query(&format!("TRUNCATE history.{model}")).execute(world.database.pool()).await.unwrap();
    }
    let since = "WITH gone AS (DELETE FROM history.eras) SELECT 1";
    sqlx::query(since).execute(world.database.pool()).await.unwrap();
    let insert = sqlx::query("INSERT INTO history.eras VALUES ($1, 50)").bind(head.0);
    insert.execute(world.database.pool()).await.unwrap();
    let log = world.log().await;
    let at = world.at(head.0 / 2).await;
    let rows = expected(&log, at.position);
    for model in Model::ALL {
        assert_same(&world.pages(Query::of(model), &at).await, &of(&rows, model), model.name());
    }
}

/// Of keys that stand still, lists say the same as what is folded row by row.
#[tokio::test]
async fn lists_and_rows_agree_on_what_was_parked() {
    let world = World::new(40).await;
    let mut network = Network::new(6);
    let _process = world.start("worker");
    let middle = world.grow(&mut network, 120).await;
    world.contained(middle).await;
    // Some events that nobody understands.
    sqlx::query(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.event_type = 'ChargingStateChanged' AND NEW.position % 2 = 0 THEN NEW.event_version := '77'; END IF; \
         RETURN NEW; END $$",
    )
    .execute(world.database.pool())
    .await
    .unwrap();
    sqlx::query("CREATE TRIGGER spoil BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION spoil()")
        .execute(world.database.pool())
        .await
        .unwrap();
    let end = world.grow(&mut network, 400).await;
    world.contained(end).await;
    let parked: i64 =
        sqlx::query_scalar("SELECT count(*) FROM views.parked_keys").fetch_one(world.database.pool()).await.unwrap();
    assert!(parked > 0, "nothing stands still");
    for position in [middle.0 + 60, middle.0 / 40 * 40 + 120, end.0 - 90, end.0 - 41, end.0] {
        let at = world.at(position).await;
        for model in [Model::Sessions, Model::ChargePoints] {
            let listed = world.pages(Query::of(model), &at).await;
            assert!(!listed.is_empty());
            for listed in &listed {
                let alone = world.past.get(model, &listed.key, &at).await.unwrap();
                let alone: Vec<_> = alone.iter().map(|row| row.as_ref().clone()).collect();
                assert_same(&alone, &[listed], &format!("{} at {position}", model.name()));
            }
        }
    }
}

/// What was skipped is passed over from then on, even by a fold that could apply it.
#[tokio::test]
async fn what_was_skipped_by_then_is_passed_over() {
    let world = World::new(1_000).await;
    let mut network = Network::new(12);
    let before = world.grow(&mut network, 300).await;
    let log = world.log().await;
    // Of a few sessions an event without which they are others.
    let sessions = |left_out: Option<Position>, upto: Position| {
        let events = log.iter().filter(|event| Some(event.position) != left_out && event.position <= upto);
        fold_all(events.map(AsRef::as_ref)).ok()
    };
    let whole = sessions(None, before).unwrap();
    let mut skipped: Vec<&RecordedEvent> = vec![];
    for event in log.iter().filter(|event| event.stream.aggregate == AggregateType::ChargingSession) {
        let slot = (Model::Sessions, event.stream.id.to_string());
        if skipped.len() < 4
            && skipped.iter().all(|other| other.partition_key != event.partition_key)
            && let Some(without) = sessions(Some(event.position), before)
            && without.contains_key(&slot)
            && json(&without[&slot].row) != json(&whole[&slot].row)
        {
            skipped.push(event);
        }
    }
    assert_eq!(skipped.len(), 4);
    for event in &skipped {
        let key = event.partition_key;
        let skip = ReadModelEvent::ParkedEventSkipped {
            model: Model::Sessions.name().to_owned(),
            partition_key: key,
            position: event.position.0,
        };
        let id = ReadModel::key_stream_id(Model::Sessions.name(), key);
        let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test")));
        let write = Write {
            stream: StreamId { aggregate: AggregateType::ReadModel, id },
            expected: Expected::New,
            events: vec![NewEvent::new(Event::ReadModel(skip), envelope, key)],
            fence: None,
        };
        world.store.append(Append { writes: vec![write], guards: vec![], key: None }).await.unwrap();
    }

    // After none of the skips, after two, after all.
    for count in [0, 2, 4] {
        let at = world.at(before.0 + count).await;
        let passed_over: Vec<Position> = skipped[..count as usize].iter().map(|event| event.position).collect();
        let events = log.iter().filter(|event| !passed_over.contains(&event.position));
        let rows = fold_all(events.map(AsRef::as_ref)).unwrap();
        let what = format!("after {count} skips");
        assert_same(&world.pages(Query::of(Model::Sessions), &at).await, &of(&rows, Model::Sessions), &what);
        for event in &skipped {
            let key = event.stream.id.to_string();
            let row = world.past.get(Model::Sessions, &key, &at).await.unwrap().unwrap();
            let slot = (Model::Sessions, key);
            assert_same(&[row.as_ref().clone()], &[&rows[&slot]], &what);
        }
        // Of another read model nothing was skipped.
        let chargers = of(&whole, Model::ChargePoints);
        assert_same(&world.pages(Query::of(Model::ChargePoints), &at).await, &chargers, &what);
    }
}

//! What the read models say that they contain is proved, or the place is named where it is not so.

use event_store::EventStore;
use projection_service::rebuild::{Error, Progress, Rebuilder};
use projection_service::verify::{Finding, Report, verify};
use read_models::Folds;
use read_models::testing::Network;
use schema::digest::{BLOCK_POSITIONS, block_of};
use schema::log::Position;
use schema::view::{Model, ViewStore};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::support::{Process, contained, empty, fill, grow, log, store_options};

async fn prove(pool: &PgPool) -> Report {
    let mut seen = Position::START;
    let report = verify(pool, None, |progress| seen = progress.position).await.unwrap();
    assert_eq!(seen, report.head);
    report
}

async fn change(pool: &PgPool, text: &str, position: Position) {
    let changed = sqlx::query(text).bind(position.0).execute(pool).await.unwrap();
    assert!(changed.rows_affected() > 0, "{text}");
}

#[tokio::test]
async fn the_log_and_what_was_consumed_are_proved_or_the_place_is_named() {
    let database = empty().await;
    let pool = database.pool();
    let store = EventStore::connect(pool.clone(), store_options()).await.unwrap();
    let views = ViewStore::new(pool.clone());
    let mut network = Network::new(21);
    assert!(prove(pool).await.is_sound());
    grow(&store, &mut network, 100).await;
    let process = Process::start(database.url(), "first");
    fill(pool, BLOCK_POSITIONS).await;
    let head = grow(&store, &mut network, 100).await;
    // In the middle of the work; another goes on.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    drop(process);
    let process = Process::start(database.url(), "second");
    contained(&views, head).await;
    store.seal_digests().await.unwrap();
    let sound = prove(pool).await;
    assert_eq!(sound.findings, vec![]);
    assert_eq!((sound.position, sound.head, sound.events), (head, head, head.0));
    assert_eq!((sound.unproven_to, sound.not_kept), (Position::START, 0));
    let records: (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM log_digests), (SELECT count(*) FROM views.consumed)")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(records, (64, 64));

    // A build that is made anew writes down what it consumed too, and one that consumed something else does not join.
    let rebuilder = Rebuilder::new(store.clone(), pool.clone(), Folds::of_today());
    let forge = "UPDATE events SET payload_hash = gen_random_uuid() WHERE position = $1";
    let last = Position(head.0 - 3);
    let hash: Uuid = sqlx::query_scalar("SELECT payload_hash FROM events WHERE position = $1")
        .bind(last.0)
        .fetch_one(pool)
        .await
        .unwrap();
    change(pool, forge, last).await;
    let refused = rebuilder.build(Model::Sites, &Progress::default()).await.unwrap_err();
    assert!(matches!(refused, Error::OtherEvents { model: Model::Sites, .. }), "{refused}");
    rebuilder.discard(Model::Sites).await.unwrap();
    sqlx::query("UPDATE events SET payload_hash = $2 WHERE position = $1")
        .bind(last.0)
        .bind(hash)
        .execute(pool)
        .await
        .unwrap();
    rebuilder.build(Model::Sessions, &Progress::default()).await.unwrap();
    let of_build = "SELECT c.build_id, count(*) FROM views.consumed c WHERE c.build_id <> 0 GROUP BY c.build_id";
    let (build, blocks): (i64, i64) = sqlx::query_as(of_build).fetch_one(pool).await.unwrap();
    assert_eq!(blocks, 64);
    assert_eq!(prove(pool).await.findings, vec![]);
    let other = "UPDATE views.consumed SET digest = sha256(digest) WHERE build_id = $1 AND partition = 9";
    sqlx::query(other).bind(build).execute(pool).await.unwrap();
    let consumed = prove(pool).await;
    let [Finding::NotAsConsumed { build: found, partition: 9, block: 0, .. }] = consumed.findings[..] else {
        panic!("{consumed:?}");
    };
    assert_eq!(found, build);
    rebuilder.discard(Model::Sessions).await.unwrap();
    assert_eq!(prove(pool).await.findings, vec![]);
    drop(process);

    // Of a sealed block and of the one under way.
    for position in [Position(17), Position(head.0 - 3)] {
        let payload: String = sqlx::query_scalar("SELECT payload::text FROM events WHERE position = $1")
            .bind(position.0)
            .fetch_one(pool)
            .await
            .unwrap();
        let restore = async || {
            let restore = "UPDATE events SET payload = $2::json, payload_hash = encode(substring(sha256(convert_to($2, \
                           'UTF8')) FROM 1 FOR 16), 'hex')::uuid WHERE position = $1";
            sqlx::query(restore).bind(position.0).bind(&payload).execute(pool).await.unwrap();
        };

        // One space more.
        change(pool, "UPDATE events SET payload = (payload::text || ' ')::json WHERE position = $1", position).await;
        let altered = prove(pool).await;
        let [Finding::PayloadAltered { position: found, .. }] = altered.findings[..] else { panic!("{altered:?}") };
        assert_eq!(found, position);
        restore().await;

        // With its hash: what was sealed and consumed knows better.
        let text = "UPDATE events SET payload = '{}', payload_hash = encode(substring(sha256('{}') FROM 1 FOR 16), \
                    'hex')::uuid WHERE position = $1";
        change(pool, text, position).await;
        let forged = prove(pool).await;
        let number: i16 = sqlx::query_scalar("SELECT partition FROM events WHERE position = $1")
            .bind(position.0)
            .fetch_one(pool)
            .await
            .unwrap();
        assert!(!forged.is_sound());
        for finding in &forged.findings {
            match finding {
                Finding::NotAsSealed { partition, block, .. } | Finding::NotAsConsumed { partition, block, .. } => {
                    assert_eq!((*partition, *block), (number, block_of(position)));
                }
                Finding::WrongCheckpoint { partition, consumed_to: _, .. } => assert_eq!(*partition, number),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(forged.findings_count, if block_of(position) == 0 { 2 } else { 1 }, "{forged:?}");
        restore().await;

        // Gone.
        let copied = "CREATE TABLE taken AS SELECT * FROM events WHERE position = ";
        sqlx::query(&format!("{copied}{}", position.0)).execute(pool).await.unwrap();
        change(pool, "DELETE FROM events WHERE position = $1", position).await;
        let missing = prove(pool).await;
        assert_eq!(missing.findings, vec![Finding::EventsMissing { first: position, last: position }]);
        sqlx::query("INSERT INTO events SELECT * FROM taken").execute(pool).await.unwrap();
        sqlx::query("DROP TABLE taken").execute(pool).await.unwrap();
        assert_eq!(prove(pool).await.findings, vec![]);
    }

    // A record of what was consumed that is not there.
    sqlx::query("CREATE TABLE taken AS SELECT * FROM views.consumed").execute(pool).await.unwrap();
    sqlx::query("DELETE FROM views.consumed WHERE partition = 5").execute(pool).await.unwrap();
    let never = prove(pool).await;
    assert!(!never.findings.is_empty() || never.unproven_to > Position::START, "{never:?}");
    sqlx::query("DELETE FROM views.consumed").execute(pool).await.unwrap();
    sqlx::query("INSERT INTO views.consumed SELECT * FROM taken").execute(pool).await.unwrap();

    // A checkpoint that says more than was done.
    let before: Vec<(i16, i64)> =
        sqlx::query_as("SELECT partition, position FROM views.progress").fetch_all(pool).await.unwrap();
    let later = grow(&store, &mut network, 60).await;
    let passed = log(&store).await.into_iter().rfind(|event| event.position > head).unwrap();
    let (number, ends) = (i16::from(passed.partition.number()), passed.position);
    sqlx::query("UPDATE views.progress SET position = $1, run = NULL WHERE partition = $2")
        .bind(later.0)
        .bind(number)
        .execute(pool)
        .await
        .unwrap();
    let faked = prove(pool).await;
    let [Finding::WrongCheckpoint { partition, checkpoint, consumed_to }] = faked.findings[..] else {
        panic!("{faked:?}");
    };
    assert_eq!((partition, checkpoint), (number, later));
    assert!(consumed_to.unwrap() < ends, "{faked:?}");

    // The same said of a run.
    for (partition, position) in before {
        sqlx::query("UPDATE views.progress SET position = $1 WHERE partition = $2")
            .bind(position)
            .bind(partition)
            .execute(pool)
            .await
            .unwrap();
    }
    let run = "WITH run AS (INSERT INTO views.runs SELECT gen_random_uuid(), 1, $1 RETURNING run) \
               UPDATE views.progress SET run = (SELECT run FROM run)";
    sqlx::query(run).bind(later.0).execute(pool).await.unwrap();
    let faked = prove(pool).await;
    assert!(!faked.is_sound());
    for finding in &faked.findings {
        assert!(matches!(finding, Finding::PassedOver { .. }), "{finding:?}");
    }

    // Ahead of the log.
    sqlx::query("UPDATE views.runs SET position = $1").bind(later.0 + 5).execute(pool).await.unwrap();
    let ahead = prove(pool).await;
    assert!(ahead.findings.iter().any(|finding| matches!(finding, Finding::AheadOfLog { .. })), "{ahead:?}");
}

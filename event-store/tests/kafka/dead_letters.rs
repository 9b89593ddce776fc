//! What could not be taken in: kept once, copied at every change, settled.

use std::time::{Duration, Instant};

use event_store::dead_letters::{self, Again, By, DeadLetter, Of, Record, Source, State, Which};
use event_store::feed::{From, Log};
use event_store::kafka::KafkaOptions;
use event_store::{EventStore, PartitionSet, StoreOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schema::log::Position;
use schema::record::Encoder;
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::support::{PATIENCE, database, store, store_with};
use crate::topic::{append_some, log, options, relay_options, run};

async fn all(pool: &PgPool) -> Vec<DeadLetter> {
    dead_letters::list(pool, Which::default(), 1_000).await.expect("a list")
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything in the topic of dead letters, with the headers `id` and `state`.
fn topic(kafka: &KafkaOptions) -> Vec<Value> {
    let mut config: ClientConfig = kafka.client();
    config.set("group.id", "test").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut one = TopicPartitionList::new();
    one.add_partition_offset(&kafka.topics.dead_letters(), 0, Offset::Beginning).expect("a partition");
    consumer.assign(&one).expect("assigned");
    let mut letters = vec![];
    loop {
        match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(message)) => {
                let letter: Value = serde_json::from_slice(message.payload().expect("a value")).expect("JSON");
                assert_eq!(message.key(), Some(letter["id"].to_string().as_bytes()));
                letters.push(letter);
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return letters,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_nobody_can_decode_is_kept_once_and_copied() {
    let (database, kafka) = (database().await, options().await);
    let pool = database.pool();
    let writer = store(&database).await;
    let mut relay = run(&writer, relay_options(&kafka));
    let upto = append_some(&writer, 4).await;
    relay.until_relayed(upto).await;

    // Two processes that follow.
    let mut followers = vec![];
    for _ in 0..2 {
        let follower =
            store_with(&database, StoreOptions { kafka: Some(kafka.clone()), ..StoreOptions::default() }).await;
        let feed = follower.follow(PartitionSet::ALL, From::Position(upto));
        until("the consumer", async || (follower.kafka_counts().0.begun > 0).then_some(())).await;
        followers.push((follower, feed));
    }
    let producer: FutureProducer = kafka.client().create().expect("a producer");
    let foreign = async |value: &[u8], headers: OwnedHeaders| {
        let events = kafka.topics.events();
        let record =
            FutureRecord::<[u8], [u8]>::to(&events).partition(5).key(b"\xff\0key").payload(value).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.expect("delivered");
    };
    // An end is known only some time after it was asked for: until then what comes again, and is dropped, is not noticed.
    until("the ends", async || {
        let old = [("position", "1"), ("prev", "0"), ("generation", "1")];
        let headers = old
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        foreign(b"again", headers).await;
        followers.iter().all(|(follower, _)| follower.kafka_counts().0.known > 0).then_some(())
    })
    .await;
    foreign(b"not \0 ours \xfe", OwnedHeaders::new().insert(Header { key: "of", value: Some(&b"some\xffbody"[..]) }))
        .await;
    let long = vec![b'x'; 200_000];
    foreign(&long, OwnedHeaders::new().insert(Header { key: "position", value: Some(&b"many"[..]) })).await;
    // The followers go on.
    let upto = append_some(&writer, 4).await;
    for (_, feed) in &mut followers {
        let read = async { while feed.next().await.expect("it goes on").upto < upto {} };
        tokio::time::timeout(PATIENCE, read).await.expect("in time");
    }
    let letters = until("both", async || Some(all(pool).await).filter(|all| all.len() >= 2)).await;
    until("the other follower", async || {
        let undecodable = |(follower, _): &(EventStore, _)| follower.kafka_counts().0.undecodable >= 2;
        followers.iter().all(undecodable).then_some(())
    })
    .await;
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert_eq!(all(pool).await.len(), 2, "each once, whoever has met it");
    let [garbage, long] = &letters[..] else { unreachable!() };
    let Of::Record(record) = &garbage.of else { panic!("{garbage:?}") };
    assert_eq!((garbage.source, garbage.state, record.partition), (Source::Kafka, State::Waiting, 5));
    assert_eq!(record.topic, kafka.topics.events());
    assert_eq!(record.value.as_deref(), Some(&b"not \0 ours \xfe"[..]));
    assert_eq!(record.key.as_deref(), Some(&b"\xff\0key"[..]));
    assert_eq!(record.headers, json!([{"name": "of", "value_base64": "c29tZf9ib2R5"}]));
    assert!(garbage.error.as_deref().is_some_and(|error| error.contains("no header")), "{garbage:?}");
    let Of::Record(record) = &long.of else { panic!("{long:?}") };
    assert_eq!((record.value.as_ref().map(Vec::len), record.value_bytes), (Some(64 * 1024), Some(200_000)));
    assert_eq!(dead_letters::count(pool).await.expect("a count"), [(Source::ReadModel, 0), (Source::Kafka, 2)]);

    // It is no event of this log, whoever tries it.
    let again = dead_letters::try_again(&writer, record).await.expect("tried");
    assert!(matches!(again, Again::Foreign(_)), "{again:?}");

    let copies = until("the copies", async || Some(topic(&kafka)).filter(|copies| copies.len() >= 2)).await;
    assert_eq!(copies[0]["value_base64"], "bm90IAAgb3VycyD+", "{}", copies[0]);
    assert_eq!((&copies[0]["state"], &copies[0]["source"]), (&json!("waiting"), &json!("kafka")));
    let by = By { name: "somebody", reason: Some("another program's") };
    assert!(dead_letters::settle(pool, garbage.id, State::Skipped, by).await.expect("settled"));
    assert!(!dead_letters::settle(pool, garbage.id, State::Skipped, by).await.expect("asked"), "once");
    let copies = until("the news", async || Some(topic(&kafka)).filter(|copies| copies.len() >= 3)).await;
    let last = &copies[2];
    assert_eq!(
        (&last["id"], &last["state"], &last["reason"]),
        (&json!(garbage.id), &json!("skipped"), &json!("another program's"))
    );
    // Nothing more comes of what is copied.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(topic(&kafka).len(), 3);
}

/// Consumers begin at the ends: what is not kept by who has met it is met by nobody again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_met_while_the_table_is_away_is_kept_when_it_is_back() {
    let (database, kafka) = (database().await, options().await);
    let pool = database.pool();
    let follower = store_with(&database, StoreOptions { kafka: Some(kafka.clone()), ..StoreOptions::default() }).await;
    let _feed = follower.follow(PartitionSet::ALL, From::Position(Position::START));
    let producer: FutureProducer = kafka.client().create().expect("a producer");
    let foreign = async |value: &str| {
        let events = kafka.topics.events();
        let record = FutureRecord::<str, str>::to(&events).partition(9).payload(value);
        producer.send(record, Duration::from_secs(10)).await.expect("delivered");
    };
    event_store::kafka::topics::ensure(&kafka).await.expect("topics");
    // Until it stands at the ends.
    until("a record to be met", async || {
        foreign("before").await;
        (follower.kafka_counts().0.undecodable > 0).then_some(())
    })
    .await;
    until("it to be kept", async || Some(all(pool).await).filter(|all| !all.is_empty())).await;
    sqlx::query("ALTER TABLE dead_letters RENAME TO away").execute(pool).await.expect("renamed");
    let met = follower.kafka_counts().0.undecodable;
    for value in ["one", "two", "three"] {
        foreign(value).await;
    }
    until("them to be met", async || (follower.kafka_counts().0.undecodable >= met + 3).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    sqlx::query("ALTER TABLE away RENAME TO dead_letters").execute(pool).await.expect("renamed");
    let is = |letter: &DeadLetter, value: &str| match &letter.of {
        Of::Record(record) => record.value.as_deref() == Some(value.as_bytes()),
        Of::Build { .. } => false,
    };
    let kept = until("all of them", async || {
        let all = all(pool).await;
        ["one", "two", "three"].iter().all(|value| all.iter().any(|letter| is(letter, value))).then_some(all)
    })
    .await;
    assert_eq!(kept.iter().filter(|letter| !is(letter, "before")).count(), 3, "each once");
    assert_eq!(follower.kafka_counts().0.undecodable_lost, 0);
}

/// Somebody's transaction over letters must not make a stream of copies of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_another_transaction_holds_are_copied_now_and_then() {
    const HELD: usize = 100;
    let (database, kafka) = (database().await, options().await);
    let pool = database.pool();
    let insert = "INSERT INTO dead_letters (source, error, topic, kafka_partition, kafka_offset, record_hash, headers)
                  SELECT 'kafka', 'a test', 'x', 0, n, decode(lpad(to_hex(n), 32, '0'), 'hex'), '[]'
                  FROM generate_series(1, 150) n";
    sqlx::query(insert).execute(pool).await.expect("written");
    let mut holder = pool.begin().await.expect("a transaction");
    let hold = "SELECT FROM dead_letters ORDER BY dead_letter_id LIMIT $1 FOR UPDATE";
    sqlx::query(hold).bind(HELD as i64).execute(&mut *holder).await.expect("held");
    let store = store(&database).await;
    let _relay = run(&store, relay_options(&kafka));
    let marked = async || -> i64 {
        let statement = "SELECT count(*) FROM dead_letters WHERE copied_as = state";
        sqlx::query_scalar(statement).fetch_one(pool).await.expect("a count")
    };
    until("the others to be copied", async || (marked().await == 50).then_some(())).await;
    let (began, before) = (Instant::now(), topic(&kafka).len());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let copies = topic(&kafka).len() - before;
    // Once a second at the most, and one that was under way.
    let rounds = began.elapsed().as_secs() as usize + 2;
    assert!(copies <= rounds * HELD, "{copies} copies in {:?}", began.elapsed());
    holder.rollback().await.expect("let go");
    until("all of them", async || (marked().await == 150).then_some(())).await;
}

/// An event's record, as somebody has kept it who could not decode it.
#[tokio::test]
async fn a_record_is_tried_again() {
    let database = database().await;
    let store = store(&database).await;
    let upto = append_some(&store, 2).await;
    let events = log(&store, upto).await;
    let (event, other) = (&events[0], &events[1]);
    let kept = |position: i64| {
        let mut headers = vec![];
        let mut encoder = Encoder::default();
        let encoded = encoder.encode(&event.as_ref(), Position::START, |name, value| {
            let value = if name == "position" { position.to_string() } else { value.to_owned() };
            headers.push(json!({"name": name, "value": value}));
        });
        Record {
            topic: "x.events".into(),
            partition: event.partition.into(),
            offset: 7,
            headers: Value::Array(headers),
            key: None,
            value: Some(encoded.value.as_bytes().to_vec()),
            value_bytes: None,
            settled_by: None,
            reason: None,
        }
    };
    let again = async |record: &Record| dead_letters::try_again(&store, record).await.expect("the log can be read");
    let whole = kept(event.position.0);
    assert_eq!(again(&whole).await, Again::Decoded(event.position));
    let cut = Record { value: whole.value.as_ref().map(|value| value[..40].to_vec()), ..whole.clone() };
    assert_eq!(again(&cut).await, Again::InLog(event.position), "its event was read in its place");
    let elsewhere = kept(other.position.0);
    assert!(matches!(again(&elsewhere).await, Again::Foreign(_)));
    let beyond = kept(upto.0 + 1_000);
    assert!(matches!(again(&beyond).await, Again::Foreign(why) if why.contains("no event at")));
    let bare = Record { headers: json!([]), ..whole };
    assert!(matches!(again(&bare).await, Again::Foreign(why) if why.contains("no header")));
}

/// What the functions do that workers call: the table follows, whatever happens to what is parked.
#[tokio::test]
async fn parked_events_are_dead_letters_until_something_is_done_about_them() {
    let database = database().await;
    let pool = database.pool();
    let keys = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let run = async |statement: &str| {
        let statement = sqlx::query(statement).bind(vec![keys[0], keys[0], keys[0], keys[1]]).execute(pool).await;
        statement.expect("it works");
    };
    let states = async || -> Vec<(i64, State, Option<String>)> {
        let letters = all(pool).await;
        assert!(letters.iter().all(|letter| letter.source == Source::ReadModel));
        letters.into_iter().map(|letter| (letter.position.unwrap_or_default().0, letter.state, letter.error)).collect()
    };
    run("SELECT views.park('{1,1}', $1[3:4], '{0,1}', '{10,11}', '{A,B}', '{it fails,it fails too}'), \
         views.hold('{1,1,1,1}', $1, '{10,12,13,11}')")
    .await;
    let fails = |word: &str| Some(word.to_owned());
    use State::{Dropped, Released, Skipped, Waiting};
    assert_eq!(
        states().await,
        [
            (10, Waiting, fails("it fails")),
            (11, Waiting, fails("it fails too")),
            (12, Waiting, None),
            (13, Waiting, None)
        ]
    );
    let first = all(pool).await.remove(0);
    let of = Of::Build { model: "charge_points".into(), build: 1, partition_key: keys[0] };
    assert_eq!((first.of, first.event_type.as_deref()), (of, Some("A")));

    // The first one is left out, the next one applied; then the key stands still again.
    run(
        "SELECT views.leave_out('{1}', $1[1:1], '{10}'), views.unpark('{1}', $1[1:1], '{13}', '{C}', '{so does this}')",
    )
    .await;
    assert_eq!(
        states().await,
        [
            (10, Skipped, fails("it fails")),
            (11, Waiting, fails("it fails too")),
            (12, Released, None),
            (13, Waiting, fails("so does this"))
        ]
    );
    // All of the other key is applied.
    run("SELECT views.unpark('{1}', $1[4:4], ARRAY[NULL::bigint], ARRAY[NULL], ARRAY[NULL])").await;
    run("UPDATE views.builds SET state = 'dropped' WHERE build_id = 1 AND $1 IS NOT NULL").await;
    let states = states().await;
    assert_eq!(states[1].1, Released);
    assert_eq!(states[3].1, Dropped);
    assert_eq!(dead_letters::count(pool).await.expect("a count"), [(Source::ReadModel, 0), (Source::Kafka, 0)]);
    let settled = all(pool).await.into_iter().all(|letter| letter.settled_at.is_some());
    assert!(settled);
}

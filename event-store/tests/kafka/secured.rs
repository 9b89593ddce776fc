//! Kafka behind TLS and SASL: written and read through it, and told clearly when it lets nobody in.

use std::time::Duration;

use embedded_kafka::{EmbeddedKafka, Secured, testing};
use event_store::feed::{From, Log};
use event_store::kafka::options::{Sasl, Secret, Security, Tls};
use event_store::kafka::{Doing, KafkaOptions, RelayState};
use event_store::{EventStore, PartitionSet, StoreOptions, Wake};
use futures_util::future::join_all;
use schema::log::Position;
use tokio::sync::OnceCell;

use crate::heard::{heard, listen};
use crate::support::{PATIENCE, database, store, store_with};
use crate::topic::{append_some, assert_relayed, log, options_at, relay_options, run};

/// Never dropped: it ends with the process.
async fn secured() -> Secured {
    static KAFKA: OnceCell<EmbeddedKafka> = OnceCell::const_new();
    let kafka = KAFKA.get_or_init(|| testing::own(|options| options.secured = true)).await;
    kafka.secured().expect("it was asked for").clone()
}

fn sasl(secured: &Secured, mechanism: &str) -> Sasl {
    Sasl {
        mechanism: mechanism.to_owned(),
        username: secured.username.clone(),
        password: Secret(secured.password.clone()),
    }
}

fn trusting(secured: &Secured) -> Tls {
    Tls { ca_file: Some(secured.ca.clone()), ..Tls::default() }
}

fn with_certificate(secured: &Secured) -> Tls {
    Tls {
        cert_file: Some(secured.client_certificate.clone()),
        key_file: Some(secured.client_key.clone()),
        ..trusting(secured)
    }
}

fn through(brokers: &str, security: Security) -> KafkaOptions {
    KafkaOptions { security, ..options_at(brokers) }
}

/// Nobody tells it of anything but Kafka, and what that doesn't bring is read so often.
async fn reader(
    database: &embedded_postgres::testing::TestDatabase,
    kafka: &KafkaOptions,
    poll_every: Duration,
) -> EventStore {
    let options = StoreOptions { kafka: Some(kafka.clone()), wake: Wake::Poll, poll_every, ..StoreOptions::default() };
    store_with(database, options).await
}

/// The whole log, as a follower is handed it.
async fn assert_followed(reader: &EventStore, writer: &EventStore, upto: Position) {
    let mut feed = reader.follow(PartitionSet::ALL, From::Position(Position::START));
    let mut seen = vec![];
    let following = async {
        let mut at = Position::START;
        while at < upto {
            let batch = feed.next().await.expect("a batch");
            seen.extend(batch.events.iter().map(|event| (event.position, event.event_id)));
            at = batch.upto;
        }
    };
    tokio::time::timeout(PATIENCE, following).await.expect("it gets there");
    seen.retain(|(position, _)| *position <= upto);
    let expected: Vec<_> = log(writer, upto).await.iter().map(|event| (event.position, event.event_id)).collect();
    assert!(seen == expected, "{} of {}", seen.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_goes_through_tls_and_sasl() {
    let secured = secured().await;
    let ways = [
        (&secured.sasl_tls_brokers, Security::SaslTls(trusting(&secured), sasl(&secured, "SCRAM-SHA-512"))),
        (&secured.tls_brokers, Security::Tls(with_certificate(&secured))),
        (&secured.sasl_brokers, Security::Sasl(sasl(&secured, "PLAIN"))),
    ];
    let through_each = ways.map(|(brokers, security)| async {
        let (database, kafka) = (database().await, through(brokers, security));
        let writer = store(&database).await;
        let mut relay = run(&writer, relay_options(&kafka));
        relay.until(|state| state.doing.is_leading()).await;
        let reader = reader(&database, &kafka, Duration::from_secs(5)).await;
        let mut feed = reader.follow(PartitionSet::ALL, From::Position(Position::START));
        let following = tokio::spawn(async move { while feed.next().await.is_ok() {} });
        let bring = async {
            // A consumer that doesn't stand at its ends yet has nothing of it.
            while reader.kafka_counts().0.taken < 100 {
                append_some(&writer, 10).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let brought = tokio::time::timeout(PATIENCE, bring).await;
        brought.unwrap_or_else(|_| panic!("{:?}: {:?}", kafka.security, reader.kafka_counts()));
        let upto = append_some(&writer, 50).await;
        relay.until_relayed(upto).await;
        assert_relayed(&writer, &kafka, upto).await;
        assert_followed(&reader, &writer, upto).await;
        following.abort();
    });
    join_all(through_each).await;
}

/// Who is not let in says why and what to look at, and the platform goes on without Kafka.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_why() {
    listen();
    let secured = secured().await;
    let missing = Tls { ca_file: Some("/nowhere/ca.pem".into()), ..Tls::default() };
    let wrong = Sasl { password: Secret("wrong".to_owned()), ..sasl(&secured, "SCRAM-SHA-256") };
    let refused = [
        (
            through(&secured.sasl_tls_brokers, Security::SaslTls(trusting(&secured), wrong)),
            vec!["Authentication failed", "COULOMB_KAFKA_SASL_PASSWORD"],
        ),
        // The system trusts others.
        (
            through(&secured.sasl_tls_brokers, Security::SaslTls(Tls::default(), sasl(&secured, "SCRAM-SHA-256"))),
            vec!["certificate", "COULOMB_KAFKA_CA_FILE"],
        ),
        (through(&secured.tls_brokers, Security::Tls(trusting(&secured))), vec!["certificate"]),
        (through(&secured.tls_brokers, Security::Plaintext), vec!["BrokerTransportFailure"]),
        (through(&secured.tls_brokers, Security::Tls(missing)), vec!["ssl.ca.location failed"]),
    ];
    let all = refused.map(|(kafka, words)| async move {
        let database = database().await;
        let writer = store(&database).await;
        let mut relay = run(&writer, relay_options(&kafka));
        let reader = reader(&database, &kafka, Duration::from_millis(200)).await;
        let upto = append_some(&writer, 20).await;
        assert_followed(&reader, &writer, upto).await;
        let why_of = |state: &RelayState| match &state.doing {
            Doing::KafkaDown { why, .. } => why.clone(),
            Doing::Stopped { why } => why.to_string(),
            Doing::Standby => String::new(),
            Doing::Leading => panic!("{:?}: it was let in: {state:?}", kafka.security),
        };
        // Where a broker takes its time, what is said first is only that it did not answer.
        let state = relay.until(|state| words.iter().all(|word| why_of(state).contains(*word))).await;
        let why = why_of(&state);
        assert!(!why.contains("wrong"), "{:?}: the relay tells the password: {why}", kafka.security);
        let topic = kafka.topics.events();
        let asked: Vec<&str> = [topic.as_str(), "Kafka brings nothing"].into_iter().chain(words).collect();
        let warned = async {
            while heard(&asked).is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let warned = tokio::time::timeout(PATIENCE, warned).await;
        warned.unwrap_or_else(|_| {
            let (security, said) = (&kafka.security, heard(&[&topic]));
            panic!(
                "{security:?}: in {PATIENCE:?} the reader warned of nothing with all of {asked:?}; it said: {said:#?}"
            )
        });
        assert_eq!(reader.kafka_counts().0.taken, 0);
        let upto = append_some(&writer, 20).await;
        assert_followed(&reader, &writer, upto).await;
    });
    join_all(all).await;
}

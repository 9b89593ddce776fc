//! Dead letters on their way to Kafka: each change of one, at least once.

use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::{DeadLetter, row};
use crate::database::Database;
use crate::kafka::KafkaOptions;
use crate::store::WeakStore;

const EVERY: Duration = Duration::from_secs(1);
/// After a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Letters that are on their way together.
const PAGE: i64 = 100;
/// How long a letter may take to arrive, before it is tried anew.
const DELIVERED_WITHIN_MS: &str = "20000";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the table can't be used")]
    Database(#[from] sqlx::Error),
    #[error("Kafka does not take them")]
    Kafka(#[source] KafkaError),
    #[error("the producer ended before it answered")]
    Unanswered,
    #[error("a letter can't be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Copies what is to be copied until the store is dropped, or whoever runs it drops this. Two may run at once: then letters come
/// twice, which readers know by `id` and `state`.
pub(crate) async fn copy(store: WeakStore, options: KafkaOptions) {
    let mut failed = false;
    loop {
        let Some(database) = store.upgrade().map(|store| store.database().clone()) else { return };
        let copied = round(&database, &options).await;
        match &copied {
            Ok(0) => {}
            Ok(copied) => {
                metrics::counter!("coulomb_dead_letters_copied_total").increment(*copied as u64);
                tracing::info!(copied, "dead letters were copied to Kafka");
            }
            Err(error) if !failed => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "dead letters can't be copied to Kafka; they stay in the table"
                );
            }
            Err(_) => {}
        }
        failed = copied.is_err();
        tokio::time::sleep(if failed { AGAIN_AFTER } else { EVERY }).await;
    }
}

/// All that is to be copied, each once: what somebody else holds, or has changed since, is left to the next round. A producer is
/// there only as long as there is something for it.
async fn round(database: &Database, options: &KafkaOptions) -> Result<usize, Error> {
    let mut producer = None;
    let (mut copied, mut at) = (0, 0);
    loop {
        let rows = database.fetch_all(sqlx::query(include_str!("to_copy.sql")).bind(PAGE).bind(at)).await?;
        let letters = rows.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = letters.last() else { return Ok(copied) };
        at = last.id;
        let producer = match &producer {
            Some(producer) => producer,
            None => producer.insert(connect(options)?),
        };
        send(producer, &options.topics.dead_letters(), &letters).await?;
        let statement = sqlx::query(include_str!("copied.sql"))
            .bind(letters.iter().map(|letter| letter.id).collect::<Vec<_>>())
            .bind(letters.iter().map(|letter| letter.state.as_str()).collect::<Vec<_>>())
            .bind(letters.iter().map(|letter| letter.error.as_deref()).collect::<Vec<_>>());
        database.execute(statement).await?;
        copied += letters.len();
        if letters.len() < PAGE as usize {
            return Ok(copied);
        }
    }
}

fn connect(options: &KafkaOptions) -> Result<FutureProducer, Error> {
    let mut config = options.client();
    config.set("acks", "all").set("enable.idempotence", "true").set("message.timeout.ms", DELIVERED_WITHIN_MS);
    config.create().map_err(Error::Kafka)
}

/// Until all of them have arrived.
async fn send(producer: &FutureProducer, topic: &str, letters: &[DeadLetter]) -> Result<(), Error> {
    let mut under_way = Vec::with_capacity(letters.len());
    for letter in letters {
        let (key, value) = (letter.id.to_string(), serde_json::to_string(letter)?);
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("id", key.as_str()))
            .insert(header("source", letter.source.as_str()))
            .insert(header("state", letter.state.as_str()));
        let record = FutureRecord::to(topic).partition(0).key(&key).payload(&value).headers(headers);
        under_way.push(producer.send_result(record).map_err(|(error, _)| Error::Kafka(error))?);
    }
    for delivered in join_all(under_way).await {
        match delivered {
            Ok(Ok(_)) => {}
            Ok(Err((error, _))) => return Err(Error::Kafka(error)),
            Err(_) => return Err(Error::Unanswered),
        }
    }
    Ok(())
}

//! What a process asks before it appends anything: whether Kafka has more of the log than the server that holds it.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use sqlx::Row;

use super::tails;
use crate::kafka::KafkaOptions;
use crate::kafka::asking::ask;
use crate::lineage::{self, Comparison};
use crate::{EventStore, read};

/// Without Kafka a process starts all the same, so much later.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("Kafka can't be asked")]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Tails(#[from] tails::Error),
    #[error("the log can't be read")]
    Read(#[from] read::Error),
    #[error("the relay's checkpoint can't be read")]
    Checkpoint(#[from] sqlx::Error),
}

/// A backup that was copied back while no process ran has the timeline that it had, and nobody remembers more. Only Kafka does: where
/// it has more than the log, the log is halted before this process appends at positions that were given out. What can't be
/// known in time is left to the relay.
pub async fn look_before_appending(store: &EventStore) {
    let Some(options) = store.options().kafka.as_ref() else { return };
    match tokio::time::timeout(PATIENCE, look(store, options)).await {
        Ok(Ok(None | Some(Comparison::NothingLost))) => {}
        Ok(Ok(Some(Comparison::Lost(loss) | Comparison::OtherHistory(loss)))) => {
            tracing::error!(head = %loss.head, kafka = %loss.lost_upto, "Kafka has more than the log: nothing is appended");
        }
        Ok(Ok(Some(Comparison::Foreign(foreign)))) => {
            tracing::error!(%foreign, "Kafka can't say whether it has more than the log");
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "whether Kafka has more than the log is not known before the relay says so")
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            tracing::warn!(seconds, "Kafka did not say in time whether it has more than the log; the relay will");
        }
    }
}

/// None: this log has never been in this Kafka, and what stands there is another's.
async fn look(store: &EventStore, options: &KafkaOptions) -> Result<Option<Comparison>, Error> {
    let prefix = options.topics.prefix().to_owned();
    let statement = sqlx::query("SELECT cluster FROM relay WHERE prefix = $1").bind(prefix);
    let rows = store.database().fetch_all(statement).await?;
    let clusters: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if clusters.is_empty() || !clusters.contains(&cluster(options.client()).await?) {
        return Ok(None);
    }
    // Read before the log is looked at: what is in Kafka by now was committed before.
    let tails = super::last_records(options).await?;
    Ok(Some(lineage::halt_if_lost(store, &tails).await?))
}

/// The id of the brokers' cluster.
async fn cluster(config: ClientConfig) -> Result<String, KafkaError> {
    let asked = ask(move |_| {
        let client: BaseConsumer = config.create()?;
        Ok(client.client().fetch_cluster_id(PATIENCE).unwrap_or_default())
    });
    asked.await.unwrap_or(Err(KafkaError::Canceled))
}

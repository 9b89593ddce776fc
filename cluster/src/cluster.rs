//! A running cluster: where everything is, and how it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use embedded_kafka::EmbeddedKafka;
use owned_process::{Guardian, OwnedProcess, OwnerLock, State};
use tokio::sync::Mutex;

use crate::database::{Database, Replication};
use crate::error::Error;
use crate::memory::Memory;
use crate::part::Part;
use crate::process::Process;
use crate::published::{Login, PostgresAddress, Published};

/// A running cluster, and the ownership of its directory.
///
/// Everything can be done to several parts at a time. When it is dropped without [`Cluster::stop`], guardians end all
/// processes.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) kafka: Option<EmbeddedKafka>,
    pub(crate) database: Mutex<Database>,
    pub(crate) processes: BTreeMap<Part, Mutex<Process>>,
    pub(crate) addresses: BTreeMap<Part, u16>,
    pub(crate) published: Published,
    pub(crate) directory: PathBuf,
    pub(crate) ephemeral: bool,
    pub(crate) client: reqwest::Client,
    // Fields are dropped in this order: the guardian learns of the end before the directory is free for another owner.
    pub(crate) guardian: Guardian,
    pub(crate) _lock: OwnerLock,
}

impl Cluster {
    /// Of nginx: commands and queries. Without a trailing slash.
    pub fn http(&self) -> &str {
        &self.published.http
    }

    /// Of nginx: the full address of the WebSocket.
    pub fn ws(&self) -> &str {
        &self.published.ws
    }

    /// Of nginx: to which `/{charger}` is added.
    pub fn ocpp(&self) -> &str {
        &self.published.ocpp
    }

    pub fn operator(&self) -> &Login {
        &self.published.operator
    }

    /// None without Kafka.
    pub fn kafka_brokers(&self) -> Option<&str> {
        self.published.kafka_brokers.as_deref()
    }

    /// As roles have it: through PgBouncer, if there is one.
    pub fn database_url(&self) -> &str {
        &self.published.database_url
    }

    /// The address of one Postgres itself.
    pub async fn postgres_url(&self, part: Part) -> Result<String, Error> {
        let Part::Postgres(number) = part else { return Err(Error::NoPart(part)) };
        self.database.lock().await.url_of(number).ok_or(Error::NoPart(part))
    }

    /// Where a role answers `/ready` and `/metrics`, and HTTP if it does that.
    ///
    /// # Errors
    /// [`Error::NoPart`].
    pub fn url_of(&self, part: Part) -> Result<String, Error> {
        let port = self.addresses.get(&part).ok_or(Error::NoPart(part))?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All parts, those first that others need.
    pub async fn parts(&self) -> Vec<Part> {
        let kafka = self.kafka.iter().flat_map(|kafka| kafka.nodes().map(Part::Kafka));
        let database = self.database.lock().await.parts();
        kafka.chain(database).chain(self.processes.keys().copied()).collect()
    }

    /// The Postgres that takes writes.
    pub async fn primary(&self) -> Part {
        Part::Postgres(self.database.lock().await.primary())
    }

    /// The other one.
    pub async fn replica(&self) -> Part {
        Part::Postgres(3 - self.database.lock().await.primary())
    }

    /// How the replica follows, as the primary says; none, too, when that does not answer.
    pub async fn replication(&self) -> Replication {
        self.database.lock().await.replication().await
    }

    /// # Errors
    /// [`Error::NoPart`].
    pub async fn state(&self, part: Part) -> Result<State, Error> {
        match part {
            Part::Kafka(number) => Ok(self.kafka(part)?.state(number).await?),
            Part::Postgres(_) | Part::PgBouncer => {
                Ok(self.database.lock().await.process(part)?.map_or(State::Stopped, OwnedProcess::state))
            }
            _ => Ok(self.process(part)?.lock().await.owned.state()),
        }
    }

    /// # Errors
    /// [`Error::NoPart`].
    pub async fn memory(&self, part: Part) -> Result<Memory, Error> {
        let pid = match part {
            Part::Kafka(number) => self.kafka(part)?.pid(number).await?,
            Part::Postgres(_) | Part::PgBouncer => {
                self.database.lock().await.process(part)?.and_then(OwnedProcess::pid)
            }
            _ => self.process(part)?.lock().await.owned.pid(),
        };
        Ok(pid.map(Memory::of_tree).unwrap_or_default())
    }

    /// Where a part listens, for people.
    pub async fn address(&self, part: Part) -> String {
        let address = match part {
            Part::Kafka(number) => {
                let brokers = self.kafka_brokers().unwrap_or_default();
                brokers.split(',').nth(usize::from(number.saturating_sub(1))).map(str::to_owned)
            }
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.address(part),
            _ => self.url_of(part).ok(),
        };
        address.unwrap_or_default()
    }

    /// Where a part writes what it says.
    ///
    /// # Errors
    /// [`Error::NoPart`].
    pub async fn log(&self, part: Part) -> Result<PathBuf, Error> {
        match part {
            Part::Kafka(number) => Ok(self.kafka(part)?.log(number)),
            Part::Postgres(_) | Part::PgBouncer => Ok(self.database.lock().await.log(part)),
            _ => Ok(self.process(part)?.lock().await.owned.log().to_owned()),
        }
    }

    /// Writes `cluster.json`.
    pub(crate) async fn publish(&self) -> Result<(), Error> {
        let database = self.database.lock().await;
        let servers = database.parts().into_iter().filter_map(|part| match part {
            Part::Postgres(number) => Some(PostgresAddress {
                part: part.to_string(),
                primary: number == database.primary(),
                url: database.url_of(number)?,
            }),
            _ => None,
        });
        Published { postgres: servers.collect(), ..self.published.clone() }.write(&self.directory)
    }

    pub(crate) fn kafka(&self, part: Part) -> Result<&EmbeddedKafka, Error> {
        let Part::Kafka(number) = part else { return Err(Error::NoPart(part)) };
        self.kafka.as_ref().filter(|kafka| kafka.nodes().contains(&number)).ok_or(Error::NoPart(part))
    }

    pub(crate) fn process(&self, part: Part) -> Result<&Mutex<Process>, Error> {
        self.processes.get(&part).ok_or(Error::NoPart(part))
    }
}

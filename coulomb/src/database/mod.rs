//! The database of this process: somebody's at `DATABASE_URL`, or a private one that ends with us.

mod connect;
mod tell;

use std::future::pending;

use anyhow::{Context, bail};
use embedded_postgres::{EmbeddedPostgres, Options};
use pool::{Pool, State};
use service_host::{NotReady, Readiness};
use tokio::sync::watch;

use crate::data_dir::DataDir;
use crate::master_key::MasterKey;
use crate::settings::Settings;

/// A private server's connections beyond the pool's: the log's flushes, LISTEN, migrations, and people with psql.
const CONNECTIONS_BESIDE_POOL: u32 = 50;

pub use connect::{Reads, command};

pub struct Database {
    /// None: the server is somebody else's.
    private: Option<EmbeddedPostgres>,
    pool: Pool,
    /// Of the hosts; none of a private server.
    state: Option<watch::Receiver<State>>,
    reads: Option<Reads>,
    master_key: MasterKey,
}

impl Database {
    /// Connects, after starting the private server where no other is given.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        match &settings.database_url {
            Some(url) => {
                let Some(master_key) = settings.master_key.clone() else {
                    bail!(
                        "COULOMB_MASTER_KEY is needed with DATABASE_URL: 32 bytes as hex or base64, the same for every \
                         process on that database, such as from `openssl rand -base64 32`"
                    );
                };
                let (pool, state) = connect::service(url, settings).await?;
                let reads = Reads::of(settings)?;
                Ok(Self { private: None, pool, state: Some(state), reads, master_key })
            }
            None => Self::start_private(settings).await,
        }
    }

    async fn start_private(settings: &Settings) -> anyhow::Result<Self> {
        let data_dir = DataDir::open(&settings.data_dir)?;
        let connections_max = u16::try_from(settings.database_connections + CONNECTIONS_BESIDE_POOL)?;
        let options = Options { connections_max, ..Options::new(data_dir.postgres()) };
        // First the server, whose lock says that the directory is ours, then the key.
        let server = EmbeddedPostgres::start(options).await.context("the private Postgres")?;
        let opened = async {
            let master_key = match &settings.master_key {
                Some(key) => key.clone(),
                None => MasterKey::load_or_create(&data_dir.master_key())?,
            };
            let pool = connect::private(&server.url(), settings.database_connections).await?;
            anyhow::Ok((master_key, pool))
        };
        match opened.await {
            Ok((master_key, pool)) => Ok(Self { private: Some(server), pool, state: None, reads: None, master_key }),
            Err(error) => {
                server.stop().await.context("the private Postgres, after another failure")?;
                Err(error)
            }
        }
    }

    /// Whether no other process uses it.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// From a replica.
    pub fn reads(&self) -> Option<&Reads> {
        self.reads.as_ref()
    }

    pub fn master_key(&self) -> &MasterKey {
        &self.master_key
    }

    pub fn register_readiness(&self, readiness: &Readiness) {
        let pool = self.pool.clone();
        if let Some(state) = &self.state {
            tokio::spawn(tell::tell(state.clone(), readiness.clone()));
        }
        let state = self.state.clone();
        readiness.register("database", move || {
            let pool = pool.clone();
            let known = state.as_ref().map(|state| state.borrow().clone());
            async move {
                if let Some(state) = known.filter(|state| state.primary.is_none()) {
                    return Err(NotReady(state.to_string()));
                }
                let answer = sqlx::query("SELECT 1").execute(&pool).await;
                answer.map(|_| ()).map_err(|_| NotReady("does not answer".to_owned()))
            }
        });
    }

    /// Completes when the private server has ended by itself, with what to say about it.
    pub async fn lost(&mut self) -> anyhow::Error {
        let Some(server) = &mut self.private else {
            return pending().await;
        };
        let log = server.log().display().to_string();
        match server.ended().await {
            Ok(status) => anyhow::anyhow!("the private Postgres ended ({status}); the reason may be in {log}"),
            Err(error) => anyhow::Error::from(error).context("the private Postgres was lost"),
        }
    }

    /// Closes the pool and stops the private server.
    pub async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        if let Some(server) = self.private {
            server.stop().await.context("the private Postgres")?;
        }
        Ok(())
    }
}

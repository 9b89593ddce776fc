//! The database of a command that looks at, or works on, what a running Coulomb uses too.

use anyhow::{Context, bail};
use embedded_postgres::{EmbeddedPostgres, Options};
use event_store::{EventStore, StoreOptions};
use pool::Pool;
use projection_service::rebuild::Rebuilder;
use read_models::Folds;
use sqlx::postgres::PgPoolOptions;

use crate::archives;
use crate::database;
use crate::migrate;
use crate::settings::Settings;

/// The database at DATABASE_URL, or the private one: of the process that runs it, or started for the command.
pub struct CommandDatabase {
    /// Started for this command.
    private: Option<EmbeddedPostgres>,
    pool: Pool,
}

impl CommandDatabase {
    /// Connects to a database that has this program's migrations.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let (private, url) = match &settings.database_url {
            Some(_) => (None, None),
            None => Self::private(settings).await.map(|(server, url)| (server, Some(url)))?,
        };
        let opened = async {
            let pool = match (&settings.database_url, &url) {
                (Some(url), _) => database::command(settings, url).await?,
                (None, url) => {
                    let options = PgPoolOptions::new().max_connections(settings.database_connections);
                    let connected = options.connect(url.as_deref().unwrap_or_default()).await;
                    Pool::from(connected.context("can't use the private Postgres")?)
                }
            };
            migrate::require(&pool).await?;
            anyhow::Ok(pool)
        };
        match opened.await {
            Ok(pool) => Ok(Self { private, pool }),
            Err(error) => {
                if let Some(server) = private {
                    server.stop().await.context("the private Postgres, after another failure")?;
                }
                Err(error)
            }
        }
    }

    async fn private(settings: &Settings) -> anyhow::Result<(Option<EmbeddedPostgres>, String)> {
        let postgres = settings.data_dir.join("postgres");
        if let Some(url) = EmbeddedPostgres::url_of_running(&postgres).context("the private Postgres")? {
            return Ok((None, url));
        }
        if !postgres.exists() {
            bail!(
                "there is no database in {}: go where `coulomb up` was started, or say where with --data-dir or \
                 DATABASE_URL",
                settings.data_dir.display()
            );
        }
        let server = EmbeddedPostgres::start(Options::new(postgres)).await.context("the private Postgres")?;
        let url = server.url();
        Ok((Some(server), url))
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The log, for one who appends beside others: who listens is told.
    pub async fn store(&self) -> anyhow::Result<EventStore> {
        let options = StoreOptions { archive: archives::reader(), ..StoreOptions::default() };
        Ok(EventStore::connect(self.pool.clone(), options).await?)
    }

    /// Who makes, compares and exchanges builds of read models, with the folds of this program.
    pub async fn rebuilder(&self) -> anyhow::Result<Rebuilder> {
        Ok(Rebuilder::new(self.store().await?, self.pool.clone(), Folds::of_today()))
    }

    /// Closes the pool, and stops the server that was started.
    pub async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        if let Some(server) = self.private {
            server.stop().await.context("the private Postgres")?;
        }
        Ok(())
    }
}

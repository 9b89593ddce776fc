//! A real, fresh database for each test.
//!
//! One server for each test process (or the one at `COULOMB_TEST_DATABASE_URL`), one template for each set of
//! migrations, one clone for each test, dropped at its end. The server ends with the process, however that ends.

mod replicated;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};
use tokio::sync::OnceCell;

use crate::address::connect;
use crate::error::Error;
use crate::server::{EmbeddedPostgres, Options};

pub use replicated::Replicated;

/// A role on a running server that may create databases; none is started then.
pub const URL_VARIABLE: &str = "COULOMB_TEST_DATABASE_URL";
/// "coulomb" in ASCII, shortened to a key: who holds it makes templates and clones.
const ADVISORY_LOCK: i64 = 0x636f_756c_6f6d;
const POOL_CONNECTIONS_MAX: u32 = 10;
const POOL_WAIT_MAX: Duration = Duration::from_secs(30);
const SERVER_CONNECTIONS_MAX: u16 = 400;

/// The private server is never dropped: it lives until the process ends, which its guardian sees.
static SERVER: OnceCell<Server> = OnceCell::const_new();

enum Server {
    Own(Box<EmbeddedPostgres>),
    Given(String),
}

impl Server {
    async fn get() -> Result<&'static Self, Error> {
        SERVER.get_or_try_init(Self::start).await
    }

    async fn start() -> Result<Self, Error> {
        if let Ok(url) = std::env::var(URL_VARIABLE)
            && !url.is_empty()
        {
            return Ok(Self::Given(url));
        }
        let place = std::env::temp_dir();
        let directory = tempfile::Builder::new()
            .prefix("coulomb-test-")
            .tempdir_in(&place)
            .map_err(Error::file("can't create a directory in", &place))?;
        let options = Options {
            durable: false,
            connections_max: SERVER_CONNECTIONS_MAX,
            ephemeral: true,
            ..Options::new(directory.path())
        };
        let server = EmbeddedPostgres::start(options).await?;
        // From here on the guardian removes it.
        let _ = directory.keep();
        Ok(Self::Own(Box::new(server)))
    }

    /// The URL of one database, or of the one in which others are made.
    fn url(&self, database: Option<&str>) -> Result<String, Error> {
        match self {
            Self::Own(server) => Ok(server.url_of(database.unwrap_or("postgres"))),
            Self::Given(url) => match database {
                None => Ok(url.clone()),
                Some(name) => {
                    use sqlx::ConnectOptions;
                    let options: PgConnectOptions = url.parse()?;
                    Ok(options.database(name).to_url_lossy().to_string())
                }
            },
        }
    }
}

/// A database of one test's own. Dropping it drops the database, with whatever is still connected.
pub struct TestDatabase {
    name: String,
    url: String,
    admin_url: String,
    pool: PgPool,
}

impl TestDatabase {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A pool of the test's runtime, opened as it is used.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// A fresh database with the given migrations applied.
///
/// # Errors
/// When no server can be had, or a migration fails.
pub async fn try_database(migrator: &Migrator) -> Result<TestDatabase, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let server = Server::get().await?;
    let admin_url = server.url(None)?;
    let mut admin = connect(&admin_url).await?;
    // Postgres refuses to clone a template that anybody is connected to: templates and clones are made one at a time,
    // across processes too. The lock goes with the connection.
    sqlx::query("SELECT pg_advisory_lock($1)").bind(ADVISORY_LOCK).execute(&mut admin).await?;
    let template = ensure_template(&mut admin, server, migrator).await?;
    let name = format!("coulomb_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    // A killed process of the same pid may have left one of this name on a given server.
    admin.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)").as_str()).await?;
    admin.execute(format!("CREATE DATABASE {name} TEMPLATE {template}").as_str()).await?;
    admin.close().await?;

    let url = server.url(Some(&name))?;
    let pool =
        PgPoolOptions::new().max_connections(POOL_CONNECTIONS_MAX).acquire_timeout(POOL_WAIT_MAX).connect_lazy(&url)?;
    Ok(TestDatabase { name, url, admin_url, pool })
}

/// [`try_database`] for tests, which have nothing better to do with the error than to show it.
///
/// # Panics
/// When no database can be had; the message has the whole chain of causes.
pub async fn database(migrator: &Migrator) -> TestDatabase {
    match try_database(migrator).await {
        Ok(database) => database,
        Err(error) => panic!("no test database: {}", chain(&error)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn ensure_template(admin: &mut PgConnection, server: &Server, migrator: &Migrator) -> Result<String, Error> {
    let name = format!("coulomb_template_{}", digest(migrator));
    let ready = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(&name);
    if ready.fetch_optional(&mut *admin).await?.is_some() {
        return Ok(name);
    }
    // Migrated under another name and then renamed: a template is whole or not there.
    let unfinished = format!("{name}_unfinished");
    admin.execute(format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)").as_str()).await?;
    admin.execute(format!("CREATE DATABASE {unfinished}").as_str()).await?;
    let mut connection = connect(&server.url(Some(&unfinished))?).await?;
    migrator.run_direct(&mut connection).await?;
    connection.close().await?;
    admin.execute(format!("ALTER DATABASE {unfinished} RENAME TO {name}").as_str()).await?;
    Ok(name)
}

/// Which migrations these are: their versions and checksums.
fn digest(migrator: &Migrator) -> String {
    let mut hash = Sha256::new();
    for migration in migrator.iter() {
        hash.update(migration.version.to_be_bytes());
        hash.update(&migration.checksum);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl Drop for TestDatabase {
    /// Waits for the database to be gone, on a thread of its own: the test's runtime may be ending, and can't be
    /// blocked on from within.
    fn drop(&mut self) {
        let (url, name) = (self.admin_url.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || -> Result<(), Error> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(Error::file("can't start a runtime in", &std::env::temp_dir()))?;
            runtime.block_on(async {
                let mut admin = connect(&url).await?;
                admin.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)").as_str()).await?;
                Ok(admin.close().await?)
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            tracing::warn!(database = self.name, "a test database was left behind");
        }
    }
}

//! A primary and a standby that follows it, each of a test's own, in directories that are removed at the end.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::Error;
use crate::pgbouncer::{PgBouncer, PgBouncerOptions};
use crate::server::{EmbeddedPostgres, Options};

const CONNECTIONS_MAX: u16 = 200;
const CAUGHT_UP_WAIT_MAX: Duration = Duration::from_secs(30);
const CAUGHT_UP_POLL_EVERY: Duration = Duration::from_millis(10);

/// Two servers. Each is taken out to be killed, and may be started again.
pub struct Replicated {
    pub primary: Option<EmbeddedPostgres>,
    pub standby: Option<EmbeddedPostgres>,
    directory: TempDir,
}

impl Replicated {
    /// `synchronous`: the primary acknowledges nothing that the standby has not.
    ///
    /// # Errors
    /// When one of the two does not start.
    pub async fn start(synchronous: bool) -> Result<Self, Error> {
        let place = std::env::temp_dir();
        let directory = tempfile::Builder::new().prefix("coulomb-pair-").tempdir_in(&place);
        let directory = directory.map_err(Error::file("can't create a directory in", &place))?;
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o711);
        std::fs::set_permissions(directory.path(), mode)
            .map_err(Error::file("can't set the mode of", directory.path()))?;
        let mut pair = Self { primary: None, standby: None, directory };
        let primary = EmbeddedPostgres::start(pair.options("first")).await?;
        let standby = EmbeddedPostgres::start_standby(pair.options("second"), &primary).await?;
        if synchronous {
            primary.set("synchronous_standby_names", "*").await?;
        }
        (pair.primary, pair.standby) = (Some(primary), Some(standby));
        Ok(pair)
    }

    /// Of a server of this test, kept in a directory of that name.
    pub fn options(&self, name: &str) -> Options {
        Options { durable: false, connections_max: CONNECTIONS_MAX, ..Options::new(self.path(name)) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A PgBouncer in transaction mode before a server.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn pgbouncer(&self, server: &EmbeddedPostgres, server_connections: u16) -> Result<PgBouncer, Error> {
        PgBouncer::start(PgBouncerOptions {
            directory: self.path("pgbouncer"),
            port: None,
            server_port: server.port(),
            password: server.password().to_owned(),
            server_connections,
            clients_max: 500,
        })
        .await
    }

    /// Waits until the standby has replayed all that the primary has written.
    ///
    /// # Errors
    /// When one of them does not answer, or the standby is not there within half a minute.
    pub async fn caught_up(&self) -> Result<(), Error> {
        let (Some(primary), Some(standby)) = (&self.primary, &self.standby) else { return Ok(()) };
        let written = primary.ask("SELECT pg_current_wal_lsn()::text").await?;
        let replayed = format!("SELECT (pg_last_wal_replay_lsn() >= '{written}'::pg_lsn)::text");
        let wait = async {
            while standby.ask(&replayed).await? != "true" {
                tokio::time::sleep(CAUGHT_UP_POLL_EVERY).await;
            }
            Ok(())
        };
        match tokio::time::timeout(CAUGHT_UP_WAIT_MAX, wait).await {
            Ok(done) => done,
            Err(_) => Err(Error::NotReady { log: standby.log().to_owned(), seconds: CAUGHT_UP_WAIT_MAX.as_secs() }),
        }
    }
}

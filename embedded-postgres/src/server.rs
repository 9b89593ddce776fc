//! Starting and stopping the server process.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use owned_process::{Guardian, OwnedProcess, OwnerLock, Watch};
use sqlx::{Connection, Executor, Row};

use crate::address::{Address, connect};
use crate::cluster::{self, ROLE};
use crate::directory::Directory;
use crate::error::Error;
use crate::launch::{ending, launch};
use crate::leftover;
use crate::standby::{self, Upstream};

#[derive(Clone, Debug)]
pub struct Options {
    /// Everything is kept below it; made when missing.
    pub data_dir: PathBuf,
    /// None: the port of the last time, or a free one.
    pub port: Option<u16>,
    /// False only for tests: what is committed is lost when the machine fails.
    pub durable: bool,
    /// Connections that the server takes at a time.
    pub connections_max: u16,
    /// Whether `data_dir` is removed when the server ends.
    pub ephemeral: bool,
}

impl Options {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), port: None, durable: true, connections_max: 200, ephemeral: false }
    }
}

/// A running private server, and the ownership of its directory.
///
/// When dropped without [`EmbeddedPostgres::stop`], the guardian stops the server.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    // Fields are dropped in this order: the guardian learns of the end before the directory is free for another owner.
    guardian: Guardian,
    process: OwnedProcess,
    address: Address,
    _lock: OwnerLock,
}

impl EmbeddedPostgres {
    /// Starts the server, making its cluster the first time, and waits until it takes connections.
    ///
    /// # Errors
    /// When no fit binaries are installed, another process owns the directory, or the server does not start.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let server = Self::start_as(options, None).await?;
        server.create_database().await?;
        Ok(server)
    }

    /// Starts a standby that follows `primary`, as a copy of what that has now. What was in the directory is gone.
    ///
    /// # Errors
    /// As [`EmbeddedPostgres::start`], and when the primary can't be copied.
    pub async fn start_standby(options: Options, primary: &Self) -> Result<Self, Error> {
        let upstream =
            Upstream { port: primary.port(), password: primary.password().to_owned(), name: standby::any_name() };
        Self::start_as(options, Some(upstream)).await
    }

    /// Starts the server that is in the directory as it was left: a standby goes on following.
    ///
    /// # Errors
    /// As [`EmbeddedPostgres::start`].
    pub async fn start_again(options: Options) -> Result<Self, Error> {
        Self::start_as(options, None).await
    }

    async fn start_as(options: Options, upstream: Option<Upstream>) -> Result<Self, Error> {
        let directory = Directory::open(&options.data_dir)?;
        let lock = OwnerLock::take(directory.home())?;
        if options.ephemeral {
            directory.account.own(directory.home())?;
        }
        // A server that was left is stopped before its cluster is touched in any way.
        leftover::clear(directory.account, &directory.data(), &directory.socket()).await?;
        let (installation, password) = match upstream {
            None => cluster::prepare(&directory, options.durable)?,
            Some(upstream) => standby::prepare(&directory, &upstream)?,
        };

        let (pids, ending) = (directory.pids(), ending());
        let remove = options.ephemeral.then(|| directory.home());
        let user = directory.account.user();
        let guardian = Guardian::watch(Watch { name: "postgres", pids: &pids, ending: &ending, remove, user })?;
        let process = OwnedProcess::new(pids.join("server"), directory.log(), ending);
        let mut process = process.with_descendants();
        let port = launch(&mut process, &directory, &installation, &options).await?;
        std::fs::write(directory.port(), port.to_string()).map_err(Error::file("can't write", &directory.port()))?;
        let address = Address { socket: directory.usable_socket(), port, password };
        Ok(Self { guardian, process, address, _lock: lock })
    }

    /// The URL of the owner's database on the server that another process runs in `data_dir`, with the password in it;
    /// none: no process does, or there is nothing yet.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn url_of_running(data_dir: &Path) -> Result<Option<String>, Error> {
        if !data_dir.join("data").exists() && !data_dir.join("location").exists() {
            return Ok(None);
        }
        let directory = Directory::open(data_dir)?;
        if !OwnerLock::is_taken(directory.home())? {
            return Ok(None);
        }
        let read = |path: PathBuf| match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(source) => Err(Error::file("can't read", &path)(source)),
        };
        let port_file = directory.port();
        let port = read(port_file.clone())?.parse();
        let port = port.map_err(|_| Error::file("there is no port in", &port_file)(ErrorKind::InvalidData.into()))?;
        let password = read(directory.password())?;
        Ok(Some(Address { socket: directory.usable_socket(), port, password }.url(ROLE)))
    }

    /// The URL of the owner's database, with the password in it.
    pub fn url(&self) -> String {
        self.address.url(ROLE)
    }

    /// The URL of another database on the same server.
    pub fn url_of(&self, database: &str) -> String {
        self.address.url(database)
    }

    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// Of the one role.
    pub fn password(&self) -> &str {
        &self.address.password
    }

    /// The URL of a database over TCP, as another machine would have it.
    pub fn tcp_url_of(&self, database: &str) -> String {
        self.address.by_tcp().url(database)
    }

    /// The first value of the first row that a statement answers; empty when there is none.
    ///
    /// # Errors
    /// When the server refuses the statement, or does not answer.
    pub async fn ask(&self, statement: &str) -> Result<String, Error> {
        let mut connection = connect(&self.url_of("postgres")).await?;
        let row = connection.fetch_optional(statement).await?;
        connection.close().await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
    }

    /// Changes one of the server's settings, from now on and at later starts.
    ///
    /// # Errors
    /// When the server knows no such setting or value, or does not answer.
    pub async fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        let mut connection = connect(&self.url_of("postgres")).await?;
        connection.execute(format!("ALTER SYSTEM SET {name} = '{value}'").as_str()).await?;
        connection.execute("SELECT pg_reload_conf()").await?;
        Ok(connection.close().await?)
    }

    /// Makes a standby a primary. Answers when it takes writes.
    ///
    /// # Errors
    /// When it is none, or does not become one within a minute.
    pub async fn promote(&self) -> Result<(), Error> {
        self.ask("SELECT pg_promote(true, 60)::text").await.map(drop)
    }

    /// Ends all of the server's processes at once, as a machine that fails. The directory stays, unless it is ephemeral.
    pub async fn kill(mut self) {
        self.process.kill().await;
        self.guardian.dismiss().await;
    }

    /// All of the server's processes stand still, until [`EmbeddedPostgres::thaw`].
    pub fn freeze(&self) {
        self.process.freeze();
    }

    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// The server's first process; what befalls that befalls all of its processes.
    pub fn process(&self) -> &OwnedProcess {
        &self.process
    }

    /// The server's process; none when it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// The guardian's process.
    pub fn guardian_pid(&self) -> u32 {
        self.guardian.pid()
    }

    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// Completes when the server has ended by itself, which it should not. Cancelling loses nothing.
    ///
    /// # Errors
    /// When the process can't be waited for.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.process.ended().await
    }

    /// Stops the server: open transactions are rolled back, everything committed is on disk.
    ///
    /// # Errors
    /// When it has not ended within about a minute.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.process.stop().await;
        let left = self.pid();
        self.guardian.dismiss().await;
        left.map_or(Ok(()), |pid| Err(Error::DoesNotStop { pid }))
    }

    async fn create_database(&self) -> Result<(), Error> {
        let mut connection = connect(&self.url_of("postgres")).await?;
        let exists = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(ROLE);
        if exists.fetch_optional(&mut connection).await?.is_none() {
            connection.execute(format!("CREATE DATABASE {ROLE}").as_str()).await?;
        }
        connection.close().await?;
        Ok(())
    }
}

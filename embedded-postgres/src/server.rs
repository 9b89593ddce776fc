//! Starting and stopping the server process.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tokio::process::Child;
use tokio::time::Instant;

use crate::cluster::{self, ROLE};
use crate::directory::Directory;
use crate::error::Error;
use crate::guardian::Guardian;
use crate::installation::Installation;
use crate::leftover;
use crate::lock::OwnerLock;
use crate::processes::{self, send};
use crate::settings::Tuning;
use crate::standby::{self, Upstream};

/// Until the server takes connections. After a crash it first replays what was not checkpointed.
const READY_WAIT_MAX: Duration = Duration::from_secs(300);
const READY_POLL_EVERY: Duration = Duration::from_millis(10);
/// For a fast shutdown, which writes a checkpoint; then for an immediate one, which leaves that to recovery.
const STOP_WAIT_MAX: Duration = Duration::from_secs(60);
const STOP_IMMEDIATE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Further attempts when a start meets what passes: a port taken in between, backends of a killed server.
const ATTEMPTS_MAX: u32 = 20;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(250);
/// Of the server's log, in an error.
const LOG_TAIL_LINES: usize = 12;

/// What passes by itself: the port went to another program, or the last backends of a killed server still hold its
/// shared memory, which they leave when they see that it is gone.
const PASSING: [&str; 2] = ["could not create any TCP/IP sockets", "pre-existing shared memory block"];

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
    child: Child,
    address: Address,
    log: PathBuf,
    _lock: OwnerLock,
}

/// How the server is reached.
#[derive(Clone, Debug)]
struct Address {
    socket: Option<PathBuf>,
    port: u16,
    password: String,
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

        let mut attempt = 1;
        let (child, guardian, port) = loop {
            let port = choose_port(&directory, options.port)?;
            match launch(&directory, &installation, &options, port).await {
                Ok((child, guardian)) => break (child, guardian, port),
                Err(Error::EndedEarly { tail, .. }) if attempt < ATTEMPTS_MAX && passes(&tail) => {
                    attempt += 1;
                    tokio::time::sleep(ATTEMPT_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        };
        std::fs::write(directory.port(), port.to_string()).map_err(Error::file("can't write", &directory.port()))?;
        let address = Address { socket: directory.usable_socket(), port, password };
        Ok(Self { guardian, child, address, log: directory.log(), _lock: lock })
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
        Address { socket: None, ..self.address.clone() }.url(database)
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
        if let Some(pid) = self.child.id() {
            processes::kill_all(pid);
            let _ = self.child.wait().await;
        }
        self.guardian.dismiss().await;
    }

    /// All of the server's processes stand still, until [`EmbeddedPostgres::thaw`].
    pub fn freeze(&self) {
        if let Some(pid) = self.child.id() {
            processes::freeze(pid);
        }
    }

    pub fn thaw(&self) {
        if let Some(pid) = self.child.id() {
            processes::thaw(pid);
        }
    }

    /// The server's process; none when it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The guardian's process.
    pub fn guardian_pid(&self) -> Option<u32> {
        self.guardian.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Completes when the server has ended by itself, which it should not. Cancelling loses nothing.
    ///
    /// # Errors
    /// When the process can't be waited for.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Stops the server: open transactions are rolled back, everything committed is on disk.
    ///
    /// # Errors
    /// When it has not ended within about a minute.
    pub async fn stop(mut self) -> Result<(), Error> {
        let stopped = self.stop_server().await;
        self.guardian.dismiss().await;
        stopped
    }

    async fn stop_server(&mut self) -> Result<(), Error> {
        for (signal, wait_max) in [(Signal::SIGINT, STOP_WAIT_MAX), (Signal::SIGQUIT, STOP_IMMEDIATE_WAIT_MAX)] {
            let Some(pid) = self.child.id() else {
                return Ok(());
            };
            send(pid, signal);
            if let Ok(Ok(_)) = tokio::time::timeout(wait_max, self.child.wait()).await {
                return Ok(());
            }
        }
        self.child.id().map_or(Ok(()), |pid| Err(Error::DoesNotStop { pid }))
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

impl Address {
    fn url(&self, database: &str) -> String {
        let Self { socket, port, password } = self;
        let host = socket.as_deref().map_or_else(|| Ipv4Addr::LOCALHOST.to_string(), percent_encoded);
        format!("postgres://{ROLE}:{password}@{host}:{port}/{database}?sslmode=disable")
    }
}

/// A path as the host of a URL.
fn percent_encoded(path: &Path) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| if keep(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// One connection, without logging its statements.
pub(crate) async fn connect(url: &str) -> Result<PgConnection, Error> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.disable_statement_logging().connect().await?)
}

async fn launch(
    directory: &Directory,
    installation: &Installation,
    options: &Options,
    port: u16,
) -> Result<(Child, Guardian), Error> {
    let path = directory.log();
    let log = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
    let log = log.map_err(Error::file("can't write", &path))?;
    let errors = log.try_clone().map_err(Error::file("can't write", &path))?;
    let socket = directory.usable_socket();
    let tuning =
        Tuning { port, socket: socket.as_deref(), durable: options.durable, connections_max: options.connections_max };

    let data = directory.data();
    let mut command = directory.account.command(installation.program("postgres"));
    command.arg("-D").arg(&data).stdout(log).stderr(errors);
    // Not in the terminal's foreground group: Ctrl-C is for the owner, which first drains and then stops the server.
    command.process_group(0);
    for setting in tuning.settings() {
        command.arg("-c").arg(setting);
    }
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .map_err(|source| Error::Spawn { program: "postgres", source })?;
    let Some(pid) = child.id() else {
        return Err(ended_early(&path));
    };
    let remove = options.ephemeral.then(|| directory.home());
    let mut guardian = Guardian::watch(directory.account, pid, &data, remove)?;
    match wait_until_ready(&mut child, pid, &data, &path).await {
        Ok(()) => Ok((child, guardian)),
        Err(error) => {
            // There may be another attempt: this guardian must not remove what that one needs.
            guardian.release().await;
            Err(error)
        }
    }
}

/// The server writes its state into its lock file: what `pg_ctl start -w` waits for too.
async fn wait_until_ready(child: &mut Child, pid: u32, data: &Path, log: &Path) -> Result<(), Error> {
    let lock = data.join("postmaster.pid");
    let started = Instant::now();
    while started.elapsed() < READY_WAIT_MAX {
        if let Ok(Some(_)) = child.try_wait() {
            return Err(ended_early(log));
        }
        let text = std::fs::read_to_string(&lock).unwrap_or_default();
        let mut lines = text.lines();
        let ours = lines.next().is_some_and(|line| line.trim() == pid.to_string());
        if ours && lines.nth(6).is_some_and(|state| state.trim() == "ready") {
            return Ok(());
        }
        tokio::time::sleep(READY_POLL_EVERY).await;
    }
    send(pid, Signal::SIGQUIT);
    Err(Error::NotReady { log: log.to_owned(), seconds: READY_WAIT_MAX.as_secs() })
}

fn ended_early(log: &Path) -> Error {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
    Error::EndedEarly { log: log.to_owned(), tail }
}

fn passes(tail: &str) -> bool {
    PASSING.iter().any(|text| tail.contains(text))
}

fn choose_port(directory: &Directory, wanted: Option<u16>) -> Result<u16, Error> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    if let Some(port) = wanted {
        return if free(&port) { Ok(port) } else { Err(Error::PortTaken(port)) };
    }
    let remembered = std::fs::read_to_string(directory.port()).ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = remembered.filter(free) {
        return Ok(port);
    }
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    probe.map(|address| address.port()).map_err(Error::file("can't find a free port on", Path::new("127.0.0.1")))
}

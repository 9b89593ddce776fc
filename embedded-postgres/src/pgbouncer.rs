//! PgBouncer in transaction mode before a private server: what many a Postgres stands behind.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use owned_process::{Ending, Guardian, OwnedProcess, Program, Watch};
use tokio::net::TcpStream;

use crate::account::Account;
use crate::cluster::ROLE;
use crate::error::Error;

const READY_WAIT_MAX: Duration = Duration::from_secs(10);
const READY_POLL_EVERY: Duration = Duration::from_millis(10);
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);
/// Of its log, in an error.
const LOG_TAIL_LINES: usize = 12;
/// Where distributions put it, besides PATH.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];

#[derive(Clone, Debug)]
pub struct PgBouncerOptions {
    /// For its configuration and log; made when missing.
    pub directory: PathBuf,
    /// None: a free one.
    pub port: Option<u16>,
    /// Of the server behind it, on 127.0.0.1.
    pub server_port: u16,
    /// Of the server's one role.
    pub password: String,
    /// Connections to the server, for each database.
    pub server_connections: u16,
    /// Connections of clients.
    pub clients_max: u16,
}

/// A running PgBouncer. It ends with its owner, however that ends.
#[derive(Debug)]
pub struct PgBouncer {
    process: OwnedProcess,
    guardian: Guardian,
    options: PgBouncerOptions,
    port: u16,
}

impl PgBouncer {
    /// Whether it is installed.
    pub fn program() -> Option<PathBuf> {
        owned_process::find("pgbouncer", &PLACES)
    }

    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// When it is not installed or does not start; its log is in the directory.
    pub async fn start(options: PgBouncerOptions) -> Result<Self, Error> {
        let program = Self::program().ok_or(Error::PgBouncerMissing)?;
        let directory = &options.directory;
        std::fs::create_dir_all(directory).map_err(Error::file("can't create", directory))?;
        let account = Account::choose(&directory.join("pgbouncer.ini"))?;
        account.make_passable(directory)?;
        let port = options.port.map_or_else(owned_process::free_port, Ok)?;
        let (users, settings) = (directory.join("users"), directory.join("pgbouncer.ini"));
        write_owned(account, &users, &format!("\"{ROLE}\" \"{}\"\n", options.password))?;
        write_owned(account, &settings, &options.settings(port, &users))?;
        let (pids, ending) = (directory.join("pids"), Ending::terminate(STOP_WAIT_MAX));
        account.make_own(&pids)?;
        let user = account.user();
        let watch = Watch { name: "pgbouncer", pids: &pids, ending: &ending, remove: None, user };
        let guardian = Guardian::watch(watch)?;
        let mut process = OwnedProcess::new(pids.join("pgbouncer"), directory.join("pgbouncer.log"), ending);
        let program = Program::new(program).arg(&settings).run_as(user).in_directory("/");
        process.launch(&program).await?;
        let deadline = Instant::now() + READY_WAIT_MAX;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if process.pid().is_none() || Instant::now() > deadline {
                return Err(Error::Program { program: "pgbouncer", output: process.said_last(LOG_TAIL_LINES) });
            }
            tokio::time::sleep(READY_POLL_EVERY).await;
        }
        Ok(Self { process, guardian, options, port })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database through it.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}?sslmode=disable", self.options.password, self.port)
    }

    pub fn process(&self) -> &OwnedProcess {
        &self.process
    }

    /// Ends it; connections through it are cut.
    pub async fn stop(mut self) {
        self.process.stop().await;
        self.guardian.dismiss().await;
    }
}

impl PgBouncerOptions {
    fn settings(&self, port: u16, users: &Path) -> String {
        let Self { server_port, server_connections, clients_max, .. } = self;
        format!(
            "[databases]\n\
             * = host=127.0.0.1 port={server_port}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = scram-sha-256\n\
             auth_file = {}\n\
             pool_mode = transaction\n\
             default_pool_size = {server_connections}\n\
             max_client_conn = {clients_max}\n\
             server_login_retry = 1\n\
             log_connections = 0\n\
             log_disconnections = 0\n",
            users.display()
        )
    }
}

fn write_owned(account: Account, path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file("can't write", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(Error::file("can't set the mode of", path))?;
    account.own(path)
}

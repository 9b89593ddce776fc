//! PgBouncer in transaction mode before a private server: what many a Postgres stands behind.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::account::Account;
use crate::cluster::ROLE;
use crate::error::Error;
use crate::processes::{freeze, send, thaw};

const READY_WAIT_MAX: Duration = Duration::from_secs(10);
const READY_POLL_EVERY: Duration = Duration::from_millis(10);
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);
/// Where distributions put it, besides PATH.
const PLACES: [&str; 3] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];

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
    shell: Child,
    options: PgBouncerOptions,
    port: u16,
}

/// Runs the program, tells its process, and ends it when standard input does, which only the owner holds.
const SCRIPT: &str = r#"trap '' HUP INT; "$1" -q "$2" & pid=$!; echo "$pid"; cat >/dev/null; kill -TERM "$pid"; wait"#;

impl PgBouncer {
    /// Whether it is installed.
    pub fn program() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&path).map(|directory| directory.join("pgbouncer"));
        PLACES.iter().map(PathBuf::from).chain(in_path).find(|program| program.exists())
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
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        let (users, settings, log) =
            (directory.join("users"), directory.join("pgbouncer.ini"), directory.join("pgbouncer.log"));
        write_owned(account, &users, &format!("\"{ROLE}\" \"{}\"\n", options.password))?;
        write_owned(account, &settings, &options.settings(port, &users))?;
        let output = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&log);
        let output = output.map_err(Error::file("can't write", &log))?;
        let mut command = account.command("sh");
        command.args(["-c", SCRIPT, "coulomb-pgbouncer"]).arg(program).arg(&settings);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let spawned = Command::from(command).spawn();
        let shell = spawned.map_err(|source| Error::Spawn { program: "pgbouncer", source })?;
        let bouncer = Self { shell, options, port };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if started.elapsed() > READY_WAIT_MAX {
                let output = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(Error::Program { program: "pgbouncer", output });
            }
            tokio::time::sleep(READY_POLL_EVERY).await;
        }
        Ok(bouncer)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database through it.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}?sslmode=disable", self.options.password, self.port)
    }

    /// Its process stands still, and with it every connection.
    pub async fn freeze(&mut self) {
        if let Some(pid) = self.pid() {
            freeze(pid);
        }
    }

    pub async fn thaw(&mut self) {
        if let Some(pid) = self.pid() {
            thaw(pid);
        }
    }

    /// The shell's; the program is its child.
    pub fn pid(&self) -> Option<u32> {
        self.shell.id()
    }

    /// Ends it; connections through it are cut.
    pub async fn stop(mut self) {
        drop(self.shell.stdin.take());
        if tokio::time::timeout(STOP_WAIT_MAX, self.shell.wait()).await.is_err()
            && let Some(pid) = self.shell.id()
        {
            send(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let mut rest = Vec::new();
        if let Some(mut output) = self.shell.stdout.take() {
            let _ = output.read_to_end(&mut rest).await;
        }
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

fn free_port() -> Result<u16, Error> {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    probe.map(|address| address.port()).map_err(Error::file("can't find a free port on", Path::new("127.0.0.1")))
}

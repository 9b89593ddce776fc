//! Directories, owners to kill, and conditions to wait for.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use embedded_postgres::Options;
use sqlx::{Connection, Executor, PgConnection};

pub const OWNER_HOME: &str = "COULOMB_TEST_OWNER_HOME";

/// A directory for one server, removed at the end.
pub struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    /// One that every account can pass through.
    pub fn new() -> Self {
        Self::with_mode(0o711)
    }

    /// One that only we can enter, as root's own home directory is.
    pub fn closed() -> Self {
        Self::with_mode(0o700)
    }

    fn with_mode(mode: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        std::fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("it is ours");
        Self { directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("postgres")
    }

    pub fn options(&self) -> Options {
        options(&self.path())
    }
}

pub fn options(home: &Path) -> Options {
    Options { durable: false, connections_max: 20, ..Options::new(home) }
}

/// Another process that owns a server.
pub struct Owner {
    process: Child,
    pub server: u32,
    pub guardian: u32,
    pub url: String,
}

impl Owner {
    pub fn spawn(home: &Home) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("we are running"))
            .args(["--exact", "owner_process", "--ignored", "--nocapture"])
            .env(OWNER_HOME, home.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let line = stdout.lines().map(|line| line.expect("it is text")).find(|line| line.contains("owner "));
        let line = line.expect("it says that it is ready");
        let words: Vec<&str> = line[line.find("owner ").unwrap()..].split(' ').collect();
        let [_, server, guardian, url] = words[..] else { panic!("unexpected: {line}") };
        Self { process, server: server.parse().unwrap(), guardian: guardian.parse().unwrap(), url: url.to_owned() }
    }

    /// As a crash would: nothing in it gets to run any more.
    pub fn kill(mut self) {
        self.process.kill().expect("it lives");
        self.process.wait().expect("it is ours");
    }
}

pub fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().expect("kill runs");
    assert!(status.success());
}

pub fn own_uid() -> u32 {
    std::fs::metadata("/proc/self").expect("procfs is mounted").uid()
}

/// Waits for a condition, for a minute at most.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(url).await
}

pub async fn execute(url: &str, sql: &str) {
    connect(url).await.expect("it answers").execute(sql).await.expect("it is carried out");
}

pub async fn number(url: &str, sql: &str) -> i32 {
    let mut connection = connect(url).await.expect("it answers");
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("it is a number")
}

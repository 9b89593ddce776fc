//! The platform as processes of this program, one for each role, which share a database and perhaps Kafka.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::platform::{OPERATOR_EMAIL, Reach};
use crate::master_key::MasterKey;

/// How long a role may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
const EDGE: &str = "ocpp-edge";
/// Those that are always there.
const ROLES: [&str; 4] = ["command-service", "projection-service", "realtime-api", EDGE];
const RELAY: &str = "relay";
/// Limits by address would meet all of the load, which comes from one.
const LIMITS: [&str; 4] =
    ["COULOMB_RATE_ADDRESS", "COULOMB_RATE_LOGIN_ADDRESS", "COULOMB_RATE_REGISTER", "COULOMB_RATE_DRIVER"];
const NO_LIMIT: &str = "100000,6000000";
/// Bytes of what a process said that are shown where it ended.
const SAID_BYTES_MAX: usize = 2_000;

/// The brokers, and what the names of topics begin with.
#[derive(Debug, Clone)]
pub struct Through {
    pub brokers: String,
    pub prefix: String,
}

pub struct Processes {
    running: Vec<Process>,
    reach: Reach,
    /// What they say.
    _logs: tempfile::TempDir,
}

struct Process {
    role: &'static str,
    child: Child,
    log: PathBuf,
    http: u16,
}

impl Processes {
    /// One of each role. Without Kafka they learn of the log from Postgres, whatever the environment says.
    pub async fn start(
        database_url: &str,
        master_key: &MasterKey,
        through: Option<&Through>,
        operator_password: &str,
    ) -> anyhow::Result<Self> {
        let logs = tempfile::tempdir().context("no directory for what the processes say")?;
        let program = std::env::current_exe().context("this program is not where it was started")?;
        let command = |arguments: &[&str], log: &Path| -> anyhow::Result<Command> {
            let mut command = Command::new(&program);
            command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
            let out = File::create(log).with_context(|| format!("can't write {}", log.display()))?;
            command.stderr(out.try_clone()?).stdout(out);
            command.env("DATABASE_URL", database_url).env("COULOMB_MASTER_KEY", master_key.to_base64());
            command.env("COULOMB_OPERATOR_EMAIL", OPERATOR_EMAIL).env("COULOMB_OPERATOR_PASSWORD", operator_password);
            for limit in LIMITS {
                command.env(limit, NO_LIMIT);
            }
            match through {
                None => command.env_remove("KAFKA_BROKERS"),
                Some(Through { brokers, prefix }) => {
                    command.env("KAFKA_BROKERS", brokers).env("COULOMB_KAFKA_TOPIC_PREFIX", prefix)
                }
            };
            Ok(command)
        };
        let log = logs.path().join("migrate.log");
        let migrated = command(&["migrate"], &log)?.status().await.context("this program can't be started")?;
        if !migrated.success() {
            bail!("the database can't be brought to this version: {}", said(&log));
        }
        let mut running = vec![];
        let mut ocpp = 0;
        for role in ROLES.into_iter().chain(through.map(|_| RELAY)) {
            let (log, http) = (logs.path().join(format!("{role}.log")), free_port()?);
            let mut command = command(&[role, "--http", &http.to_string()], &log)?;
            if role == EDGE {
                ocpp = free_port()?;
                command.env("COULOMB_OCPP_LISTEN", ocpp.to_string());
            }
            let child = command.spawn().context("this program can't be started")?;
            running.push(Process { role, child, log, http });
        }
        for process in &mut running {
            process.ready().await?;
            if process.role == RELAY {
                process.relayed().await?;
            }
        }
        let port = |role: &str| running.iter().find(|process| process.role == role).map_or(0, |process| process.http);
        let at = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}");
        let reach = Reach {
            commands: at("http", port("command-service")),
            queries: at("http", port("realtime-api")),
            ws: at("ws", port("realtime-api")),
            ocpp: at("ws", ocpp),
            operator_email: OPERATOR_EMAIL,
            operator_password: operator_password.to_owned(),
        };
        Ok(Self { running, reach, _logs: logs })
    }

    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// SIGTERM to all of them; who does not end within its time is killed.
    pub async fn stop(mut self) {
        for process in &self.running {
            if let Some(pid) = process.child.id().and_then(|pid| i32::try_from(pid).ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
        for process in &mut self.running {
            let _ = tokio::time::timeout(STOPPED_WITHIN, process.child.wait()).await;
        }
    }
}

impl Process {
    async fn ready(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.role, said(&self.log));
            }
            let answer = reqwest::get(format!("http://127.0.0.1:{}/ready", self.http)).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if began.elapsed() > READY_WITHIN {
                bail!("{} is not ready after {} s: {}", self.role, READY_WITHIN.as_secs(), said(&self.log));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Process {
    /// Until the relay leads and Kafka has all of the log: what came before is not to be measured.
    async fn relayed(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let metrics = match reqwest::get(format!("http://127.0.0.1:{}/metrics", self.http)).await {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            let is = |name: &str, value: &str| {
                metrics.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim() == value))
            };
            if is("coulomb_relay_leads ", "1") && is("coulomb_relay_lag_positions ", "0") {
                return Ok(());
            }
            if began.elapsed() > READY_WITHIN {
                bail!("the relay has not caught up after {} s: {}", READY_WITHIN.as_secs(), said(&self.log));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The end of it.
fn said(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SAID_BYTES_MAX)..]).into_owned()
}

/// One that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0").context("no port is free")?.local_addr()?.port())
}

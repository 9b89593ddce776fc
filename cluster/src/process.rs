//! A process of the cluster: started, watched until it is ready, disturbed, ended.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpStream;

use crate::error::Error;
use crate::part::{Part, State};

const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(20);
const ASK_WAIT_MAX: Duration = Duration::from_secs(5);
/// For a process to drain; longer than any role takes by its defaults.
const STOP_WAIT_MAX: Duration = Duration::from_secs(45);
const KILL_WAIT_MAX: Duration = Duration::from_secs(10);
const LOG_TAIL_LINES: usize = 25;
/// A log that is larger is begun anew at a start.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Leaves word of itself before it becomes the program: there is no moment in which it runs and nobody knows.
const LAUNCH: &str = r#"
echo "$$ $(sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 20)" >"$1" && shift && exec "$@""#;

/// How one sees that a process can work.
#[derive(Clone, Debug)]
pub(crate) enum Ready {
    /// This answers with success.
    Http(String),
    /// Somebody takes connections there.
    Port(u16),
    /// The file is there. It is removed before a start.
    File(PathBuf),
}

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) part: Part,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) ready: Ready,
}

#[derive(Debug)]
pub(crate) struct Process {
    recipe: Recipe,
    log: PathBuf,
    pid_file: PathBuf,
    child: Option<Child>,
    frozen: bool,
}

impl Process {
    pub(crate) fn new(recipe: Recipe, directory: &std::path::Path) -> Self {
        let name = recipe.part.to_string();
        let (log, pid_file) = (directory.join("logs").join(format!("{name}.log")), directory.join("pids").join(name));
        Self { recipe, log, pid_file, child: None, frozen: false }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.log.clone()
    }

    pub(crate) fn launch(&mut self) -> Result<(), Error> {
        let Recipe { program, arguments, environment, ready, .. } = &self.recipe;
        if let Ready::File(path) = ready
            && path.exists()
        {
            std::fs::remove_file(path).map_err(Error::file("can't remove", path))?;
        }
        let path = &self.log;
        if std::fs::metadata(path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            std::fs::remove_file(path).map_err(Error::file("can't remove", path))?;
        }
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let log = log.map_err(Error::file("can't write", path))?;
        let errors = log.try_clone().map_err(Error::file("can't write", path))?;
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "sh"]).arg(&self.pid_file).arg(program).args(arguments);
        // What the machine's own environment says must not matter.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("COULOMB_") || ["DATABASE_URL", "KAFKA_BROKERS", "RUST_LOG"].contains(&text.as_ref()) {
                command.env_remove(name);
            }
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        // Not in the terminal's foreground group: Ctrl-C is for the owner, which stops everything in its order.
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let spawned = command.spawn();
        let spawned = spawned.map_err(|source| Error::Spawn { program: program.display().to_string(), source })?;
        self.child = Some(spawned);
        self.frozen = false;
        Ok(())
    }

    pub(crate) async fn until_ready(&mut self, client: &reqwest::Client) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WAIT_MAX;
        let part = self.recipe.part;
        loop {
            if self.pid().is_none() {
                return Err(Error::EndedEarly { part, log: self.log(), tail: self.log_end() });
            }
            let said = match &self.recipe.ready {
                Ready::File(path) if path.exists() => return Ok(()),
                Ready::File(path) => format!("{} is not there", path.display()),
                Ready::Port(port) => match TcpStream::connect(("127.0.0.1", *port)).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error.to_string(),
                },
                Ready::Http(url) => match client.get(url).timeout(ASK_WAIT_MAX).send().await {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                },
            };
            if Instant::now() > deadline {
                let (seconds, log, tail) = (READY_WAIT_MAX.as_secs(), self.log(), self.log_end());
                return Err(Error::NotReady { part, seconds, said: said.trim().to_owned(), log, tail });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// The process; none when it has ended.
    pub(crate) fn pid(&mut self) -> Option<u32> {
        let child = self.child.as_mut()?;
        if !matches!(child.try_wait(), Ok(None)) {
            self.child = None;
            return None;
        }
        Some(child.id())
    }

    pub(crate) fn state(&mut self) -> State {
        match self.pid() {
            None => State::Stopped,
            Some(_) if self.frozen => State::Frozen,
            Some(_) => State::Running,
        }
    }

    /// SIGSTOP or SIGCONT. False: it does not run.
    pub(crate) fn set_frozen(&mut self, frozen: bool) -> bool {
        let Some(pid) = self.pid() else { return false };
        send(pid, if frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
        self.frozen = frozen;
        true
    }

    /// SIGKILL, and waits for the end. False: it did not run.
    pub(crate) async fn kill(&mut self) -> bool {
        let Some(pid) = self.pid() else { return false };
        send(pid, Signal::SIGKILL);
        self.ended_within(KILL_WAIT_MAX).await;
        true
    }

    /// In good order, and after a while by SIGKILL.
    pub(crate) async fn stop(&mut self) {
        let Some(pid) = self.pid() else { return };
        send(pid, Signal::SIGTERM);
        // One that is frozen hears of it when it is woken.
        send(pid, Signal::SIGCONT);
        if !self.ended_within(STOP_WAIT_MAX).await {
            tracing::warn!(part = %self.recipe.part, "did not end in time, and is killed");
            self.kill().await;
        }
    }

    async fn ended_within(&mut self, wait_max: Duration) -> bool {
        let deadline = Instant::now() + wait_max;
        while self.pid().is_some() && Instant::now() < deadline {
            tokio::time::sleep(POLL_EVERY).await;
        }
        self.pid().is_none()
    }
}

/// A process that is gone already needs no signal.
fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

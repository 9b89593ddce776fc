//! One node: a process, and what it is told.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::Error;
use crate::kafka::NodeState;
use crate::libraries::end_of;

/// Until a node takes part. One of three waits for another.
const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// For a node to hand over and end; then it is killed, and recovers what it had when it starts again.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);
const KILL_WAIT_MAX: Duration = Duration::from_secs(10);
const FORMAT_WAIT_MAX: Duration = Duration::from_secs(60);
/// Of the log, in an error.
const LOG_TAIL_BYTES: usize = 3_000;
/// A log that is larger is begun anew at a start.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What a node says when it takes part.
const STARTED: &str = "Kafka Server started";
/// Leaves word of its pid before it becomes Java: there is no moment in which a node runs and nobody knows.
const LAUNCH: &str = r#"echo $$ >"$1" && shift && exec "$@""#;

#[derive(Debug)]
pub(crate) struct Node {
    home: PathBuf,
    java: PathBuf,
    class_path: String,
    heap_mib: u32,
    child: Option<Child>,
    frozen: bool,
    /// Where in the log the words of the present process begin.
    log_from: u64,
}

impl Node {
    pub(crate) fn new(home: PathBuf, java: PathBuf, libraries: &Path, heap_mib: u32) -> Self {
        let class_path = libraries.join("*").display().to_string();
        Self { home, java, class_path, heap_mib, child: None, frozen: false, log_from: 0 }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    fn properties(&self) -> PathBuf {
        self.home.join("server.properties")
    }

    /// Writes what the node is told, and gives it its storage the first time.
    pub(crate) async fn prepare(&self, properties: &str, cluster_id: &str, more: Vec<String>) -> Result<(), Error> {
        std::fs::create_dir_all(&self.home).map_err(Error::file("can't create", &self.home))?;
        let path = self.properties();
        std::fs::write(&path, properties).map_err(Error::file("can't write", &path))?;
        self.end_leftover().await?;
        let formatted = self.home.join("formatted");
        if formatted.exists() {
            return Ok(());
        }
        let data = self.home.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(Error::file("can't remove", &data))?;
        }
        let mut command = tokio::process::Command::new(&self.java);
        command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &self.class_path]);
        command.args(["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config"]);
        command.arg(self.properties()).args(more).stdin(Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(FORMAT_WAIT_MAX, command.output()).await {
            Ok(output) => output.map_err(|source| Error::Spawn { program: "java", source })?,
            Err(_) => {
                return Err(Error::ProgramHangs { program: "Kafka's StorageTool", seconds: FORMAT_WAIT_MAX.as_secs() });
            }
        };
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(Error::Program { program: "Kafka's StorageTool", output: end_of(&said, LOG_TAIL_BYTES) });
        }
        std::fs::write(&formatted, cluster_id).map_err(Error::file("can't write", &formatted))
    }

    /// Starts the process.
    pub(crate) fn launch(&mut self) -> Result<(), Error> {
        let path = self.log();
        if std::fs::metadata(&path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            std::fs::remove_file(&path).map_err(Error::file("can't remove", &path))?;
        }
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let log = log.map_err(Error::file("can't write", &path))?;
        self.log_from = log.metadata().map_err(Error::file("can't read", &path))?.len();
        let errors = log.try_clone().map_err(Error::file("can't write", &path))?;

        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "sh"]).arg(self.home.join("pid")).arg(&self.java);
        command.arg(format!("-Xmx{}m", self.heap_mib)).args(["-Xms64m", "-XX:+UseSerialGC"]);
        // What a node says is warnings, and when it has started.
        command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]);
        command.args(["-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]);
        command.args(["-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info", "-cp", &self.class_path]);
        command.arg("kafka.Kafka").arg(self.properties());
        // Not in the terminal's foreground group: Ctrl-C is for the owner, which stops the node in its own time.
        command.current_dir("/").stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        self.child = Some(command.spawn().map_err(|source| Error::Spawn { program: "sh", source })?);
        self.frozen = false;
        Ok(())
    }

    pub(crate) async fn until_ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WAIT_MAX;
        loop {
            let ended = self.pid().is_none();
            let said = self.said();
            if said.contains(STARTED) {
                return Ok(());
            }
            if ended {
                return Err(Error::EndedEarly { log: self.log(), tail: end_of(said.as_bytes(), LOG_TAIL_BYTES) });
            }
            if Instant::now() > deadline {
                let (seconds, tail) = (READY_WAIT_MAX.as_secs(), end_of(said.as_bytes(), LOG_TAIL_BYTES));
                return Err(Error::NotReady { log: self.log(), seconds, tail });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// What the present process has said.
    fn said(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut log = std::fs::File::open(self.log())?;
            log.seek(SeekFrom::Start(self.log_from))?;
            let mut said = vec![];
            log.take(LOG_BYTES_MAX).read_to_end(&mut said)?;
            Ok(said)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
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

    pub(crate) fn state(&mut self) -> NodeState {
        match self.pid() {
            None => NodeState::Stopped,
            Some(_) if self.frozen => NodeState::Frozen,
            Some(_) => NodeState::Running,
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

    /// SIGTERM, and after a while SIGKILL.
    pub(crate) async fn stop(&mut self) {
        let Some(pid) = self.pid() else { return };
        send(pid, Signal::SIGTERM);
        // One that is frozen hears of it when it is woken.
        send(pid, Signal::SIGCONT);
        if !self.ended_within(STOP_WAIT_MAX).await {
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

    /// Ends a process that an earlier owner left; its guardian may be about to.
    async fn end_leftover(&self) -> Result<(), Error> {
        let text = std::fs::read_to_string(self.home.join("pid")).unwrap_or_default();
        let Some(pid) = text.trim().parse::<i32>().ok().filter(|pid| *pid > 1) else { return Ok(()) };
        let path = self.properties().display().to_string();
        let lives = || {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == path.as_bytes())
        };
        if !lives() {
            return Ok(());
        }
        tracing::info!(pid, "ending a Kafka that an earlier run has left");
        let deadline = Instant::now() + STOP_WAIT_MAX + KILL_WAIT_MAX;
        let killed_at = Instant::now() + STOP_WAIT_MAX;
        // It may have ended in between: then there is nobody to send to.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        while lives() && Instant::now() < deadline {
            if Instant::now() > killed_at {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        if lives() { Err(Error::LeftoverStays { pid }) } else { Ok(()) }
    }
}

/// A process that is gone already needs no signal.
fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

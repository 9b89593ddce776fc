//! One process: started, disturbed, ended.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::descendants::descendants;
use crate::ending::{Ending, KILL_WAIT_MAX};
use crate::error::Error;
use crate::program::{Program, User};
use crate::said::Log;
use crate::word;

const SCRIPT: &str = include_str!("launch.sh");
const POLL_EVERY: Duration = Duration::from_millis(10);
/// For each thread to come to where it is stopped.
const STOP_WAIT_MAX: Duration = Duration::from_secs(1);
/// Of a process that may run for ever.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(100);

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    /// By [`OwnedProcess::freeze`].
    Frozen,
    /// Not started, killed, stopped, or ended by itself.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Frozen => "frozen",
            Self::Stopped => "stopped",
        })
    }
}

/// A process that can be started again and again, always with the same log and the same file for its pid.
#[derive(Debug)]
pub struct OwnedProcess {
    pid_file: PathBuf,
    log: Log,
    ending: Ending,
    with_descendants: bool,
    child: Option<Child>,
    /// How the child ended, when that was asked for: from then on its pid may be another's.
    status: Option<ExitStatus>,
    frozen: AtomicBool,
}

impl OwnedProcess {
    /// One that does not run yet. `pid_file` is in the directory that a [`crate::Guardian`] watches; what the process says
    /// is appended to `log`; `ending` is how it is stopped.
    pub fn new(pid_file: impl Into<PathBuf>, log: impl Into<PathBuf>, ending: Ending) -> Self {
        let (pid_file, log, frozen) = (pid_file.into(), Log::at(log.into()), AtomicBool::new(false));
        Self { pid_file, log, ending, with_descendants: false, child: None, status: None, frozen }
    }

    /// What befalls it (kill, freeze, thaw) befalls all processes below it too.
    #[must_use]
    pub fn with_descendants(self) -> Self {
        Self { with_descendants: true, ..self }
    }

    /// Starts the program, unless this process runs. One that an earlier owner left is ended first.
    ///
    /// # Errors
    /// When files can't be written, or a shell can't be run. That there is no such program stands in the log.
    pub async fn launch(&mut self, program: &Program) -> Result<(), Error> {
        if self.pid().is_some() {
            return Ok(());
        }
        self.end_leftover(program).await?;
        self.launch_now(program)
    }

    /// [`OwnedProcess::launch`] for those who know that nobody else had this file for its pid.
    ///
    /// # Errors
    /// As that.
    pub fn launch_now(&mut self, program: &Program) -> Result<(), Error> {
        if self.pid().is_some() {
            return Ok(());
        }
        self.reap();
        let log = self.log.open()?;
        let errors = log.try_clone().map_err(Error::file("can't write", &self.log.path))?;
        let pid_file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&self.pid_file);
        let pid_file = pid_file.map_err(Error::file("can't write", &self.pid_file))?;
        if let Some(User { uid, gid }) = program.user {
            // Whatever the umask: the guardian, who is that user too, reads it.
            fchown(&pid_file, Some(uid), Some(gid)).map_err(Error::file("can't hand over", &self.pid_file))?;
        }

        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh", &std::process::id().to_string()]).arg(&program.path).args(&program.arguments);
        for (name, value) in &program.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(User { uid, gid }) = program.user {
            command.uid(uid).gid(gid);
        }
        if let Some(directory) = &program.directory {
            command.current_dir(directory);
        }
        // Not in the terminal's foreground group: Ctrl-C is for the owner, which ends its processes in its own time.
        command.stdin(pid_file).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().map_err(|source| Error::Spawn { program: program.path.clone(), source })?;
        (self.child, self.status, self.frozen) = (Some(child), None, AtomicBool::new(false));
        Ok(())
    }

    async fn end_leftover(&self, program: &Program) -> Result<(), Error> {
        let left = || word::living(&self.pid_file);
        for (signal, within) in self.ending.steps() {
            let Some(pid) = left() else { return Ok(()) };
            tracing::info!(pid, program = %program.path.display(), %signal, "ending what an earlier run has left");
            send(pid, *signal);
            send(pid, Signal::SIGCONT);
            until(*within, || left().is_none()).await;
        }
        left().map_or(Ok(()), |pid| Err(Error::LeftoverStays { program: program.path.clone(), pid }))
    }

    /// The process; none when it has ended, or was not started.
    pub fn pid(&self) -> Option<u32> {
        let pid = self.child.as_ref().filter(|_| self.status.is_none())?.id();
        // Without taking the status away from whoever waits for it.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let looked = waitid(Id::Pid(Pid::from_raw(pid.cast_signed())), flags);
        matches!(looked, Ok(WaitStatus::StillAlive)).then_some(pid)
    }

    pub fn state(&self) -> State {
        match self.pid() {
            None => State::Stopped,
            Some(_) if self.frozen.load(Ordering::Relaxed) => State::Frozen,
            Some(_) => State::Running,
        }
    }

    /// SIGSTOP: it keeps its connections and does nothing, from the return of this on. False: it does not run.
    pub fn freeze(&self) -> bool {
        self.set_frozen(true)
    }

    /// SIGCONT: it goes on. False: it does not run.
    pub fn thaw(&self) -> bool {
        self.set_frozen(false)
    }

    /// [`OwnedProcess::freeze`] or [`OwnedProcess::thaw`].
    pub fn set_frozen(&self, frozen: bool) -> bool {
        let Some(pid) = self.pid() else { return false };
        if frozen {
            // The first process first, so that it makes no more of them.
            send(pid, Signal::SIGSTOP);
            self.with_all(pid, Signal::SIGSTOP);
            let deadline = Instant::now() + STOP_WAIT_MAX;
            while !word::stands_still(pid) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            self.with_all(pid, Signal::SIGCONT);
        }
        self.frozen.store(frozen, Ordering::Relaxed);
        true
    }

    /// A signal to the process alone. False: it does not run.
    pub fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = self.pid() else { return false };
        send(pid, signal);
        true
    }

    /// SIGKILL, as if its machine had lost its power, but for the kernel's cache. It is gone when this returns. False: it did
    /// not run.
    pub async fn kill(&mut self) -> bool {
        let killed = self.send_kill();
        until(KILL_WAIT_MAX, || self.pid().is_none()).await;
        self.reap();
        killed
    }

    /// SIGKILL, without waiting for the end. False: it does not run.
    pub fn send_kill(&self) -> bool {
        let Some(pid) = self.pid() else { return false };
        if self.with_descendants {
            // Nobody sees another one go, and makes up for it.
            self.set_frozen(true);
        }
        self.with_all(pid, Signal::SIGKILL);
        true
    }

    /// Ends it as its [`Ending`] says. False: it lives on.
    pub async fn stop(&mut self) -> bool {
        let steps = self.ending.steps().to_vec();
        for (number, (signal, within)) in steps.into_iter().enumerate() {
            let Some(pid) = self.pid() else { break };
            if number > 0 {
                tracing::warn!(pid, log = %self.log.path.display(), %signal, "it did not end in time");
            }
            send(pid, signal);
            // One that is frozen hears of it when it is woken.
            self.with_all(pid, Signal::SIGCONT);
            until(within, || self.pid().is_none()).await;
        }
        self.reap();
        self.pid().is_none()
    }

    /// One that has ended and was not waited for keeps its pid.
    fn reap(&mut self) {
        if self.child.is_some() && self.pid().is_none() {
            let _ = self.wait();
        }
    }

    /// How it ended; none while it runs, or when it was never started.
    pub fn ended_with(&mut self) -> Option<ExitStatus> {
        self.reap();
        self.status
    }

    /// Completes when it has ended. Cancelling loses nothing.
    ///
    /// # Errors
    /// When it was never started, or can't be waited for.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        let mut pause = POLL_EVERY;
        while self.pid().is_some() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_EVERY_MAX);
        }
        self.wait()
    }

    /// [`OwnedProcess::ended`] for those who may block.
    ///
    /// # Errors
    /// As that.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let never = || std::io::Error::new(std::io::ErrorKind::NotFound, "the process was not started");
        let status = self.child.as_mut().ok_or_else(never)?.wait()?;
        self.status = Some(status);
        Ok(status)
    }

    pub fn log(&self) -> &Path {
        &self.log.path
    }

    /// What it said since it was started the last time.
    pub fn said(&self) -> String {
        self.log.said()
    }

    /// The last lines of what it said since it was started the last time.
    pub fn said_last(&self, lines: usize) -> String {
        let said = self.said();
        let all: Vec<&str> = said.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn with_all(&self, pid: u32, signal: Signal) {
        if self.with_descendants {
            // Those below first: woken or ended, none finds another as it was not to be seen.
            descendants(pid).into_iter().rev().for_each(|pid| send(pid, signal));
        } else {
            send(pid, signal);
        }
    }
}

/// A process that is gone already needs no signal.
fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
}

/// Waits for it, so long at most.
async fn until(wait_max: Duration, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + wait_max;
    while !is_so() && Instant::now() < deadline {
        tokio::time::sleep(POLL_EVERY).await;
    }
}

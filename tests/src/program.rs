//! The program in a process of its own, which never outlives the test.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use owned_process::{Ending, Guardian, OwnedProcess, Signal, Watch};

use crate::{binary, eventually};

const LOG_TAIL_LINES: usize = 40;

/// What to run.
#[derive(Clone, Debug)]
pub struct ProgramBuilder {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Where it answers `/ready`.
    admin_port: u16,
    log: PathBuf,
    /// Another build of the program; none: the one to test.
    build: Option<PathBuf>,
}

impl ProgramBuilder {
    /// `admin_port` is where it will answer `/ready`; `log` takes what it says.
    pub fn new(arguments: &[&str], admin_port: u16, log: PathBuf) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { arguments, environment: vec![], admin_port, log, build: None }
    }

    /// Another build of the program is run from now on, or the one to test again.
    pub fn run_build(&mut self, build: Option<PathBuf>) {
        self.build = build;
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it ends, or is never ready; with what it said.
    pub async fn start(&self) -> Program {
        let program = Program::spawn(self);
        program.until_ready().await;
        program
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end well.
    pub async fn run(&self) {
        let (status, said) = self.ended().await;
        assert!(status.success(), "it ended with {status}; it said:\n{said}");
    }

    /// Starts what will not run, and gives what it said about that.
    ///
    /// # Panics
    /// When it runs, or ends well.
    pub async fn refused(&self) -> String {
        let (status, said) = self.ended().await;
        assert!(!status.success(), "it should have been refused; it said:\n{said}");
        said
    }

    async fn ended(&self) -> (ExitStatus, String) {
        let mut program = Program::spawn(self);
        eventually("it to end", || async { (!program.is_alive()).then_some(()) }).await;
        (program.wait(), program.log_end())
    }
}

pub struct Program {
    process: OwnedProcess,
    builder: ProgramBuilder,
}

impl Program {
    fn spawn(builder: &ProgramBuilder) -> Self {
        let build = builder.build.as_deref().unwrap_or_else(|| binary::coulomb());
        let program = cluster::program(build).args(&builder.arguments);
        let program = program.envs(builder.environment.iter().map(|(name, value)| (name, value)));
        let mut process = OwnedProcess::new(pid_file(), &builder.log, Ending::kill());
        process.launch_now(&program).expect("it starts");
        Self { process, builder: builder.clone() }
    }

    async fn until_ready(&self) {
        let client = reqwest::Client::new();
        let url = format!("http://127.0.0.1:{}/ready", self.builder.admin_port);
        eventually(&format!("{url}; it said:\n{}", self.log_end()), || async {
            assert!(self.is_alive(), "it ended; it said:\n{}", self.log_end());
            client.get(&url).send().await.ok().filter(|answer| answer.status().is_success()).map(|_| ())
        })
        .await;
    }

    fn is_alive(&self) -> bool {
        self.process.pid().is_some()
    }

    /// The end of what it said.
    pub fn log_end(&self) -> String {
        self.process.said_last(LOG_TAIL_LINES)
    }

    fn wait(&mut self) -> ExitStatus {
        self.process.wait().expect("it is ours")
    }

    /// SIGKILL, as a power cut would be to it. It may have ended a moment before, with the database that it lost.
    pub fn kill(self) {
        drop(self);
    }

    /// SIGTERM: it drains and ends.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "it ended with {status}; it said:\n{}", self.log_end());
    }

    /// SIGTERM, without waiting for the end: [`Program::ended`] does.
    ///
    /// # Panics
    /// When it is gone.
    pub fn terminate(&self) {
        assert!(self.process.signal(Signal::SIGTERM), "it was gone; it said:\n{}", self.log_end());
    }

    /// Waits for its end; answers the code that it ended with.
    pub async fn ended(mut self) -> Option<i32> {
        eventually("it to end", || async { (!self.is_alive()).then_some(()) }).await;
        self.wait().code()
    }

    /// SIGSTOP: it stands still, and its connections stand.
    ///
    /// # Panics
    /// When it is gone.
    pub fn freeze(&self) {
        assert!(self.process.freeze(), "it was gone; it said:\n{}", self.log_end());
    }

    /// SIGCONT.
    ///
    /// # Panics
    /// When it is gone.
    pub fn thaw(&self) {
        assert!(self.process.thaw(), "it was gone; it said:\n{}", self.log_end());
    }

    /// Where what it says is written.
    pub fn log(&self) -> PathBuf {
        self.builder.log.clone()
    }

    /// All that it said.
    pub fn said(&self) -> String {
        self.process.said()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.send_kill();
        let _ = self.process.wait();
    }
}

/// Another for each process. Their guardian ends with this process, and ends what is left.
fn pid_file() -> PathBuf {
    static WATCHED: OnceLock<(PathBuf, Guardian)> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (pids, _) = WATCHED.get_or_init(|| {
        let pids =
            tempfile::Builder::new().prefix("coulomb-test-pids-").tempdir().expect("a directory can be made").keep();
        let watch = Watch { name: "test", pids: &pids, ending: &Ending::kill(), remove: Some(&pids), user: None };
        let guardian = Guardian::watch(watch).expect("a shell runs");
        (pids, guardian)
    });
    pids.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string())
}

/// A port that nobody listens on, and that is still free when a killed program comes back to it.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    owned_process::free_port().expect("a port is free")
}

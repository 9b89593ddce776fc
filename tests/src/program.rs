//! The program in a process of its own, which never outlives the test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{binary, eventually};

/// Starts its arguments, says their process id, and kills them when its input ends: whatever becomes of the test.
const GUARDIAN: &str = r#"
exec 3<&0
"$@" </dev/null &
program=$!
echo "pid $program"
(cat <&3; kill -KILL $program) >/dev/null 2>&1 &
leash=$!
wait $program
status=$?
kill $leash 2>/dev/null
exit $status
"#;

/// What to run.
#[derive(Clone, Debug)]
pub struct ProgramBuilder {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Where it answers `/ready`.
    admin_port: u16,
    log: PathBuf,
}

impl ProgramBuilder {
    /// `admin_port` is where it will answer `/ready`; `log` takes what it says.
    pub fn new(arguments: &[&str], admin_port: u16, log: PathBuf) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { arguments, environment: vec![], admin_port, log }
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
        let status = program.guardian.wait().expect("it is ours");
        (status, program.log_end())
    }
}

pub struct Program {
    guardian: Child,
    /// The guardian kills when this closes.
    leash: Option<ChildStdin>,
    pid: u32,
    builder: ProgramBuilder,
}

impl Program {
    fn spawn(builder: &ProgramBuilder) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(&builder.log).expect("a log can be opened");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARDIAN, "guardian"]).arg(binary::coulomb()).args(&builder.arguments);
        // What the machine's own environment says must not matter.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("COULOMB_") || ["DATABASE_URL", "KAFKA_BROKERS", "RUST_LOG"].contains(&text.as_ref()) {
                command.env_remove(name);
            }
        }
        command.envs(builder.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut guardian = command.spawn().expect("a shell runs");
        let leash = guardian.stdin.take();
        let mut said = BufReader::new(guardian.stdout.take().expect("it is piped")).lines();
        let first = said.next().expect("the guardian speaks").expect("it is text");
        let pid = first.strip_prefix("pid ").and_then(|pid| pid.parse().ok()).expect("the guardian says the pid");
        let mut log = std::fs::File::options().append(true).open(&builder.log).expect("the log is there");
        // What it says on the screen stands in the log too; nobody else reads it, and the pipe must not fill.
        std::thread::spawn(move || {
            use std::io::Write;
            for line in said.map_while(Result::ok) {
                let _ = writeln!(log, "{line}");
            }
        });
        Self { guardian, leash, pid, builder: builder.clone() }
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
        PathBuf::from(format!("/proc/{}", self.pid)).exists()
    }

    /// The end of what it said.
    pub fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.builder.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// SIGKILL, as a power cut would be to it. It may have ended a moment before, with the database that it lost.
    pub fn kill(mut self) {
        self.signal("-KILL");
        let _ = self.guardian.wait();
    }

    /// SIGTERM: it drains and ends.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(mut self) {
        assert!(self.signal("-TERM"), "it was gone; it said:\n{}", self.log_end());
        let status = self.guardian.wait().expect("it is ours");
        assert!(status.success(), "it ended with {status}; it said:\n{}", self.log_end());
    }

    /// SIGTERM, without waiting for the end: [`Program::ended`] does.
    ///
    /// # Panics
    /// When it is gone.
    pub fn terminate(&self) {
        assert!(self.signal("-TERM"), "it was gone; it said:\n{}", self.log_end());
    }

    /// Waits for its end; answers the code that it ended with.
    pub async fn ended(mut self) -> Option<i32> {
        eventually("it to end", || async { (!self.is_alive()).then_some(()) }).await;
        self.guardian.wait().expect("it is ours").code()
    }

    /// SIGSTOP: it stands still, and its connections stand.
    ///
    /// # Panics
    /// When it is gone.
    pub fn freeze(&self) {
        assert!(self.signal("-STOP"), "it was gone; it said:\n{}", self.log_end());
    }

    /// SIGCONT.
    ///
    /// # Panics
    /// When it is gone.
    pub fn thaw(&self) {
        assert!(self.signal("-CONT"), "it was gone; it said:\n{}", self.log_end());
    }

    /// Where what it says is written.
    pub fn log(&self) -> PathBuf {
        self.builder.log.clone()
    }

    /// All that it said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.builder.log).unwrap_or_default()
    }

    /// False: it is gone.
    fn signal(&self, signal: &str) -> bool {
        let sent = Command::new("kill").args([signal, &self.pid.to_string()]).stderr(Stdio::null()).status();
        sent.expect("kill runs").success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ = self.guardian.wait();
    }
}

/// A port that nobody listens on, outside the range from which the kernel gives ports to clients: it is still free when a
/// killed program comes back to it.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    const FIRST: u16 = 18_000;
    const NUMBER: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several test processes at a time begin at different places.
    let start = (std::process::id() % u32::from(NUMBER)) as u16;
    let mut candidates = (0..NUMBER).map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % NUMBER);
    candidates.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port is free")
}

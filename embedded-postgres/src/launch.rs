//! Starting the server's process, until it takes connections.

use std::time::{Duration, Instant};

use owned_process::{Ending, OwnedProcess, Program, Signal};

use crate::directory::Directory;
use crate::error::Error;
use crate::installation::Installation;
use crate::server::Options;
use crate::settings::Tuning;

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

/// How a server is stopped.
pub(crate) fn ending() -> Ending {
    Ending::by(Signal::SIGINT, STOP_WAIT_MAX).then(Signal::SIGQUIT, STOP_IMMEDIATE_WAIT_MAX)
}

/// Starts the server of a directory, and answers its port.
pub(crate) async fn launch(
    process: &mut OwnedProcess,
    directory: &Directory,
    installation: &Installation,
    options: &Options,
) -> Result<u16, Error> {
    let mut attempt = 1;
    loop {
        let port = choose_port(directory, options.port)?;
        match launch_at(port, process, directory, installation, options).await {
            Ok(()) => return Ok(port),
            Err(Error::EndedEarly { tail, .. }) if attempt < ATTEMPTS_MAX && passes(&tail) => {
                attempt += 1;
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn launch_at(
    port: u16,
    process: &mut OwnedProcess,
    directory: &Directory,
    installation: &Installation,
    options: &Options,
) -> Result<(), Error> {
    let log = directory.log();
    match std::fs::remove_file(&log) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::file("can't remove", &log)(error));
        }
        _ => {}
    }
    let socket = directory.usable_socket();
    let tuning =
        Tuning { port, socket: socket.as_deref(), durable: options.durable, connections_max: options.connections_max };
    let settings = tuning.settings().into_iter().flat_map(|setting| ["-c".to_owned(), setting]);
    let program = Program::new(installation.program("postgres")).arg("-D").arg(directory.data()).args(settings);
    // What was left there has been stopped: it had lock files of its own.
    process.launch_now(&program.run_as(directory.account.user()).in_directory("/"))?;
    until_ready(process, directory).await
}

/// The server writes its state into its lock file: what `pg_ctl start -w` waits for too.
async fn until_ready(process: &OwnedProcess, directory: &Directory) -> Result<(), Error> {
    let lock = directory.data().join("postmaster.pid");
    let log = || process.log().to_owned();
    let deadline = Instant::now() + READY_WAIT_MAX;
    while Instant::now() < deadline {
        let Some(pid) = process.pid() else {
            return Err(Error::EndedEarly { log: log(), tail: process.said_last(LOG_TAIL_LINES) });
        };
        let text = std::fs::read_to_string(&lock).unwrap_or_default();
        let mut lines = text.lines();
        let ours = lines.next().is_some_and(|line| line.trim() == pid.to_string());
        if ours && lines.nth(6).is_some_and(|state| state.trim() == "ready") {
            return Ok(());
        }
        tokio::time::sleep(READY_POLL_EVERY).await;
    }
    process.signal(Signal::SIGQUIT);
    Err(Error::NotReady { log: log(), seconds: READY_WAIT_MAX.as_secs() })
}

fn passes(tail: &str) -> bool {
    PASSING.iter().any(|text| tail.contains(text))
}

fn choose_port(directory: &Directory, wanted: Option<u16>) -> Result<u16, Error> {
    if let Some(port) = wanted {
        return if owned_process::is_free(port) { Ok(port) } else { Err(Error::PortTaken(port)) };
    }
    let remembered = std::fs::read_to_string(directory.port()).ok().and_then(|text| text.trim().parse().ok());
    match remembered.filter(|port| owned_process::is_free(*port)) {
        Some(port) => Ok(port),
        None => Ok(owned_process::free_port()?),
    }
}

//! A server that an earlier owner left running, or a lock file without its server.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::account::Account;
use crate::error::Error;

/// For a fast shutdown, which writes a checkpoint; then for an immediate one, which leaves that to recovery.
const FAST_WAIT_MAX: Duration = Duration::from_secs(60);
const IMMEDIATE_WAIT_MAX: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Stops a server that runs on `data`, and removes lock files whose process is gone.
///
/// A running one is stopped and not adopted: its guardian, if there is one, waits for an owner that is dead, and its
/// settings may be those of another version of the program.
pub(crate) async fn clear(account: Account, data: &Path, socket: &Path) -> Result<(), Error> {
    clear_server(account, data).await?;
    // The directory is this cluster's alone. A killed server's socket keeps a lock with its pid, which counts for as long
    // as any process has that pid: another one, or its own remains that nobody has waited for.
    let entries = std::fs::read_dir(socket).map_err(Error::file("can't list", socket))?;
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_name().as_bytes().starts_with(b".s.PGSQL.")) {
        match std::fs::remove_file(entry.path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("can't remove", &entry.path())(error));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn clear_server(account: Account, data: &Path) -> Result<(), Error> {
    let lock = data.join("postmaster.pid");
    let Some(pid) = postmaster(data) else {
        return Ok(());
    };
    if !serves(account, pid, data) {
        // The server refuses to start when the pid has gone to another process, and it can't know better than we do.
        tracing::info!(pid, "removing the lock of a Postgres that is gone");
        return match std::fs::remove_file(&lock) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("can't remove", &lock)(error))
            }
            _ => Ok(()),
        };
    }
    tracing::info!(pid, "stopping a Postgres that an earlier run has left");
    for (signal, wait_max) in [(Signal::SIGINT, FAST_WAIT_MAX), (Signal::SIGQUIT, IMMEDIATE_WAIT_MAX)] {
        // It may have ended in between: then there is nobody to send to, and the wait is over at once.
        let _ = kill(Pid::from_raw(pid), signal);
        let deadline = Instant::now() + wait_max;
        while serves(account, pid, data) && Instant::now() < deadline {
            tokio::time::sleep(POLL_EVERY).await;
        }
        if !serves(account, pid, data) {
            return Ok(());
        }
    }
    Err(Error::LeftoverStays { pid })
}

/// The process that the lock file names.
fn postmaster(data: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    // A standalone backend writes its pid negated.
    text.lines().next()?.trim().parse::<i32>().ok().map(i32::abs).filter(|pid| *pid > 1)
}

/// Whether the process lives and serves this cluster: a server's working directory is its data directory, and a
/// process that has ended but was not waited for has none.
///
/// Asked as the account that the server would run as: in a container root may not look into others' processes, and
/// taking that for "gone" would put two servers on one cluster.
fn serves(account: Account, pid: i32, data: &Path) -> bool {
    let link = format!("/proc/{pid}/cwd");
    match account {
        Account::Own => std::fs::read_link(link).is_ok_and(|cwd| cwd == data),
        Account::Other { .. } => {
            let output = account.command("readlink").arg(link).output();
            output.is_ok_and(|output| output.stdout.strip_suffix(b"\n") == Some(data.as_os_str().as_bytes()))
        }
    }
}

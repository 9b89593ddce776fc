//! What can befall a server: each of its processes ends at once, or stands still.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends a signal to a process; one that is gone already needs none.
pub(crate) fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Stops the server's first process, so that it makes no more of them, and then all the others.
pub(crate) fn freeze(pid: u32) {
    send(pid, Signal::SIGSTOP);
    children(pid).for_each(|child| send(child, Signal::SIGSTOP));
}

pub(crate) fn thaw(pid: u32) {
    children(pid).for_each(|child| send(child, Signal::SIGCONT));
    send(pid, Signal::SIGCONT);
}

/// As a machine that fails: nothing is written any more, and no connection goes on.
pub(crate) fn kill_all(pid: u32) {
    freeze(pid);
    children(pid).for_each(|child| send(child, Signal::SIGKILL));
    send(pid, Signal::SIGKILL);
}

/// Backends have process groups of their own: only their parent tells whose they are.
fn children(parent: u32) -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(move |pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name, which is in parentheses and may hold anything: state, parent.
        let after_name = status.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name.split_whitespace().nth(1).is_some_and(|of| of.parse() == Ok(parent))
    })
}

//! The process that outlives the owner for a moment, to end others when the owner could not.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::ending::Ending;
use crate::error::Error;
use crate::program::User;

const SCRIPT: &str = include_str!("guardian.sh");

/// What a guardian does.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// As which lists of processes show it.
    pub name: &'a str,
    /// Where processes leave word of themselves: all that this owner has started are watched over. It must be there, and
    /// `user` must be able to list and read it.
    pub pids: &'a Path,
    /// How they are ended; all at a time.
    pub ending: &'a Ending,
    /// Removed when they have ended.
    pub remove: Option<&'a Path>,
    /// As whom they run; none: as we do.
    pub user: Option<User>,
}

/// When it is dropped, or the owner ends, the processes are ended.
#[derive(Debug)]
pub struct Guardian {
    child: Child,
    /// Our end of the pipe. Nothing is ever written; closing it, by us or by the kernel, is the message.
    leash: Option<ChildStdin>,
}

impl Guardian {
    /// From now on, whatever becomes of us.
    ///
    /// # Errors
    /// When no shell can be run.
    pub fn watch(watch: Watch<'_>) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, &format!("coulomb-{}-guardian", watch.name)]);
        command.arg(std::process::id().to_string()).arg(watch.pids);
        command.arg(watch.remove.unwrap_or(Path::new(""))).args(watch.ending.words());
        if let Some(User { uid, gid }) = watch.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Not in the terminal's foreground group: Ctrl-C is for the owner, which ends its processes in its own time.
        command.process_group(0);
        let mut child = command.spawn().map_err(|source| Error::Spawn { program: "sh".into(), source })?;
        let leash = child.stdin.take();
        Ok(Self { child, leash })
    }

    /// Lets the guardian do what is left to do, and waits for its end.
    pub async fn dismiss(mut self) {
        self.leash = None;
        let waited = tokio::task::spawn_blocking(move || self.child.wait());
        if !matches!(waited.await, Ok(Ok(_))) {
            tracing::warn!("a guardian was lost");
        }
    }

    /// The guardian's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

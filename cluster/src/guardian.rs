//! The process that outlives us for a moment, to end processes when we could not.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::error::Error;

const SCRIPT: &str = include_str!("guardian.sh");

#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    /// Our end of the pipe. Nothing is ever written; closing it, by us or by the kernel, is the message.
    leash: Option<ChildStdin>,
}

impl Guardian {
    /// Watches over all processes that are ever started for `directory`, which is removed at the end if `remove`.
    pub(crate) fn watch(directory: &Path, remove: bool) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "coulomb-cluster-guardian"]).arg(directory);
        command.arg(if remove { directory } else { Path::new("") });
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Not in the terminal's foreground group: Ctrl-C is for the owner, which stops them in its own time.
        command.process_group(0);
        let mut child = command.spawn().map_err(|source| Error::Spawn { program: "sh".to_owned(), source })?;
        let leash = child.stdin.take();
        Ok(Self { child, leash })
    }

    /// Lets the guardian do what is left to do, and waits for its end.
    pub(crate) async fn dismiss(mut self) {
        self.leash = None;
        let waited = tokio::task::spawn_blocking(move || self.child.wait());
        if !matches!(waited.await, Ok(Ok(_))) {
            tracing::warn!("the guardian of the cluster was lost");
        }
    }
}

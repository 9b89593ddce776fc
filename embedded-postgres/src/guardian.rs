//! The process that outlives us for a moment, to stop the server when we could not.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, ChildStdin};

use crate::account::Account;
use crate::error::Error;

const SCRIPT: &str = include_str!("guardian.sh");

#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    /// Our end of the pipe. Nothing is ever written; closing it, by us or by the kernel, is the message.
    leash: Option<ChildStdin>,
}

impl Guardian {
    /// `remove` is deleted when the server has ended.
    pub(crate) fn watch(account: Account, server: u32, data: &Path, remove: Option<&Path>) -> Result<Self, Error> {
        let mut command = account.command("sh");
        command
            .args(["-c", SCRIPT, "coulomb-postgres-guardian", &server.to_string()])
            .arg(data)
            .arg(remove.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not in the terminal's foreground group: Ctrl-C is for the owner, which stops the server in its own time.
            .process_group(0);
        let mut child =
            tokio::process::Command::from(command).spawn().map_err(|source| Error::Spawn { program: "sh", source })?;
        let leash = child.stdin.take();
        Ok(Self { child, leash })
    }

    /// Lets the guardian do what is left to do, and waits for its end.
    pub(crate) async fn dismiss(&mut self) {
        self.leash = None;
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "the guardian of Postgres was lost");
        }
    }

    /// Ends the guardian without letting it do anything.
    pub(crate) async fn release(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "the guardian of Postgres was lost");
        }
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

//! A process of the cluster: started, watched until it is ready, disturbed, ended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use owned_process::{Ending, OwnedProcess, Program};
use tokio::net::TcpStream;

use crate::error::Error;
use crate::part::Part;

const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(20);
const ASK_WAIT_MAX: Duration = Duration::from_secs(5);
/// For a process to drain; longer than any role takes by its defaults.
const STOP_WAIT_MAX: Duration = Duration::from_secs(45);
pub(crate) const LOG_TAIL_LINES: usize = 25;

/// How one sees that a process can work.
#[derive(Clone, Debug)]
pub(crate) enum Ready {
    /// This answers with success.
    Http(String),
    /// Somebody takes connections there.
    Port(u16),
    /// The file is there. It is removed before a start.
    File(PathBuf),
}

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) part: Part,
    pub(crate) program: Program,
    pub(crate) ready: Ready,
}

/// What runs in the directory of a cluster, by that name.
pub(crate) fn owned(directory: &Path, name: &str) -> OwnedProcess {
    let (pid_file, log) = (directory.join("pids").join(name), directory.join("logs").join(format!("{name}.log")));
    OwnedProcess::new(pid_file, log, Ending::terminate(STOP_WAIT_MAX))
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) owned: OwnedProcess,
    recipe: Recipe,
}

impl Process {
    pub(crate) fn new(recipe: Recipe, directory: &Path) -> Self {
        Self { owned: owned(directory, &recipe.part.to_string()), recipe }
    }

    /// Starts it, unless it runs.
    pub(crate) async fn launch(&mut self) -> Result<(), Error> {
        if self.owned.pid().is_some() {
            return Ok(());
        }
        if let Ready::File(path) = &self.recipe.ready
            && path.exists()
        {
            std::fs::remove_file(path).map_err(Error::file("can't remove", path))?;
        }
        Ok(self.owned.launch(&self.recipe.program).await?)
    }

    pub(crate) async fn until_ready(&self, client: &reqwest::Client) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WAIT_MAX;
        let part = self.recipe.part;
        let (log, tail) = (|| self.owned.log().to_owned(), || self.owned.said_last(LOG_TAIL_LINES));
        loop {
            if self.owned.pid().is_none() {
                return Err(Error::EndedEarly { part, log: log(), tail: tail() });
            }
            let said = match &self.recipe.ready {
                Ready::File(path) if path.exists() => return Ok(()),
                Ready::File(path) => format!("{} is not there", path.display()),
                Ready::Port(port) => match TcpStream::connect(("127.0.0.1", *port)).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error.to_string(),
                },
                Ready::Http(url) => match client.get(url).timeout(ASK_WAIT_MAX).send().await {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                },
            };
            if Instant::now() > deadline {
                let (seconds, said) = (READY_WAIT_MAX.as_secs(), said.trim().to_owned());
                return Err(Error::NotReady { part, seconds, said, log: log(), tail: tail() });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

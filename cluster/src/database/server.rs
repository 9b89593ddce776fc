//! One Postgres, whether it runs or not.

use embedded_postgres::EmbeddedPostgres;
use owned_process::{OwnedProcess, State};

use crate::error::Error;
use crate::part::Part;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: embedded_postgres::Options,
    pub(crate) number: u16,
    pub(crate) port: u16,
    running: Option<EmbeddedPostgres>,
    /// It was the primary until another was promoted: what it has may never have been, and it begins anew as a copy.
    pub(crate) deposed: bool,
}

impl Server {
    pub(crate) fn new(options: embedded_postgres::Options, number: u16, port: u16) -> Self {
        Self { options, number, port, running: None, deposed: false }
    }

    fn part(&self) -> Part {
        Part::Postgres(self.number)
    }

    /// None: it was not started, or was stopped.
    pub(crate) fn process(&self) -> Option<&OwnedProcess> {
        self.running.as_ref().map(EmbeddedPostgres::process)
    }

    pub(crate) fn state(&self) -> State {
        self.process().map_or(State::Stopped, OwnedProcess::state)
    }

    /// To be asked something. One that is frozen does not answer.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub(crate) fn answering(&self) -> Result<&EmbeddedPostgres, Error> {
        let running = self.running.as_ref().filter(|running| running.process().state() == State::Running);
        running.ok_or(Error::NotRunning(self.part()))
    }

    /// Starts it with what it has, making a cluster of its own the first time.
    pub(crate) async fn start(&mut self) -> Result<&EmbeddedPostgres, Error> {
        let started = EmbeddedPostgres::start(self.options.clone()).await?;
        Ok(self.running.insert(started))
    }

    /// Starts it as it was left, unless it runs.
    pub(crate) async fn start_again(&mut self) -> Result<(), Error> {
        if self.state() == State::Stopped {
            self.clear_away().await;
            self.running = Some(EmbeddedPostgres::start_again(self.options.clone()).await?);
        }
        Ok(())
    }

    /// Starts it as a copy of another that follows it.
    pub(crate) async fn start_after(&mut self, leader: &EmbeddedPostgres) -> Result<(), Error> {
        self.clear_away().await;
        self.running = Some(EmbeddedPostgres::start_standby(self.options.clone(), leader).await?);
        self.deposed = false;
        Ok(())
    }

    /// One that ended by itself still has its directory.
    async fn clear_away(&mut self) {
        if let Some(ended) = self.running.take() {
            ended.kill().await;
        }
    }

    /// False: it did not run.
    pub(crate) async fn kill(&mut self) -> bool {
        let ran = self.state() != State::Stopped;
        self.clear_away().await;
        ran
    }

    pub(crate) async fn stop(&mut self) -> Result<(), Error> {
        match self.running.take() {
            Some(running) => Ok(running.stop().await?),
            None => Ok(()),
        }
    }
}

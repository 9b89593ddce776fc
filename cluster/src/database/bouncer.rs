//! PgBouncer, whether it runs or not, in front of whichever server is the primary.

use std::path::Path;

use embedded_postgres::{PgBouncer, PgBouncerOptions};
use owned_process::State;

use crate::error::Error;

/// To the server, and from clients.
const POOLED_CONNECTIONS: u16 = 80;
const CLIENTS_MAX: u16 = 2_000;

#[derive(Debug)]
pub(crate) struct Bouncer {
    options: PgBouncerOptions,
    pub(crate) port: u16,
    running: Option<PgBouncer>,
}

impl Bouncer {
    /// Whether there is a program to run.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub(crate) fn find() -> Result<(), Error> {
        match PgBouncer::program() {
            Some(_) => Ok(()),
            None => Err(Error::Missing { program: "PgBouncer", package: "pgbouncer" }),
        }
    }

    pub(crate) fn new(directory: &Path, port: u16, server_port: u16, password: String) -> Self {
        let options = PgBouncerOptions {
            directory: directory.join("pgbouncer"),
            port: Some(port),
            server_port,
            password,
            server_connections: POOLED_CONNECTIONS,
            clients_max: CLIENTS_MAX,
        };
        Self { options, port, running: None }
    }

    pub(crate) fn state(&self) -> State {
        self.running.as_ref().map_or(State::Stopped, PgBouncer::state)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(PgBouncer::pid)
    }

    /// Unless it runs.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        if self.state() == State::Stopped {
            self.stop().await;
            self.running = Some(PgBouncer::start(self.options.clone()).await?);
        }
        Ok(())
    }

    /// False: it did not run.
    pub(crate) async fn stop(&mut self) -> bool {
        let ran = self.state() != State::Stopped;
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        ran
    }

    /// To another server from now on.
    pub(crate) async fn lead_to(&mut self, server_port: u16) -> Result<(), Error> {
        self.options.server_port = server_port;
        if self.stop().await { self.start().await } else { Ok(()) }
    }

    /// False: it does not run.
    pub(crate) fn set_frozen(&self, frozen: bool) -> bool {
        let Some(running) = &self.running else { return false };
        if frozen {
            running.freeze();
        } else {
            running.thaw();
        }
        true
    }
}

//! PgBouncer, whether it runs or not, in front of whichever server is the primary.

use std::path::Path;

use embedded_postgres::{PgBouncer, PgBouncerOptions};
use owned_process::OwnedProcess;

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

    /// None: it was not started, or was stopped.
    pub(crate) fn process(&self) -> Option<&OwnedProcess> {
        self.running.as_ref().map(PgBouncer::process)
    }

    fn runs(&self) -> bool {
        self.process().is_some_and(|process| process.pid().is_some())
    }

    /// Unless it runs.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        if !self.runs() {
            self.stop().await;
            self.running = Some(PgBouncer::start(self.options.clone()).await?);
        }
        Ok(())
    }

    /// False: it did not run.
    pub(crate) async fn stop(&mut self) -> bool {
        let ran = self.runs();
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
}

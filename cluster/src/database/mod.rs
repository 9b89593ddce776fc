//! A Postgres, its replica, and PgBouncer in front of whichever of them is the primary.

mod bouncer;
mod server;
mod servers;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use owned_process::OwnedProcess;

pub use servers::Replication;

use crate::database::bouncer::Bouncer;
use crate::database::servers::Servers;
use crate::error::Error;
use crate::options::Options;
use crate::part::Part;
use crate::ports::Ports;

const DATABASE: &str = "coulomb";

#[derive(Debug)]
pub(crate) struct Database {
    directory: PathBuf,
    servers: Servers,
    bouncer: Option<Bouncer>,
    /// Of the one role; the replica is a copy and has the same.
    password: String,
}

impl Database {
    pub(crate) async fn start(directory: &Path, options: &Options, ports: &mut Ports) -> Result<Self, Error> {
        if options.pgbouncer {
            Bouncer::find()?;
        }
        let servers = Servers::start(directory, options, ports).await?;
        let primary = servers.get(servers.primary())?;
        let password = primary.answering()?.password().to_owned();
        let mut bouncer = None;
        if options.pgbouncer {
            let mut started = Bouncer::new(directory, ports.of("pgbouncer")?, primary.port, password.clone());
            started.start().await?;
            bouncer = Some(started);
        }
        Ok(Self { directory: directory.to_owned(), servers, bouncer, password })
    }

    /// The number of the server that takes writes.
    pub(crate) fn primary(&self) -> u16 {
        self.servers.primary()
    }

    pub(crate) fn parts(&self) -> Vec<Part> {
        let servers = self.servers.all().iter().map(|server| Part::Postgres(server.number));
        servers.chain(self.bouncer.iter().map(|_| Part::PgBouncer)).collect()
    }

    /// A server's own address.
    pub(crate) fn url_of(&self, number: u16) -> Option<String> {
        let server = self.servers.get(number).ok()?;
        Some(self.url(&format!("127.0.0.1:{}", server.port)))
    }

    /// As roles are given it: through PgBouncer, or with all hosts.
    pub(crate) fn url_for_roles(&self) -> String {
        match &self.bouncer {
            Some(bouncer) => self.url(&format!("127.0.0.1:{}", bouncer.port)),
            None => self.direct_url(),
        }
    }

    /// Past PgBouncer, with all hosts: whoever connects looks for the primary.
    pub(crate) fn direct_url(&self) -> String {
        let hosts = self.servers.all().iter().map(|server| format!("127.0.0.1:{}", server.port));
        self.url(&hosts.collect::<Vec<_>>().join(","))
    }

    pub(crate) fn pooled(&self) -> bool {
        self.bouncer.is_some()
    }

    fn url(&self, hosts: &str) -> String {
        format!("postgres://{DATABASE}:{}@{hosts}/{DATABASE}?sslmode=disable", self.password)
    }

    /// What the primary says of its replica. None, too, while it does not answer.
    pub(crate) async fn replication(&self) -> Replication {
        self.servers.replication().await
    }

    /// Makes the replica the primary, killing the old one, and leads PgBouncer to it.
    pub(crate) async fn promote(&mut self) -> Result<(), Error> {
        let port = self.servers.promote().await?.port;
        match &mut self.bouncer {
            Some(bouncer) => bouncer.lead_to(port).await,
            None => Ok(()),
        }
    }

    /// Starts what does not run. A primary that was replaced comes back as a copy of its successor.
    pub(crate) async fn start_part(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Postgres(number) => self.servers.start_again(number).await,
            _ => self.bouncer_mut(part)?.start().await,
        }
    }

    pub(crate) async fn kill(&mut self, part: Part) -> Result<(), Error> {
        let ran = match part {
            Part::Postgres(number) => self.servers.get_mut(number)?.kill().await,
            // Its end by SIGTERM is immediate too.
            _ => self.bouncer_mut(part)?.stop().await,
        };
        if ran { Ok(()) } else { Err(Error::NotRunning(part)) }
    }

    pub(crate) async fn stop(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Postgres(number) => self.servers.get_mut(number)?.stop().await,
            _ => {
                self.bouncer_mut(part)?.stop().await;
                Ok(())
            }
        }
    }

    /// None: it was not started, or was stopped.
    ///
    /// # Errors
    /// [`Error::NoPart`].
    pub(crate) fn process(&self, part: Part) -> Result<Option<&OwnedProcess>, Error> {
        match part {
            Part::Postgres(number) => Ok(self.servers.get(number)?.process()),
            _ => self
                .bouncer
                .as_ref()
                .filter(|_| part == Part::PgBouncer)
                .map(Bouncer::process)
                .ok_or(Error::NoPart(part)),
        }
    }

    pub(crate) fn address(&self, part: Part) -> Option<String> {
        match part {
            Part::Postgres(number) => {
                let role = if number == self.primary() { "primary" } else { "replica" };
                Some(format!("127.0.0.1:{} ({role})", self.servers.get(number).ok()?.port))
            }
            _ => self.bouncer.as_ref().map(|bouncer| format!("127.0.0.1:{}", bouncer.port)),
        }
    }

    pub(crate) fn log(&self, part: Part) -> PathBuf {
        match part {
            Part::Postgres(number) => self.servers.log(number),
            _ => self.directory.join("pgbouncer/pgbouncer.log"),
        }
    }

    pub(crate) async fn stop_all(&mut self) -> Result<(), Error> {
        if let Some(bouncer) = &mut self.bouncer {
            bouncer.stop().await;
        }
        self.servers.stop_all().await
    }

    fn bouncer_mut(&mut self, part: Part) -> Result<&mut Bouncer, Error> {
        self.bouncer.as_mut().filter(|_| part == Part::PgBouncer).ok_or(Error::NoPart(part))
    }
}

//! A primary and its replica, which change places.

use std::path::{Path, PathBuf};
use std::time::Duration;

use owned_process::{OwnedProcess, State};
use tokio::time::{Instant, timeout};

use crate::database::server::Server;
use crate::error::Error;
use crate::options::Options;
use crate::part::Part;
use crate::ports::Ports;

/// For all processes of the program, and those who look.
const CONNECTIONS_MAX: u16 = 400;
/// A server that is frozen does not answer.
const ASK_WAIT_MAX: Duration = Duration::from_secs(5);
const FOLLOW_WAIT_MAX: Duration = Duration::from_secs(30);
const FOLLOW_POLL_EVERY: Duration = Duration::from_millis(50);
/// The setting by which a primary waits for who follows it.
const SYNCHRONOUS: &str = "synchronous_standby_names";

/// How the replica follows, as the primary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Nobody follows.
    None,
    Asynchronous,
    /// What is acknowledged is on the replica too.
    Synchronous,
}

#[derive(Debug)]
pub(crate) struct Servers {
    directory: PathBuf,
    /// Numbered from 1.
    all: Vec<Server>,
    primary: u16,
    synchronous: bool,
}

impl Servers {
    /// Starts the primary of the last time, and a replica of it.
    pub(crate) async fn start(directory: &Path, options: &Options, ports: &mut Ports) -> Result<Self, Error> {
        let count = if options.replica { 2 } else { 1 };
        let kept = std::fs::read_to_string(directory.join("primary")).ok();
        let primary = kept.and_then(|text| text.trim().parse().ok()).filter(|of| *of <= count).unwrap_or(1);
        let mut all = vec![];
        for number in 1..=count {
            let name = Part::Postgres(number).to_string();
            let port = ports.of(&name)?;
            let options = embedded_postgres::Options {
                port: Some(port),
                connections_max: CONNECTIONS_MAX,
                durable: !options.ephemeral,
                ..embedded_postgres::Options::new(directory.join(name))
            };
            all.push(Server::new(options, number, port));
        }
        let mut servers = Self { directory: directory.to_owned(), all, primary, synchronous: options.synchronous };
        let leader = servers.get_mut(primary)?.start().await?;
        // Without its replica it would acknowledge nothing; a cluster of another shape may have left that.
        leader.set(SYNCHRONOUS, "").await?;
        if options.replica {
            servers.follow(3 - primary).await?;
        }
        Ok(servers)
    }

    pub(crate) fn all(&self) -> &[Server] {
        &self.all
    }

    /// The number of the server that takes writes.
    pub(crate) fn primary(&self) -> u16 {
        self.primary
    }

    /// # Errors
    /// [`Error::NoPart`].
    pub(crate) fn get(&self, number: u16) -> Result<&Server, Error> {
        self.all.iter().find(|server| server.number == number).ok_or(Error::NoPart(Part::Postgres(number)))
    }

    /// # Errors
    /// [`Error::NoPart`].
    pub(crate) fn get_mut(&mut self, number: u16) -> Result<&mut Server, Error> {
        self.all.iter_mut().find(|server| server.number == number).ok_or(Error::NoPart(Part::Postgres(number)))
    }

    /// Starts one that does not run. A primary that was replaced comes back as a copy of its successor.
    pub(crate) async fn start_again(&mut self, number: u16) -> Result<(), Error> {
        let server = self.get_mut(number)?;
        if server.deposed { self.follow(number).await } else { server.start_again().await }
    }

    /// Makes a server a copy of the primary that follows it.
    async fn follow(&mut self, number: u16) -> Result<(), Error> {
        let (primary, synchronous) = (self.primary, self.synchronous);
        let (mut leader, mut follower) = (None, None);
        for server in &mut self.all {
            if server.number == primary {
                leader = Some(&*server);
            } else if server.number == number {
                follower = Some(server);
            }
        }
        let leader = leader.ok_or(Error::NoPart(Part::Postgres(primary)))?.answering()?;
        let follower = follower.ok_or(Error::NoPart(Part::Postgres(number)))?;
        // A copy taken under load must not be waited for by the primary that it is taken from.
        leader.set(SYNCHRONOUS, "").await?;
        follower.start_after(leader).await?;
        if synchronous {
            leader.set(SYNCHRONOUS, "*").await?;
        }
        self.remember_primary()?;
        self.until_followed(number).await
    }

    /// The primary notices what it was set to in its own time.
    async fn until_followed(&self, number: u16) -> Result<(), Error> {
        let wanted = if self.synchronous { Replication::Synchronous } else { Replication::Asynchronous };
        let deadline = Instant::now() + FOLLOW_WAIT_MAX;
        while self.replication().await != wanted {
            if Instant::now() > deadline {
                let (part, log) = (Part::Postgres(number), self.log(number));
                let said = "the primary does not say that it is followed".to_owned();
                return Err(Error::NotReady {
                    part,
                    seconds: FOLLOW_WAIT_MAX.as_secs(),
                    said,
                    log,
                    tail: String::new(),
                });
            }
            tokio::time::sleep(FOLLOW_POLL_EVERY).await;
        }
        Ok(())
    }

    fn remember_primary(&self) -> Result<(), Error> {
        let path = self.directory.join("primary");
        std::fs::write(&path, self.primary.to_string()).map_err(Error::file("can't write", &path))
    }

    /// Makes the replica the primary. The old one, if it still runs, is killed first: two that take writes would be two
    /// truths.
    pub(crate) async fn promote(&mut self) -> Result<&Server, Error> {
        let (old, new) = (self.primary, 3 - self.primary);
        if !self.get(new).is_ok_and(|replica| replica.state() != State::Stopped) {
            return Err(Error::NoReplica);
        }
        let deposed = self.get_mut(old)?;
        deposed.kill().await;
        deposed.deposed = true;
        let replica = self.get(new)?;
        replica.process().map(OwnedProcess::thaw);
        let standby = replica.answering()?;
        standby.promote().await?;
        // Nobody follows it yet.
        standby.set(SYNCHRONOUS, "").await?;
        self.primary = new;
        self.remember_primary()?;
        self.get(new)
    }

    /// What the primary says of its replica. None, too, while it does not answer.
    pub(crate) async fn replication(&self) -> Replication {
        let Ok(primary) = self.get(self.primary).and_then(Server::answering) else { return Replication::None };
        let asked = primary.ask("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming' LIMIT 1");
        match timeout(ASK_WAIT_MAX, asked).await {
            Ok(Ok(state)) if state == "sync" || state == "quorum" => Replication::Synchronous,
            Ok(Ok(state)) if !state.is_empty() => Replication::Asynchronous,
            _ => Replication::None,
        }
    }

    pub(crate) fn log(&self, number: u16) -> PathBuf {
        self.directory.join(Part::Postgres(number).to_string()).join("server.log")
    }

    pub(crate) async fn stop_all(&mut self) -> Result<(), Error> {
        // One that is frozen would be waited for by the other.
        for server in &self.all {
            server.process().map(OwnedProcess::thaw);
        }
        // The replica last, so that the primary does not wait for it.
        let primary = self.primary;
        self.get_mut(primary)?.stop().await?;
        for server in &mut self.all {
            server.stop().await?;
        }
        Ok(())
    }
}

//! A Postgres, its replica, and PgBouncer in front of whichever of them is the primary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use embedded_postgres::{EmbeddedPostgres, PgBouncer, PgBouncerOptions};
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::memory::Memory;
use crate::options::Options;
use crate::part::{Part, State};
use crate::ports::Ports;

const DATABASE: &str = "coulomb";
/// For all processes of the program, and those who look.
const SERVER_CONNECTIONS_MAX: u16 = 400;
/// PgBouncer's, to the server and from clients.
const POOLED_CONNECTIONS: u16 = 80;
const CLIENTS_MAX: u16 = 2_000;
/// A server that is frozen does not answer.
const ASK_WAIT_MAX: Duration = Duration::from_secs(5);
const FOLLOW_WAIT_MAX: Duration = Duration::from_secs(30);
const FOLLOW_POLL_EVERY: Duration = Duration::from_millis(50);

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
pub(crate) struct Database {
    directory: PathBuf,
    servers: Vec<Server>,
    /// The number of the server that takes writes.
    primary: u16,
    synchronous: bool,
    bouncer: Option<Bouncer>,
}

#[derive(Debug)]
struct Server {
    options: embedded_postgres::Options,
    port: u16,
    running: Option<EmbeddedPostgres>,
    frozen: bool,
    /// It was the primary until another was promoted: what it has may never have been, and it begins anew as a copy.
    deposed: bool,
}

#[derive(Debug)]
struct Bouncer {
    options: PgBouncerOptions,
    port: u16,
    running: Option<PgBouncer>,
    frozen: bool,
}

impl Database {
    pub(crate) async fn start(directory: &Path, options: &Options, ports: &mut Ports) -> Result<Self, Error> {
        if options.pgbouncer && PgBouncer::program().is_none() {
            return Err(Error::Missing { program: "PgBouncer", package: "pgbouncer" });
        }
        let count = if options.replica { 2 } else { 1 };
        let kept = std::fs::read_to_string(directory.join("primary")).ok();
        let primary = kept.and_then(|text| text.trim().parse().ok()).filter(|of| *of <= count).unwrap_or(1);
        let mut servers = vec![];
        for number in 1..=count {
            let port = ports.of(&Part::Postgres(number).to_string())?;
            let options = embedded_postgres::Options {
                port: Some(port),
                connections_max: SERVER_CONNECTIONS_MAX,
                durable: !options.ephemeral,
                ..embedded_postgres::Options::new(directory.join(Part::Postgres(number).to_string()))
            };
            servers.push(Server { options, port, running: None, frozen: false, deposed: false });
        }
        let mut database =
            Self { directory: directory.to_owned(), servers, primary, synchronous: options.synchronous, bouncer: None };

        let first = database.server(primary);
        let server = EmbeddedPostgres::start(first.options.clone()).await?;
        let password = server.password().to_owned();
        // Without its replica it would acknowledge nothing; a cluster of another shape may have left that.
        server.set("synchronous_standby_names", "").await?;
        first.running = Some(server);
        if options.replica {
            database.follow(3 - primary).await?;
        }
        if options.pgbouncer {
            let port = ports.of("pgbouncer")?;
            let options = PgBouncerOptions {
                directory: directory.join("pgbouncer"),
                port: Some(port),
                server_port: database.server(primary).port,
                password,
                server_connections: POOLED_CONNECTIONS,
                clients_max: CLIENTS_MAX,
            };
            database.bouncer = Some(Bouncer { options, port, running: None, frozen: false });
            database.start_bouncer().await?;
        }
        Ok(database)
    }

    fn server(&mut self, number: u16) -> &mut Server {
        &mut self.servers[usize::from(number - 1)]
    }

    /// The number of the server that takes writes.
    pub(crate) fn primary(&self) -> u16 {
        self.primary
    }

    pub(crate) fn parts(&self) -> Vec<Part> {
        let servers = (1..=self.servers.len() as u16).map(Part::Postgres);
        servers.chain(self.bouncer.iter().map(|_| Part::PgBouncer)).collect()
    }

    /// A server's own address.
    pub(crate) fn url_of(&self, number: u16) -> Option<String> {
        let server = self.servers.get(usize::from(number.checked_sub(1)?))?;
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
        let hosts = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        self.url(&hosts.collect::<Vec<_>>().join(","))
    }

    pub(crate) fn pooled(&self) -> bool {
        self.bouncer.is_some()
    }

    fn url(&self, hosts: &str) -> String {
        format!("postgres://{DATABASE}:{}@{hosts}/{DATABASE}?sslmode=disable", self.password())
    }

    /// Of the one role; the replica is a copy and has the same.
    fn password(&self) -> String {
        let kept = std::fs::read_to_string(self.servers[0].options.data_dir.join("password"));
        kept.map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// Makes a server a copy of the primary that follows it.
    async fn follow(&mut self, number: u16) -> Result<(), Error> {
        let options = self.server(number).options.clone();
        let primary = self.primary;
        let leader = &self.servers[usize::from(primary - 1)];
        let Some(leader) = leader.running.as_ref().filter(|_| !leader.frozen) else {
            return Err(Error::NotRunning(Part::Postgres(primary)));
        };
        // A copy taken under load must not be waited for by the primary that it is taken from.
        leader.set("synchronous_standby_names", "").await?;
        let standby = EmbeddedPostgres::start_standby(options, leader).await?;
        if self.synchronous {
            leader.set("synchronous_standby_names", "*").await?;
        }
        let server = self.server(number);
        (server.running, server.frozen, server.deposed) = (Some(standby), false, false);
        self.remember_primary()?;
        self.until_followed(number).await
    }

    /// The primary notices what it was set to in its own time.
    async fn until_followed(&mut self, number: u16) -> Result<(), Error> {
        let wanted = if self.synchronous { Replication::Synchronous } else { Replication::Asynchronous };
        let deadline = Instant::now() + FOLLOW_WAIT_MAX;
        while self.replication().await != wanted {
            if Instant::now() > deadline {
                let part = Part::Postgres(number);
                let (seconds, log) = (FOLLOW_WAIT_MAX.as_secs(), self.log(part));
                let said = "the primary does not say that it is followed".to_owned();
                return Err(Error::NotReady { part, seconds, said, log, tail: String::new() });
            }
            tokio::time::sleep(FOLLOW_POLL_EVERY).await;
        }
        Ok(())
    }

    fn remember_primary(&self) -> Result<(), Error> {
        let path = self.directory.join("primary");
        std::fs::write(&path, self.primary.to_string()).map_err(Error::file("can't write", &path))
    }

    /// Makes the replica the primary, and lets PgBouncer go to it. The old one, if it still runs, is killed first: two that
    /// take writes would be two truths.
    pub(crate) async fn promote(&mut self) -> Result<(), Error> {
        let (old, new) = (self.primary, 3 - self.primary);
        if self.servers.get(usize::from(new - 1)).is_none_or(|server| server.running.is_none()) {
            return Err(Error::NoReplica);
        }
        if let Some(running) = self.server(old).running.take() {
            running.kill().await;
        }
        let server = self.server(old);
        (server.deposed, server.frozen) = (true, false);
        if self.server(new).frozen {
            self.set_frozen(Part::Postgres(new), false)?;
        }
        let Some(standby) = &self.server(new).running else { return Err(Error::NoReplica) };
        standby.promote().await?;
        // Nobody follows it yet.
        standby.set("synchronous_standby_names", "").await?;
        self.primary = new;
        self.remember_primary()?;
        let port = self.server(new).port;
        if let Some(bouncer) = &mut self.bouncer {
            bouncer.options.server_port = port;
            let ran = bouncer.running.is_some();
            self.stop_bouncer().await;
            if ran {
                self.start_bouncer().await?;
            }
        }
        Ok(())
    }

    /// What the primary says of its replica. None, too, while it does not answer.
    pub(crate) async fn replication(&mut self) -> Replication {
        let primary = self.primary;
        let server = self.server(primary);
        let Some(running) = server.running.as_ref().filter(|_| !server.frozen) else { return Replication::None };
        let asked = running.ask("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming' LIMIT 1");
        match timeout(ASK_WAIT_MAX, asked).await {
            Ok(Ok(state)) if state == "sync" || state == "quorum" => Replication::Synchronous,
            Ok(Ok(state)) if !state.is_empty() => Replication::Asynchronous,
            _ => Replication::None,
        }
    }

    pub(crate) fn state(&mut self, part: Part) -> Result<State, Error> {
        let (runs, frozen) = match part {
            Part::PgBouncer => {
                let bouncer = self.bouncer.as_ref().ok_or(Error::NoPart(part))?;
                (bouncer.running.is_some(), bouncer.frozen)
            }
            _ => {
                let server = self.of(part)?;
                let lives = |running: &EmbeddedPostgres| running.pid().is_some_and(lives);
                (server.running.as_ref().is_some_and(lives), server.frozen)
            }
        };
        Ok(match (runs, frozen) {
            (false, _) => State::Stopped,
            (true, true) => State::Frozen,
            (true, false) => State::Running,
        })
    }

    fn of(&mut self, part: Part) -> Result<&mut Server, Error> {
        let Part::Postgres(number) = part else { return Err(Error::NoPart(part)) };
        let index = usize::from(number.checked_sub(1).ok_or(Error::NoPart(part))?);
        self.servers.get_mut(index).ok_or(Error::NoPart(part))
    }

    pub(crate) async fn kill(&mut self, part: Part) -> Result<(), Error> {
        if part == Part::PgBouncer {
            // Its end by SIGTERM is immediate too.
            return if self.stop_bouncer().await { Ok(()) } else { Err(Error::NotRunning(part)) };
        }
        let server = self.of(part)?;
        server.frozen = false;
        let running = server.running.take().ok_or(Error::NotRunning(part))?;
        running.kill().await;
        Ok(())
    }

    pub(crate) fn set_frozen(&mut self, part: Part, frozen: bool) -> Result<(), Error> {
        let server = self.of(part)?;
        let running = server.running.as_ref().ok_or(Error::NotRunning(part))?;
        if frozen {
            running.freeze();
        } else {
            running.thaw();
        }
        server.frozen = frozen;
        Ok(())
    }

    pub(crate) async fn set_bouncer_frozen(&mut self, frozen: bool) -> Result<(), Error> {
        let bouncer = self.bouncer.as_mut().ok_or(Error::NoPart(Part::PgBouncer))?;
        let running = bouncer.running.as_mut().ok_or(Error::NotRunning(Part::PgBouncer))?;
        if frozen {
            running.freeze().await;
        } else {
            running.thaw().await;
        }
        bouncer.frozen = frozen;
        Ok(())
    }

    pub(crate) async fn stop(&mut self, part: Part) -> Result<(), Error> {
        if part == Part::PgBouncer {
            self.stop_bouncer().await;
            return Ok(());
        }
        let server = self.of(part)?;
        if let Some(running) = server.running.take() {
            running.thaw();
            running.stop().await?;
        }
        server.frozen = false;
        Ok(())
    }

    /// Starts what does not run. A primary that was replaced comes back as a copy of its successor.
    pub(crate) async fn start_part(&mut self, part: Part) -> Result<(), Error> {
        if part == Part::PgBouncer {
            return self.start_bouncer().await;
        }
        if self.state(part)? != State::Stopped {
            return Ok(());
        }
        let server = self.of(part)?;
        if let Some(ended) = server.running.take() {
            // By itself: what is left of it is cleared away.
            ended.kill().await;
        }
        if let (true, Part::Postgres(number)) = (server.deposed, part) {
            return self.follow(number).await;
        }
        let started = EmbeddedPostgres::start_again(server.options.clone()).await?;
        (server.running, server.frozen) = (Some(started), false);
        Ok(())
    }

    async fn start_bouncer(&mut self) -> Result<(), Error> {
        let bouncer = self.bouncer.as_mut().ok_or(Error::NoPart(Part::PgBouncer))?;
        if bouncer.running.is_none() {
            bouncer.running = Some(PgBouncer::start(bouncer.options.clone()).await?);
            bouncer.frozen = false;
        }
        Ok(())
    }

    /// False: it did not run.
    async fn stop_bouncer(&mut self) -> bool {
        let Some(bouncer) = self.bouncer.as_mut() else { return false };
        let Some(mut running) = bouncer.running.take() else { return false };
        if std::mem::take(&mut bouncer.frozen) {
            running.thaw().await;
        }
        running.stop().await;
        true
    }

    pub(crate) fn memory(&self, part: Part) -> Memory {
        let pid = match part {
            Part::Postgres(number) => {
                let server = number.checked_sub(1).and_then(|index| self.servers.get(usize::from(index)));
                server.and_then(|server| server.running.as_ref()?.pid())
            }
            _ => self.bouncer.as_ref().and_then(|bouncer| bouncer.running.as_ref()?.pid()),
        };
        pid.map(Memory::of_tree).unwrap_or_default()
    }

    pub(crate) fn address(&self, part: Part) -> Option<String> {
        match part {
            Part::Postgres(number) => {
                let role = if number == self.primary { "primary" } else { "replica" };
                let server = self.servers.get(usize::from(number.checked_sub(1)?))?;
                Some(format!("127.0.0.1:{} ({role})", server.port))
            }
            _ => self.bouncer.as_ref().map(|bouncer| format!("127.0.0.1:{}", bouncer.port)),
        }
    }

    pub(crate) fn log(&self, part: Part) -> PathBuf {
        match part {
            Part::PgBouncer => self.directory.join("pgbouncer/pgbouncer.log"),
            _ => self.directory.join(part.to_string()).join("server.log"),
        }
    }

    pub(crate) async fn stop_all(&mut self) -> Result<(), Error> {
        self.stop_bouncer().await;
        let primary = self.primary;
        // One that is frozen would be waited for by the other.
        for running in self.servers.iter().filter_map(|server| server.running.as_ref()) {
            running.thaw();
        }
        // The replica last, so that the primary does not wait for it.
        self.stop(Part::Postgres(primary)).await?;
        if self.servers.len() > 1 {
            self.stop(Part::Postgres(3 - primary)).await?;
        }
        Ok(())
    }
}

/// One that has ended but was not waited for does not live.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row};

    use super::*;

    async fn connect(url: &str) -> PgConnection {
        let options: sqlx::postgres::PgConnectOptions = url.parse().expect("a URL");
        // PgBouncer knows of no such parameter.
        options.extra_float_digits(None).connect().await.expect("it takes connections")
    }

    /// As a pooler in transaction mode can carry it: without prepared statements.
    async fn execute(url: &str, statement: &str) {
        let mut connection = connect(url).await;
        connection.execute(statement).await.expect("it is done");
        connection.close().await.expect("it closes");
    }

    async fn number(url: &str) -> i64 {
        let mut connection = connect(url).await;
        let row = connection.fetch_one("SELECT count(*) FROM kept").await.expect("a row");
        connection.close().await.expect("it closes");
        row.get(0)
    }

    #[tokio::test]
    async fn a_promoted_replica_has_what_was_acknowledged_and_is_followed_by_the_old_primary() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("ours");
        let options = Options { ephemeral: true, ..Options::new(home.path(), "none") };
        let mut ports = Ports::load(home.path()).expect("none yet");
        let mut database = Database::start(home.path(), &options, &mut ports).await.expect("it starts");
        assert_eq!(database.replication().await, Replication::Synchronous);
        let url = database.url_for_roles();
        execute(&url, "CREATE TABLE kept (n int)").await;
        execute(&url, "INSERT INTO kept VALUES (1)").await;

        database.kill(Part::Postgres(1)).await.expect("it is killed");
        assert_eq!(database.state(Part::Postgres(1)).expect("known"), State::Stopped);
        database.promote().await.expect("the replica takes over");
        assert_eq!(database.primary(), 2);
        execute(&url, "INSERT INTO kept VALUES (2)").await;
        assert_eq!(number(&url).await, 2);

        database.start_part(Part::Postgres(1)).await.expect("it follows");
        assert_eq!(database.replication().await, Replication::Synchronous);
        execute(&url, "INSERT INTO kept VALUES (3)").await;
        database.set_frozen(Part::Postgres(1), true).expect("it runs");
        assert_eq!(database.state(Part::Postgres(1)).expect("known"), State::Frozen);
        database.promote().await.expect("a frozen replica is woken and takes over");
        assert_eq!(number(&url).await, 3);
        database.stop_all().await.expect("they stop");

        // The next start goes on with the primary of now.
        let mut database = Database::start(home.path(), &options, &mut ports).await.expect("it starts");
        assert_eq!(database.primary(), 1);
        assert_eq!(number(&database.url_for_roles()).await, 3);
        database.stop_all().await.expect("they stop");
    }
}

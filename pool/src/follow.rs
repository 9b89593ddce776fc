//! The pool follows the node that is the primary.

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::sync::watch;

use crate::handle::{Node, Pool};
use crate::hosts::{Hosts, name};
use crate::node::{Looker, Replication, Seen};

/// How often every host is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A connection that was used since is there, unless the server ended meanwhile.
const TRUSTED_IDLE: Duration = Duration::from_millis(250);

/// What is under way on a server that is left though it answers has so long to finish.
const FINISHED_WITHIN: Duration = Duration::from_secs(30);

/// Of the pool on each primary.
#[derive(Debug, Clone)]
pub struct Options {
    pub connections_max: u32,
    /// For a free connection, and for a primary.
    pub acquire_wait_max: Duration,
}

/// What is known of the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The primary, while there is one.
    pub primary: Option<String>,
    /// Of the primary.
    pub replication: Replication,
    /// Of each host that is not the primary, or does not answer, what is the matter.
    pub others: Vec<String>,
    /// How often another server became the primary.
    pub moves: u64,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.primary {
            Some(primary) => write!(f, "{primary} is the primary, {}", self.replication)?,
            None => write!(f, "no host is a primary")?,
        }
        self.others.iter().try_for_each(|other| write!(f, "; {other}"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// With what each of them said.
    #[error("none of the database's hosts is a primary that answers: {0}")]
    NoPrimary(String),
    #[error("the database can't be connected to")]
    Connect(#[from] sqlx::Error),
}

/// A pool that follows, and what is known of the hosts.
pub struct Followed {
    pub pool: Pool,
    pub state: watch::Receiver<State>,
}

/// Finds the primary among the hosts, and goes on looking for it as long as the pool is used.
///
/// # Errors
/// When there is no primary at the start, and none comes while a connection may be waited for.
pub async fn follow(hosts: Hosts, options: Options) -> Result<Followed, Unreachable> {
    let mut lookers: Vec<_> = hosts.each().iter().map(Looker::new).collect();
    let mut known = Known::default();
    let (first, seen) = find(&hosts, &mut lookers, &options).await?;
    let pool = pool_options(&options).connect_with(hosts.each()[first].clone()).await?;
    known.taken(first, &seen);
    let (node, following) = watch::channel(Node::first(pool));
    let (states, state) = watch::channel(state_of(&hosts, &seen, Some(first), 0));
    tokio::spawn(Follower { hosts, options, lookers, known, node, states, moves: 0 }.run());
    Ok(Followed { pool: Pool::following(following), state })
}

/// A pool that leads to the host that is the primary now, and goes on leading there: for a command.
///
/// # Errors
/// As [`follow`].
pub async fn primary(hosts: Hosts, options: Options) -> Result<Pool, Unreachable> {
    let mut lookers: Vec<_> = hosts.each().iter().map(Looker::new).collect();
    let (first, _) = find(&hosts, &mut lookers, &options).await?;
    for looker in lookers {
        looker.close().await;
    }
    Ok(pool_options(&options).connect_with(hosts.each()[first].clone()).await?.into())
}

/// Whether another try may do better. It mends no wrong password.
fn may_pass(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return true };
    // PgBouncer says with 08P01 that the server behind it does not let it in now.
    error.is_transient_in_connect_phase() || error.code().is_some_and(|code| code.starts_with("08"))
}

/// The primary, and what each host said.
async fn find(
    hosts: &Hosts,
    lookers: &mut [Looker],
    options: &Options,
) -> Result<(usize, Vec<Result<Seen, sqlx::Error>>), Unreachable> {
    let since = Instant::now();
    loop {
        let seen = look(lookers).await;
        if let Choice::Take(first) = Known::default().choose(&seen) {
            return Ok((first, seen));
        }
        let passes = |seen: &Result<Seen, sqlx::Error>| seen.as_ref().err().is_none_or(may_pass);
        if since.elapsed() > options.acquire_wait_max || !seen.iter().any(passes) {
            return Err(Unreachable::NoPrimary(describe(hosts, &seen, None).join("; ")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How a pool of sqlx is kept. A connection that was idle for a while is tried before it is used; before that it is trusted,
/// since it was tried when it came back: otherwise each statement of a busy process would take two round trips.
pub fn pool_options(options: &Options) -> PgPoolOptions {
    let pool = PgPoolOptions::new().max_connections(options.connections_max).acquire_timeout(options.acquire_wait_max);
    pool.test_before_acquire(false).before_acquire(|connection, meta| {
        Box::pin(async move {
            if meta.idle_for > TRUSTED_IDLE {
                sqlx::Connection::ping(connection).await?;
            }
            Ok(true)
        })
    })
}

struct Follower {
    hosts: Hosts,
    options: Options,
    lookers: Vec<Looker>,
    known: Known,
    node: watch::Sender<Node>,
    states: watch::Sender<State>,
    moves: u64,
}

impl Follower {
    async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.node.closed() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if self.node.borrow().last.is_closed() {
                return;
            }
            let seen = look(&mut self.lookers).await;
            match self.known.choose(&seen) {
                Choice::Keep => {}
                Choice::Leave => self.leave(),
                Choice::Take(nth) => {
                    self.take(nth);
                    self.known.taken(nth, &seen);
                }
            }
            let state = state_of(&self.hosts, &seen, self.known.primary, self.moves);
            self.states.send_if_modified(|known| {
                let changed = *known != state;
                *known = state;
                changed
            });
        }
    }

    /// The server takes no writes any more, and no other one does.
    fn leave(&mut self) {
        tracing::warn!("the database's server is not a primary any more; looking for another");
        self.known.primary = None;
        replace(&self.node, None);
    }

    fn take(&mut self, nth: usize) {
        let connect: PgConnectOptions = self.hosts.each()[nth].clone();
        let host = name(&connect);
        tracing::warn!(host, "another server is the primary now");
        metrics::counter!("coulomb_database_moves_total").increment(1);
        self.moves += 1;
        replace(&self.node, Some(pool_options(&self.options).connect_lazy_with(connect)));
    }
}

/// Another server's pool from now on; none: there is no server. What is under way on the one before ends at once.
pub(crate) fn replace(node: &watch::Sender<Node>, pool: Option<PgPool>) {
    node.send_modify(|node| {
        let old = pool.clone().map(|pool| std::mem::replace(&mut node.last, pool));
        node.pool = pool;
        node.number += 1;
        node.ended_below = node.number;
        if let Some(old) = old {
            // Its idle connections are closed here.
            tokio::spawn(async move { old.close().await });
        }
    });
}

/// Another server's pool for what begins from now on. What is under way on the one before, which answers, has time to finish.
pub(crate) fn replace_gently(node: &watch::Sender<Node>, pool: PgPool) {
    let mut replaced = None;
    node.send_modify(|node| {
        node.pool = Some(pool.clone());
        node.number += 1;
        replaced = Some((std::mem::replace(&mut node.last, pool), node.number));
    });
    let Some((old, number)) = replaced else { return };
    let node = node.clone();
    tokio::spawn(async move {
        // Completes when the last connection has come back.
        let _ = tokio::time::timeout(FINISHED_WITHIN, old.close()).await;
        node.send_if_modified(|node| {
            let ends = node.ended_below < number;
            node.ended_below = node.ended_below.max(number);
            ends
        });
    });
}

pub(crate) async fn look(lookers: &mut [Looker]) -> Vec<Result<Seen, sqlx::Error>> {
    join_all(lookers.iter_mut().map(Looker::look)).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Keep,
    /// There is no primary.
    Leave,
    Take(usize),
}

/// Which host is the primary.
#[derive(Debug, Default)]
struct Known {
    primary: Option<usize>,
    /// The highest that any server had: one that has a lower one was left behind by a promotion.
    timeline: u32,
}

impl Known {
    /// Of several servers that take writes, the one that was promoted last.
    fn choose<E>(&self, seen: &[Result<Seen, E>]) -> Choice {
        let writable = |nth: usize| seen[nth].as_ref().is_ok_and(|seen| !seen.in_recovery);
        let timeline = |nth: usize| seen[nth].as_ref().ok().and_then(|seen| seen.timeline).unwrap_or(0);
        let candidates = (0..seen.len()).filter(|nth| writable(*nth) && timeline(*nth) >= self.timeline);
        let best = candidates.max_by_key(|nth| (timeline(*nth), self.primary == Some(*nth), std::cmp::Reverse(*nth)));
        match (self.primary, best) {
            // A server that came back under a new timeline is another one to those that are connected to it.
            (Some(now), Some(best)) if now == best && timeline(best) == self.timeline => Choice::Keep,
            (_, Some(best)) => Choice::Take(best),
            // Without an answer: it may be back in a moment, and nobody else is the primary.
            (Some(now), None) if seen[now].is_err() => Choice::Keep,
            (Some(_), None) => Choice::Leave,
            (None, None) => Choice::Keep,
        }
    }

    fn taken<E>(&mut self, nth: usize, seen: &[Result<Seen, E>]) {
        self.primary = Some(nth);
        self.timeline = seen[nth].as_ref().ok().and_then(|seen| seen.timeline).unwrap_or(self.timeline);
    }
}

fn state_of(hosts: &Hosts, seen: &[Result<Seen, sqlx::Error>], primary: Option<usize>, moves: u64) -> State {
    let answered =
        primary.and_then(|nth| seen[nth].as_ref().ok().filter(|seen| !seen.in_recovery).map(|seen| (nth, seen)));
    State {
        primary: answered.map(|(nth, _)| name(&hosts.each()[nth])),
        replication: answered.map_or(Replication::None, |(_, seen)| seen.replication),
        others: describe(hosts, seen, answered.map(|(nth, _)| nth)),
        moves,
    }
}

fn describe(hosts: &Hosts, seen: &[Result<Seen, sqlx::Error>], but: Option<usize>) -> Vec<String> {
    let others = hosts.each().iter().zip(seen).enumerate().filter(|(nth, _)| but != Some(*nth));
    let said = |seen: &Result<Seen, sqlx::Error>| match seen {
        Ok(seen) if seen.in_recovery => "a standby".to_owned(),
        Ok(_) => "left behind by a promotion, though it takes writes: stop it".to_owned(),
        Err(sqlx::Error::PoolTimedOut) => "no answer".to_owned(),
        Err(error) => error.to_string(),
    };
    others.map(|(_, (host, seen))| format!("{}: {}", name(host), said(seen))).collect()
}

#[cfg(test)]
mod tests {
    use embedded_postgres::EmbeddedPostgres;
    use embedded_postgres::testing::Replicated;

    use super::*;

    fn primary(timeline: u32) -> Result<Seen, ()> {
        Ok(Seen { in_recovery: false, timeline: Some(timeline), replayed: None, replication: Replication::None })
    }

    fn standby() -> Result<Seen, ()> {
        Ok(Seen { in_recovery: true, timeline: None, replayed: Some(0), replication: Replication::None })
    }

    #[test]
    fn the_one_that_was_promoted_last_is_taken_and_nothing_is_left_without_need() {
        let known = |primary, timeline| Known { primary, timeline };
        let gone = || Err(());
        let table = [
            // At the start.
            (known(None, 0), vec![standby(), primary(1)], Choice::Take(1)),
            (known(None, 0), vec![primary(1), primary(2)], Choice::Take(1)),
            (known(None, 0), vec![standby(), gone()], Choice::Keep),
            // While all is well.
            (known(Some(0), 1), vec![primary(1), standby()], Choice::Keep),
            // It does not answer: that alone is no reason to leave it.
            (known(Some(0), 1), vec![gone(), standby()], Choice::Keep),
            (known(Some(0), 1), vec![gone(), primary(2)], Choice::Take(1)),
            // A promotion, with the old one still there.
            (known(Some(0), 1), vec![primary(1), primary(2)], Choice::Take(1)),
            (known(Some(1), 2), vec![primary(1), primary(2)], Choice::Keep),
            // One that was left behind is not taken, whatever it says.
            (known(Some(1), 2), vec![primary(1), gone()], Choice::Keep),
            // It was made a standby.
            (known(Some(0), 1), vec![standby(), gone()], Choice::Leave),
            (known(Some(0), 1), vec![standby(), primary(2)], Choice::Take(1)),
            // One address for all: the server behind it is another one.
            (known(Some(0), 1), vec![primary(2)], Choice::Take(0)),
            (known(None, 1), vec![standby()], Choice::Keep),
        ];
        for (nth, (known, seen, expected)) in table.into_iter().enumerate() {
            assert_eq!(known.choose(&seen), expected, "row {nth}");
        }
    }
    /// Of one server.
    fn pool_of(server: &EmbeddedPostgres) -> PgPool {
        let options = Options { connections_max: 4, acquire_wait_max: Duration::from_secs(60) };
        pool_options(&options).connect_lazy(&server.tcp_url_of("postgres")).expect("a URL")
    }

    async fn port_of(connection: impl sqlx::PgExecutor<'_>) -> Result<String, sqlx::Error> {
        sqlx::query_scalar("SELECT current_setting('port')").fetch_one(connection).await
    }

    #[tokio::test]
    async fn what_is_under_way_on_a_server_that_is_left_gently_goes_on_and_otherwise_ends() {
        let mut pair = Replicated::start(false).await.expect("both start");
        let (one, two) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
        let [at_one, at_two] = [&one, &two].map(|server| server.port().to_string());
        let (node, following) = watch::channel(Node::first(pool_of(&one)));
        let pool = Pool::following(following);
        let mut begun = pool.begin().await.expect("it begins");
        replace_gently(&node, pool_of(&two));
        assert_eq!(port_of(&pool).await.expect("it answers"), at_two);
        assert_eq!(port_of(&mut *begun).await.expect("it goes on"), at_one);
        begun.rollback().await.expect("it ends");

        let mut begun = pool.begin().await.expect("it begins");
        let under_way = tokio::spawn(async move { sqlx::query("SELECT pg_sleep(600)").execute(&mut *begun).await });
        replace(&node, Some(pool_of(&one)));
        assert_eq!(port_of(&pool).await.expect("it answers"), at_one);
        let ended = under_way.await.expect("no panic").expect_err("it has ended");
        assert!(ended.to_string().contains("another server"), "{ended}");
    }
}

//! The pools of a service, as the settings say.

use std::time::Duration;

use anyhow::Context;
use pool::{Followed, Hosts, Options, Pool, State};
use schema::view::Replica;
use tokio::sync::watch;

use crate::database_args::Pooler;
use crate::settings::Settings;

/// For a free connection, and for a primary; past that the request is answered with 503.
const ACQUIRE_WAIT_MAX: Duration = Duration::from_secs(5);
/// For a free connection to the replica; past that the primary is asked.
const REPLICA_WAIT_MAX: Duration = Duration::from_millis(500);
/// Beside the pooler: for migrations, and a connection each for those who listen.
const DIRECT_CONNECTIONS_MAX: u32 = 4;

/// The pool that follows the primary, and what is known of the hosts.
pub async fn service(url: &str, settings: &Settings) -> anyhow::Result<(Pool, watch::Receiver<State>)> {
    let carried = settings.database.database_pooler == Pooler::Transaction;
    let Followed { pool, state } =
        follow(url, settings.database_connections, carried).await.context("can't use DATABASE_URL")?;
    let direct = &settings.database.direct_database_url;
    if !carried {
        if direct.is_some() {
            tracing::warn!("COULOMB_DIRECT_DATABASE_URL is for COULOMB_DATABASE_POOLER=transaction, and is not used");
        }
        return Ok((pool, state));
    }
    let direct = match direct {
        Some(url) => {
            let followed = follow(url, DIRECT_CONNECTIONS_MAX, false).await;
            Some(followed.context("can't use COULOMB_DIRECT_DATABASE_URL")?.pool)
        }
        None => {
            tracing::warn!("no notices through a pooler: the log is polled. COULOMB_DIRECT_DATABASE_URL brings them");
            None
        }
    };
    Ok((pool.carried(direct), state))
}

/// A pool for a command, which leads to the primary of now and through no pooler.
pub async fn command(settings: &Settings, url: &str) -> anyhow::Result<Pool> {
    let (url, said) = match (settings.database.database_pooler, &settings.database.direct_database_url) {
        (Pooler::None, _) => (url, "can't use DATABASE_URL"),
        (Pooler::Transaction, Some(direct)) => (&**direct, "can't use COULOMB_DIRECT_DATABASE_URL"),
        (Pooler::Transaction, None) => anyhow::bail!(
            "commands can't work through a pooler in transaction mode: set COULOMB_DIRECT_DATABASE_URL to the same \
             database without it"
        ),
    };
    let hosts: Hosts = url.parse()?;
    pool::primary(hosts, options(settings.database_connections)).await.context(said)
}

/// How a replica is reached, by those who read from it.
#[derive(Clone, Debug)]
pub struct Reads {
    hosts: Hosts,
    options: Options,
    carried: bool,
    staleness_positions: i64,
}

impl Reads {
    /// None: the primary is read from.
    pub fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(url) = &settings.database.read_database_url else { return Ok(None) };
        let hosts: Hosts = url.parse()?;
        let carried = settings.database.database_pooler == Pooler::Transaction;
        let hosts = if carried { hosts.map(|host| host.extra_float_digits(None)) } else { hosts };
        let options = Options { connections_max: settings.database_connections, acquire_wait_max: REPLICA_WAIT_MAX };
        Ok(Some(Self { hosts, options, carried, staleness_positions: settings.database.read_staleness_positions }))
    }

    /// A standby among the hosts, looked for from now on. It need not be there.
    pub fn replica(&self) -> Replica {
        let pool = pool::follow_standby(self.hosts.clone(), &self.options);
        let pool = if self.carried { pool.carried(None) } else { pool };
        Replica::new(pool, self.staleness_positions)
    }
}

/// The pool of a private server.
pub async fn private(url: &str, connections_max: u32) -> anyhow::Result<Pool> {
    Ok(pool::pool_options(&options(connections_max)).connect(url).await?.into())
}

async fn follow(url: &str, connections_max: u32, carried: bool) -> anyhow::Result<Followed> {
    let hosts: Hosts = url.parse()?;
    // PgBouncer refuses what it does not know at the start of a connection. Nothing here depends on it.
    let hosts = if carried { hosts.map(|host| host.extra_float_digits(None)) } else { hosts };
    let followed = pool::follow(hosts, options(connections_max)).await;
    let hint = "a PgBouncer seems to be there: COULOMB_DATABASE_POOLER says in which mode (docs/postgres.md)";
    match followed {
        Err(error) if error.to_string().contains("unsupported startup parameter") => Err(error).context(hint),
        followed => Ok(followed?),
    }
}

fn options(connections_max: u32) -> Options {
    Options { connections_max, acquire_wait_max: ACQUIRE_WAIT_MAX }
}

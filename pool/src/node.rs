//! What a server says of itself.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor, Row};

/// For a server to be connected to and to answer.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// What a server said when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// A standby: it takes no writes.
    pub in_recovery: bool,
    /// How often the history of this server was forked by promotions. Of a standby: none.
    pub timeline: Option<u32>,
    pub replication: Replication,
}

/// Whether what is acknowledged is on another server too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// Nobody replicates from this server.
    None,
    /// A commit waits for a standby.
    Synchronous { standbys: u32 },
    /// Standbys follow, and no commit waits for them.
    Asynchronous { standbys: u32 },
}

impl Replication {
    pub fn standbys(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Synchronous { standbys } | Self::Asynchronous { standbys } => standbys,
        }
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "no standbys"),
            Self::Synchronous { standbys } => write!(f, "synchronous replication, {standbys} standbys connected"),
            Self::Asynchronous { standbys } => write!(f, "asynchronous replication, {standbys} standbys connected"),
        }
    }
}

/// Looks at one server again and again, on a connection of its own.
#[derive(Debug)]
pub(crate) struct Looker {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Looker {
    pub fn new(options: &PgConnectOptions) -> Self {
        Self { options: options.clone().disable_statement_logging(), connection: None }
    }

    pub async fn close(self) {
        if let Some(connection) = self.connection {
            let _ = tokio::time::timeout(LOOK_WITHIN, connection.close()).await;
        }
    }

    /// # Errors
    /// When the server can't be connected to, or does not answer in time.
    pub async fn look(&mut self) -> Result<Seen, sqlx::Error> {
        let kept = self.connection.take();
        let looking = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.options.connect().await?,
            };
            // Without parameters it is one message: a pooler in transaction mode carries it.
            let row = (&mut connection).fetch_one(include_str!("look.sql")).await?;
            Ok((connection, seen(&row)?))
        };
        let looked = tokio::time::timeout(LOOK_WITHIN, looking).await;
        let (connection, seen) = looked.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        self.connection = Some(connection);
        Ok(seen)
    }
}

fn seen(row: &sqlx::postgres::PgRow) -> Result<Seen, sqlx::Error> {
    let (in_recovery, timeline): (bool, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    let (standbys, waits): (i64, bool) = (row.try_get(2)?, row.try_get(3)?);
    let standbys = u32::try_from(standbys).unwrap_or(u32::MAX);
    let replication = match (standbys, waits) {
        (standbys, true) => Replication::Synchronous { standbys },
        (0, false) => Replication::None,
        (standbys, false) => Replication::Asynchronous { standbys },
    };
    let timeline = timeline.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
    Ok(Seen { in_recovery, timeline, replication })
}

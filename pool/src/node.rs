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
    /// How far a standby is, in bytes of WAL. Of a primary: none.
    pub replayed: Option<i64>,
    pub replication: Replication,
}

/// Whether what is acknowledged is on another server too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// Nobody replicates from this server.
    None,
    /// A commit waits for a standby, and as many as it waits for are there.
    Synchronous { standbys: u32 },
    /// A commit waits for standbys of which so many are missing: it hangs until they are there.
    Hanging { standbys: u32, missing: u32 },
    /// Standbys follow, and no commit waits for them.
    Asynchronous { standbys: u32 },
}

impl Replication {
    pub fn standbys(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Synchronous { standbys } | Self::Hanging { standbys, .. } | Self::Asynchronous { standbys } => {
                standbys
            }
        }
    }

    /// How many more standbys a commit waits for than are there.
    pub fn missing(self) -> u32 {
        match self {
            Self::Hanging { missing, .. } => missing,
            Self::None | Self::Synchronous { .. } | Self::Asynchronous { .. } => 0,
        }
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "no standbys"),
            Self::Synchronous { standbys } => write!(f, "synchronous replication, {standbys} standbys connected"),
            Self::Hanging { standbys, missing } => {
                write!(f, "synchronous replication, {standbys} standbys connected, and commits wait for {missing} more")
            }
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
    let (replayed, names): (Option<i64>, &str) = (row.try_get(2)?, row.try_get(5)?);
    let [standbys, waited_for] =
        [row.try_get(3)?, row.try_get::<i64, _>(4)?].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let replication = match (standbys, needed(names).checked_sub(waited_for)) {
        (0, _) if names.is_empty() => Replication::None,
        (standbys, _) if names.is_empty() => Replication::Asynchronous { standbys },
        (standbys, Some(missing @ 1..)) => Replication::Hanging { standbys, missing },
        (standbys, None | Some(0)) => Replication::Synchronous { standbys },
    };
    let timeline = timeline.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
    Ok(Seen { in_recovery, timeline, replayed, replication })
}

/// How many standbys a commit waits for, as `synchronous_standby_names` says it: `FIRST 2 (a, b, c)`, `ANY 2 (a, b, c)` or
/// `2 (a, b, c)`; one where it is names alone.
fn needed(names: &str) -> u32 {
    let names = names.trim_start();
    let keyword = names.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let counted = match ["first", "any"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
        true => names[keyword.len()..].trim_start(),
        false => names,
    };
    let names_at = counted.find(|c: char| !c.is_ascii_digit()).unwrap_or(counted.len());
    let (number, rest) = counted.split_at(names_at);
    match rest.trim_start().starts_with('(') {
        true => number.parse().unwrap_or(1),
        false => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_standbys_are_needed_as_the_setting_says() {
        let table = [
            ("*", 1),
            ("replica", 1),
            ("one, two", 1),
            ("ANY 1 (replica)", 1),
            ("ANY 2 (one, two, three)", 2),
            (" first 2(one, two)", 2),
            ("3 (one, two, three)", 3),
            // Names that look like something else.
            ("any, first", 1),
            ("2, 3", 1),
            ("first2", 1),
            ("\"ANY 2 (x)\"", 1),
        ];
        for (names, expected) in table {
            assert_eq!(needed(names), expected, "{names}");
        }
    }
}

//! The database of a replay: made beside the original on the same server, dropped at the end.
//!
//! It is called `coulomb_replay_<oid of the original>_<id>`, and while it is in use a session on the original holds an
//! advisory lock of that name: what is called so and is not locked was left by a replay that was killed.

use std::time::Duration;

use anyhow::{Context, anyhow};
use rand::Rng;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};

/// The first half of the key of its lock: "repl" in ASCII.
const LOCK: i32 = 0x7265_706c;
const ACQUIRE_WAIT_MAX: Duration = Duration::from_secs(5);
/// What the read side needs beside the events, and of which rows.
const COPIED: [(&str, &str); 4] =
    [("accounts", "role = 'operator'"), ("signing_keys", "true"), ("vault_keys", "true"), ("master_key_check", "true")];

pub struct Scratch {
    name: String,
    /// A session on the original, which holds the lock.
    session: PgConnection,
    original: PgConnectOptions,
    keep: bool,
}

impl Scratch {
    /// Makes an empty one, after dropping what killed replays of the same original have left.
    ///
    /// # Errors
    /// When the server refuses; nothing is left then.
    pub async fn create(original: &PgPool, keep: bool) -> anyhow::Result<Self> {
        let original = original.connect_options().as_ref().clone();
        let mut session = PgConnection::connect_with(&original).await?;
        let about: (i64, String, String, String) =
            sqlx::query_as(include_str!("scratch/original.sql")).fetch_one(&mut session).await?;
        let (oid, encoding, collate, ctype) = about;
        let prefix = format!("coulomb_replay_{oid}_");
        drop_leftovers(&mut session, &prefix).await?;
        let id: u32 = rand::rng().random();
        let name = if keep { format!("coulomb_replay_kept_{id:08x}") } else { format!("{prefix}{id:08x}") };
        lock(&mut session, &name).await?;
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE '{}' LC_CTYPE '{}'",
            quoted(&collate),
            quoted(&ctype)
        );
        session.execute(create.as_str()).await.map_err(explained).context("no database can be made for the replay")?;
        Ok(Self { name, session, original, keep })
    }

    /// Brings it to this program's version, with who may log in and the keys.
    pub async fn prepare(&self, source: &mut PgConnection, connections: u32) -> anyhow::Result<PgPool> {
        let options = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_WAIT_MAX);
        let pool = options.connect_with(self.options()).await?;
        schema::MIGRATOR.run(&pool).await.context("the migrations of the replay's database")?;
        for (table, rows) in COPIED {
            copy(source, &pool, table, rows).await.with_context(|| format!("{table} can't be copied"))?;
        }
        // A login must find nothing left to do.
        sqlx::query("UPDATE accounts SET in_log = true").execute(&pool).await?;
        Ok(pool)
    }

    pub fn options(&self) -> PgConnectOptions {
        self.original.clone().database(&self.name)
    }

    /// Drops it, unless it is to be kept and the replay went well.
    pub async fn end(mut self, well: bool) -> anyhow::Result<()> {
        if self.keep && well {
            say!("Kept: the database {}. When nobody needs it any more: DROP DATABASE {};", self.name, self.name);
            return Ok(());
        }
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropped = match self.session.execute(drop.as_str()).await {
            Ok(_) => Ok(()),
            // The session may have been lost with a connection; the server may be there.
            Err(_) => match PgConnection::connect_with(&self.original).await {
                Ok(mut session) => session.execute(drop.as_str()).await.map(|_| ()),
                Err(error) => Err(error),
            },
        };
        dropped.with_context(|| {
            format!(
                "the replay's database {} is still there; the next replay drops it, or DROP DATABASE does",
                self.name
            )
        })
    }
}

/// Whoever has the lock of a name uses the database.
async fn lock(session: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))").bind(LOCK).bind(name).fetch_one(session).await
}

async fn drop_leftovers(session: &mut PgConnection, prefix: &str) -> anyhow::Result<()> {
    let select = "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1) ORDER BY datname";
    let names: Vec<String> = sqlx::query_scalar(select).bind(prefix).fetch_all(&mut *session).await?;
    for name in names {
        if !lock(session, &name).await? {
            continue;
        }
        // Without force: somebody may be looking at it.
        match session.execute(format!("DROP DATABASE IF EXISTS {name}").as_str()).await {
            Ok(_) => say!("Dropped {name}, which a replay that was killed had left."),
            Err(error) => say!("{name} was left by a replay that was killed, and can't be dropped now: {error}"),
        }
        let unlock = sqlx::query("SELECT pg_advisory_unlock($1, hashtext($2))").bind(LOCK).bind(&name);
        unlock.execute(&mut *session).await?;
    }
    Ok(())
}

/// Copies rows of a table, in the columns that the replay's has.
async fn copy(source: &mut PgConnection, target: &PgPool, table: &str, rows: &str) -> anyhow::Result<()> {
    use futures_util::TryStreamExt;
    let mut target = target.acquire().await?;
    let columns: String =
        sqlx::query_scalar(include_str!("scratch/columns.sql")).bind(table).fetch_one(&mut *target).await?;
    let out = format!("COPY (SELECT {columns} FROM {table} WHERE {rows}) TO STDOUT (FORMAT binary)");
    let mut out = source.copy_out_raw(&out).await?;
    let mut into = target.copy_in_raw(&format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")).await?;
    while let Some(bytes) = out.try_next().await? {
        into.send(bytes).await?;
    }
    into.finish().await?;
    Ok(())
}

/// What to do about an error of the server.
pub fn explained(error: sqlx::Error) -> anyhow::Error {
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    let next = match code.as_deref() {
        Some("42501") => {
            "the role of DATABASE_URL may not make databases: ALTER ROLE ... CREATEDB, or use a role that may"
        }
        Some("53100") => {
            "the disk of the database server is full; nothing was changed. A replay needs as much room as the events up to \
             --to and their read models take: free some, or replay where there is room"
        }
        Some("53300") => "the database server has no connection left: raise its max_connections, or try again later",
        _ => return anyhow!(error),
    };
    anyhow!(error).context(next)
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

//! Bringing the database to the version of this program, and whether this program can run on it (docs/deploy.md).

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use pool::Pool;
use schema::migrations;

use crate::database::Database;
use crate::settings::Settings;

/// Where it is written what to do.
const SEE: &str = "docs/deploy.md, \"Two versions side by side\"";

/// The command `coulomb migrate`.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let database = Database::open(settings).await?;
    let migrated = async {
        let newer = migrate(database.pool()).await?;
        if newer.is_none() {
            schema::analytics::make(database.pool()).await?;
        }
        anyhow::Ok(newer)
    };
    let migrated = migrated.await;
    database.close().await?;
    match migrated? {
        None => say!("The database is at version {}.", newest()),
        Some(newer) => say!(
            "The database is at version {newer}, newer than this program, which knows {}: nothing is left to be done by it.",
            newest()
        ),
    }
    Ok(())
}

/// Applies what is missing; several processes at once take turns. A newer program's work is left as it is.
pub async fn apply(pool: &Pool) -> anyhow::Result<()> {
    if let Some(database) = migrate(pool).await? {
        tracing::info!(database, program = newest(), "the database is newer than this program");
        return Ok(());
    }
    // Views for analysts must not keep chargers waiting: what was made before goes on being there.
    if let Err(error) = schema::analytics::make(pool).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the views for analysts are not those of this program"
        );
    }
    Ok(())
}

/// Answers the version of a database that a newer program has migrated.
async fn migrate(pool: &Pool) -> anyhow::Result<Option<i64>> {
    // Before anything is changed.
    let newer = newer_than_this(&applied(pool).await?)?;
    let Some(direct) = pool.direct() else {
        // Nothing to be done needs no way to do it.
        require(pool).await.context(
            "migrations can't go through a pooler in transaction mode: set COULOMB_DIRECT_DATABASE_URL to the same database \
             without it",
        )?;
        return Ok(newer);
    };
    schema::MIGRATOR.run(&direct.of_now()).await.context("the migrations of the database")?;
    Ok(newer)
}

/// Refuses a database that lacks a migration of this program, or has a later one that this program can't live with. Others
/// that are newer are fine: migrations expand before they contract, so that versions can run side by side.
pub async fn require(pool: &Pool) -> anyhow::Result<()> {
    let applied = applied(pool).await?;
    let newer = newer_than_this(&applied)?;
    if let Some(missing) = schema::MIGRATOR.iter().find(|ours| !applied.contains_key(&ours.version)) {
        let at = applied.keys().next_back().copied().unwrap_or(0);
        bail!(
            "the database is at version {at} and lacks {} ({}), this program needs {}: run `coulomb migrate` first",
            missing.version,
            missing.description,
            newest()
        );
    }
    if let Some(database) = newer {
        tracing::info!(database, program = newest(), "the database is newer than this program");
    }
    Ok(())
}

/// The version of a database with migrations that this program does not know, if it can run on it.
fn newer_than_this(applied: &BTreeMap<i64, String>) -> anyhow::Result<Option<i64>> {
    let unknown: Vec<_> = applied.iter().filter(|(version, _)| !schema::MIGRATOR.version_exists(**version)).collect();
    let ours = newest();
    for (version, description) in &unknown {
        if let Some(needed) = migrations::needs(description).filter(|needed| *needed > ours) {
            bail!(
                "the database has migration {version} ({description}), and programs on it must know version {needed}; this \
                 one knows {ours}. Run a newer program ({SEE})"
            );
        }
    }
    Ok(unknown.last().map(|(version, _)| **version))
}

async fn applied(pool: &Pool) -> anyhow::Result<BTreeMap<i64, String>> {
    let table: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text").fetch_one(pool).await?;
    if table.is_none() {
        return Ok(BTreeMap::new());
    }
    let applied: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, description FROM _sqlx_migrations WHERE success").fetch_all(pool).await?;
    Ok(applied.into_iter().collect())
}

fn newest() -> i64 {
    schema::MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(later: &[(i64, &str)]) -> BTreeMap<i64, String> {
        let ours = schema::MIGRATOR.iter().map(|migration| (migration.version, migration.description.to_string()));
        ours.chain(later.iter().map(|(version, description)| (*version, (*description).to_owned()))).collect()
    }

    #[test]
    fn a_newer_database_is_fine_unless_it_says_otherwise() {
        assert_eq!(newer_than_this(&database(&[])).unwrap(), None);
        assert_eq!(newer_than_this(&BTreeMap::new()).unwrap(), None);
        let later = [(90_000, "add a column"), (90_010, &*format!("needs {} drop a column", newest()))];
        assert_eq!(newer_than_this(&database(&later)).unwrap(), Some(90_010));
        let refused = newer_than_this(&database(&[(90_010, "needs 90000 drop a column")])).unwrap_err().to_string();
        for named in ["90010", "needs 90000 drop a column", &newest().to_string()] {
            assert!(refused.contains(named), "{refused}");
        }
    }
}

//! Bringing the database to the version of this program.

use anyhow::{Context, bail};
use sqlx::postgres::PgPool;

use crate::database::Database;
use crate::settings::Settings;

/// The command `coulomb migrate`.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let database = Database::open(settings).await?;
    let migrated = async {
        migrations(database.pool()).await?;
        anyhow::Ok(schema::analytics::make(database.pool()).await?)
    };
    let migrated = migrated.await;
    database.close().await?;
    migrated?;
    say!("The database is at version {}.", newest());
    Ok(())
}

/// Applies what is missing; several processes at once take turns.
pub async fn apply(pool: &PgPool) -> anyhow::Result<()> {
    migrations(pool).await?;
    // Views for analysts must not keep chargers waiting: what was made before goes on being there.
    if let Err(error) = schema::analytics::make(pool).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the views for analysts are not those of this program"
        );
    }
    Ok(())
}

async fn migrations(pool: &PgPool) -> anyhow::Result<()> {
    schema::MIGRATOR.run(pool).await.context("the migrations of the database")
}

/// Refuses a database that lacks a migration of this program. A newer one is fine: migrations expand before they
/// contract, so that versions can run side by side.
pub async fn require(pool: &PgPool) -> anyhow::Result<()> {
    let table: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text").fetch_one(pool).await?;
    let applied: i64 = match table {
        Some(_) => {
            let newest = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success");
            newest.fetch_one(pool).await?
        }
        None => 0,
    };
    if applied < newest() {
        bail!("the database is at version {applied}, this program needs {}: run `coulomb migrate` first", newest());
    }
    Ok(())
}

fn newest() -> i64 {
    schema::MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

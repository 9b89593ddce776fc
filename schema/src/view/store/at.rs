//! Rows as they were (migration 0430).

use std::sync::Arc;

use domain::id::TenantId;
use sqlx::Row as _;
use uuid::Uuid;

use super::list::{List, bind, check, page};
use super::{Error, Page, ViewStore, change};
use crate::log::Position;
use crate::view::boundaries::Boundaries;
use crate::view::query::Query;
use crate::view::row::{Model, RowChange};

/// A row as it was from its position on.
#[derive(Debug, Clone)]
pub struct Version {
    pub row: Arc<RowChange>,
    /// The position of what overwrote it; none: nothing has. Between the two, events may have changed the row that were
    /// written together with that one.
    pub until: Option<Position>,
}

impl ViewStore {
    /// Where rows are kept.
    pub async fn boundaries(&self) -> Result<Boundaries, Error> {
        let rows = self.fetch_all(sqlx::query("SELECT first, every FROM history.eras")).await?;
        let eras = rows.iter().map(|row| Ok((Position(row.try_get(0)?), row.try_get(1)?)));
        Ok(Boundaries::new(eras.collect::<Result<_, sqlx::Error>>()?))
    }

    /// Of each key the newest version that is kept and was written at a position or before it. Removed ones are among them.
    pub async fn versions(&self, model: Model, keys: &[&str], at: Position) -> Result<Vec<Version>, Error> {
        let text = include_str!("versions.sql").replace("{model}", model.name());
        let rows = self.fetch_all(sqlx::query(&text).bind(keys).bind(at.0)).await?;
        let mut versions = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(change) = change(row)? {
                let until: Option<i64> = row.try_get(9)?;
                versions.push(Version { row: Arc::new(change), until: until.map(Position) });
            }
        }
        Ok(versions)
    }

    /// A page of rows as they were at a boundary.
    ///
    /// # Errors
    /// Also when the read model has no such column.
    pub async fn list_at(&self, query: &Query, boundary: Position) -> Result<Page, Error> {
        check(query)?;
        let text = List { query, at_boundary: true }.text();
        let statement = || bind(sqlx::query(&text), query, Some(boundary));
        page(query, &self.fetch_all_dated(statement).await?)
    }

    /// Of the build that serves.
    pub async fn live_fold_version(&self, model: Model) -> Result<i32, Error> {
        let statement = sqlx::query("SELECT fold_version FROM views.builds WHERE model = $1 AND state = 'live'");
        let rows = self.fetch_all(statement.bind(model.name())).await?;
        Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?)
    }

    /// The partition keys that stand still in the build that serves.
    pub async fn parked_keys(&self, model: Model) -> Result<Vec<Uuid>, Error> {
        let rows = self.fetch_all(sqlx::query(include_str!("parked_keys.sql")).bind(model.name())).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// The charge points of a tenant that call themselves so, or did at a boundary.
    pub async fn charge_points_called(&self, tenant_id: TenantId, identity: &str) -> Result<Vec<String>, Error> {
        let statement = sqlx::query(include_str!("called.sql")).bind(tenant_id.to_string()).bind(identity);
        let rows = self.fetch_all(statement).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }
}

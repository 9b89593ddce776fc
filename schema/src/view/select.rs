//! Rows of one read model by filters, a page at a time: what queries and snapshots read.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::row::{Model, Row, RowChange};
use crate::log::{Generation, Position};
use crate::partition::Partition;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the read models can't be read")]
    Database(#[from] sqlx::Error),
    #[error("the row {key} of {model} can't be understood")]
    Row {
        model: &'static str,
        key: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the row {key} of {model} has a partition that does not exist")]
    Partition { model: &'static str, key: String },
}

/// What rows can be chosen by: the generated columns of migration 0200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Key,
    TenantId,
    Identity,
    SiteId,
    DriverId,
    ChargePointId,
    SessionId,
    State,
    RequestedById,
    RequestedByKind,
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::TenantId => "tenant_id",
            Self::Identity => "identity",
            Self::SiteId => "site_id",
            Self::DriverId => "driver_id",
            Self::ChargePointId => "charge_point_id",
            Self::SessionId => "session_id",
            Self::State => "state",
            Self::RequestedById => "requested_by_id",
            Self::RequestedByKind => "requested_by_kind",
        }
    }
}

#[derive(Debug, Clone)]
enum Term {
    Equal(Column, String),
    Among(Column, Vec<String>),
    Above(Column, String),
    From(Column, String),
    Below(Column, String),
    ChangedAfter(Position),
    Present,
}

/// A query for rows of one read model, built up and then fetched. Rows that were removed are left out unless asked for.
#[derive(Debug, Clone)]
pub struct Select {
    model: Model,
    terms: Vec<Term>,
    with_removed: bool,
    order: Column,
    descending: bool,
}

impl Select {
    /// In the order of keys.
    pub fn from(model: Model) -> Self {
        Self { model, terms: Vec::new(), with_removed: false, order: Column::Key, descending: false }
    }

    #[must_use]
    pub fn equal(self, column: Column, value: impl ToString) -> Self {
        self.term(Term::Equal(column, value.to_string()))
    }

    #[must_use]
    pub fn among<T: ToString>(self, column: Column, values: impl IntoIterator<Item = T>) -> Self {
        self.term(Term::Among(column, values.into_iter().map(|value| value.to_string()).collect()))
    }

    #[must_use]
    pub fn above(self, column: Column, value: impl ToString) -> Self {
        self.term(Term::Above(column, value.to_string()))
    }

    /// At this value or above it.
    #[must_use]
    pub fn at_least(self, column: Column, value: impl ToString) -> Self {
        self.term(Term::From(column, value.to_string()))
    }

    #[must_use]
    pub fn below(self, column: Column, value: impl ToString) -> Self {
        self.term(Term::Below(column, value.to_string()))
    }

    #[must_use]
    pub fn changed_after(self, position: Position) -> Self {
        self.term(Term::ChangedAfter(position))
    }

    #[must_use]
    pub fn with_removed(mut self) -> Self {
        self.with_removed = true;
        self
    }

    #[must_use]
    pub fn ordered_by(mut self, column: Column) -> Self {
        self.order = column;
        self
    }

    #[must_use]
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    fn term(mut self, term: Term) -> Self {
        self.terms.push(term);
        self
    }

    pub async fn fetch(self, pool: &PgPool, limit: usize) -> Result<Vec<RowChange>, Error> {
        let mut query = self.statement(limit);
        let rows = query.build().fetch_all(pool).await?;
        rows.iter().map(|row| decode(self.model, row)).collect()
    }

    /// The first row, where there is one.
    pub async fn fetch_one(self, pool: &PgPool) -> Result<Option<RowChange>, Error> {
        Ok(self.fetch(pool, 1).await?.into_iter().next())
    }

    fn statement(&self, limit: usize) -> QueryBuilder<'static, Postgres> {
        let select = "SELECT key, partition, generation, position, removed, row::text FROM views.";
        let mut query = QueryBuilder::new(select);
        query.push(self.model.name()).push(" WHERE true");
        let present = (!self.with_removed).then_some(Term::Present);
        for term in self.terms.iter().chain(present.as_ref()) {
            query.push(" AND ");
            let mut compare = |column: &Column, operator: &str, value: &String| {
                query.push(column.name()).push(operator).push_bind(value.clone());
            };
            match term {
                Term::Equal(column, value) => compare(column, " = ", value),
                Term::Above(column, value) => compare(column, " > ", value),
                Term::From(column, value) => compare(column, " >= ", value),
                Term::Below(column, value) => compare(column, " < ", value),
                Term::Among(column, values) => {
                    query.push(column.name()).push(" = ANY(").push_bind(values.clone()).push(")");
                }
                Term::ChangedAfter(position) => {
                    query.push("position > ").push_bind(position.0);
                }
                Term::Present => {
                    query.push("NOT removed");
                }
            }
        }
        query.push(" ORDER BY ").push(self.order.name()).push(if self.descending { " DESC" } else { "" });
        query.push(" LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        query
    }
}

fn decode(model: Model, row: &PgRow) -> Result<RowChange, Error> {
    let key: String = row.try_get(0)?;
    let partition = u8::try_from(row.try_get::<i16, _>(1)?).ok().and_then(Partition::new);
    let Some(partition) = partition else {
        return Err(Error::Partition { model: model.name(), key });
    };
    let content = Row::from_json(model, row.try_get(5)?)
        .map_err(|source| Error::Row { model: model.name(), key: key.clone(), source })?;
    Ok(RowChange {
        key,
        partition,
        generation: Generation(row.try_get(2)?),
        position: Position(row.try_get(3)?),
        removed: row.try_get(4)?,
        row: content,
    })
}

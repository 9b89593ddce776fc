//! Filtered pages.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::{Error, Page, Statement, ViewStore, change, reached};
use crate::log::Position;
use crate::view::query::{Column, Cursor, Query};
use crate::view::row::RowChange;

impl ViewStore {
    /// A page of rows.
    ///
    /// # Errors
    /// Also when the read model has no such column.
    pub async fn list(&self, query: &Query) -> Result<Page, Error> {
        check(query)?;
        let text = List { query, at_boundary: false }.text();
        page(query, &self.fetch_all_dated(|| bind(sqlx::query(&text), query, None)).await?)
    }
}

/// Whether the read model has the columns that are named.
pub(super) fn check(query: &Query) -> Result<(), Error> {
    let named = query.conditions.iter().map(|(column, _)| *column).chain(query.order.column());
    for column in named {
        if !query.model.columns().contains(&column) {
            return Err(Error::NoSuchColumn { model: query.model, column });
        }
    }
    Ok(())
}

/// The values of a query, in the order in which [`List::text`] numbers them.
pub(super) fn bind<'q>(mut statement: Statement<'q>, query: &'q Query, boundary: Option<Position>) -> Statement<'q> {
    for (_, values) in &query.conditions {
        statement = match values.as_slice() {
            [value] => statement.bind(value),
            values => statement.bind(values),
        };
    }
    if let Some(prefix) = &query.key_prefix {
        statement = statement.bind(prefix);
    }
    if let Some(position) = query.changed_after {
        statement = statement.bind(position.0);
    }
    if let Some(cursor) = &query.after {
        if query.order.column().is_some() {
            statement = statement.bind(cursor.sort.as_deref().unwrap_or_default());
        }
        statement = statement.bind(&cursor.key);
    }
    if let Some(boundary) = boundary {
        statement = statement.bind(boundary.0);
    }
    // One more than asked for tells whether there is another page.
    statement.bind(i64::from(query.limit) + 1)
}

pub(super) fn page(query: &Query, rows: &[PgRow]) -> Result<Page, Error> {
    let reached = reached(rows.first().ok_or(sqlx::Error::RowNotFound)?)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(change) = change(row)? {
            found.push((row.try_get::<Option<String>, _>(9)?, Arc::new(change)));
        }
    }
    let more = found.len() > query.limit as usize;
    found.truncate(query.limit as usize);
    let cursor = |(sort, row): &(Option<String>, Arc<RowChange>)| Cursor { sort: sort.clone(), key: row.key.clone() };
    let next = found.last().filter(|_| more).map(cursor);
    Ok(Page { reached, rows: found.into_iter().map(|(_, row)| row).collect(), next })
}

/// The statement of a list: names are ours, values are bound.
pub(super) struct List<'q> {
    pub query: &'q Query,
    /// As rows were at a boundary; otherwise as they are.
    pub at_boundary: bool,
}

impl List<'_> {
    pub fn text(&self) -> String {
        let query = self.query;
        let mut bound = 0;
        let mut next = || {
            bound += 1;
            bound
        };
        let mut conditions = vec![];
        for (column, values) in &query.conditions {
            let name = column.name();
            conditions.push(match values.as_slice() {
                [_] => format!("{name} = ${}", next()),
                _ => format!("{name} = ANY (${}::text[])", next()),
            });
        }
        if query.key_prefix.is_some() {
            let n = next();
            // The highest character there is: in byte order, everything that begins with the prefix is below.
            conditions.push(format!("key >= ${n} AND key < ${n} || chr(1114111)"));
        }
        match query.changed_after {
            Some(_) => conditions.push(format!("position > ${}", next())),
            None => conditions.push("NOT removed".to_owned()),
        }
        let (after, direction) = if query.order.descends() { ('<', " DESC") } else { ('>', "") };
        let sort = query.order.column().map(Column::name);
        if query.after.is_some() {
            conditions.push(match sort {
                Some(name) => format!("({name}, key) {after} (${}, ${})", next(), next()),
                None => format!("key {after} ${}", next()),
            });
        }
        let boundary = self.at_boundary.then(&mut next);
        let limit = next();

        let table = query.model.name();
        let order = match sort {
            Some(name) => format!("{name}{direction}, key{direction}"),
            None => format!("key{direction}"),
        };
        let sort = sort.unwrap_or("NULL");
        let rows = |schema: &str, besides: &str| {
            format!(
                "SELECT '{table}' AS model, key, partition, generation, position, removed, row::text, {sort}::text AS sort \
                 FROM {schema}.{table} WHERE {}{besides} ORDER BY {order} LIMIT ${limit}",
                conditions.join(" AND ")
            )
        };
        let rows = match boundary {
            None => rows("views", ""),
            Some(n) => {
                let still = rows("views", &format!(" AND position <= ${n}"));
                let then = rows("history", &format!(" AND position <= ${n} AND until > ${n}"));
                let order = if sort == "NULL" { order } else { format!("sort{direction}, key{direction}") };
                format!("SELECT * FROM (({still}) UNION ALL ({then})) b ORDER BY {order} LIMIT ${limit}")
            }
        };
        format!(
            "SELECT a.generation, a.position, r.*, pg_is_in_recovery() AS of_standby \
             FROM views.reached() a LEFT JOIN LATERAL ({rows}) r ON true"
        )
    }
}

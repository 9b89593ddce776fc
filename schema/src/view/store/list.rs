//! Filtered pages.

use sqlx::Row as _;

use super::{Error, Page, ViewStore, change, reached};
use crate::view::query::{Column, Cursor, Query};

impl ViewStore {
    /// A page of rows.
    ///
    /// # Errors
    /// Also when the read model has no such column.
    pub async fn list(&self, query: &Query) -> Result<Page, Error> {
        let sorted_by = query.order.column();
        let named = query.conditions.iter().map(|(column, _)| *column).chain(sorted_by);
        for column in named {
            if !query.model.columns().contains(&column) {
                return Err(Error::NoSuchColumn { model: query.model, column });
            }
        }
        let text = text(query);
        let mut statement = sqlx::query(&text);
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
            if sorted_by.is_some() {
                statement = statement.bind(cursor.sort.as_deref().unwrap_or_default());
            }
            statement = statement.bind(&cursor.key);
        }
        // One more than asked for tells whether there is another page.
        let rows = self.fetch_all(statement.bind(i64::from(query.limit) + 1)).await?;
        let reached = reached(rows.first().ok_or(sqlx::Error::RowNotFound)?)?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(change) = change(row)? {
                found.push((row.try_get::<Option<String>, _>(9)?, std::sync::Arc::new(change)));
            }
        }
        let more = found.len() > query.limit as usize;
        found.truncate(query.limit as usize);
        let cursor = |(sort, row): &(Option<String>, std::sync::Arc<_>)| {
            let row: &crate::view::RowChange = row;
            Cursor { sort: sort.clone(), key: row.key.clone() }
        };
        let next = found.last().filter(|_| more).map(cursor);
        Ok(Page { reached, rows: found.into_iter().map(|(_, row)| row).collect(), next })
    }
}

/// The statement: names are ours, values are bound.
fn text(query: &Query) -> String {
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
    let (sort, order) = match query.order.column().map(Column::name) {
        Some(name) => (name, format!("{name}{direction}, key{direction}")),
        None => ("NULL", format!("key{direction}")),
    };
    if query.after.is_some() {
        conditions.push(match query.order.column().map(Column::name) {
            Some(name) => format!("({name}, key) {after} (${}, ${})", next(), next()),
            None => format!("key {after} ${}", next()),
        });
    }
    let (table, limit) = (query.model.name(), next());
    format!(
        "SELECT a.generation, a.position, r.* FROM views.reached() a LEFT JOIN LATERAL (\
         SELECT '{table}' AS model, key, partition, generation, position, removed, row::text, {sort}::text AS sort \
         FROM views.{table} WHERE {} ORDER BY {order} LIMIT ${limit}) r ON true",
        conditions.join(" AND ")
    )
}

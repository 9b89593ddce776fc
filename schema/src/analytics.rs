//! Views for analysts, made from the catalogue of events and from what stands beside this file for each read model.
//!
//! They can be made again at any time: what is the same stays as it is.

mod event_views;
mod says;

use pool::Pool;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgDatabaseError;

/// Whose turn it is to make views, where several processes start at once: "analytic" in ASCII.
const ADVISORY_LOCK: i64 = 0x616e_616c_7974_6963;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the view analytics.{view} can't be made{}", hint(source))]
    View { view: String, source: sqlx::Error },
    #[error("the views for analysts can't be made")]
    Database(#[from] sqlx::Error),
}

/// What Postgres says of it beside the message: such as what depends on a view.
fn hint(source: &sqlx::Error) -> String {
    let error = source.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    match error.and_then(|error| error.detail()) {
        Some(detail) => format!(" ({detail}: drop that, run `coulomb migrate`, and make it again)"),
        None => String::new(),
    }
}

/// A view, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub name: String,
    /// What follows `CREATE VIEW … AS`.
    pub definition: String,
    pub says: String,
    /// Of each column that needs words.
    pub columns: Vec<(String, String)>,
}

/// All views: one on all events, one for each event type, those on read models, and which events are in archives.
pub fn views() -> Vec<View> {
    event_views::all().into_iter().chain(read_models()).collect()
}

/// Views on tables: a comment for the view, lines `-- <column>: <what it is>`, and the definition.
fn read_models() -> Vec<View> {
    const FILES: &[(&str, &str)] = &[
        ("charge_points", include_str!("analytics/charge_points.sql")),
        ("connectors", include_str!("analytics/connectors.sql")),
        ("sessions", include_str!("analytics/sessions.sql")),
        ("session_lines", include_str!("analytics/session_lines.sql")),
        ("meter_values", include_str!("analytics/meter_values.sql")),
        ("commands", include_str!("analytics/commands.sql")),
        ("drivers", include_str!("analytics/drivers.sql")),
        ("tokens", include_str!("analytics/tokens.sql")),
        ("sites", include_str!("analytics/sites.sql")),
        ("tariffs", include_str!("analytics/tariffs.sql")),
        ("plans", include_str!("analytics/plans.sql")),
        ("archives", include_str!("analytics/archives.sql")),
    ];
    FILES.iter().map(|(name, text)| read_model(name, text)).collect()
}

fn read_model(name: &str, text: &str) -> View {
    let comments = text.lines().take_while(|line| line.starts_with("-- ")).map(|line| &line[3..]);
    let (mut says, mut columns) = (String::new(), vec![]);
    for line in comments {
        match line.split_once(": ") {
            Some((column, what)) if column.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
                columns.push((column.to_owned(), what.to_owned()));
            }
            _ => says = if says.is_empty() { line.to_owned() } else { format!("{says} {line}") },
        }
    }
    View { name: name.to_owned(), definition: text.to_owned(), says, columns }
}

/// Makes the views what they should be, in one transaction. Answers whether anything was to be done.
///
/// # Errors
/// Where something else depends on a view that must change in more than additional columns: it is named.
pub async fn make(pool: impl Into<Pool>) -> Result<bool, Error> {
    let pool = &pool.into();
    let views = views();
    let definitions = digest(&views);
    let made =
        "SELECT definitions FROM analytics_made WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'coulomb_analyst')";
    let made: Option<String> = sqlx::query_scalar(made).fetch_optional(pool).await?;
    if made.as_deref() == Some(&definitions) {
        return Ok(false);
    }
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(ADVISORY_LOCK).execute(&mut *transaction).await?;
    // An analyst's query must not keep a platform from starting for longer than this.
    sqlx::query("SET LOCAL lock_timeout = '10s'").execute(&mut *transaction).await?;
    for view in &views {
        let of = |source| Error::View { view: view.name.clone(), source };
        sqlx::query("SELECT analytics_make_view($1, $2)")
            .bind(&view.name)
            .bind(&view.definition)
            .execute(&mut *transaction)
            .await
            .map_err(of)?;
        for comment in comments(view) {
            sqlx::query(&comment).execute(&mut *transaction).await.map_err(of)?;
        }
    }
    let names: Vec<_> = views.iter().map(|view| view.name.as_str()).collect();
    sqlx::query("SELECT analytics_finish($1)").bind(names).execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM analytics_made").execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO analytics_made (definitions) VALUES ($1)")
        .bind(definitions)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

fn comments(view: &View) -> Vec<String> {
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let name = format!("analytics.\"{}\"", view.name);
    // By the mark, views of ours are told from those that somebody has put beside them.
    let mut comments = vec![format!("COMMENT ON VIEW {name} IS {}", literal(&format!("{} [Coulomb]", view.says)))];
    for (column, says) in &view.columns {
        comments.push(format!("COMMENT ON COLUMN {name}.\"{column}\" IS {}", literal(says)));
    }
    comments
}

fn digest(views: &[View]) -> String {
    let hash = Sha256::digest(format!("{views:?}").as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

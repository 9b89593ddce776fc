//! Committing a batch: one statement, one round trip.

use std::collections::BTreeMap;
use std::sync::Arc;

use schema::log::Position;
use schema::partition::Partition;
use schema::view::{Model, Row, RowChange};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::Error;

/// SQLSTATE with which `views.advance` refuses the batches of an ended run.
const RUN_HAS_ENDED: &str = "CV001";

/// A row and its JSON.
pub(super) struct ToWrite {
    pub change: Arc<RowChange>,
    json: String,
}

impl ToWrite {
    /// The row as it will be read back: its JSON says U+FFFD where a charger said U+0000.
    pub fn new(mut change: RowChange) -> Result<Self, schema::view::Error> {
        let json = change.row.to_json();
        if json.contains('\u{fffd}') {
            let model = change.row.model();
            change.row = Row::from_json(model, &json).map_err(|source| {
                let key = change.key.clone();
                schema::view::Error::Corrupt { model, key, source }
            })?;
        }
        Ok(Self { change: Arc::new(change), json })
    }
}

pub(super) struct Write<'a> {
    pub run: Uuid,
    pub upto: Position,
    pub checkpoints: &'a BTreeMap<Partition, Position>,
    pub rows: &'a [ToWrite],
    pub notify: bool,
}

/// Rows, checkpoints and how far the run is: all of it, or nothing.
///
/// # Errors
/// [`Error::Ended`] when the run has ended. After any other the outcome is not known: the tenure must end too.
pub(super) async fn write(pool: &PgPool, transaction_pooler: bool, write: &Write<'_>) -> Result<(), Error> {
    let touched = Model::ALL.into_iter().filter(|model| write.rows.iter().any(|row| row.change.row.model() == *model));
    let touched: Vec<Model> = touched.collect();
    let text = text(&touched);
    let partitions: Vec<i16> = write.checkpoints.keys().map(|partition| i16::from(partition.number())).collect();
    let positions: Vec<i64> = write.checkpoints.values().map(|position| position.0).collect();
    let mut statement =
        sqlx::query(&text).bind(write.run).bind(write.upto.0).bind(partitions).bind(positions).bind(write.notify);
    for model in touched {
        let rows = || write.rows.iter().filter(move |row| row.change.row.model() == model);
        statement = statement
            .bind(rows().map(|row| row.change.key.as_str()).collect::<Vec<_>>())
            .bind(rows().map(|row| i16::from(row.change.partition.number())).collect::<Vec<_>>())
            .bind(rows().map(|row| row.change.generation.0).collect::<Vec<_>>())
            .bind(rows().map(|row| row.change.position.0).collect::<Vec<_>>())
            .bind(rows().map(|row| row.change.removed).collect::<Vec<_>>())
            .bind(rows().map(|row| row.json.as_str()).collect::<Vec<_>>());
    }
    let written = if transaction_pooler {
        let mut transaction = pool.begin().await.map_err(refused)?;
        statement.persistent(false).execute(&mut *transaction).await.map_err(refused)?;
        transaction.commit().await
    } else {
        statement.execute(pool).await.map(|_| ())
    };
    written.map_err(refused)
}

/// The run's step, and a call for each touched table. A statement for each combination of tables that occurs, of which
/// there are few.
fn text(touched: &[Model]) -> String {
    let mut text = "SELECT views.advance($1, $2, $3, $4, $5)".to_owned();
    for (nth, model) in touched.iter().enumerate() {
        let first = 6 + 6 * nth;
        let arguments: Vec<String> = (first..first + 6).map(|n| format!("${n}")).collect();
        text += &format!(", views.write_{}({})", model.name(), arguments.join(", "));
    }
    text
}

fn refused(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.as_deref() == Some(RUN_HAS_ENDED) { Error::Ended } else { Error::Write(error) }
}

//! Releases and skips: events of the log, which the worker that owns the key's partition meets in order.

use std::sync::Arc;

use domain::envelope::{Actor, ActorKind, Envelope};
use domain::id::TenantId;
use domain::read_model::{ReadModel, ReadModelCommand};
use event_store::{Appended, EventStore};
use pool::Pool;
use schema::log::Position;
use schema::view::Model;
use uuid::Uuid;

use super::{Error, list};

/// Who does it, and why: both stand with the event.
#[derive(Debug, Clone)]
pub struct Operator {
    pub name: String,
    pub reason: Option<String>,
}

impl Operator {
    fn envelope(&self) -> Arc<Envelope> {
        let actor = Actor { kind: ActorKind::System, id: self.name.clone() };
        Arc::new(Envelope { reason: self.reason.clone(), ..Envelope::new(TenantId::DEFAULT, actor) })
    }
}

/// Lets what waits of a key be folded again, in order. Answers the position of the event that says so: the read models
/// contain the outcome when they have reached it.
///
/// # Errors
/// [`Error::NotParked`] among others.
pub async fn release(
    pool: impl Into<Pool>,
    store: &EventStore,
    operator: &Operator,
    model: Model,
    key: Uuid,
) -> Result<Position, Error> {
    let pool = &pool.into();
    if list(pool, Some(model), Some(key), 1).await?.is_empty() {
        return Err(Error::NotParked { model, key });
    }
    let command = ReadModelCommand::Release { model: model.name().to_owned(), partition_key: key };
    append(store, operator, model, key, command).await
}

/// Leaves one waiting event out of a read model for good; if it is the one that the key waits for, the rest is folded.
///
/// # Errors
/// [`Error::NotParked`] and [`Error::NotWaiting`] among others.
pub async fn skip(
    pool: impl Into<Pool>,
    store: &EventStore,
    operator: &Operator,
    model: Model,
    key: Uuid,
    position: Position,
) -> Result<Position, Error> {
    let pool = &pool.into();
    if list(pool, Some(model), Some(key), 1).await?.is_empty() {
        return Err(Error::NotParked { model, key });
    }
    let waits = "SELECT EXISTS (SELECT FROM views.parked_events e JOIN views.builds b USING (build_id) \
                 WHERE b.model = $1 AND e.partition_key = $2 AND e.position = $3)";
    let waits: bool = sqlx::query_scalar(waits)
        .bind(model.name())
        .bind(key)
        .bind(position.0)
        .persistent(false)
        .fetch_one(pool)
        .await?;
    if !waits {
        return Err(Error::NotWaiting { model, key, position });
    }
    let model_name = model.name().to_owned();
    let command = ReadModelCommand::Skip { model: model_name, partition_key: key, position: position.0 };
    append(store, operator, model, key, command).await
}

async fn append(
    store: &EventStore,
    operator: &Operator,
    model: Model,
    key: Uuid,
    command: ReadModelCommand,
) -> Result<Position, Error> {
    let stream = ReadModel::key_stream_id(model.name(), key);
    let (decided, appended) = store
        .run(&operator.envelope(), move |session| {
            let command = command.clone();
            Box::pin(async move { session.decide::<ReadModel>(stream, key, command).await })
        })
        .await?;
    decided?;
    Ok(appended.as_ref().map(Appended::position).unwrap_or_default())
}

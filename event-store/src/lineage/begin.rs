//! Beginning a generation, and completing it.

use domain::log::{GenerationReason, LogEvent};
use pool::{Connection, Transaction};
use schema::log::{Generation, Position};
use sqlx::Row;

use super::look::Look;
use super::own::Own;
use crate::EventStore;

/// A generation to be begun where the log was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub at: Position,
    pub was: Generation,
    pub shared_upto: Position,
    /// Others have events up to here.
    pub lost_upto: Option<Position>,
    pub reason: GenerationReason,
}

/// What stands written of a generation that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub number: Generation,
    pub reason: GenerationReason,
    pub shared_upto: Position,
    pub lost: Option<(Position, Position)>,
}

impl Begin {
    /// False: the log is not there any more, or somebody else has begun one.
    pub async fn on(&self, connection: &mut Connection<'_>) -> Result<bool, sqlx::Error> {
        let statement = sqlx::query_scalar("SELECT log_begin_generation($1, $2, $3, $4, $5)")
            .bind(self.at.0)
            .bind(self.was.0)
            .bind(self.shared_upto.0)
            .bind(self.lost_upto.map(|upto| upto.0))
            .bind(self.reason.as_str());
        statement.persistent(false).fetch_one(connection).await
    }
}

impl Begun {
    pub async fn find(connection: &mut Connection<'_>) -> Result<Option<Self>, sqlx::Error> {
        let statement = sqlx::query(
            "SELECT number, reason, shared_upto, lost_from, lost_upto FROM log_generations WHERE completed_at IS NULL",
        );
        let Some(row) = statement.persistent(false).fetch_optional(connection).await? else { return Ok(None) };
        let (from, upto): (Option<i64>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
        Ok(Some(Self {
            number: Generation(row.try_get(0)?),
            reason: GenerationReason::parse(row.try_get(1)?).unwrap_or(GenerationReason::Operator),
            shared_upto: Position(row.try_get(2)?),
            lost: from.map(Position).zip(upto.map(Position)),
        }))
    }

    /// The position of the event that tells of it; none: somebody else has completed it, or positions are left to be filled.
    pub async fn complete(
        &self,
        connection: &mut Connection<'_>,
        why: Option<&str>,
    ) -> Result<Option<Position>, sqlx::Error> {
        let event = LogEvent::GenerationBegan {
            generation: self.number.0,
            reason: self.reason,
            shared_upto: self.shared_upto.0,
            lost_from: self.lost.map(|(from, _)| from.0),
            lost_upto: self.lost.map(|(_, upto)| upto.0),
        };
        let own = Own::of(event, why);
        let statement = own.bind(sqlx::query("SELECT log_complete_generation($1::json, $2, $3::json, $4, $5)"));
        let row = statement.persistent(false).fetch_one(connection).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(Position))
    }
}

/// Begins a generation in which nothing is missing and completes it: appends go on. False: the log was not as it was seen.
pub(super) async fn go_on(store: &EventStore, look: &Look, reason: GenerationReason) -> Result<bool, sqlx::Error> {
    let Look { position, generation, .. } = *look;
    let begin = Begin { at: position, was: generation, shared_upto: position, lost_upto: None, reason };
    let mut transaction: Transaction<'_> = store.database().pool.begin().await?;
    if !begin.on(&mut transaction).await? {
        return Ok(false);
    }
    let Some(begun) = Begun::find(&mut transaction).await? else { return Ok(false) };
    let told = begun.complete(&mut transaction, None).await?;
    transaction.commit().await?;
    store.era().learn(begun.number);
    tracing::warn!(generation = begun.number.0, at = %position, reason = reason.as_str(), ?told, "a generation of the log began");
    metrics::counter!("coulomb_log_generations_begun_total", "reason" => reason.as_str()).increment(1);
    Ok(true)
}

//! Who still needs events of a range from the log itself.

use std::collections::HashSet;

use domain::session::SessionState;
use domain::station_command::CommandState;
use event_store::archiving::{Range, WithoutState};
use schema::log::Position;
use uuid::Uuid;

use super::job::Job;

const ENDED: [SessionState; 2] = [SessionState::Completed, SessionState::Failed];
const SETTLED: [CommandState; 5] =
    [CommandState::Done, CommandState::Rejected, CommandState::Failed, CommandState::TimedOut, CommandState::Expired];

/// Consumers that have not read everything up to a position, and how far each is.
pub async fn behind(job: &Job<'_>, upto: Position) -> anyhow::Result<Vec<(String, i64)>> {
    Ok(sqlx::query_as(include_str!("consumers.sql")).bind(upto.0).fetch_all(job.pool).await?)
}

/// Read models with keys that wait for events of the range, and how many keys.
pub async fn parked(job: &Job<'_>, range: &Range) -> anyhow::Result<Vec<(String, i64)>> {
    let query = sqlx::query_as(include_str!("parked.sql"));
    Ok(query.bind(job.class.code()).bind(range.first.0).bind(range.last.0).fetch_all(job.pool).await?)
}

/// Of these streams, those on which something may still be decided: all but sessions that have ended and commands that are
/// settled. Should such a one be needed after all, it is read from the archive.
pub async fn open(job: &Job<'_>, streams: Vec<WithoutState>) -> anyhow::Result<Vec<WithoutState>> {
    let keys: Vec<String> = streams.iter().map(|stream| stream.id.to_string()).collect();
    let over: Vec<Uuid> = sqlx::query_scalar(include_str!("over.sql"))
        .bind(keys)
        .bind(ENDED.map(SessionState::as_str))
        .bind(SETTLED.map(CommandState::as_str))
        .fetch_all(job.pool)
        .await?;
    let over: HashSet<Uuid> = over.into_iter().collect();
    Ok(streams.into_iter().filter(|stream| !over.contains(&stream.id)).collect())
}

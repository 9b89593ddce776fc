//! The log beside what Kafka has of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::log::GenerationReason;
use schema::log::{Generation, Position};
use sqlx::Row;
use uuid::Uuid;

use super::begin::go_on;
use super::look::Look;
use crate::{EventStore, read};

/// The last record of a partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTail {
    pub topic: String,
    pub partition: i32,
    /// Of its event, or up to where it says that all is there.
    pub position: Position,
    pub generation: Generation,
    /// None: it is no event, but says how far the partition is.
    pub event_id: Option<Uuid>,
    /// Which log it is of, by the id of its first event; none: an older program wrote it, which did not say.
    pub log: Option<Uuid>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The log has all that is in Kafka.
    NothingLost,
    /// Kafka has events after the end of the log.
    Lost(Loss),
    /// Positions that the log has are other events in Kafka; there may be more of them after its end too.
    OtherHistory(Loss),
    /// What stands in Kafka is of another log, and says nothing of this one.
    Foreign(ForeignTopic),
}

/// A topic that another log stands in: the settings lead to the Kafka of another installation, or to its topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the topic {topic} has records of another log (partition {partition} at position {position}, of {}; this is {}), so KAFKA_BROKERS \
     or COULOMB_KAFKA_TOPIC_PREFIX leads to another installation: name what is this one's. If nobody needs those topics any more, \
     delete them, and they are made and written anew",
    .theirs.map_or_else(|| "one that it does not name".to_owned(), named),
    .ours.map_or_else(|| "one without events".to_owned(), named)
)]
pub struct ForeignTopic {
    pub topic: String,
    pub partition: i32,
    pub position: Position,
    /// None: the record does not say, and the log has another event there.
    pub theirs: Option<Uuid>,
    /// None: this log has no event yet.
    pub ours: Option<Uuid>,
}

fn named(log: Uuid) -> String {
    format!("the one that begins with event {log}")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub generation: Generation,
    /// The end of the log.
    pub head: Position,
    /// When the event at the head was recorded: the last time that is known.
    pub recorded_at: DateTime<Utc>,
    /// Up to here the log certainly has what Kafka has.
    pub shared_upto: Position,
    /// The highest position in Kafka that is not known to be lost.
    pub lost_upto: Position,
    pub reason: GenerationReason,
}

/// The generations that ended, and up to where the next one has their events.
pub(crate) struct Ends(Vec<(Generation, Position)>);

impl Ends {
    pub async fn load(store: &EventStore) -> Result<Self, sqlx::Error> {
        let statement = sqlx::query("SELECT number, shared_upto FROM log_generations ORDER BY number");
        let rows = store.database().fetch_all(statement).await?;
        let end = |row: &sqlx::postgres::PgRow| Ok((Generation(row.try_get(0)?), Position(row.try_get(1)?)));
        rows.iter().map(end).collect::<Result<_, sqlx::Error>>().map(Self)
    }

    /// Up to where what was written in a generation is part of the log; none: all of it.
    pub fn shared_upto(&self, of: Generation) -> Option<Position> {
        self.0.iter().filter(|(number, _)| *number > of).map(|(_, shared)| *shared).min()
    }

    /// Whether a record is known to be lost: whoever wrote it, and whenever, it says nothing of the log as it goes on. A relay
    /// that was frozen before the generation began writes such records when it wakes.
    fn has_lost(&self, tail: &KafkaTail) -> bool {
        self.shared_upto(tail.generation).is_some_and(|shared| tail.position > shared)
    }

    /// The highest position in Kafka that the log has to be compared with. While lost positions are filled, those count as well:
    /// what has come into Kafka since may lie above them.
    fn highest(&self, look: &Look, tails: &[KafkaTail]) -> Position {
        let counts = |tail: &&KafkaTail| look.filling_upto.is_some() || !self.has_lost(tail);
        tails.iter().filter(counts).map(|tail| tail.position).max().unwrap_or_default()
    }
}

/// The highest position in Kafka, but for what is known to be lost.
pub(super) async fn highest_in_kafka(
    store: &EventStore,
    look: &Look,
    tails: &[KafkaTail],
) -> Result<Position, sqlx::Error> {
    Ok(Ends::load(store).await?.highest(look, tails))
}

/// Compares the log with the last record of each partition. Changes nothing.
///
/// # Errors
/// When the log can't be read.
pub async fn compare(store: &EventStore, tails: &[KafkaTail]) -> Result<Comparison, read::Error> {
    compare_at(store, &Look::at(store).await?, tails).await
}

/// Compares, and does what follows: where nothing is lost a new generation begins, if one has to; else nothing is appended
/// any more until an operator has recovered the log. For the relay's leader, at each taking of its lease and whenever
/// [`EventStore::lineage`] says that the log takes nothing.
///
/// # Errors
/// When the log can't be read or the outcome not be written.
pub async fn settle(store: &EventStore, tails: &[KafkaTail]) -> Result<Comparison, read::Error> {
    let look = Look::at(store).await?;
    let comparison = compare_at(store, &look, tails).await?;
    match &comparison {
        Comparison::NothingLost => {
            let reason = look.change().or(store.era().has_gone_back().then_some(GenerationReason::WentBack));
            if let Some(reason) = reason {
                // False: somebody else was faster, or an operator's recovery is under way.
                go_on(store, &look, reason).await?;
            }
        }
        Comparison::Lost(loss) | Comparison::OtherHistory(loss) => halt(store, &look, loss).await?,
        Comparison::Foreign(_) => {
            // Where it was never in any Kafka, nobody else keeps it.
            let loses_nothing = look.halt.as_ref().is_none_or(|halt| halt.lost_upto.is_none());
            if let Some(reason) = look.change()
                && loses_nothing
                && !was_relayed(store).await?
            {
                go_on(store, &look, reason).await?;
            }
        }
    }
    store.era().look();
    Ok(comparison)
}

/// Compares, and halts the log where something is lost. Begins no generation: more may have come into Kafka since. For a
/// process that starts, before it appends anything: a backup that was copied back while none ran looks to it as the log ever
/// did.
///
/// # Errors
/// When the log can't be read or the outcome not be written.
pub async fn halt_if_lost(store: &EventStore, tails: &[KafkaTail]) -> Result<Comparison, read::Error> {
    let look = Look::at(store).await?;
    let comparison = compare_at(store, &look, tails).await?;
    if let Comparison::Lost(loss) | Comparison::OtherHistory(loss) = &comparison {
        halt(store, &look, loss).await?;
        store.era().look();
    }
    Ok(comparison)
}

/// Nothing is appended any more; unless an operator is recovering the log already.
async fn halt(store: &EventStore, look: &Look, loss: &Loss) -> Result<(), sqlx::Error> {
    if look.filling_upto.is_some() {
        return Ok(());
    }
    let statement = sqlx::query("SELECT log_stop($1, $2, $3, $4)")
        .bind(loss.reason.as_str())
        .bind(loss.generation.0)
        .bind(loss.shared_upto.0)
        .bind(loss.lost_upto.0);
    store.database().execute(statement).await.map(|_| ())
}

pub(super) async fn compare_at(
    store: &EventStore,
    look: &Look,
    tails: &[KafkaTail],
) -> Result<Comparison, read::Error> {
    if let Some(foreign) = of_another_log(store, look, tails).await? {
        return Ok(Comparison::Foreign(foreign));
    }
    let ends = Ends::load(store).await?;
    // What is known to be lost has fillers in its place, which no record in Kafka has to equal.
    let highest = ends.highest(look, tails);
    let within: Vec<&KafkaTail> =
        tails.iter().filter(|tail| tail.position <= look.position && !ends.has_lost(tail)).collect();
    let ours = events_at(store, &within).await?;
    let (mut agreed, mut other): (Position, Option<Position>) = (Position::START, None);
    for tail in &within {
        let Some(event_id) = tail.event_id else { continue };
        if tail.generation <= look.generation && ours.get(&tail.position) == Some(&event_id) {
            agreed = agreed.max(tail.position);
        } else {
            other = Some(other.map_or(tail.position, |other| other.min(tail.position)));
        }
    }
    if other.is_none() && highest <= look.position {
        return Ok(Comparison::NothingLost);
    }
    let reason = look.change().unwrap_or(GenerationReason::WentBack);
    let known = look.halt.as_ref().filter(|halt| halt.lost_upto.is_some()).map(|halt| halt.shared_upto);
    let shared_upto = match (known, other) {
        (Some(known), _) => known,
        (None, Some(other)) => Position(other.0 - 1).min(agreed.max(relayed(store).await?)),
        // It is refused what it gets since the server is another: it ends where the two part.
        (None, None) if look.is_untouched() => look.position,
        // It may have been appended to before somebody noticed.
        (None, None) => agreed.max(relayed(store).await?).min(look.position),
    };
    let loss = Loss {
        generation: look.generation,
        head: look.position,
        recorded_at: look.recorded_at,
        shared_upto,
        lost_upto: highest,
        reason,
    };
    Ok(if other.is_some() { Comparison::OtherHistory(loss) } else { Comparison::Lost(loss) })
}

/// A record of another log, if there is one. Of those that say nothing, by an older program: where this log was never relayed,
/// and has none of their events at their positions.
async fn of_another_log(
    store: &EventStore,
    look: &Look,
    tails: &[KafkaTail],
) -> Result<Option<ForeignTopic>, read::Error> {
    if tails.is_empty() {
        return Ok(None);
    }
    let ours = store.identity().await?;
    let foreign = |tail: &KafkaTail| ForeignTopic {
        topic: tail.topic.clone(),
        partition: tail.partition,
        position: tail.position,
        theirs: tail.log,
        ours,
    };
    if let Some(tail) = tails.iter().find(|tail| tail.log.is_some() && tail.log != ours) {
        return Ok(Some(foreign(tail)));
    }
    if tails.iter().any(|tail| tail.log.is_some()) || was_relayed(store).await? {
        return Ok(None);
    }
    let within: Vec<&KafkaTail> = tails.iter().filter(|tail| tail.position <= look.position).collect();
    let has = events_at(store, &within).await?;
    let is_ours = |tail: &KafkaTail| tail.event_id.is_some() && has.get(&tail.position) == tail.event_id.as_ref();
    Ok(if tails.iter().any(is_ours) { None } else { tails.first().map(foreign) })
}

/// The events that the log has where Kafka has these.
async fn events_at(store: &EventStore, tails: &[&KafkaTail]) -> Result<HashMap<Position, Uuid>, read::Error> {
    let mut positions: Vec<Position> =
        tails.iter().filter(|tail| tail.event_id.is_some()).map(|tail| tail.position).collect();
    positions.sort_unstable();
    positions.dedup();
    let events = store.read_at(&positions).await?;
    Ok(events.into_iter().map(|event| (event.position, event.event_id)).collect())
}

/// Whether the log was ever put into any Kafka.
pub(super) async fn was_relayed(store: &EventStore) -> Result<bool, sqlx::Error> {
    let rows = store.database().fetch_all(sqlx::query(include_str!("relayed.sql"))).await?;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

/// Up to here the log was in Kafka when it was last written down, in the log's own history.
async fn relayed(store: &EventStore) -> Result<Position, sqlx::Error> {
    let rows = store.database().fetch_all(sqlx::query("SELECT coalesce(max(position), 0) FROM relay")).await?;
    Ok(Position(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?))
}

//! Where a leader begins: after the checkpoint, or earlier where Kafka has lost what it had acknowledged. It acknowledges before
//! anything is on a disk, so the last records of one broker are gone with its power; a volume may be an old copy, an election
//! unclean, a topic deleted. A watermark above such a hole would hide it from everybody.

use schema::log::{Generation, Position};
use schema::partition::PARTITION_COUNT;
use schema::topics::{LogTopic, STATION_COMMANDS};
use sqlx::Row;

use super::checkpoint::Checkpoint;
use super::lasts::Lasts;
use super::tails::Tails;
use crate::EventStore;
use crate::read::READ_POSITIONS_MAX;

/// Partitions that were found to have lost something.
pub(super) const LOST: &str = "coulomb_relay_lost_partitions_total";
/// Partitions that are named.
const NAMED_MAX: usize = 8;
/// Stretches of the log that are searched for the event before a hole; where it is older, or in an archive, none is told of.
const SEARCHED_MAX: usize = 100;

pub(super) struct Beginning {
    /// Everything up to here is in Kafka, and what was the last event of each partition by then.
    pub checkpoint: Checkpoint,
    /// Of each partition, what Kafka has: up to there nothing is written.
    pub has: Lasts,
}

/// A partition whose records end before what it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    topic: LogTopic,
    partition: u8,
    /// Up to here it has everything.
    has: Position,
    /// Its last event, as it was acknowledged.
    had: Position,
}

impl Beginning {
    /// `has`: as the tails say, of the log as it is.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn find(
        store: &EventStore,
        checkpoint: Checkpoint,
        tails: &Tails,
        mut has: Lasts,
    ) -> Result<Self, sqlx::Error> {
        for &(topic, partition) in &tails.expired {
            has.replace(topic, partition, checkpoint.lasts.get(topic, partition));
        }
        let short = short(&checkpoint.lasts, tails);
        let Some(from) = short.iter().map(|short| short.has).min() else { return Ok(Self { checkpoint, has }) };
        tell(&checkpoint, &short, from);
        // Of the others all is left out up to what they have, by which time their last events are known.
        let lacks = |topic, partition| has.get(topic, partition) < checkpoint.lasts.get(topic, partition);
        let lacking: Vec<(LogTopic, u8)> = partitions().filter(|&(topic, partition)| lacks(topic, partition)).collect();
        let checkpoint = at(store, from, &checkpoint.lasts, &lacking).await?;
        Ok(Self { checkpoint, has })
    }
}

fn partitions() -> impl Iterator<Item = (LogTopic, u8)> {
    LogTopic::ALL.into_iter().flat_map(|topic| (0..PARTITION_COUNT).map(move |partition| (topic, partition)))
}

/// Which partitions end before the last event that they are known to have had.
fn short(lasts: &Lasts, tails: &Tails) -> Vec<Short> {
    let expired = |of: &(LogTopic, u8)| tails.expired.contains(of);
    let of = |(topic, partition)| {
        let has = tails.last(topic, partition).map(|tail| tail.position).unwrap_or_default();
        let had = lasts.get(topic, partition);
        (has < had).then_some(Short { topic, partition, has, had })
    };
    partitions().filter(|of| !expired(of)).filter_map(of).collect()
}

fn tell(checkpoint: &Checkpoint, short: &[Short], from: Position) {
    let name =
        |Short { topic, partition, has, had }: &Short| format!("{topic} {partition} ends at {has} and had {had}");
    let named: Vec<String> = short.iter().take(NAMED_MAX).map(name).collect();
    tracing::error!(
        partitions = short.len(),
        first = named.join("; "),
        relayed = %checkpoint.position,
        %from,
        "Kafka has lost records that it had acknowledged: they are written again from the log"
    );
    metrics::counter!(LOST).increment(short.len() as u64);
}

/// How things stood at a position, as far as they are needed: of those that lack something, which event was the last. None where
/// that is far back: the partition has it, and `prev` says less than it could.
async fn at(
    store: &EventStore,
    position: Position,
    known: &Lasts,
    lacking: &[(LogTopic, u8)],
) -> Result<Checkpoint, sqlx::Error> {
    let mut found = Checkpoint { position, generation: Generation::FIRST, lasts: *known };
    let mut open = lacking.to_vec();
    for &(topic, partition) in lacking {
        found.lasts.replace(topic, partition, Position::START);
    }
    let mut upto = position;
    for _ in 0..SEARCHED_MAX {
        if upto == Position::START || open.is_empty() {
            return Ok(found);
        }
        let after = Position((upto.0 - READ_POSITIONS_MAX).max(0));
        let statement = sqlx::query(include_str!("beginning/lasts_within.sql"))
            .bind(after.0)
            .bind(upto.0)
            .bind(STATION_COMMANDS.map(str::to_owned).to_vec());
        let rows = store.database().fetch_all(statement).await?;
        let events = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>(4))?;
        // The rest of it is in archives, and may hold later ones than these.
        if events < upto.0 - after.0 {
            break;
        }
        for row in &rows {
            let partition = row.try_get::<i16, _>(0)?;
            let lasts: [Option<i64>; 2] = [row.try_get(1)?, row.try_get(2)?];
            found.generation = found.generation.max(Generation(row.try_get(3)?));
            for (topic, last) in LogTopic::ALL.into_iter().zip(lasts) {
                let is_it = |of: &(LogTopic, u8)| of.0 == topic && i16::from(of.1) == partition;
                let (Some(last), Some(at)) = (last, open.iter().position(is_it)) else { continue };
                let (_, partition) = open.swap_remove(at);
                found.lasts.replace(topic, partition, Position(last));
            }
        }
        upto = after;
    }
    // Nothing of it is in the log itself: not even the generation is known.
    Ok(if upto == position { Checkpoint::START } else { found })
}

#[cfg(test)]
mod tests {
    use super::super::tails::Tail;
    use super::*;

    fn tail(topic: LogTopic, partition: u8, position: i64) -> Tail {
        let position = Position(position);
        Tail { topic, partition, offset: 0, position, generation: Generation::FIRST, event_id: None, log: None }
    }

    #[test]
    fn a_partition_is_short_where_it_ends_before_its_last_event() {
        let mut lasts = Lasts::NONE;
        for (partition, had) in [(3, 90), (4, 95), (5, 70), (6, 60)] {
            lasts.replace(LogTopic::Events, partition, Position(had));
        }
        lasts.replace(LogTopic::StationCommands, 3, Position(90));
        let tails = Tails {
            // One ends with a watermark above its last event; one has nothing; one has nothing any more.
            tails: vec![
                tail(LogTopic::Events, 3, 100),
                tail(LogTopic::Events, 4, 80),
                tail(LogTopic::Events, 9, 20),
                tail(LogTopic::StationCommands, 3, 90),
            ],
            expired: vec![(LogTopic::Events, 6)],
        };
        let of =
            |partition, has, had| Short { topic: LogTopic::Events, partition, has: Position(has), had: Position(had) };
        assert_eq!(short(&lasts, &tails), [of(4, 80, 95), of(5, 0, 70)]);
    }
}

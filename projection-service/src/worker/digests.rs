//! What a worker has consumed, as digests: of each of its partitions, the block of positions that is under way.

use std::collections::BTreeMap;

use pool::Connection;
use schema::digest::{BlockDigest, block_of};
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;
use uuid::Uuid;

/// The running digest of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Running {
    Known(BlockDigest),
    /// Part of the block was consumed when no digests were kept.
    Unknown {
        block: i64,
    },
}

impl Running {
    pub const fn block(&self) -> i64 {
        match self {
            Self::Known(digest) => digest.block,
            Self::Unknown { block } => *block,
        }
    }
}

impl Running {
    /// From what stands with a checkpoint; no digest: it is not known.
    pub fn stored(block: i64, events: i32, digest: Option<&[u8]>) -> Self {
        match digest.and_then(|digest| digest.try_into().ok()) {
            Some(digest) => Self::Known(BlockDigest { block, events, digest }),
            None => Self::Unknown { block },
        }
    }

    /// As it is stored: number of events and digest.
    pub fn columns(&self) -> (i32, Option<Vec<u8>>) {
        match self {
            Self::Known(digest) => (digest.events, Some(digest.digest.to_vec())),
            Self::Unknown { .. } => (0, None),
        }
    }
}

/// Writes down what a build has consumed of blocks that are done with; 0 stands for all live ones.
pub(crate) async fn consume(
    connection: &mut Connection<'_>,
    build_id: i64,
    ended: &[(Partition, BlockDigest)],
) -> Result<(), sqlx::Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let ended = || ended.iter();
    let statement = sqlx::query("SELECT views.consume($1, $2, $3, $4, $5)")
        .bind(build_id)
        .bind(ended().map(|(partition, _)| i16::from(partition.number())).collect::<Vec<_>>())
        .bind(ended().map(|(_, digest)| digest.block).collect::<Vec<_>>())
        .bind(ended().map(|(_, digest)| digest.events).collect::<Vec<_>>())
        .bind(ended().map(|(_, digest)| digest.digest.to_vec()).collect::<Vec<_>>());
    statement.persistent(false).execute(connection).await.map(|_| ())
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Digests(BTreeMap<Partition, Running>);

impl Digests {
    /// What stands with the checkpoint of a partition, which goes on after `position`.
    pub fn insert(&mut self, partition: Partition, position: Position, stored: Running) {
        let block = block_of(Position(position.0 + 1));
        // Nothing was consumed yet of a block after that of the checkpoint's digest.
        let running = if stored.block() == block { stored } else { Running::Known(BlockDigest::of(block)) };
        self.0.insert(partition, running);
    }

    pub fn get(&self, partition: Partition) -> Option<&Running> {
        self.0.get(&partition)
    }

    /// Takes the events of a batch, and answers the digests of the blocks that it ends, `upto` included.
    pub fn take<'e>(
        &mut self,
        events: impl IntoIterator<Item = &'e RecordedEvent>,
        upto: Position,
    ) -> Vec<(Partition, BlockDigest)> {
        let mut ended = vec![];
        for event in events {
            self.take_one(event.partition, event.position, event.payload_hash, &mut ended);
        }
        for partition in Partition::all() {
            self.reach(partition, upto, &mut ended);
        }
        ended
    }

    /// Takes one event.
    pub fn take_one(
        &mut self,
        partition: Partition,
        position: Position,
        payload_hash: Uuid,
        ended: &mut Vec<(Partition, BlockDigest)>,
    ) {
        let Some(running) = self.0.get_mut(&partition) else { return };
        roll(partition, running, block_of(position), ended);
        if let Running::Known(digest) = running {
            digest.take(position, payload_hash);
        }
    }

    /// A partition has no further events up to here.
    pub fn reach(&mut self, partition: Partition, upto: Position, ended: &mut Vec<(Partition, BlockDigest)>) {
        if let Some(running) = self.0.get_mut(&partition) {
            roll(partition, running, block_of(Position(upto.0 + 1)), ended);
        }
    }

    /// Those of some partitions.
    pub fn of(&self, wanted: impl Fn(&Partition) -> bool) -> Self {
        let of = self.0.iter().filter(|(partition, _)| wanted(partition));
        Self(of.map(|(partition, running)| (*partition, *running)).collect())
    }
}

fn roll(partition: Partition, running: &mut Running, to: i64, ended: &mut Vec<(Partition, BlockDigest)>) {
    while running.block() < to {
        let block = running.block();
        if let Running::Known(digest) = running {
            ended.push((partition, *digest));
        }
        *running = Running::Known(BlockDigest::of(block + 1));
    }
}

#[cfg(test)]
mod tests {
    use read_models::testing::{MemoryLog, Network};
    use schema::digest::BLOCK_POSITIONS;

    use super::*;

    /// However the events are cut into batches, and wherever a worker begins anew, the digests are the same.
    #[test]
    fn digests_do_not_depend_on_batches() {
        let mut network = Network::new(3);
        let mut log = MemoryLog::default();
        for _ in 0..200 {
            log.append(network.step());
        }
        // The same events, as if they were around the end of the second block.
        let shift = 2 * BLOCK_POSITIONS - log.events().len() as i64 / 2;
        let events: Vec<RecordedEvent> = log
            .events()
            .iter()
            .map(|event| {
                let mut event = event.as_ref().clone();
                event.position.0 += shift;
                event
            })
            .collect();
        let begin = || {
            let mut digests = Digests::default();
            for partition in Partition::all() {
                let stored = Running::Known(BlockDigest::of(block_of(Position(shift + 1))));
                digests.insert(partition, Position(shift), stored);
            }
            digests
        };
        let end = Position(shift + events.len() as i64);
        let mut whole = begin();
        let mut whole_ended = whole.take(&events, end);
        whole_ended.sort_by_key(|(partition, _)| *partition);
        assert_eq!(whole_ended.len(), 64);

        let mut parts = begin();
        let mut parts_ended = vec![];
        let mut checkpoints: BTreeMap<Partition, Running> = BTreeMap::new();
        for part in events.chunks(7) {
            let upto = part.last().unwrap().position;
            parts_ended.extend(parts.take(part, upto));
            for event in part {
                checkpoints.insert(event.partition, *parts.get(event.partition).unwrap());
            }
            // A successor knows what stands with the checkpoints of the partitions that had events.
            let mut successor = Digests::default();
            for partition in Partition::all() {
                let first = Running::Known(BlockDigest::of(block_of(Position(shift + 1))));
                successor.insert(partition, upto, checkpoints.get(&partition).copied().unwrap_or(first));
            }
            assert_eq!(successor.0, parts.0);
        }
        parts_ended.sort_by_key(|(partition, _)| *partition);
        assert_eq!((parts.0, parts_ended), (whole.0, whole_ended));
    }
}

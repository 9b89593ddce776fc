//! What a worker has consumed, as digests: of each of its partitions, the block of positions that is under way.

use std::collections::BTreeMap;

use schema::digest::{BlockDigest, block_of};
use schema::log::{Position, RecordedEvent};
use schema::partition::Partition;

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
            let Some(running) = self.0.get_mut(&event.partition) else { continue };
            roll(event.partition, running, block_of(event.position), &mut ended);
            if let Running::Known(digest) = running {
                digest.take(event.position, event.payload_hash);
            }
        }
        let next = block_of(Position(upto.0 + 1));
        for (partition, running) in &mut self.0 {
            roll(*partition, running, next, &mut ended);
        }
        ended
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

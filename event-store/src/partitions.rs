//! A set of the log's partitions.

use schema::partition::{PARTITION_COUNT, Partition};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartitionSet(u64);

const _: () = assert!(PARTITION_COUNT as u32 == u64::BITS, "a bit for each partition");

impl PartitionSet {
    pub const ALL: Self = Self(u64::MAX);
    pub const NONE: Self = Self(0);

    pub fn contains(self, partition: Partition) -> bool {
        self.0 & (1 << partition.number()) != 0
    }

    #[must_use]
    pub fn with(self, partition: Partition) -> Self {
        Self(self.0 | (1 << partition.number()))
    }

    #[must_use]
    pub fn without(self, partition: Partition) -> Self {
        Self(self.0 & !(1 << partition.number()))
    }

    pub fn is_all(self) -> bool {
        self == Self::ALL
    }

    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub fn iter(self) -> impl Iterator<Item = Partition> {
        Partition::all().filter(move |&partition| self.contains(partition))
    }
}

impl FromIterator<Partition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        partitions.into_iter().fold(Self::NONE, Self::with)
    }
}

//! The order in which the streams that a flush writes are locked: the same in every process, hence no deadlock.

use crate::append::Append;

/// Each write's place among all writes of the appends, sorted by stream.
pub(super) fn places<'a>(appends: impl Iterator<Item = &'a Append>) -> Vec<usize> {
    let streams: Vec<_> = appends
        .flat_map(|append| &append.writes)
        .map(|write| (write.stream.id, write.stream.aggregate.as_str()))
        .collect();
    let mut sorted: Vec<usize> = (0..streams.len()).collect();
    sorted.sort_unstable_by_key(|&nth| streams[nth]);
    let mut places = vec![0; sorted.len()];
    for (place, nth) in sorted.into_iter().enumerate() {
        places[nth] = place;
    }
    places
}

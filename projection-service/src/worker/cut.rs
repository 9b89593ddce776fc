//! Where a batch ends: rows are kept as they were at boundaries, so none has events from both sides of one.

use std::sync::Arc;

use schema::log::{Position, RecordedEvent};
use schema::view::Boundaries;

/// How many of the events make the next batch, of at most `events_max`, and up to where it goes; none: all of them, up to
/// wherever they were read.
pub(super) fn cut(
    events: &[Arc<RecordedEvent>],
    events_max: usize,
    boundaries: &Boundaries,
) -> Option<(usize, Position)> {
    let first = events.first()?;
    let boundary = boundaries.at_or_above(first.position);
    let within = boundary.map_or(events.len(), |boundary| events.partition_point(|event| event.position <= boundary));
    if within > events_max {
        return Some((events_max, events[events_max - 1].position));
    }
    // Nothing is between the last of them and the boundary.
    boundary.filter(|_| within < events.len()).map(|boundary| (within, boundary))
}

#[cfg(test)]
mod tests {
    use read_models::testing::{MemoryLog, Network};

    use super::*;

    #[test]
    fn no_batch_reaches_over_a_boundary_and_all_events_are_in_one() {
        let (mut network, mut log) = (Network::new(1), MemoryLog::default());
        while log.events().len() < 300 {
            log.append(network.step());
        }
        // As of some partitions: there are gaps.
        let events: Vec<_> = log.events().iter().filter(|event| event.position.0 % 3 != 0).cloned().collect();
        for (first, every, events_max) in [(0, 7, 500), (50, 100, 20), (0, 1, 500), (1_000, 5, 11)] {
            let boundaries = Boundaries::new(vec![(Position(first), every)]);
            let (mut rest, mut at) = (events.as_slice(), Position::START);
            while let Some((count, upto)) = cut(rest, events_max, &boundaries) {
                let (batch, after) = rest.split_at(count);
                assert!((1..=events_max).contains(&count));
                assert!(batch[count - 1].position <= upto && after[0].position > upto && upto > at);
                assert_eq!(boundaries.at_or_above(batch[0].position), boundaries.at_or_above(upto));
                (rest, at) = (after, upto);
            }
            assert!(rest.len() <= events_max);
            let ends = [rest.first(), rest.last()].map(|event| boundaries.at_or_above(event.unwrap().position));
            assert_eq!(ends[0], ends[1]);
        }
    }
}

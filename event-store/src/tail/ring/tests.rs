use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::tail::tests::event;

fn one(position: i64) -> Stretch {
    Stretch::of_one(event(position, Generation::FIRST), 10)
}

fn stretch(after: i64, upto: i64) -> Stretch {
    let events = (after + 1..=upto).map(|position| event(position, Generation::FIRST)).collect();
    Stretch { after: Position(after), upto: Position(upto), events, bytes: 0 }
}

const BYTES: usize = 1_000_000;

fn ring_at(head: i64, events: usize) -> Ring {
    Ring::starting_at(Position(head), Generation::FIRST, Limits { events, bytes: BYTES })
}

/// What a follower gets from `from` on, as far as the ring has it.
fn glanced(ring: &Ring, from: i64) -> Option<Vec<i64>> {
    match ring.glance(Position(from), PartitionSet::ALL, usize::MAX) {
        Glance::Events(events, ..) => Some(events.iter().map(|event| event.position.0).collect()),
        Glance::Nothing => Some(vec![]),
        Glance::Behind => None,
    }
}

#[test]
fn what_comes_early_waits_and_what_comes_twice_is_passed_over() {
    let mut ring = ring_at(5, 100);
    assert_eq!(ring.take(one(5)), Taken::Known);
    assert_eq!(ring.take(one(8)), Taken::Early);
    assert_eq!(ring.take(one(8)), Taken::Known);
    assert_eq!(ring.take(one(6)), Taken::Grew);
    assert_eq!((ring.upto(), ring.highest(), ring.has_gap()), (Position(6), Position(8), true));
    assert_eq!(ring.take(one(7)), Taken::Grew);
    assert_eq!((ring.upto(), ring.has_gap()), (Position(8), false));
    assert_eq!(ring.take(one(7)), Taken::Known);
    assert_eq!(glanced(&ring, 5), Some(vec![6, 7, 8]));
}

#[test]
fn what_waits_is_bounded_in_events_and_in_bytes() {
    let mut ring = ring_at(0, 100);
    let many = EARLY_EVENTS_MAX as i64;
    assert!((2..2 + many).all(|position| ring.take(one(position)) == Taken::Early));
    assert_eq!(ring.take(one(2 + many)), Taken::NoRoom);
    assert_eq!(ring.take(one(1)), Taken::Grew);
    assert_eq!((ring.early_events, ring.early_bytes), (0, 0));

    let mut ring = ring_at(0, 100);
    let large = |position| Stretch { bytes: EARLY_BYTES_MAX / 2, ..one(position) };
    assert_eq!([2, 3, 4].map(|position| ring.take(large(position))), [Taken::Early, Taken::Early, Taken::NoRoom]);
    assert_eq!(ring.forget_above(Position(2)), 1);
    assert_eq!(ring.take(large(4)), Taken::Early);
}

#[test]
fn what_is_kept_is_bounded_in_bytes_and_the_newest_is_kept() {
    let mut ring = ring_at(0, 100);
    let sized = |position, bytes| Stretch { bytes, ..one(position) };
    for position in 1..=5 {
        ring.take(sized(position, BYTES * 2 / 5));
    }
    assert_eq!((glanced(&ring, 2), glanced(&ring, 3)), (None, Some(vec![4, 5])));
    // What waited counts from when it does no more.
    assert_eq!(ring.take(sized(7, BYTES / 2)), Taken::Early);
    assert_eq!(glanced(&ring, 3), Some(vec![4, 5]));
    ring.take(sized(6, 0));
    assert_eq!((glanced(&ring, 3), glanced(&ring, 4)), (None, Some(vec![5, 6, 7])));
    // Of a stretch, each counts alike.
    ring.fill(Stretch { bytes: BYTES * 2, ..stretch(7, 11) });
    assert_eq!((glanced(&ring, 8), glanced(&ring, 9)), (None, Some(vec![10, 11])));
    ring.take(sized(12, BYTES * 3));
    assert_eq!((glanced(&ring, 10), glanced(&ring, 11)), (None, Some(vec![12])));
    ring.take(sized(13, 1));
    assert_eq!((glanced(&ring, 11), glanced(&ring, 12)), (None, Some(vec![13])));
    assert_eq!(ring.bytes, 1);
}

/// A log is brought record by record, out of order between partitions, some twice, some never, some all over again, and
/// now and then it is filled up to the head. Whatever happens, the ring has every event once and in order, and says
/// exactly how many positions had not been brought.
#[test]
fn nothing_is_missing_and_nothing_is_twice_whatever_is_brought() {
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let last: i64 = random.random_range(1..400);
        let mut ring = ring_at(0, random.random_range(1..500));
        let (mut brought, mut follower, mut seen) = (HashSet::new(), 0, vec![]);
        let mut head = 0;
        while ring.upto().0 < last {
            head = last.min(head + random.random_range(0..8));
            match random.random_range(0..20) {
                // Somewhere about the end.
                0..=15 if head > 0 => {
                    let position = (head - random.random_range(0..12)).max(1);
                    let known = position <= ring.upto().0 || brought.contains(&position);
                    match ring.take(one(position)) {
                        Taken::Known => assert!(known, "seed {seed}"),
                        Taken::Grew | Taken::Early => {
                            brought.insert(position);
                        }
                        Taken::NoRoom => panic!("seed {seed}: there is room"),
                    }
                }
                // A woken leader tells a part again.
                16 if head > 0 => {
                    for position in random.random_range(1..=head)..=head {
                        if position > ring.upto().0 {
                            brought.insert(position);
                        }
                        ring.take(one(position));
                    }
                }
                17 if random.random_bool(0.3) => {
                    let upto = ring.upto().0;
                    let missing = (upto + 1..=head).filter(|position| !brought.contains(position)).count();
                    assert_eq!(ring.fill(stretch(upto, head)), missing as i64, "seed {seed}");
                    assert!(ring.upto().0 >= head, "seed {seed}");
                }
                // What the log doesn't have.
                18 => {
                    let above = head + random.random_range(1..5);
                    if ring.take(one(above)) != Taken::Grew {
                        brought.retain(|&position| position <= head);
                        ring.forget_above(Position(head));
                    } else {
                        head = head.max(above).min(last);
                        brought.insert(above);
                    }
                }
                _ => {}
            }
            if random.random_bool(0.4) {
                // One that is behind the ring reads the log.
                let had = glanced(&ring, follower).unwrap_or_else(|| (follower + 1..=ring.upto().0).collect());
                follower = had.last().copied().unwrap_or(follower);
                seen.extend(had);
            }
        }
        seen.extend(glanced(&ring, follower).unwrap_or_else(|| (follower + 1..=ring.upto().0).collect()));
        assert_eq!(seen, (1..=ring.upto().0).collect::<Vec<_>>(), "seed {seed}");
        if !ring.has_gap() {
            assert_eq!((ring.early_events, ring.early_bytes), (0, 0), "seed {seed}");
        }
    }
}

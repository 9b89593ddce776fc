use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// A record of one partition: an event with the one before it, or a watermark.
#[derive(Debug, Clone, Copy)]
enum Record {
    Event(i64, i64),
    Watermark(i64),
}

fn partition(number: u8) -> Partition {
    Partition::new(number).expect("a partition")
}

impl Record {
    fn at(self) -> i64 {
        match self {
            Self::Event(at, _) | Self::Watermark(at) => at,
        }
    }

    fn step(self) -> Step {
        match self {
            Self::Event(position, prev) => Step::Event { position: Position(position), prev: Position(prev) },
            Self::Watermark(upto) => Step::Watermark(Position(upto)),
        }
    }
}

#[test]
fn a_watermark_is_believed_only_where_nothing_can_have_been_missed() {
    let (mut coverage, it) = (Coverage::starting_at(Position(10)), partition(0));
    let watermark = |coverage: &mut Coverage, offset, upto| {
        coverage.offset(it, offset);
        coverage.take(it, Step::Watermark(Position(upto)));
        coverage.of(it).last
    };
    coverage.begun();
    assert_eq!(watermark(&mut coverage, 40, 12), Position(10), "what came before is not known");
    assert_eq!(coverage.doubts(), PartitionSet::NONE.with(it));
    coverage.owed(Position(13), coverage.doubts());
    assert_eq!(coverage.holes_span(), Some((Position(10), Position(13))));
    coverage.filled();
    assert_eq!(watermark(&mut coverage, 41, 15), Position(15));
    assert_eq!((coverage.holes_span(), coverage.doubts()), (None, PartitionSet::NONE));
    assert_eq!(watermark(&mut coverage, 43, 18), Position(15), "Kafka has left out a record");
}

/// Kafka has lost a record that it had acknowledged.
#[test]
fn a_watermark_that_was_wrong_shows_by_the_next_event() {
    let (mut coverage, it) = (Coverage::starting_at(Position(10)), partition(0));
    coverage.offset(it, 0);
    coverage.owed(Position(10), coverage.doubts());
    coverage.take(it, Step::Event { position: Position(12), prev: Position(4) });
    coverage.take(it, Step::Watermark(Position(20)));
    assert_eq!(coverage.holes_span(), None);
    coverage.take(it, Step::Event { position: Position(21), prev: Position(15) });
    assert_eq!(coverage.holes_span(), Some((Position(12), Position(15))));
}

/// Commands of a few partitions come with all that can go wrong. What was taken and what was read for holes is, together,
/// everything, each once.
#[test]
fn nothing_is_missing_and_nothing_is_twice_whatever_is_brought() {
    for seed in 0..500 {
        let mut random = StdRng::seed_from_u64(seed);
        let last: i64 = random.random_range(1..300);
        // Which partition each position is a command of, if any.
        let log: Vec<Option<u8>> =
            (0..=last).map(|at| (at > 0 && random.random_bool(0.3)).then(|| random.random_range(0..3))).collect();
        // What stands in the topic: now and then a woken leader has repeated something, to stop anywhere.
        let mut topic: [Vec<Record>; 3] = Default::default();
        let mut before = [0; 3];
        for at in 1..=last {
            if let Some(of) = log[at as usize] {
                topic[usize::from(of)].push(Record::Event(at, before[usize::from(of)]));
                before[usize::from(of)] = at;
            }
            if random.random_bool(0.1) || at == last {
                topic.iter_mut().for_each(|records| records.push(Record::Watermark(at)));
            }
            if random.random_bool(0.02) {
                let records = &mut topic[random.random_range(0..3usize)];
                let first = random.random_range(0..=records.len());
                let again = random.random_range(first..=records.len());
                records.extend_from_within(first..again);
            }
        }
        let from = random.random_range(0..=last / 4);
        let (mut coverage, mut had) = (Coverage::starting_at(Position(from)), BTreeSet::new());
        coverage.begun();
        // What came before it began, it has not.
        let mut next = [0, 1, 2].map(|of: usize| random.random_range(0..=topic[of].len() / 4));
        // The others of the 64 have nothing and are not looked at.
        for number in 3..PARTITION_COUNT {
            coverage.of(partition(number)).last = Position(last);
        }
        let three: PartitionSet = (0..3).map(partition).collect();
        while (0..3).any(|of| next[of] < topic[of].len()) {
            // Everything that is told stands in the log.
            let told =
                (0..3).flat_map(|of| topic[of][..next[of].min(topic[of].len())].iter()).map(|record| record.at());
            let head = Position(told.max().unwrap_or_default().max(from));
            let of = random.random_range(0..3usize);
            let it = partition(of as u8);
            match random.random_range(0..60) {
                // Kafka has left something out.
                1 => next[of] += 1,
                2 => {
                    coverage.begun();
                    next.iter_mut().for_each(|next| *next += random.random_range(0..2usize));
                }
                3 if next[of] < topic[of].len() => {
                    coverage.offset(it, next[of] as i64);
                    coverage.unreadable(it);
                    next[of] += 1;
                }
                // Something is overdue.
                4 => coverage.owed(head, three),
                _ if next[of] < topic[of].len() => {
                    let record = topic[of][next[of]];
                    coverage.offset(it, next[of] as i64);
                    next[of] += 1;
                    if !coverage.has(it, record.step()) {
                        coverage.take(it, record.step());
                        if let Record::Event(at, _) = record {
                            assert!(had.insert(at), "seed {seed}: {at} twice");
                        }
                    }
                }
                _ => {}
            }
            if random.random_bool(0.2) {
                let told =
                    (0..3).flat_map(|of| topic[of][..next[of].min(topic[of].len())].iter()).map(|record| record.at());
                let head = Position(told.max().unwrap_or_default().max(from));
                coverage.owed(head, coverage.doubts());
            }
            if random.random_bool(0.5)
                && let Some((after, upto)) = coverage.holes_span()
            {
                for at in after.0 + 1..=upto.0 {
                    if let Some(of) = log[at as usize]
                        && coverage.is_missing(partition(of), Position(at))
                    {
                        had.insert(at);
                    }
                }
                coverage.filled();
            }
            if coverage.holes_span().is_none() {
                let reached = coverage.reached().0;
                let mut all = (from + 1..=reached).filter(|&at| log[at as usize].is_some());
                assert!(all.all(|at| had.contains(&at)), "seed {seed}: something up to {reached} is missing");
            }
        }
        assert!(had.iter().all(|&at| at > from), "seed {seed}: what was had before");
    }
}

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
    coverage.begun();
    coverage.offset(it, 40);
    coverage.take(it, Step::Watermark(Position(12)));
    assert_eq!(coverage.holes_span(), Some((Position(10), Position(12))), "what came before is not known");
    coverage.filled();
    coverage.offset(it, 41);
    coverage.take(it, Step::Watermark(Position(15)));
    assert_eq!(coverage.holes_span(), None);
    coverage.offset(it, 43);
    coverage.take(it, Step::Watermark(Position(18)));
    assert_eq!(coverage.holes_span(), Some((Position(15), Position(18))), "Kafka has left out a record");
}

/// Commands of a few partitions come with all that can go wrong. What was taken and what was read for holes is, together,
/// everything, each once.
#[test]
fn nothing_is_missing_and_nothing_is_twice_whatever_is_brought() {
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let last: i64 = random.random_range(1..300);
        // Which partition each position is a command of, if any.
        let log: Vec<Option<u8>> =
            (0..=last).map(|at| (at > 0 && random.random_bool(0.3)).then(|| random.random_range(0..3))).collect();
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
        loop {
            let of = random.random_range(0..3usize);
            let it = partition(of as u8);
            match random.random_range(0..40) {
                0 => next[of] = random.random_range(0..=next[of]),
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
                // Up to what is in the log by now.
                4 => coverage.owed(coverage.highest_of_three(), PartitionSet::ALL),
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
                let all = (from + 1..=reached).filter(|&at| log[at as usize].is_some());
                assert!(all.clone().all(|at| had.contains(&at)), "seed {seed}: something up to {reached} is missing");
            }
            if (0..3).all(|of| next[of] >= topic[of].len()) {
                break;
            }
        }
        assert!(had.iter().all(|&at| at > from), "seed {seed}: what was had before");
    }
}

impl Coverage {
    fn highest_of_three(&self) -> Position {
        self.partitions[..3].iter().map(|partial| partial.last).max().unwrap_or_default()
    }
}

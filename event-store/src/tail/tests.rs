use domain::envelope::{Actor, Envelope, Retention};
use domain::event::{AggregateType, Event};
use domain::id::TenantId;
use domain::token::TokenEvent;
use schema::log::StreamId;
use schema::partition::partition;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const SECOND: Generation = Generation(2);
const LIMITS: Limits = Limits { events: 100, bytes: 1_000_000 };

pub fn event(position: i64, generation: Generation) -> Arc<RecordedEvent> {
    let key = Uuid::from_u128(position as u128 % 7);
    Arc::new(RecordedEvent {
        position: Position(position),
        generation,
        partition: partition(key),
        partition_key: key,
        stream: StreamId { aggregate: AggregateType::Token, id: key },
        sequence: position,
        event_id: Uuid::from_u128(position as u128),
        event_type: "TokenBlocked".into(),
        event_version: "1".into(),
        retention: Retention::Operational,
        recorded_at: chrono::DateTime::UNIX_EPOCH,
        envelope: Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test"))),
        payload_hash: Uuid::nil(),
        event: Ok(Arc::new(Event::Token(TokenEvent::TokenBlocked {}))),
    })
}

fn carried(position: i64, generation: Generation) -> Carried {
    Carried::Event { event: event(position, generation), bytes: 1 }
}

fn bring(tail: &Tail, positions: impl IntoIterator<Item = i64>) -> Brought {
    tail.bring(positions.into_iter().map(|position| carried(position, Generation::FIRST)), PATIENCE)
}

/// A ring of the first generation that begins at a head.
fn tail_at(head: i64) -> Tail {
    let tail = Tail::new();
    assert_eq!(tail.compare(None, Position(head), Generation::FIRST, LIMITS), Standing::Begun);
    tail
}

#[test]
fn a_hole_has_time_to_be_filled_and_what_cannot_be_read_has_none() {
    let tail = tail_at(3);
    assert_eq!(bring(&tail, [4, 6, 6, 2]), Brought { taken: 2, known: 2, ..Brought::default() });
    assert_eq!(tail.upto(), Position(4));
    let due = tail.fill_wanted().expect("something is missing");
    assert!(due.at > Instant::now() && due.upto == Position(6));
    bring(&tail, [7]);
    assert_eq!(tail.fill_wanted(), Some(due), "5 is waited for since 6 came");
    bring(&tail, [5]);
    assert_eq!((tail.fill_wanted(), tail.upto()), (None, Position(7)));

    let is_due = || tail.fill_wanted().is_some_and(|fill| fill.at <= Instant::now() && fill.upto == Position(8));
    tail.bring([Carried::Undecodable(Position(8))], PATIENCE);
    assert!(is_due());
    bring(&tail, [9]);
    assert!(is_due(), "it stays due until it is filled");
    let events = vec![event(8, Generation::FIRST)];
    let filled = tail.fill(Stretch { after: Position(7), upto: Position(8), events, bytes: 0 }, PATIENCE);
    assert_eq!((filled, tail.fill_wanted(), tail.upto()), (1, None, Position(9)));
    tail.bring([Carried::Undecodable(Position(9))], PATIENCE);
    assert_eq!(tail.fill_wanted(), None, "it is known already");
}

#[test]
fn what_the_log_does_not_have_is_dropped() {
    let tail = tail_at(3);
    bring(&tail, [5, 900]);
    let mark = tail.mark();
    assert_eq!(tail.compare(mark, Position(6), Generation::FIRST, LIMITS), Standing::Upto(Position(3)));
    assert_eq!(tail.mark().map(|mark| mark.highest), Some(Position(5)));
    // Of an older or newer generation.
    assert_eq!(tail.bring([carried(4, SECOND)], PATIENCE), Brought { foreign: 1, ..Brought::default() });
    assert_eq!(tail.upto(), Position(3));
}

/// The ring has what a promoted replica doesn't.
#[test]
fn after_a_lost_tail_kafka_is_not_believed_until_there_is_another_generation() {
    let tail = tail_at(3);
    bring(&tail, [4, 5, 6]);
    let mark = tail.mark();
    assert_eq!(tail.compare(mark, Position(4), Generation::FIRST, LIMITS), Standing::Begun);
    assert_eq!(tail.upto(), Position(4));
    assert_eq!(bring(&tail, [5, 6]), Brought { foreign: 2, ..Brought::default() });
    let mark = tail.mark();
    assert_eq!(tail.compare(mark, Position(9), SECOND, LIMITS), Standing::Begun);
    assert_eq!(tail.bring([carried(10, SECOND)], PATIENCE).taken, 1);
    assert_eq!(tail.upto(), Position(10));
}

/// One answer of a server that was behind must not be paid for ever.
#[test]
fn kafka_is_believed_again_when_the_log_has_all_that_it_had() {
    let tail = tail_at(3);
    bring(&tail, [4, 5, 6]);
    let compare = |head| tail.compare(tail.mark(), Position(head), Generation::FIRST, LIMITS);
    let fill = |after: i64, upto: i64| {
        let events = (after + 1..=upto).map(|position| event(position, Generation::FIRST)).collect();
        tail.fill(Stretch { after: Position(after), upto: Position(upto), events, bytes: 0 }, PATIENCE)
    };
    assert_eq!(compare(4), Standing::Begun);
    assert_eq!(compare(5), Standing::Upto(Position(4)));
    assert_eq!(bring(&tail, [5]).foreign, 1);
    // A second one is behind that: what is to be reached is what it had at first.
    fill(4, 5);
    assert_eq!(compare(4), Standing::Begun);
    fill(4, 5);
    assert_eq!(compare(5), Standing::Upto(Position(5)));
    assert_eq!(bring(&tail, [6]).foreign, 1);
    assert_eq!(compare(6), Standing::Upto(Position(5)));
    assert_eq!(bring(&tail, [6, 7]).taken, 2);
    assert_eq!(tail.upto(), Position(7));
}

/// A record that came while the head was asked for is none of a lost tail.
#[test]
fn what_came_since_the_head_was_asked_for_is_kept() {
    let tail = tail_at(3);
    bring(&tail, [4]);
    let mark = tail.mark();
    bring(&tail, [5]);
    assert_eq!(tail.compare(mark, Position(4), Generation::FIRST, LIMITS), Standing::Upto(Position(5)));
}

/// Nobody else waits for what it should have said.
#[test]
fn what_cannot_be_read_stays_due_when_the_head_is_asked_for() {
    let is_due = |tail: &Tail| tail.fill_wanted().is_some_and(|fill| fill.at <= Instant::now());
    let garbage = |tail: &Tail, position| tail.bring([Carried::Undecodable(Position(position))], PATIENCE);
    let compare = |tail: &Tail, mark, head| tail.compare(mark, Position(head), Generation::FIRST, LIMITS);
    let tail = tail_at(3);
    garbage(&tail, 4);
    assert_eq!(compare(&tail, tail.mark(), 4), Standing::Upto(Position(3)));
    assert!(is_due(&tail));
    let events = vec![event(4, Generation::FIRST)];
    tail.fill(Stretch { after: Position(3), upto: Position(4), events, bytes: 0 }, PATIENCE);
    assert_eq!(tail.fill_wanted(), None);

    // What is not in the log is not waited for; unless the head was asked for before.
    let mark = tail.mark();
    garbage(&tail, 9);
    assert_eq!(compare(&tail, mark, 4), Standing::Upto(Position(4)));
    assert!(is_due(&tail));
    assert_eq!(compare(&tail, tail.mark(), 4), Standing::Upto(Position(4)));
    assert_eq!(tail.fill_wanted(), None);
}

/// Two records that can't be decoded come one after the other: the second while the place of the first is being read.
#[test]
fn what_cannot_be_read_stays_due_when_what_is_before_it_was_read() {
    let tail = tail_at(3);
    let garbage = |position| tail.bring([Carried::Undecodable(Position(position))], PATIENCE);
    let fill = |position| {
        let (after, upto) = (Position(position - 1), Position(position));
        tail.fill(Stretch { after, upto, events: vec![event(position, Generation::FIRST)], bytes: 0 }, PATIENCE)
    };
    garbage(4);
    garbage(5);
    assert_eq!(fill(4), 1);
    let due = tail.fill_wanted().filter(|fill| fill.at <= Instant::now());
    assert_eq!(due.map(|fill| fill.upto), Some(Position(5)));
    assert_eq!(fill(5), 1);
    assert_eq!(tail.fill_wanted(), None);
}

/// A record that says that it is far above the log, while something else is missing: only that is read.
#[test]
fn what_the_log_does_not_have_is_not_due_for_ever() {
    let tail = tail_at(3);
    bring(&tail, [6]);
    tail.bring([Carried::Undecodable(Position(900))], PATIENCE);
    let mark = tail.mark();
    assert_eq!(tail.compare(mark, Position(6), Generation::FIRST, LIMITS), Standing::Upto(Position(3)));
    assert_eq!(tail.fill_wanted().map(|fill| fill.upto), Some(Position(6)));
    let events = vec![event(4, Generation::FIRST), event(5, Generation::FIRST)];
    tail.fill(Stretch { after: Position(3), upto: Position(5), events, bytes: 0 }, PATIENCE);
    assert_eq!((tail.upto(), tail.fill_wanted()), (Position(6), None));
}

//! What the tables share.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;
use domain::{Decide, Refusal};
use uuid::Uuid;

/// Given these events, when this command, then these events or this refusal.
pub type Row<A> = (
    &'static str,
    Vec<<A as Aggregate>::Event>,
    <A as Aggregate>::Command,
    Result<Vec<<A as Aggregate>::Event>, Refusal>,
);

pub fn check<A>(table: Vec<Row<A>>)
where
    A: Decide,
    A::Event: PartialEq + Debug,
{
    for (case, given, when, then) in table {
        assert_eq!(decide::<A>(given, when), then, "{case}");
    }
}

pub fn decide<A: Decide>(given: Vec<A::Event>, when: A::Command) -> Result<Vec<A::Event>, Refusal> {
    TestFramework::<A>::with(()).given(given).when(when).inspect_result()
}

/// What the events add up to.
pub fn state<A: Decide>(events: Vec<A::Event>) -> A {
    let mut state = A::default();
    events.into_iter().for_each(|event| state.apply(event));
    state
}

pub fn id<T: From<Uuid>>(number: u128) -> T {
    T::from(Uuid::from_u128(number))
}

/// Minutes after ten o'clock of a summer's Monday in UTC.
pub fn at(minutes: i64) -> DateTime<Utc> {
    let ten: DateTime<Utc> = "2024-07-01T10:00:00Z".parse().unwrap();
    ten + TimeDelta::minutes(minutes)
}

pub fn invalid(field: &'static str, why: &str) -> Refusal {
    Refusal::invalid(field, why)
}

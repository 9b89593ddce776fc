//! What the commands say, as JSON.

use chrono::{DateTime, Utc};
use event_store::lineage::{Began, Recovery, State};
use serde::Serialize;

/// One line of `log status --json`.
#[derive(Serialize)]
pub struct Status<'a> {
    pub position: i64,
    pub generation: i64,
    /// Whether events are appended.
    pub open: bool,
    /// `open`, `unsure`, `halted` or `filling`.
    pub state: &'static str,
    /// The same for a person, with what to type.
    pub detail: String,
    pub lost_positions: i64,
    pub generations: &'a [Began],
}

/// One line of `log recover --json`.
#[derive(Serialize)]
pub struct Recover {
    pub generation: i64,
    pub head: i64,
    /// When the event at the head was recorded; null: the log has none.
    pub recorded_at: Option<DateTime<Utc>>,
    pub shared_upto: i64,
    pub lost_from: Option<i64>,
    pub lost_upto: Option<i64>,
    pub lost_positions: i64,
    /// A recovery that was cut off is carried on.
    pub resumes: bool,
    pub needed: bool,
    pub done: bool,
}

pub fn word(state: &State) -> &'static str {
    match state {
        State::Open { .. } => "open",
        State::Unsure { .. } => "unsure",
        State::Halted(_) => "halted",
        State::Filling { .. } => "filling",
    }
}

impl Recover {
    pub fn of(plan: &Recovery, done: bool) -> Self {
        let lost = plan.lost_positions();
        Self {
            generation: plan.generation.0,
            head: plan.head.0,
            recorded_at: (plan.head.0 > 0).then_some(plan.recorded_at),
            shared_upto: plan.shared_upto.0,
            lost_from: (lost > 0).then_some(plan.head.0 + 1),
            lost_upto: (lost > 0).then_some(plan.lost_upto.0),
            lost_positions: lost,
            resumes: plan.resumes,
            needed: !plan.unneeded,
            done,
        }
    }
}

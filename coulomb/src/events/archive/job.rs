//! What all steps of a run share: the log, the class, and how far it is.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use domain::envelope::Retention;
use event_store::EventStore;
use event_store::archiving::Range;
use indicatif::{ProgressBar, ProgressStyle};
use pool::Pool;
use serde_json::{Value, json};

use super::turn::Turn;

const LINE_EVERY: Duration = Duration::from_secs(1);

/// Why a range stays as it is. Others may go on.
#[derive(Debug)]
pub struct Refused(pub String);

impl Display for Refused {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl Error for Refused {}

pub struct Job<'a> {
    pub store: &'a EventStore,
    pub pool: &'a Pool,
    pub turn: &'a Turn,
    pub class: Retention,
    pub json: bool,
    /// What this run has taken out of the log.
    pub detached: &'a Mutex<Vec<String>>,
}

impl Job<'_> {
    /// For a line of JSON: which range it is of.
    pub fn line(&self, what: &str, range: &Range, more: Value) {
        if !self.json {
            return;
        }
        let mut line = json!({
            "stage": what, "class": self.class.as_str(), "first_position": range.first, "last_position": range.last,
        });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        say!("{line}");
    }

    /// A range as it is named.
    pub fn name(&self, range: &Range) -> String {
        format!("positions {} to {} of class {}", range.first, range.last, self.class.as_str())
    }

    /// Of a step that goes over all positions of a range.
    pub fn step<'a>(&'a self, what: &'static str, range: &'a Range) -> Step<'a> {
        let positions = (range.last.0 - range.first.0 + 1).unsigned_abs();
        let shown = !self.json && std::io::stderr().is_terminal();
        let bar = if shown { ProgressBar::new(positions) } else { ProgressBar::hidden() };
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} positions, {per_sec}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(format!("{} {}-{}: {what}", self.class.as_str(), range.first, range.last));
        let now = Instant::now();
        Step { json: self.json.then_some((self, range)), what, bar, positions, began: now, told: Mutex::new(now) }
    }
}

pub struct Step<'a> {
    json: Option<(&'a Job<'a>, &'a Range)>,
    what: &'static str,
    bar: ProgressBar,
    positions: u64,
    began: Instant,
    told: Mutex<Instant>,
}

impl Step<'_> {
    /// So many positions of the range are done.
    pub fn at(&self, done: i64) {
        let done = done.unsigned_abs().min(self.positions);
        self.bar.set_position(done);
        let Some((job, range)) = self.json else { return };
        let Ok(mut told) = self.told.lock() else { return };
        if told.elapsed() < LINE_EVERY {
            return;
        }
        *told = Instant::now();
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = ((self.positions - done) as f64 / rate.max(1.0)).ceil();
        let more = json!({
            "positions": done, "of_positions": self.positions, "positions_per_second": rate.round(), "seconds_left": left,
        });
        job.line(self.what, range, more);
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

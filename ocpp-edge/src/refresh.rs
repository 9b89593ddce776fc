//! Asking a charger for the statuses that it has not reported since it came back (TriggerMessage, 1.6 section 5.17).
//!
//! Such a question is none of anybody's commands: nobody waits for its outcome, and no event tells of it. What comes of it is
//! a status report like any other.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::{Mutex, PoisonError};

use domain::charge_point::ChargePoint;
use domain::id::{ChargePointId, Epoch};
use domain::outlet::Evse;
use tokio::time::Instant;

/// Chargers of which it is remembered that they must not be asked; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 100_000;
/// Connectors that are asked for one by one.
const OUTLETS_ASKED_MAX: usize = 16;

/// Chargers that refused to be asked, or hung up when they were (there are such).
#[derive(Debug, Default)]
pub struct Untriggerable(Mutex<HashSet<ChargePointId>>);

impl Untriggerable {
    fn with<T>(&self, with: impl FnOnce(&mut HashSet<ChargePointId>) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn contains(&self, charger: ChargePointId) -> bool {
        self.with(|set| set.contains(&charger))
    }

    pub fn remember(&self, charger: ChargePointId) {
        self.with(|set| {
            if set.len() >= REMEMBERED_MAX {
                set.clear();
            }
            set.insert(charger);
        });
    }

    /// Another firmware may be more open to it.
    pub fn forget(&self, charger: ChargePointId) {
        self.with(|set| set.remove(&charger));
    }
}

/// What is to be asked on one connection, and when.
#[derive(Debug)]
pub enum Refresh {
    /// Nothing has been heard yet.
    Idle,
    /// Everything, unless it has come by itself until then.
    AskAll(Instant),
    /// Each outlet that is still missing then.
    AskEach(Instant),
    /// One after another.
    Asking(VecDeque<NonZeroU16>),
    Done,
}

impl Refresh {
    pub fn due(&self) -> Option<Instant> {
        match self {
            Self::AskAll(at) | Self::AskEach(at) => Some(*at),
            Self::Idle | Self::Asking(_) | Self::Done => None,
        }
    }
}

/// Whether anything at all has not been reported on the connection of this epoch.
pub fn is_incomplete(charge_point: &ChargePoint, epoch: Epoch) -> bool {
    let is_current = |report: &domain::charge_point::OutletReport| report.epoch == epoch;
    !charge_point.own_report.as_ref().is_some_and(is_current) || !missing(charge_point, epoch).is_empty()
}

/// The 1.6 numbers of the connectors that have not.
pub fn missing(charge_point: &ChargePoint, epoch: Epoch) -> VecDeque<NonZeroU16> {
    let numbers = charge_point.connector_numbers();
    let outlets = charge_point.evses.iter().flat_map(Evse::outlets);
    outlets
        .filter(|outlet| charge_point.report_of(*outlet).is_none_or(|report| report.epoch != epoch))
        .filter_map(|outlet| u16::try_from(numbers.number_of(outlet)).ok().and_then(NonZeroU16::new))
        .take(OUTLETS_ASKED_MAX)
        .collect()
}

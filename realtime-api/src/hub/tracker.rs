//! Puts what the view feed says into exact order. The feed is at least once, and may give a row ahead of the position it
//! says it is complete to; resources composed from such a row and older surroundings could change without their position
//! rising. So a row is held until the feed is complete up to it, and nothing is passed on twice.

use std::collections::HashMap;
use std::sync::Arc;

use schema::log::Position;
use schema::view::{Model, RowChange, ViewBatch};

#[derive(Debug)]
pub struct Tracker {
    upto: Position,
    /// Rows ahead of `upto`, the newest of each.
    ahead: HashMap<(Model, String), Arc<RowChange>>,
}

impl Tracker {
    pub fn new(upto: Position) -> Self {
        Self { upto, ahead: HashMap::new() }
    }

    pub fn upto(&self) -> Position {
        self.upto
    }

    /// The rows that are due now: the newest state of each, all above the former `upto` and none above the new one, in the
    /// order of their positions.
    pub fn take(&mut self, batch: ViewBatch) -> Vec<Arc<RowChange>> {
        let former = self.upto;
        for row in batch.rows.into_iter().filter(|row| row.position > former) {
            let key = (row.row.model(), row.key.clone());
            match self.ahead.get(&key) {
                Some(present) if present.position >= row.position => {}
                _ => {
                    self.ahead.insert(key, row);
                }
            }
        }
        self.upto = former.max(batch.upto);
        let upto = self.upto;
        let mut due: Vec<_> = self.ahead.extract_if(|_, row| row.position <= upto).map(|(_, row)| row).collect();
        due.sort_by_key(|row| row.position);
        due
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use domain::driver::Driver;
    use domain::id::{DriverId, TenantId};
    use schema::log::Generation;
    use schema::partition::Partition;
    use schema::view::{DriverRow, Row};

    use super::*;

    fn batch(upto: i64, rows: &[(&str, i64)]) -> ViewBatch {
        let row = DriverRow {
            tenant_id: TenantId::DEFAULT,
            driver_id: DriverId::default(),
            driver: Driver::default(),
            registered_at: Utc::now(),
        };
        let change = |(key, position): &(&str, i64)| RowChange {
            key: (*key).to_owned(),
            partition: Partition::new(0).expect("the first"),
            generation: Generation::FIRST,
            position: Position(*position),
            removed: false,
            row: Row::Drivers(Box::new(row.clone())),
        };
        let rows = rows.iter().map(|row| Arc::new(change(row))).collect();
        ViewBatch { generation: Generation::FIRST, upto: Position(upto), rows }
    }

    #[test]
    fn rows_are_passed_on_once_and_in_order() {
        let mut tracker = Tracker::new(Position(10));
        let mut take = |upto, rows: &[(&str, i64)]| {
            let due = tracker.take(batch(upto, rows));
            due.iter().map(|row| (row.key.clone(), row.position.0)).collect::<Vec<_>>()
        };
        let owned = |rows: &[(&str, i64)]| rows.iter().map(|(key, at)| ((*key).to_owned(), *at)).collect::<Vec<_>>();
        assert_eq!(take(12, &[("a", 12), ("b", 11), ("c", 10)]), owned(&[("b", 11), ("a", 12)]));
        assert_eq!(take(12, &[("a", 12), ("d", 15)]), [], "ahead of what is complete");
        assert_eq!(take(14, &[("d", 16)]), [], "and newer meanwhile");
        assert_eq!(take(16, &[("e", 15)]), owned(&[("e", 15), ("d", 16)]));
        assert_eq!(take(13, &[("a", 12)]), [], "at least once, and not twice");
    }
}

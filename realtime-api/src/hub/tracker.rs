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

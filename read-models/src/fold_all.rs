use std::borrow::Borrow;
use std::collections::BTreeMap;

use schema::log::RecordedEvent;
use schema::view::{Model, RowChange};

use crate::{Fact, FoldError, fold, touched};

/// Every row of every read model.
pub type Rows = BTreeMap<(Model, String), RowChange>;

/// The reference: all events, one after the other, in the order of their positions. What the projections hold is compared
/// with this.
///
/// # Errors
/// At the first event that can't be folded.
pub fn fold_all<E: Borrow<RecordedEvent>>(events: impl IntoIterator<Item = E>) -> Result<Rows, FoldError> {
    let mut rows = Rows::new();
    for event in events {
        let fact = Fact::of(event.borrow())?;
        for touch in touched(&fact) {
            let slot = (touch.model, touch.key.clone());
            let row = fold(touch, rows.remove(&slot), &fact)?;
            rows.insert(slot, row);
        }
    }
    Ok(rows)
}

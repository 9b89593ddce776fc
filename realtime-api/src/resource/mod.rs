//! Public resources, composed from rows. The position of each is the highest of the rows it is made of.

pub mod charger;
pub mod command;
pub mod me;
pub mod meter_values;
pub mod people;
pub mod session;
pub mod site;
pub mod tariff;

use schema::log::Position;
use schema::view::RowChange;

/// A row of a known kind, with the position of its last change.
#[derive(Debug)]
pub struct At<'r, R> {
    pub position: Position,
    pub row: &'r R,
}

// By hand: derived, they would ask the same of the row.
impl<R> Clone for At<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for At<'_, R> {}

impl<'r, R> At<'r, R> {
    pub fn of(change: &RowChange, row: &'r R) -> Self {
        Self { position: change.position, row }
    }
}

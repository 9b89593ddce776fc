use domain::envelope::Retention;
use schema::view::Model;

use crate::{Fact, FoldError};

/// A pure fold from events to rows.
///
/// Implementations match over every event of every aggregate without a wildcard, so that a new one can't be forgotten.
/// No event of today deletes a row.
pub trait ReadModel {
    const MODEL: Model;
    /// Rises whenever `key` or `apply` would make another row of the same events: then the rows are built anew.
    const VERSION: u32;
    /// The classes of events it is built from. Once one of them is dropped from the log, what came of it can't be rebuilt.
    const RETENTION: &'static [Retention];
    type Row;

    /// The row that the event changes; none: it changes none of this read model.
    fn key(fact: &Fact<'_>) -> Option<String>;

    /// Whether the event makes its row, so that none needs to be looked for. The first of a stream does, where the
    /// stream's id is the key.
    fn begins(fact: &Fact<'_>) -> bool {
        fact.recorded.sequence == 1
    }

    /// The row after an event for which [`key`](Self::key) named it.
    fn apply(row: Option<Self::Row>, fact: &Fact<'_>) -> Result<Self::Row, FoldError>;

    /// Adds to the row what follows from the rest of it, and is dear: it is wanted of rows that are written only, not after
    /// every event of many.
    fn complete(_: &mut Self::Row) {}
}

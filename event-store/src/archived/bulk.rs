//! Archived events for who reads the log in bulk.

use domain::envelope::Retention;
use domain::event::AggregateType;
use schema::log::Position;

use super::known::Wanted;
use crate::EventStore;
use crate::bulk::BulkRow;
use crate::read::Error;

impl EventStore {
    /// Adds to the rows in (`after`, `upto`] that the log has, of which some positions have none, those that archives have; with
    /// payloads of these aggregates, but for these types, as [`Selection`](crate::bulk::Selection). In the order of positions.
    ///
    /// # Errors
    /// Where a row is nowhere that is of one of these `classes`, among others.
    pub async fn bulk_archived(
        &self,
        rows: &mut Vec<BulkRow>,
        (after, upto): (Position, Position),
        (aggregates, not, classes): (&[AggregateType], &[(AggregateType, &str)], &[Retention]),
    ) -> Result<(), Error> {
        let detached = self.detached_ranges().await?;
        for event in self.archived(&detached, Wanted::default(), (after, upto), |_| true).await? {
            let is = |of: &AggregateType| of.as_str() == event.aggregate_type;
            let wanted = aggregates.iter().any(is) && !not.iter().any(|(of, name)| is(of) && *name == event.event_type);
            rows.push(BulkRow::of(&event, wanted)?);
        }
        rows.sort_by_key(|row| row.position);
        rows.dedup_by_key(|row| row.position);
        if (rows.len() as i64) < upto.0 - after.0 {
            let kept_after = self.kept_after(classes).await?;
            if kept_after > after {
                return Err(Error::NotKept { upto: kept_after });
            }
        }
        Ok(())
    }
}

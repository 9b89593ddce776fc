//! Lists as they were.

use std::sync::Arc;

use domain::Event;
use domain::charge_point::ChargePointEvent;
use domain::envelope::Retention;
use domain::event::AggregateType;
use domain::id::TenantId;
use read_models::retention;
use schema::view::{Column, Cursor, Model, Page, Query, Reached, RowChange};

use crate::step::settled;
use crate::{Error, Moment, Past};

/// The events by which charge points get their names.
const NAMING: [&str; 2] = ["ChargePointRegistered", "ChargePointRenamed"];

/// Rows of a boundary that are read at a time.
const STEP_ROWS_MAX: u32 = 2_000;

impl Past {
    /// A page of a list as it was. Its cursors are those of the list as it is; the moment is not in them.
    pub async fn list(&self, query: &Query, at: &Moment) -> Result<Page, Error> {
        let model = query.model();
        self.or_not_kept(retention(model), self.fold_list(query, model, at).await).await
    }

    async fn fold_list(&self, query: &Query, model: Model, at: &Moment) -> Result<Page, Error> {
        let base = self.base(model, at).await?;
        let delta = self.delta(model, base, at).await?;
        let views = self.views().no_older_than(Reached { generation: at.generation, position: at.position });
        let limit = query.rows_max() as usize;

        // One more than asked for tells whether there is another page.
        let admitted = delta.rows.values().filter(|row| query.admits(row)).map(|row| (query.cursor(row), row));
        let mut found: Vec<(Cursor, Arc<RowChange>)> =
            admitted.map(|(cursor, row)| (cursor, Arc::clone(row))).collect();
        found.sort_by(|(a, _), (b, _)| query.compare(a, b));
        found.truncate(limit + 1);
        let fold = self.fold_of(model).await?;
        for (_, row) in &mut found {
            *row = settled(fold.as_ref(), RowChange::clone(row))?;
        }

        // Of the boundary's rows those that nothing has changed since. Where much has changed, as among sessions that are
        // active, further pages are larger: each of them may be a long way to its first row.
        let mut step = query.clone();
        let mut unchanged = 0;
        while unchanged <= limit {
            let page = views.list_at(&step, base).await?;
            for row in page.rows.into_iter().filter(|row| !delta.rows.contains_key(&row.key)) {
                found.push((query.cursor(&row), row));
                unchanged += 1;
            }
            match page.next {
                Some(next) => {
                    let rows = step.rows_max().max(STEP_ROWS_MAX.min(4 * step.rows_max()));
                    step = step.after(Some(next)).limit(rows);
                }
                None => break,
            }
        }
        found.sort_by(|(a, _), (b, _)| query.compare(a, b));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(cursor, _)| cursor.clone());
        let reached = Reached { generation: at.generation, position: at.position };
        Ok(Page { reached, rows: found.into_iter().map(|(_, row)| row).collect(), next })
    }

    /// The charge point that called itself so; none: none did.
    pub async fn charge_point_called(
        &self,
        tenant_id: TenantId,
        identity: &str,
        at: &Moment,
    ) -> Result<Option<Arc<RowChange>>, Error> {
        let base = self.base(Model::ChargePoints, at).await?;
        let mut keys = self.views().charge_points_called(tenant_id, identity).await?;
        if at.position > base {
            let classes = [Retention::Operational];
            let named = self.store().read_typed(AggregateType::ChargePoint, &NAMING, &classes, base, at.position).await;
            let named = self.or_not_kept(&classes, named.map_err(Error::from)).await?;
            for event in named {
                let name = match event.event.as_deref() {
                    Ok(Event::ChargePoint(ChargePointEvent::ChargePointRegistered(details))) => &details.identity,
                    Ok(Event::ChargePoint(ChargePointEvent::ChargePointRenamed { identity })) => identity,
                    _ => continue,
                };
                if name.as_str() == identity {
                    keys.push(event.stream.id.to_string());
                }
            }
        }
        keys.sort_unstable();
        keys.dedup();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let rows = self.get_all(Model::ChargePoints, &keys, at).await?;
        Ok(rows.into_iter().find(|change| {
            change.row.column(Column::Identity).as_deref() == Some(identity)
                && change.row.column(Column::TenantId) == Some(tenant_id.to_string())
        }))
    }
}

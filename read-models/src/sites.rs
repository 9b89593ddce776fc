use cqrs_es::Aggregate;
use domain::Event;
use domain::envelope::Retention;
use domain::id::SiteId;
use domain::site::{Site, SiteEvent};
use schema::view::{Model, SiteRow};

use crate::{Fact, FoldError, ReadModel};

/// Sites.
pub struct Sites;

impl ReadModel for Sites {
    const MODEL: Model = Model::Sites;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Operational];
    type Row = SiteRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        match fact.event {
            Event::Site(event) => match event {
                SiteEvent::SiteRegistered(_) | SiteEvent::SiteChanged(_) => Some(fact.stream_key()),
            },
            Event::ChargePoint(_)
            | Event::StationCommand(_)
            | Event::ChargingSession(_)
            | Event::Token(_)
            | Event::Driver(_)
            | Event::Plan(_)
            | Event::Tariff(_)
            | Event::ReadModel(_)
            | Event::Disclosure(_)
            | Event::Log(_) => None,
        }
    }

    fn apply(row: Option<SiteRow>, fact: &Fact<'_>) -> Result<SiteRow, FoldError> {
        let Event::Site(event) = fact.event else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        let mut row = match (row, event) {
            (Some(row), _) => row,
            (None, SiteEvent::SiteRegistered(_)) => SiteRow {
                tenant_id: fact.tenant_id(),
                site_id: SiteId(fact.recorded.stream.id),
                site: Site::default(),
                registered_at: fact.recorded_at(),
            },
            (None, _) => return Err(fact.no_row(Self::MODEL)),
        };
        row.site.apply(event.clone());
        Ok(row)
    }
}

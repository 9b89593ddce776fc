use cqrs_es::Aggregate;
use domain::Event;
use domain::envelope::Retention;
use domain::id::TariffId;
use domain::published_tariff::{PublishedTariff, TariffEvent};
use schema::view::{Model, TariffRow};

use crate::{Fact, FoldError, ReadModel};

/// Tariffs in their newest versions.
pub struct Tariffs;

impl ReadModel for Tariffs {
    const MODEL: Model = Model::Tariffs;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Ledger];
    type Row = TariffRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        match fact.event {
            Event::Tariff(event) => match event {
                TariffEvent::TariffPublished { .. } => Some(fact.stream_key()),
            },
            Event::Site(_)
            | Event::ChargePoint(_)
            | Event::StationCommand(_)
            | Event::ChargingSession(_)
            | Event::Token(_)
            | Event::Driver(_)
            | Event::Plan(_)
            | Event::ReadModel(_)
            | Event::Disclosure(_)
            | Event::Log(_) => None,
        }
    }

    fn apply(row: Option<TariffRow>, fact: &Fact<'_>) -> Result<TariffRow, FoldError> {
        let Event::Tariff(event) = fact.event else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        let mut row = match (row, event) {
            (Some(row), _) => row,
            (None, TariffEvent::TariffPublished { .. }) => TariffRow {
                tenant_id: fact.tenant_id(),
                tariff_id: TariffId(fact.recorded.stream.id),
                tariff: PublishedTariff::default(),
                published_at: fact.recorded_at(),
            },
        };
        row.tariff.apply(event.clone());
        Ok(row)
    }
}

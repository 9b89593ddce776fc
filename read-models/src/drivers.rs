use cqrs_es::Aggregate;
use domain::Event;
use domain::driver::{Driver, DriverEvent};
use domain::envelope::Retention;
use domain::id::DriverId;
use schema::view::{DriverRow, Model};

use crate::{Fact, FoldError, ReadModel};

/// Drivers and their plans.
pub struct Drivers;

impl ReadModel for Drivers {
    const MODEL: Model = Model::Drivers;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Operational];
    type Row = DriverRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        match fact.event {
            Event::Driver(event) => match event {
                DriverEvent::DriverRegistered { .. }
                | DriverEvent::PlanActivated { .. }
                | DriverEvent::PlanEnded { .. }
                | DriverEvent::DriverErased { .. } => Some(fact.stream_key()),
            },
            Event::Site(_)
            | Event::ChargePoint(_)
            | Event::StationCommand(_)
            | Event::ChargingSession(_)
            | Event::Token(_)
            | Event::Plan(_)
            | Event::Tariff(_)
            | Event::ReadModel(_)
            | Event::Disclosure(_)
            | Event::Log(_) => None,
        }
    }

    fn apply(row: Option<DriverRow>, fact: &Fact<'_>) -> Result<DriverRow, FoldError> {
        let Event::Driver(event) = fact.event else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        let mut row = match (row, event) {
            (Some(row), _) => row,
            (None, DriverEvent::DriverRegistered { .. }) => DriverRow {
                tenant_id: fact.tenant_id(),
                driver_id: DriverId(fact.recorded.stream.id),
                driver: Driver::default(),
                registered_at: fact.recorded_at(),
            },
            (None, _) => return Err(fact.no_row(Self::MODEL)),
        };
        row.driver.apply(event.clone());
        Ok(row)
    }
}

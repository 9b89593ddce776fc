use cqrs_es::Aggregate;
use domain::Event;
use domain::envelope::Retention;
use domain::id::PlanId;
use domain::plan::{Plan, PlanEvent};
use schema::view::{Model, PlanRow};

use crate::{Fact, FoldError, ReadModel};

/// Plans in their newest versions.
pub struct Plans;

impl ReadModel for Plans {
    const MODEL: Model = Model::Plans;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Ledger];
    type Row = PlanRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        match fact.event {
            Event::Plan(event) => match event {
                PlanEvent::PlanPublished { .. } => Some(fact.stream_key()),
            },
            Event::Site(_)
            | Event::ChargePoint(_)
            | Event::StationCommand(_)
            | Event::ChargingSession(_)
            | Event::Token(_)
            | Event::Driver(_)
            | Event::Tariff(_)
            | Event::ReadModel(_)
            | Event::Disclosure(_)
            | Event::Log(_) => None,
        }
    }

    fn apply(row: Option<PlanRow>, fact: &Fact<'_>) -> Result<PlanRow, FoldError> {
        let Event::Plan(event) = fact.event else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        let mut row = match (row, event) {
            (Some(row), _) => row,
            (None, PlanEvent::PlanPublished { .. }) => PlanRow {
                tenant_id: fact.tenant_id(),
                plan_id: PlanId(fact.recorded.stream.id),
                plan: Plan::default(),
                published_at: fact.recorded_at(),
            },
        };
        row.plan.apply(event.clone());
        Ok(row)
    }
}

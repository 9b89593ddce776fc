use cqrs_es::Aggregate;
use domain::Event;
use domain::charge_point::{ChargePoint, ChargePointEvent};
use domain::envelope::Retention;
use schema::view::{ChargePointRow, Model};

use crate::{Fact, FoldError, ReadModel};

/// Charge points as they are: who they are, how their outlets are, who holds them.
pub struct ChargePoints;

impl ReadModel for ChargePoints {
    const MODEL: Model = Model::ChargePoints;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Operational, Retention::Telemetry];
    type Row = ChargePointRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        use ChargePointEvent as Happened;
        match fact.event {
            Event::ChargePoint(event) => match event {
                Happened::ChargePointRegistered(_)
                | Happened::ChargePointRenamed { .. }
                | Happened::ChargePointMoved { .. }
                | Happened::ChargePointConnected { .. }
                | Happened::ChargePointDisconnected { .. }
                | Happened::ChargePointBooted { .. }
                | Happened::ConnectorStatusReported { .. }
                | Happened::EvseClaimed { .. }
                | Happened::EvseReleased { .. }
                | Happened::CommandQueued { .. }
                | Happened::CommandSettled { .. }
                | Happened::FirmwareStatusReported { .. }
                | Happened::DiagnosticsStatusReported { .. } => Some(fact.stream_key()),
                // History that the state does not hold.
                Happened::AuthorizationDecided(_)
                | Happened::ReadingsReported { .. }
                | Happened::DataTransferred { .. }
                | Happened::ReportQuarantined { .. } => None,
            },
            Event::Site(_)
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

    fn apply(row: Option<ChargePointRow>, fact: &Fact<'_>) -> Result<ChargePointRow, FoldError> {
        let Event::ChargePoint(event) = fact.event else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        let mut row = match (row, event) {
            (Some(row), _) => row,
            (None, ChargePointEvent::ChargePointRegistered(details)) => ChargePointRow {
                tenant_id: fact.tenant_id(),
                charge_point_id: details.charge_point_id,
                charge_point: ChargePoint::default(),
                registered_at: fact.recorded_at(),
                booted_at: None,
            },
            (None, _) => return Err(fact.no_row(Self::MODEL)),
        };
        if let ChargePointEvent::ChargePointBooted { .. } = event {
            row.booted_at = Some(fact.recorded_at());
        }
        row.charge_point.apply(event.clone());
        Ok(row)
    }
}

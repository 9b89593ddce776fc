use domain::Event;
use domain::envelope::Retention;
use domain::id::SessionId;
use domain::session::SessionEvent;
use schema::view::{MeterValuesRow, Model};

use crate::{Fact, FoldError, ReadModel};

/// The readings of sessions, a row for each report.
pub struct MeterValues;

impl MeterValues {
    fn readings<'a>(fact: &Fact<'a>) -> Option<&'a domain::session::RecordedReadings> {
        use SessionEvent as Happened;
        match fact.event {
            Event::ChargingSession(event) => match event {
                Happened::MeterValuesRecorded(recorded) => Some(recorded),
                Happened::SessionRequested(_)
                | Happened::TransactionStarted(_)
                | Happened::ChargingStateChanged { .. }
                | Happened::StopRequested { .. }
                | Happened::StopFailed { .. }
                | Happened::TransactionEnded(_)
                | Happened::SessionPriced { .. }
                | Happened::Departed { .. }
                | Happened::SessionFailed { .. }
                | Happened::SessionFlagged { .. }
                | Happened::StartAnswered { .. } => None,
            },
            Event::Site(_)
            | Event::ChargePoint(_)
            | Event::StationCommand(_)
            | Event::Token(_)
            | Event::Driver(_)
            | Event::Plan(_)
            | Event::Tariff(_)
            | Event::ReadModel(_)
            | Event::Disclosure(_)
            | Event::Log(_) => None,
        }
    }
}

impl ReadModel for MeterValues {
    const MODEL: Model = Model::MeterValues;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Telemetry];
    type Row = MeterValuesRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        Self::readings(fact).map(|_| format!("{}/{:010}", fact.recorded.stream.id, fact.recorded.sequence))
    }

    /// Each report is a row of its own.
    fn begins(_: &Fact<'_>) -> bool {
        true
    }

    fn apply(row: Option<MeterValuesRow>, fact: &Fact<'_>) -> Result<MeterValuesRow, FoldError> {
        let Some(recorded) = Self::readings(fact) else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        Ok(MeterValuesRow {
            tenant_id: fact.tenant_id(),
            session_id: SessionId(fact.recorded.stream.id),
            received_at: recorded.received_at,
            readings: recorded.readings.clone(),
        })
    }
}

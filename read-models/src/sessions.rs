use domain::Event;
use domain::envelope::Retention;
use domain::id::SessionId;
use domain::session::{ChargingSession, SessionEvent};
use schema::view::{Model, SessionCost, SessionRow};

use crate::{Fact, FoldError, ReadModel};

/// Sessions, with their latest meter values and what they cost so far.
pub struct Sessions;

impl ReadModel for Sessions {
    const MODEL: Model = Model::Sessions;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &Retention::ALL;
    type Row = SessionRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        use SessionEvent as Happened;
        match fact.event {
            Event::ChargingSession(event) => match event {
                Happened::SessionRequested(_)
                | Happened::TransactionStarted(_)
                | Happened::MeterValuesRecorded(_)
                | Happened::ChargingStateChanged { .. }
                | Happened::StopRequested { .. }
                | Happened::StopFailed { .. }
                | Happened::TransactionEnded(_)
                | Happened::SessionPriced { .. }
                | Happened::Departed { .. }
                | Happened::SessionFailed { .. }
                | Happened::SessionFlagged { .. }
                | Happened::StartAnswered { .. } => Some(fact.stream_key()),
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

    fn apply(row: Option<SessionRow>, fact: &Fact<'_>) -> Result<SessionRow, FoldError> {
        let Event::ChargingSession(event) = fact.event else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        let mut row = match (row, event) {
            (Some(row), _) => row,
            // A transaction may come without a request.
            (None, SessionEvent::SessionRequested(_) | SessionEvent::TransactionStarted(_)) => SessionRow {
                tenant_id: fact.tenant_id(),
                session_id: SessionId(fact.recorded.stream.id),
                session: ChargingSession::default(),
                cost: None,
                recorded_at: fact.recorded_at(),
            },
            (None, _) => return Err(fact.no_row(Self::MODEL)),
        };
        row.session.observe(event);
        Ok(row)
    }

    fn complete(row: &mut SessionRow) {
        row.cost = cost(&row.session);
    }
}

/// Once it was settled, what the settling said; until then what the one pricing function says.
fn cost(session: &ChargingSession) -> Option<SessionCost> {
    match &session.final_price {
        Some(priced) => Some(SessionCost { priced: priced.clone(), revision: session.price_revision }),
        None => session.price().map(|priced| SessionCost { priced, revision: 0 }),
    }
}

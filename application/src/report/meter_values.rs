use std::sync::Arc;

use domain::charge_point::{ChargePoint, ChargePointCommand};
use domain::id::{Outlet, SessionId, TransactionId};
use domain::session::{ChargingSession, RecordedReading, RecordedReadings, SessionCommand};
use event_store::Session;

use super::readings::recorded;
use super::{Circumstances, Link};
use crate::Error;
use crate::work::{Work, decide};

/// MeterValues.
#[derive(Debug, Clone)]
pub struct MeterValues {
    pub outlet: Option<Outlet>,
    pub transaction_id: Option<TransactionId>,
    pub readings: Vec<RecordedReading>,
}

impl Link {
    /// Readings of the transaction that they name, or else of the one on their outlet, or else of the charger.
    pub async fn meter_values(&self, circumstances: &Circumstances, values: MeterValues) -> Result<(), Error> {
        if values.readings.is_empty() {
            return Ok(());
        }
        let named = match &values.transaction_id {
            Some(transaction_id) => self.app.transactions().find(self.charge_point_id, transaction_id).await?,
            None => None,
        };
        let outlet = values.outlet;
        let recorded = recorded(circumstances, values.transaction_id.as_ref(), outlet, values.readings);
        let envelope = match named {
            Some(session_id) => self.correlated(circumstances, session_id.0),
            None => self.envelope(circumstances),
        };
        let work = Record { link: self.clone(), named, outlet, recorded };
        self.app.work(&envelope, Arc::new(work)).await.map(|_| ())
    }
}

struct Record {
    link: Link,
    named: Option<SessionId>,
    outlet: Option<Outlet>,
    /// One event each.
    recorded: Vec<RecordedReadings>,
}

impl Work for Record {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        let id = self.link.charge_point_id;
        let session_id = match (self.named, self.outlet) {
            (Some(session_id), _) => Some(session_id),
            (None, Some(outlet)) => {
                let charge_point = session.load::<ChargePoint>(id).await?;
                charge_point.claims.get(&outlet.evse_id).map(|claim| claim.session_id)
            }
            (None, None) => None,
        };
        let running = match session_id {
            Some(session_id) => {
                session.load::<ChargingSession>(session_id).await?.transaction_id.is_some().then_some(session_id)
            }
            None => None,
        };
        match running {
            Some(session_id) => {
                for recorded in &self.recorded {
                    let command = SessionCommand::RecordReadings(recorded.clone());
                    decide::<ChargingSession>(session, session_id, id, command).await?;
                }
            }
            None => {
                for recorded in &self.recorded {
                    let readings = recorded.readings.iter().map(|reading| reading.reading.clone()).collect();
                    let command = ChargePointCommand::ReportReadings { outlet: self.outlet, readings };
                    decide::<ChargePoint>(session, id, id, command).await?;
                }
            }
        }
        if !session.is_empty() {
            self.link.guard(session);
        }
        Ok(())
    }
}

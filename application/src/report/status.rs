use std::sync::Arc;

use domain::charge_point::{ChargePoint, ChargePointCommand, StatusReport};
use domain::id::{Outlet, Sealed, SessionId};
use domain::outlet::OutletStatus;
use domain::session::{ChargingSession, SessionCommand};
use domain::word::ChargingState;
use event_store::Session;

use super::{Circumstances, Link};
use crate::Error;
use crate::vault::Subject;
use crate::work::{Work, decide};

/// StatusNotification.
#[derive(Debug, Clone)]
pub struct Status {
    pub report: StatusReport<String>,
}

impl Link {
    /// The status of an outlet, and what it tells of the session there: whether it charges, or that the car has left.
    pub async fn status(&self, circumstances: &Circumstances, status: Status) -> Result<(), Error> {
        let info = self.sealed_info(&status.report).await?;
        let work = Record { link: self.clone(), report: status.report.sealed(info) };
        self.app.work(&self.envelope(circumstances), Arc::new(work)).await.map(|_| ())
    }

    /// The free text of a status, sealed: whose it is can't be known. A text that is repeated stays as it was sealed, so that
    /// the status is known to be repeated.
    async fn sealed_info(&self, report: &StatusReport<String>) -> Result<Option<Sealed>, Error> {
        let Some(info) = &report.info else {
            return Ok(None);
        };
        let charge_point = self.app.store().load::<ChargePoint>(self.charge_point_id).await?.state;
        let previous = match report.outlet {
            Some(outlet) => charge_point.report_of(outlet),
            None => charge_point.own_report.as_ref(),
        };
        if let Some(sealed) = previous.and_then(|previous| previous.info.clone())
            && self.app.vault().open(&sealed).await?.as_ref() == Some(info)
        {
            return Ok(Some(sealed));
        }
        Ok(Some(self.app.vault().seal(Subject::ChargePoint(self.charge_point_id), info).await?))
    }
}

struct Record {
    link: Link,
    report: StatusReport,
}

impl Work for Record {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        let id = self.link.charge_point_id;
        if let Some(outlet) = self.report.outlet {
            self.tell_sessions(session, outlet).await?;
        }
        decide::<ChargePoint>(session, id, id, ChargePointCommand::ReportStatus(self.report.clone())).await?;
        self.link.guard(session);
        Ok(())
    }
}

impl Record {
    async fn tell_sessions(&self, session: &mut Session, outlet: Outlet) -> Result<(), Error> {
        let charge_point = session.load::<ChargePoint>(self.link.charge_point_id).await?;
        let holder = charge_point.claims.get(&outlet.evse_id).map(|claim| claim.session_id);
        let lingering = charge_point.lingering.get(&outlet.evse_id).copied();
        let at = self.report.at;
        if let Some(session_id) = holder
            && let Some(charging_state) = charging_state(&self.report.ocpp_status)
            && is_on(session.load::<ChargingSession>(session_id).await?, outlet)
        {
            self.tell(session, session_id, SessionCommand::ReportChargingState { charging_state, at }).await?;
        }
        let left = OutletStatus::from_ocpp(&self.report.ocpp_status) == OutletStatus::Available;
        if let (Some(session_id), Some(at), true) = (lingering, at, left)
            && is_on(session.load::<ChargingSession>(session_id).await?, outlet)
        {
            self.tell(session, session_id, SessionCommand::Depart { at }).await?;
        }
        Ok(())
    }

    async fn tell(&self, session: &mut Session, id: SessionId, command: SessionCommand) -> Result<(), Error> {
        decide::<ChargingSession>(session, id, self.link.charge_point_id, command).await?;
        Ok(())
    }
}

/// Whether its transaction is on this connector: the others of its EVSE tell nothing of it.
fn is_on(session: &ChargingSession, outlet: Outlet) -> bool {
    session.transaction_id.is_some() && session.connector_id.is_none_or(|id| id == outlet.connector_id)
}

/// OCPP 1.6 tells by the connector's status what 2.0.1 tells by `chargingState`.
fn charging_state(ocpp_status: &str) -> Option<ChargingState> {
    match ocpp_status {
        "Charging" => Some(ChargingState::CHARGING),
        "SuspendedEV" => Some(ChargingState::SUSPENDED_EV),
        "SuspendedEVSE" => Some(ChargingState::SUSPENDED_EVSE),
        "Preparing" | "Occupied" => Some(ChargingState::EV_CONNECTED),
        _ => None,
    }
}

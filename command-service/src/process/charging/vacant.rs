//! An outlet that its charger calls available has no transaction, whatever the log says of one: a charger that lost its power or
//! its memory never reports the stop. A driver must not find the outlet occupied by it for as long as a session may be silent.

use application::settle::Conclusion;
use chrono::{DateTime, Utc};
use domain::charge_point::{ChargePoint, ChargePointEvent};
use domain::event::Event;
use domain::id::{ChargePointId, EvseId, SessionId};
use domain::outlet::OutletStatus;
use domain::session::ChargingSession;
use schema::log::RecordedEvent;

use super::{Action, Settings, Task};

pub(super) fn react(event: &RecordedEvent, settings: &Settings) -> Vec<Action> {
    match event.event.as_deref() {
        Ok(Event::ChargePoint(ChargePointEvent::ConnectorStatusReported {
            outlet: Some(outlet),
            status: OutletStatus::Available,
            ..
        })) => {
            let (charge_point_id, evse_id) = (ChargePointId(event.stream.id), outlet.evse_id);
            vec![Action::At(event.recorded_at + settings.vacant_after, Task::EndVacant { charge_point_id, evse_id })]
        }
        _ => vec![],
    }
}

/// The session that holds an EVSE all of whose connectors are available now.
pub(super) fn holder(charge_point: &ChargePoint, evse_id: EvseId) -> Option<SessionId> {
    let evse = charge_point.evses.iter().find(|evse| evse.evse_id == evse_id)?;
    let vacant = evse.connectors.iter().all(|connector| {
        let outlet = domain::id::Outlet { evse_id, connector_id: connector.connector_id };
        charge_point.status_of(outlet) == OutletStatus::Available
    });
    charge_point.claims.get(&evse_id).filter(|_| vacant).map(|claim| claim.session_id)
}

/// Its transaction has ended, unless it was heard of since: a stop or readings may be on their way.
pub(super) fn ended(session: &ChargingSession, unheard_since: DateTime<Utc>) -> Option<Conclusion> {
    let session_id = session.session_id.filter(|_| session.is_open() && session.transaction_id.is_some())?;
    let heard_at = session.heard_at?;
    (heard_at <= unheard_since).then_some(Conclusion::SessionSilent { session_id, unheard_since: heard_at })
}

use std::collections::HashMap;

use domain::charge_point::{ChargePointEvent, ConnectorNumbers};
use domain::event::Event;
use domain::id::{ChargePointId, Outlet};
use schema::log::RecordedEvent;

use crate::log::decoded;

/// What chargers call themselves and their outlets.
pub struct Chargers(HashMap<ChargePointId, (String, ConnectorNumbers)>);

impl Chargers {
    pub fn of(events: &[RecordedEvent]) -> Self {
        let registered = events.iter().filter_map(|recorded| match decoded(recorded) {
            Event::ChargePoint(ChargePointEvent::ChargePointRegistered(registered)) => {
                let known = (registered.identity.as_str().to_owned(), ConnectorNumbers::of(&registered.evses));
                Some((registered.charge_point_id, known))
            }
            _ => None,
        });
        Self(registered.collect())
    }

    /// # Panics
    /// When nobody registered it.
    pub fn identity(&self, id: ChargePointId) -> &str {
        &self.0[&id].0
    }

    /// The number by which the charger knows the outlet; 0 is the charger itself.
    pub fn number(&self, id: ChargePointId, outlet: Option<Outlet>) -> i64 {
        outlet.map_or(0, |outlet| self.0[&id].1.number_of(outlet).into())
    }
}

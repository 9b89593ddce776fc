use std::sync::Arc;

use super::ChargePoint;
use crate::id::{ConnectorNumber, Outlet};
use crate::outlet::Evse;

/// Which outlets the numbers of an OCPP 1.6 charger mean. 1.6 has no EVSEs: a charger counts its connectors through.
///
/// It follows from what the operator described when they registered the charger. An outlet that a report adds later
/// changes it no more than the report was read by it: a number that nobody described is an EVSE of its own, so the same
/// numbers mean the same for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectorNumbers {
    /// Connector n is EVSE n, connector 1.
    Evses,
    /// The operator has grouped the connectors, or numbered them through: each one's id is the charger's own number.
    Connectors(Arc<[Outlet]>),
}

impl ConnectorNumbers {
    pub fn of(evses: &[Evse]) -> Self {
        let outlets: Arc<[_]> = evses.iter().flat_map(Evse::outlets).collect();
        let one_each = outlets.len() <= evses.len() && outlets.iter().all(|outlet| outlet.connector_id.0 == 1);
        if one_each { Self::Evses } else { Self::Connectors(outlets) }
    }

    pub fn outlet_of(&self, number: ConnectorNumber) -> Outlet {
        let described = match self {
            Self::Evses => return Outlet::of_v16_connector(number),
            Self::Connectors(outlets) => outlets.iter().find(|outlet| outlet.connector_id.0 == number.get()),
        };
        described.copied().unwrap_or_else(|| Outlet::numbered(number))
    }

    pub const fn number_of(&self, outlet: Outlet) -> u32 {
        match self {
            Self::Evses => outlet.evse_id.0,
            Self::Connectors(_) => outlet.connector_id.0,
        }
    }

    /// A number that is given to two outlets.
    pub(super) fn ambiguous(&self) -> Option<u32> {
        let Self::Connectors(outlets) = self else { return None };
        let mut numbers: Vec<_> = outlets.iter().map(|outlet| outlet.connector_id.0).collect();
        numbers.sort_unstable();
        numbers.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

impl ChargePoint {
    pub fn connector_numbers(&self) -> ConnectorNumbers {
        ConnectorNumbers::of(&self.evses)
    }

    /// The outlet that an OCPP 1.6 charger calls connector `n`; none for 0, which is the charge point itself.
    pub fn outlet_of_v16(&self, n: u32) -> Option<Outlet> {
        ConnectorNumber::new(n).map(|number| self.connector_numbers().outlet_of(number))
    }

    pub fn v16_number_of(&self, outlet: Outlet) -> u32 {
        self.connector_numbers().number_of(outlet)
    }

    /// Whether the number that the charger itself uses is the outlet's `connector_id`, as with grouped connectors of OCPP
    /// 1.6 and in 2.x, where it goes with the EVSE's; otherwise it is the `evse_id`.
    pub fn numbers_by_connector(&self) -> bool {
        let within_evse = self.protocol.as_deref().is_some_and(|protocol| protocol.starts_with("ocpp2"));
        within_evse || matches!(self.connector_numbers(), ConnectorNumbers::Connectors(_))
    }
}

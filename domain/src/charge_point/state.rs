use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{BootReport, ChargePointEvent, RegisteredChargePoint};
use crate::id::{
    ChargePointId, ChargePointIdentity, CommandId, DriverId, Epoch, EvseId, Outlet, Sealed, SessionId, SiteId,
};
use crate::outlet::{Connector, Evse, OutletStatus};

/// How many outlets one charge point can have: reports beyond are recorded, but make no new outlet.
pub(super) const OUTLETS_MAX: usize = 64;
/// Requests remembered after they let their EVSE go: their transaction may still come.
const PAST_REQUESTS_MAX: usize = 32;

/// The state of a charge point, and the row of its read model.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChargePoint {
    pub charge_point_id: Option<ChargePointId>,
    pub identity: Option<ChargePointIdentity>,
    pub site_id: Option<SiteId>,
    /// In order of their ids. An outlet that only a report has named is added to what the operator described.
    pub evses: Vec<Evse>,
    pub epoch: Epoch,
    pub online: bool,
    pub online_changed_at: Option<DateTime<Utc>>,
    pub protocol: Option<String>,
    pub edge: Option<String>,
    pub boot: Option<BootReport>,
    /// What was last reported of the charge point itself (connector 0).
    pub own_report: Option<OutletReport>,
    pub reports: Vec<OutletReport>,
    pub claims: BTreeMap<EvseId, Claim>,
    /// The session that last held each EVSE, while its car may still stand there.
    pub lingering: BTreeMap<EvseId, SessionId>,
    /// Sessions that were asked for and hold nothing any more, oldest first, by the tags that were given out for them.
    #[serde(default)]
    pub past_requests: VecDeque<PastRequest>,
    /// Station commands that are not settled.
    pub open_commands: BTreeSet<CommandId>,
    pub firmware_status: Option<String>,
    pub diagnostics_status: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutletReport {
    pub outlet: Option<Outlet>,
    pub status: OutletStatus,
    pub ocpp_status: String,
    pub error_code: Option<String>,
    pub info: Option<Sealed>,
    pub vendor_error_code: Option<String>,
    pub at: Option<DateTime<Utc>>,
    /// The connection it came over; of an older one, it is stale.
    pub epoch: Epoch,
}

/// Who holds an EVSE: a session that was asked for or is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub session_id: SessionId,
    pub command_id: Option<CommandId>,
    pub driver_id: Option<DriverId>,
    pub remote_tag: Option<String>,
}

/// A session that was asked for, and let its EVSE go: it failed, or is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRequest {
    pub session_id: SessionId,
    pub remote_tag: String,
}

impl ChargePoint {
    pub fn is_registered(&self) -> bool {
        self.identity.is_some()
    }

    /// What is known of an outlet now: unknown while the charger is offline and until it has reported since it came back.
    pub fn status_of(&self, outlet: Outlet) -> OutletStatus {
        match self.report_of(outlet) {
            Some(report) if self.online && report.epoch == self.epoch => report.status,
            _ => OutletStatus::Unknown,
        }
    }

    pub fn report_of(&self, outlet: Outlet) -> Option<&OutletReport> {
        self.reports.iter().find(|report| report.outlet == Some(outlet))
    }

    /// What the charge point says of itself as a whole, while that is fresh.
    pub fn own_status(&self) -> Option<OutletStatus> {
        let report = self.own_report.as_ref().filter(|report| self.online && report.epoch == self.epoch)?;
        Some(report.status)
    }

    pub fn has_outlet(&self, outlet: Outlet) -> bool {
        self.evses.iter().any(|evse| {
            evse.evse_id == outlet.evse_id && evse.connectors.iter().any(|c| c.connector_id == outlet.connector_id)
        })
    }

    /// Where to charge at this EVSE, if nobody names a connector: the first that works, or else the first.
    pub fn outlet_to_start(&self, evse_id: EvseId) -> Option<Outlet> {
        let evse = self.evses.iter().find(|evse| evse.evse_id == evse_id)?;
        evse.outlets().find(|outlet| !self.status_of(*outlet).is_out_of_order()).or_else(|| evse.outlets().next())
    }

    /// The claim whose one-off tag this is (chargers may change the case of a tag: tags are compared without it).
    pub fn claim_by_tag(&self, tag: &str) -> Option<(EvseId, &Claim)> {
        self.claims
            .iter()
            .find(|(_, claim)| claim.remote_tag.as_deref().is_some_and(|remote| remote.eq_ignore_ascii_case(tag)))
            .map(|(evse, claim)| (*evse, claim))
    }

    /// The request that went by this tag and holds nothing any more, the newest if there were several.
    pub fn past_request_by_tag(&self, tag: &str) -> Option<SessionId> {
        let request = self.past_requests.iter().rev().find(|request| request.remote_tag.eq_ignore_ascii_case(tag))?;
        Some(request.session_id)
    }

    pub fn claim_of(&self, session_id: SessionId) -> Option<EvseId> {
        self.claims.iter().find(|(_, claim)| claim.session_id == session_id).map(|(evse, _)| *evse)
    }

    pub(super) fn apply_event(&mut self, event: ChargePointEvent) {
        use ChargePointEvent as Event;
        match event {
            Event::ChargePointRegistered(RegisteredChargePoint {
                charge_point_id, identity, site_id, evses, ..
            }) => {
                self.charge_point_id = Some(charge_point_id);
                self.identity = Some(identity);
                self.site_id = site_id;
                self.evses = evses;
            }
            Event::ChargePointRenamed { identity } => self.identity = Some(identity),
            Event::ChargePointMoved { site_id } => self.site_id = site_id,
            Event::ChargePointConnected { epoch, protocol, edge, at } => {
                self.epoch = epoch;
                self.online = true;
                self.online_changed_at = Some(at);
                self.protocol = Some(protocol);
                self.edge = Some(edge);
            }
            Event::ChargePointDisconnected { epoch, at, .. } => {
                if epoch == self.epoch {
                    self.online = false;
                    self.online_changed_at = Some(at);
                    self.edge = None;
                }
            }
            Event::ChargePointBooted { boot } => self.boot = Some(boot),
            Event::ConnectorStatusReported {
                outlet,
                status,
                ocpp_status,
                error_code,
                info,
                vendor_error_code,
                at,
                ..
            } => {
                let epoch = self.epoch;
                self.take_report(OutletReport {
                    outlet,
                    status,
                    ocpp_status,
                    error_code,
                    info,
                    vendor_error_code,
                    at,
                    epoch,
                });
                // Whatever the cable is that the car hung on: none is in use any more.
                if let Some(outlet) = outlet.filter(|outlet| self.stands_empty(outlet.evse_id)) {
                    self.lingering.remove(&outlet.evse_id);
                }
            }
            Event::EvseClaimed { evse_id, session_id, command_id, driver_id, remote_tag } => {
                self.lingering.remove(&evse_id);
                self.claims.insert(evse_id, Claim { session_id, command_id, driver_id, remote_tag });
            }
            Event::EvseReleased { evse_id, session_id } => self.released(evse_id, session_id),
            Event::CommandQueued { command_id } => {
                self.open_commands.insert(command_id);
            }
            Event::CommandSettled { command_id } => {
                self.open_commands.remove(&command_id);
            }
            Event::FirmwareStatusReported { status } => self.firmware_status = Some(status),
            Event::DiagnosticsStatusReported { status } => self.diagnostics_status = Some(status),
            Event::AuthorizationDecided(_)
            | Event::ReadingsReported { .. }
            | Event::DataTransferred { .. }
            | Event::ReportQuarantined { .. } => {}
        }
    }

    fn released(&mut self, evse_id: EvseId, session_id: SessionId) {
        let Some(claim) = self.claims.get(&evse_id).filter(|claim| claim.session_id == session_id) else {
            return;
        };
        if let Some(remote_tag) = claim.remote_tag.clone() {
            if self.past_requests.len() == PAST_REQUESTS_MAX {
                self.past_requests.pop_front();
            }
            self.past_requests.push_back(PastRequest { session_id, remote_tag });
        }
        self.claims.remove(&evse_id);
        if !self.stands_empty(evse_id) {
            self.lingering.insert(evse_id, session_id);
        }
    }

    /// Whether the car is known to have left: the EVSE was reported available after it charged, before the stop arrived.
    /// Then the next such report tells nothing about it.
    fn stands_empty(&self, evse_id: EvseId) -> bool {
        let of_evse = |report: &&OutletReport| report.outlet.is_some_and(|outlet| outlet.evse_id == evse_id);
        let mut fresh = self.reports.iter().filter(of_evse).filter(|report| report.epoch == self.epoch).peekable();
        fresh.peek().is_some() && fresh.all(|report| report.status == OutletStatus::Available)
    }

    fn take_report(&mut self, report: OutletReport) {
        let Some(outlet) = report.outlet else {
            self.own_report = Some(report);
            return;
        };
        if !self.has_outlet(outlet) {
            if self.evses.iter().map(|evse| evse.connectors.len()).sum::<usize>() >= OUTLETS_MAX {
                return;
            }
            self.add_outlet(outlet);
        }
        match self.reports.iter_mut().find(|present| present.outlet == report.outlet) {
            Some(present) => *present = report,
            None => {
                self.reports.push(report);
                self.reports.sort_by_key(|report| report.outlet);
            }
        }
    }

    fn add_outlet(&mut self, outlet: Outlet) {
        let connector = Connector { connector_id: outlet.connector_id, kind: None, max_power_w: None };
        match self.evses.iter_mut().find(|evse| evse.evse_id == outlet.evse_id) {
            Some(evse) => evse.connectors.push(connector),
            None => self.evses.push(Evse { evse_id: outlet.evse_id, connectors: vec![connector] }),
        }
        self.evses.sort_by_key(|evse| evse.evse_id);
    }
}

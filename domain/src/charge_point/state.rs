use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{BootReport, ChargePointEvent, RegisteredChargePoint};
use crate::id::{ChargePointId, ChargePointIdentity, CommandId, DriverId, Epoch, EvseId, Outlet, SessionId, SiteId};
use crate::outlet::{Connector, Evse, OutletStatus};

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
    pub info: Option<String>,
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

    pub fn has_outlet(&self, outlet: Outlet) -> bool {
        self.evses.iter().any(|evse| {
            evse.evse_id == outlet.evse_id && evse.connectors.iter().any(|c| c.connector_id == outlet.connector_id)
        })
    }

    /// The claim whose one-off tag this is (chargers may change the case of a tag: tags are compared without it).
    pub fn claim_by_tag(&self, tag: &str) -> Option<(EvseId, &Claim)> {
        self.claims
            .iter()
            .find(|(_, claim)| claim.remote_tag.as_deref().is_some_and(|remote| remote.eq_ignore_ascii_case(tag)))
            .map(|(evse, claim)| (*evse, claim))
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
                if let Some(outlet) = outlet.filter(|_| status == OutletStatus::Available) {
                    self.lingering.remove(&outlet.evse_id);
                }
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
            }
            Event::EvseClaimed { evse_id, session_id, command_id, driver_id, remote_tag } => {
                self.lingering.remove(&evse_id);
                self.claims.insert(evse_id, Claim { session_id, command_id, driver_id, remote_tag });
            }
            Event::EvseReleased { evse_id, session_id } => {
                if self.claims.get(&evse_id).is_some_and(|claim| claim.session_id == session_id) {
                    self.claims.remove(&evse_id);
                    self.lingering.insert(evse_id, session_id);
                }
            }
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

    fn take_report(&mut self, report: OutletReport) {
        let Some(outlet) = report.outlet else {
            self.own_report = Some(report);
            return;
        };
        if !self.has_outlet(outlet) {
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

use chrono::{DateTime, Utc};

use super::event::{Authorization, BootReport, ChargePointEvent, RegisteredChargePoint};
use super::numbers::ConnectorNumbers;
use super::state::{ChargePoint, OUTLETS_MAX};
use crate::aggregate::{Decide, aggregate};
use crate::event::AggregateType;
use crate::id::{ChargePointIdentity, CommandId, DriverId, Epoch, EvseId, Outlet, Sealed, SessionId, SiteId};
use crate::meter::MeterReading;
use crate::outlet::OutletStatus;
use crate::refusal::Refusal;

/// How many station commands may wait for one charger.
const OPEN_COMMANDS_MAX: usize = 64;

#[derive(Debug, Clone)]
pub enum ChargePointCommand {
    Register(RegisteredChargePoint),
    Rename {
        identity: ChargePointIdentity,
    },
    Move {
        site_id: Option<SiteId>,
    },
    /// Somebody wants to charge here. Refused while the charger is offline, the EVSE held, or the connector out of order.
    Claim {
        outlet: Outlet,
        claimant: Claimant,
    },

    // What follows is reported, and never refused.
    Connect {
        epoch: Epoch,
        protocol: String,
        edge: String,
        at: DateTime<Utc>,
    },
    Disconnect {
        epoch: Epoch,
        reason: String,
        at: DateTime<Utc>,
    },
    ReportBoot(BootReport),
    ReportStatus(StatusReport),
    /// A transaction is under way on the EVSE: it holds it, whoever held it before.
    Occupy {
        evse_id: EvseId,
        session_id: SessionId,
        driver_id: Option<DriverId>,
    },
    Release {
        session_id: SessionId,
    },
    QueueCommand {
        command_id: CommandId,
    },
    SettleCommand {
        command_id: CommandId,
    },
    RecordAuthorization(Authorization),
    ReportReadings {
        outlet: Option<Outlet>,
        readings: Vec<MeterReading>,
    },
    ReportFirmwareStatus {
        status: String,
    },
    ReportDiagnosticsStatus {
        status: String,
    },
    TransferData {
        vendor_id: String,
        message_id: Option<String>,
        data: Option<Sealed>,
    },
    Quarantine {
        action: String,
        payload: Sealed,
        why: String,
    },
}

#[derive(Debug, Clone)]
pub struct Claimant {
    pub session_id: SessionId,
    pub command_id: CommandId,
    pub driver_id: Option<DriverId>,
    pub remote_tag: String,
}

/// A status, with its free text (`I`) in clear as the charger wrote it, or sealed as it becomes part of an event.
#[derive(Debug, Clone)]
pub struct StatusReport<I = Sealed> {
    pub outlet: Option<Outlet>,
    /// As the charger wrote it.
    pub ocpp_status: String,
    pub error_code: Option<String>,
    pub info: Option<I>,
    pub vendor_id: Option<String>,
    pub vendor_error_code: Option<String>,
    pub at: Option<DateTime<Utc>>,
}

impl StatusReport<String> {
    pub fn sealed(self, info: Option<Sealed>) -> StatusReport {
        let Self { outlet, ocpp_status, error_code, info: _, vendor_id, vendor_error_code, at } = self;
        StatusReport { outlet, ocpp_status, error_code, info, vendor_id, vendor_error_code, at }
    }
}

impl Decide for ChargePoint {
    const AGGREGATE: AggregateType = AggregateType::ChargePoint;
    const FOLD_VERSION: i32 = 3;

    fn decide(&self, command: ChargePointCommand) -> Result<Vec<ChargePointEvent>, Refusal> {
        use ChargePointCommand as Command;
        use ChargePointEvent as Event;
        if let Command::Register(details) = command {
            return self.register(details);
        }
        if !self.is_registered() {
            return Err(Refusal::ChargerUnknown);
        }
        Ok(match command {
            Command::Register(_) => unreachable!("handled above"),
            Command::Rename { identity } if self.identity.as_ref() == Some(&identity) => vec![],
            Command::Rename { identity } => vec![Event::ChargePointRenamed { identity }],
            Command::Move { site_id } if self.site_id == site_id => vec![],
            Command::Move { site_id } => vec![Event::ChargePointMoved { site_id }],
            Command::Claim { outlet, claimant } => self.claim(outlet, claimant)?,
            // An older socket than the one that was authenticated meanwhile.
            Command::Connect { epoch, .. } if epoch <= self.epoch => vec![],
            Command::Connect { epoch, protocol, edge, at } => {
                vec![Event::ChargePointConnected { epoch, protocol, edge, at }]
            }
            Command::Disconnect { epoch, reason, at } if self.online && epoch == self.epoch => {
                vec![Event::ChargePointDisconnected { epoch, reason, at }]
            }
            // A late close of an older socket.
            Command::Disconnect { .. } => vec![],
            Command::ReportBoot(boot) => vec![Event::ChargePointBooted { boot }],
            Command::ReportStatus(report) => vec![self.status_reported(report)],
            Command::Occupy { evse_id, session_id, driver_id } => self.occupied(evse_id, session_id, driver_id),
            Command::Release { session_id } => match self.claim_of(session_id) {
                Some(evse_id) => vec![Event::EvseReleased { evse_id, session_id }],
                None => vec![],
            },
            Command::QueueCommand { command_id } if self.open_commands.contains(&command_id) => vec![],
            Command::QueueCommand { command_id } => {
                if self.open_commands.len() >= OPEN_COMMANDS_MAX {
                    return Err(Refusal::AlreadyExists("Too many commands are waiting for this charger."));
                }
                vec![Event::CommandQueued { command_id }]
            }
            Command::SettleCommand { command_id } if !self.open_commands.contains(&command_id) => vec![],
            Command::SettleCommand { command_id } => vec![Event::CommandSettled { command_id }],
            Command::RecordAuthorization(authorization) => vec![Event::AuthorizationDecided(authorization)],
            Command::ReportReadings { outlet, readings } => vec![Event::ReadingsReported { outlet, readings }],
            Command::ReportFirmwareStatus { status } => vec![Event::FirmwareStatusReported { status }],
            Command::ReportDiagnosticsStatus { status } => vec![Event::DiagnosticsStatusReported { status }],
            Command::TransferData { vendor_id, message_id, data } => {
                vec![Event::DataTransferred { vendor_id, message_id, data }]
            }
            Command::Quarantine { action, payload, why } => vec![Event::ReportQuarantined { action, payload, why }],
        })
    }
}

impl ChargePoint {
    fn register(&self, details: RegisteredChargePoint) -> Result<Vec<ChargePointEvent>, Refusal> {
        if self.is_registered() {
            return Err(Refusal::AlreadyExists("A charger of this id is registered already."));
        }
        let outlets: usize = details.evses.iter().map(|evse| evse.connectors.len()).sum();
        if outlets > OUTLETS_MAX {
            return Err(Refusal::invalid("evses", format!("has at most {OUTLETS_MAX} connectors")));
        }
        let numbered = |evse: &crate::outlet::Evse| {
            evse.evse_id.0 > 0 && !evse.connectors.is_empty() && evse.connectors.iter().all(|c| c.connector_id.0 > 0)
        };
        if !details.evses.iter().all(numbered) {
            return Err(Refusal::invalid("evses", "each has an evse_id from 1 and connectors with ids from 1"));
        }
        let mut ids: Vec<_> = details.evses.iter().map(|evse| evse.evse_id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != details.evses.len() {
            return Err(Refusal::invalid("evses", "names an evse_id twice"));
        }
        if let Some(number) = ConnectorNumbers::of(&details.evses).ambiguous() {
            let why = format!(
                "has connector_id {number} twice: where connectors are grouped, it is the number that the charger itself uses"
            );
            return Err(Refusal::invalid("evses", why));
        }
        Ok(vec![ChargePointEvent::ChargePointRegistered(details)])
    }

    fn claim(&self, outlet: Outlet, claimant: Claimant) -> Result<Vec<ChargePointEvent>, Refusal> {
        if !self.online {
            return Err(Refusal::ChargerOffline);
        }
        let evse_id = outlet.evse_id;
        let evse = self.evses.iter().find(|evse| evse.evse_id == evse_id);
        let Some(evse) = evse.filter(|_| self.has_outlet(outlet)) else {
            return Err(Refusal::invalid("connector_id", "the charger has no such connector"));
        };
        if self.claims.contains_key(&evse_id) {
            return Err(Refusal::ConnectorOccupied);
        }
        let is_in_use =
            |status| matches!(status, OutletStatus::Charging | OutletStatus::Suspended | OutletStatus::Reserved);
        // One vehicle at a time: whichever connector it is on, the EVSE is in use.
        if evse.outlets().any(|outlet| is_in_use(self.status_of(outlet))) {
            return Err(Refusal::ConnectorOccupied);
        }
        if self.own_status().is_some_and(OutletStatus::is_out_of_order) || self.status_of(outlet).is_out_of_order() {
            return Err(Refusal::ConnectorFaulted);
        }
        let Claimant { session_id, command_id, driver_id, remote_tag } = claimant;
        Ok(vec![ChargePointEvent::EvseClaimed {
            evse_id,
            session_id,
            command_id: Some(command_id),
            driver_id,
            remote_tag: Some(remote_tag),
        }])
    }

    fn occupied(&self, evse_id: EvseId, session_id: SessionId, driver_id: Option<DriverId>) -> Vec<ChargePointEvent> {
        let present = self.claims.get(&evse_id);
        if present.is_some_and(|claim| claim.session_id == session_id) {
            return vec![];
        }
        // A charger that names ever new EVSEs: its sessions are recorded, but what it can hold is bounded.
        if present.is_none() && self.claims.len() >= OUTLETS_MAX {
            return vec![];
        }
        let released = present.map(|claim| ChargePointEvent::EvseReleased { evse_id, session_id: claim.session_id });
        // The same session may hold another EVSE, when the charger began where it was not asked to: what is known of the
        // request moves with it.
        let before = self.claim_of(session_id);
        let moved = before.map(|evse_id| ChargePointEvent::EvseReleased { evse_id, session_id });
        let request = before.and_then(|evse_id| self.claims.get(&evse_id));
        let claimed = ChargePointEvent::EvseClaimed {
            evse_id,
            session_id,
            command_id: request.and_then(|claim| claim.command_id),
            driver_id: driver_id.or(request.and_then(|claim| claim.driver_id)),
            remote_tag: request.and_then(|claim| claim.remote_tag.clone()),
        };
        released.into_iter().chain(moved).chain([claimed]).collect()
    }

    fn status_reported(&self, report: StatusReport) -> ChargePointEvent {
        let StatusReport { outlet, ocpp_status, error_code, info, vendor_id, vendor_error_code, at } = report;
        let previous = match outlet {
            Some(outlet) => self.report_of(outlet),
            None => self.own_report.as_ref(),
        };
        let repeated = previous.is_some_and(|previous| {
            previous.ocpp_status == ocpp_status
                && previous.error_code == error_code
                && previous.info == info
                && previous.vendor_error_code == vendor_error_code
        });
        ChargePointEvent::ConnectorStatusReported {
            outlet,
            status: OutletStatus::from_ocpp(&ocpp_status),
            ocpp_status,
            error_code,
            info,
            vendor_id,
            vendor_error_code,
            at,
            repeated,
        }
    }
}

aggregate!(ChargePoint, ChargePointCommand, ChargePointEvent, ChargePoint);

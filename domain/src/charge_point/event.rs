use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::aggregate::event_names;
use crate::envelope::Retention;
use crate::id::{
    AuthorizationId, ChargePointId, ChargePointIdentity, CommandId, DriverId, Epoch, EvseId, Outlet, PlanId, Sealed,
    SessionId, SiteId, TokenId,
};
use crate::meter::MeterReading;
use crate::outlet::{Evse, OutletStatus};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredChargePoint {
    pub charge_point_id: ChargePointId,
    pub identity: ChargePointIdentity,
    pub site_id: Option<SiteId>,
    pub evses: Vec<Evse>,
    /// By policy, when it called for the first time, and not by an operator.
    pub admitted: bool,
}

/// What a charger says of itself (OCPP 1.6 edition 2, 6.3). Absent and empty are the same.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootReport {
    pub vendor: String,
    pub model: String,
    pub serial_number: Option<String>,
    pub firmware_version: Option<String>,
    pub iccid: Option<String>,
    pub meter_type: Option<String>,
    pub meter_serial_number: Option<String>,
    /// OCPP 2.x's `reason`.
    pub boot_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationStatus {
    Accepted,
    Blocked,
    Expired,
    /// The token is not known.
    Invalid,
    /// The token's driver has no active plan.
    NoActivePlan,
    ConcurrentTransaction,
}

/// Where a session must end by itself; null means no limit.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub energy_wh: Option<Decimal>,
    pub cost: Option<Decimal>,
    pub time_s: Option<i64>,
    pub soc_percent: Option<Decimal>,
}

impl Limits {
    /// These, and of the others those that these leave open.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            energy_wh: self.energy_wh.or(others.energy_wh),
            cost: self.cost.or(others.cost),
            time_s: self.time_s.or(others.time_s),
            soc_percent: self.soc_percent.or(others.soc_percent),
        }
    }
}

/// A decision on whether, for whom and at whose cost a charge may happen. It may take seconds and be made elsewhere, so
/// it is recorded, and a session refers to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authorization {
    pub authorization_id: AuthorizationId,
    pub status: AuthorizationStatus,
    /// None for a start from an app, which needs no token.
    pub token_id: Option<TokenId>,
    pub evse_id: Option<EvseId>,
    /// Who pays.
    pub driver_id: Option<DriverId>,
    /// Whose tokens may stop it.
    pub group: Option<String>,
    pub plan_id: Option<PlanId>,
    pub limits: Limits,
    pub decided_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ChargePointEvent {
    ChargePointRegistered(RegisteredChargePoint),
    ChargePointRenamed {
        identity: ChargePointIdentity,
    },
    ChargePointMoved {
        site_id: Option<SiteId>,
    },
    /// A socket was authenticated: from now on only facts of this epoch are taken.
    ChargePointConnected {
        epoch: Epoch,
        protocol: String,
        edge: String,
        at: DateTime<Utc>,
    },
    ChargePointDisconnected {
        epoch: Epoch,
        reason: String,
        at: DateTime<Utc>,
    },
    ChargePointBooted {
        boot: BootReport,
    },
    ConnectorStatusReported {
        /// None: the charge point itself.
        outlet: Option<Outlet>,
        status: OutletStatus,
        ocpp_status: String,
        error_code: Option<String>,
        info: Option<Sealed>,
        vendor_id: Option<String>,
        vendor_error_code: Option<String>,
        at: Option<DateTime<Utc>>,
        /// It said the same before.
        repeated: bool,
    },
    EvseClaimed {
        evse_id: EvseId,
        session_id: SessionId,
        /// The command that asked for it; none when a transaction came by itself.
        command_id: Option<CommandId>,
        driver_id: Option<DriverId>,
        /// The one-off idTag by which the transaction will be known.
        remote_tag: Option<String>,
    },
    EvseReleased {
        evse_id: EvseId,
        session_id: SessionId,
    },
    /// A station command waits for this charger. Its own stream tells the rest.
    CommandQueued {
        command_id: CommandId,
    },
    /// It waits no longer, however it ended.
    CommandSettled {
        command_id: CommandId,
    },
    AuthorizationDecided(Authorization),
    /// Meter values that belong to no transaction.
    ReadingsReported {
        outlet: Option<Outlet>,
        readings: Vec<MeterReading>,
    },
    FirmwareStatusReported {
        status: String,
    },
    DiagnosticsStatusReported {
        status: String,
    },
    DataTransferred {
        vendor_id: String,
        message_id: Option<String>,
        data: Option<Sealed>,
    },
    /// Acknowledged as far as the protocol allows, not understood: kept for the operator.
    ReportQuarantined {
        action: String,
        payload: Sealed,
        why: String,
    },
}

event_names!(ChargePointEvent {
    ChargePointRegistered => "1",
    ChargePointRenamed => "1",
    ChargePointMoved => "1",
    ChargePointConnected => "1",
    ChargePointDisconnected => "1",
    ChargePointBooted => "1",
    ConnectorStatusReported => "1",
    EvseClaimed => "1",
    EvseReleased => "1",
    CommandQueued => "1",
    CommandSettled => "1",
    AuthorizationDecided => "1",
    ReadingsReported => "1",
    FirmwareStatusReported => "1",
    DiagnosticsStatusReported => "1",
    DataTransferred => "1",
    ReportQuarantined => "1",
});

impl ChargePointEvent {
    pub const fn retention(&self) -> Retention {
        match self {
            Self::ChargePointConnected { .. }
            | Self::ChargePointDisconnected { .. }
            | Self::ConnectorStatusReported { repeated: true, .. }
            | Self::ReadingsReported { .. } => Retention::Telemetry,
            Self::ChargePointRegistered(_)
            | Self::ChargePointRenamed { .. }
            | Self::ChargePointMoved { .. }
            | Self::ChargePointBooted { .. }
            | Self::ConnectorStatusReported { .. }
            | Self::EvseClaimed { .. }
            | Self::EvseReleased { .. }
            | Self::CommandQueued { .. }
            | Self::CommandSettled { .. }
            | Self::AuthorizationDecided(_)
            | Self::FirmwareStatusReported { .. }
            | Self::DiagnosticsStatusReported { .. }
            | Self::DataTransferred { .. }
            | Self::ReportQuarantined { .. } => Retention::Operational,
        }
    }
}

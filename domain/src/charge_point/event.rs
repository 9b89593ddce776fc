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
    /// The charge point: the id of its stream, for ever.
    pub charge_point_id: ChargePointId,
    /// What the charger calls itself when it connects: 1 to 48 characters, unique in the network.
    pub identity: ChargePointIdentity,
    /// The site where it stands; null while it has none.
    pub site_id: Option<SiteId>,
    /// Its EVSEs and their connectors, as the operator described them; empty where nobody did.
    pub evses: Vec<Evse>,
    /// Whether it was admitted by policy when it called for the first time, and not registered by an operator.
    pub admitted: bool,
}

/// What a charger says of itself when it boots (OCPP 1.6 edition 2, 6.3). Absent and empty are the same.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootReport {
    /// Its vendor (`chargePointVendor`).
    pub vendor: String,
    /// Its model (`chargePointModel`).
    pub model: String,
    /// Its serial number; null where it names none.
    pub serial_number: Option<String>,
    /// The version of its firmware; null where it names none.
    pub firmware_version: Option<String>,
    /// The ICCID of its modem's SIM card; null where it names none.
    pub iccid: Option<String>,
    /// The type of its main energy meter; null where it names none.
    pub meter_type: Option<String>,
    /// The serial number of its main energy meter; null where it names none.
    pub meter_serial_number: Option<String>,
    /// Why it booted: OCPP 2.x's `reason`; null in 1.6, which has none.
    pub boot_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationStatus {
    /// The charge may happen.
    Accepted,
    /// The token is blocked.
    Blocked,
    /// The token has expired.
    Expired,
    /// The token is not known.
    Invalid,
    /// The token's driver has no active plan.
    NoActivePlan,
    /// The token is used in another transaction.
    ConcurrentTransaction,
}

/// Where a session must end by itself; null means no limit.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The energy it may take, in Wh.
    pub energy_wh: Option<Decimal>,
    /// What it may cost, in the currency of its tariff.
    pub cost: Option<Decimal>,
    /// How long it may last, in seconds.
    pub time_s: Option<i64>,
    /// The state of charge of the car's battery that is enough, 0 to 100.
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
    /// The decision.
    pub authorization_id: AuthorizationId,
    /// What was decided.
    pub status: AuthorizationStatus,
    /// The token that was shown; null for a start from an app, which needs none.
    pub token_id: Option<TokenId>,
    /// The EVSE it was asked for; null where it is for any of the charge point.
    pub evse_id: Option<EvseId>,
    /// Who pays; null where that is nobody.
    pub driver_id: Option<DriverId>,
    /// The group whose tokens may stop it (`parentIdTag` of OCPP 1.6); null: none but the one that started it.
    pub group: Option<String>,
    /// The plan on which the driver charges; null where there is none.
    pub plan_id: Option<PlanId>,
    /// Where the session must end by itself.
    pub limits: Limits,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
    /// Until when the decision holds; null: until it is replaced.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What happens to a charge point: who it is, its connection, what it says of itself and of its outlets, who holds
/// them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ChargePointEvent {
    /// An operator registered a charge point, or it was admitted when it called for the first time.
    ChargePointRegistered(RegisteredChargePoint),
    /// The charger calls itself otherwise from now on.
    ChargePointRenamed {
        /// What it calls itself now.
        identity: ChargePointIdentity,
    },
    /// It stands at another site.
    ChargePointMoved {
        /// The site where it stands now; null: none.
        site_id: Option<SiteId>,
    },
    /// The charger connected, and its socket was authenticated: from now on only facts of this epoch are taken.
    ChargePointConnected {
        /// The number of the connection: each has a higher one than those before it.
        epoch: Epoch,
        /// The subprotocol it speaks, such as `ocpp1.6`.
        protocol: String,
        /// The process that holds the socket.
        edge: String,
        /// When, by the platform's clock.
        at: DateTime<Utc>,
    },
    /// A connection of the charger ended, or the process that held it is gone.
    ChargePointDisconnected {
        /// Which connection: not the newest where the charger has connected anew.
        epoch: Epoch,
        /// Why, in words.
        reason: String,
        /// When it was noticed, by the platform's clock.
        at: DateTime<Utc>,
    },
    /// The charger said who it is after it booted (BootNotification).
    ChargePointBooted {
        /// What it said of itself.
        boot: BootReport,
    },
    /// The charger reported the status of an outlet or of itself (StatusNotification).
    ConnectorStatusReported {
        /// The outlet it is about; null: the charge point itself.
        outlet: Option<Outlet>,
        /// The status, in the platform's words.
        status: OutletStatus,
        /// The status, in the charger's word.
        ocpp_status: String,
        /// OCPP 1.6's `errorCode`, `NoError` where nothing is wrong; null where it was not given.
        error_code: Option<String>,
        /// Free text of the charger; null where there is none.
        info: Option<Sealed>,
        /// The vendor whose error code it is; null where it was not given.
        vendor_id: Option<String>,
        /// The vendor's own error code; null where it was not given.
        vendor_error_code: Option<String>,
        /// When the status changed (`occurred_at`); null where no clock could be trusted.
        at: Option<DateTime<Utc>>,
        /// Whether the charger had said the same before.
        repeated: bool,
    },
    /// An EVSE is held for a session: it was asked for, or its transaction began.
    EvseClaimed {
        /// The EVSE, from 1.
        evse_id: EvseId,
        /// The session that holds it.
        session_id: SessionId,
        /// The command that asked for it; null when a transaction came by itself.
        command_id: Option<CommandId>,
        /// Whose session it is; null where that is not known.
        driver_id: Option<DriverId>,
        /// The one-off idTag, hex, by which the transaction will be known; null when it came by itself.
        remote_tag: Option<String>,
    },
    /// A session holds its EVSE no longer: it is over, failed, or moved to another.
    EvseReleased {
        /// The EVSE, from 1.
        evse_id: EvseId,
        /// The session that held it.
        session_id: SessionId,
    },
    /// A station command waits for this charger. Its own stream tells the rest.
    CommandQueued {
        /// The station command.
        command_id: CommandId,
    },
    /// A station command waits for this charger no longer, however it ended.
    CommandSettled {
        /// The station command.
        command_id: CommandId,
    },
    /// It was decided whether a token that was shown at the charger may charge, and at whose cost.
    AuthorizationDecided(Authorization),
    /// The charger sent meter values that belong to no transaction.
    ReadingsReported {
        /// The outlet they were measured at; null: the charge point's main meter.
        outlet: Option<Outlet>,
        /// The readings, in the order in which they were sent.
        readings: Vec<MeterReading>,
    },
    /// The charger reported how an update of its firmware goes (FirmwareStatusNotification).
    FirmwareStatusReported {
        /// OCPP's word, such as `Downloading` or `Installed`.
        status: String,
    },
    /// The charger reported how the upload of its diagnostics goes (DiagnosticsStatusNotification).
    DiagnosticsStatusReported {
        /// OCPP's word, such as `Uploading` or `Uploaded`.
        status: String,
    },
    /// The charger sent something of its vendor's (DataTransfer).
    DataTransferred {
        /// The vendor whose message it is.
        vendor_id: String,
        /// Which of the vendor's messages; null where it was not given.
        message_id: Option<String>,
        /// What was sent, as text; null where there was nothing.
        data: Option<Sealed>,
    },
    /// The charger reported something that was not understood. It was acknowledged as far as the protocol allows, and
    /// is kept for the operator.
    ReportQuarantined {
        /// OCPP's name of the message.
        action: String,
        /// The message as it came.
        payload: Sealed,
        /// What was not understood.
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

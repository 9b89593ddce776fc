use std::borrow::Cow;

use crate::lenient::{DeviceTime, Fields, Message, Refused, Word, words};

words! {
    /// `ChargePointStatus` (1.6 section 7).
    pub enum ChargePointStatus {
        Available = "Available",
        Preparing = "Preparing",
        Charging = "Charging",
        SuspendedEvse = "SuspendedEVSE",
        SuspendedEv = "SuspendedEV",
        Finishing = "Finishing",
        Reserved = "Reserved",
        Unavailable = "Unavailable",
        Faulted = "Faulted",
    }
}

words! {
    /// `ChargePointErrorCode` (1.6 section 7).
    pub enum ChargePointErrorCode {
        NoError = "NoError",
        ConnectorLockFailure = "ConnectorLockFailure",
        EvCommunicationError = "EVCommunicationError",
        GroundFailure = "GroundFailure",
        HighTemperature = "HighTemperature",
        InternalError = "InternalError",
        LocalListConflict = "LocalListConflict",
        OtherError = "OtherError",
        OverCurrentFailure = "OverCurrentFailure",
        OverVoltage = "OverVoltage",
        PowerMeterFailure = "PowerMeterFailure",
        PowerSwitchFailure = "PowerSwitchFailure",
        ReaderFailure = "ReaderFailure",
        ResetFailure = "ResetFailure",
        UnderVoltage = "UnderVoltage",
        WeakSignal = "WeakSignal",
    }
}

/// `StatusNotification.req` (1.6 section 6.47). Refused only if it does not say of which connector it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusNotification<'a> {
    /// 0 is the charge point itself.
    pub connector_id: u32,
    pub status: Option<Word<'a, ChargePointStatus>>,
    pub error_code: Option<Word<'a, ChargePointErrorCode>>,
    pub info: Option<Cow<'a, str>>,
    pub timestamp: Option<DeviceTime<'a>>,
    pub vendor_id: Option<Cow<'a, str>>,
    pub vendor_error_code: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> for StatusNotification<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        fields.expect(&["status", "errorCode"]);
        let connector_id = fields.ordinal("connectorId");
        Ok(Self {
            connector_id: fields.required("connectorId", connector_id)?,
            status: fields.word("status"),
            error_code: fields.word("errorCode"),
            info: fields.text("info", 50),
            timestamp: fields.time("timestamp"),
            vendor_id: fields.text("vendorId", 255),
            vendor_error_code: fields.text("vendorErrorCode", 50),
        })
    }
}

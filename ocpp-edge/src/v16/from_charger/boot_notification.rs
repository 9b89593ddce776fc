use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::lenient::{Fields, Message, Refused, words};

/// `BootNotification.req` (1.6 section 6.3): what the charger says it is. All of it is hearsay, so all of it is optional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootNotification<'a> {
    pub vendor: Option<Cow<'a, str>>,
    pub model: Option<Cow<'a, str>>,
    pub charge_point_serial_number: Option<Cow<'a, str>>,
    /// Deprecated in 1.6, and still what some chargers have their serial number in.
    pub charge_box_serial_number: Option<Cow<'a, str>>,
    pub firmware_version: Option<Cow<'a, str>>,
    pub iccid: Option<Cow<'a, str>>,
    pub imsi: Option<Cow<'a, str>>,
    pub meter_type: Option<Cow<'a, str>>,
    pub meter_serial_number: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> for BootNotification<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        fields.expect(&["chargePointVendor", "chargePointModel"]);
        Ok(Self {
            vendor: fields.text("chargePointVendor", 20),
            model: fields.text("chargePointModel", 20),
            charge_point_serial_number: fields.text("chargePointSerialNumber", 25),
            charge_box_serial_number: fields.text("chargeBoxSerialNumber", 25),
            firmware_version: fields.text("firmwareVersion", 50),
            iccid: fields.text("iccid", 20),
            imsi: fields.text("imsi", 20),
            meter_type: fields.text("meterType", 25),
            meter_serial_number: fields.text("meterSerialNumber", 25),
        })
    }
}

words! {
    /// `RegistrationStatus` (1.6 section 7).
    pub enum RegistrationStatus {
        Accepted = "Accepted",
        /// The charger may not send anything but what it is asked to.
        Pending = "Pending",
        Rejected = "Rejected",
    }
}

/// `BootNotification.conf` (1.6 section 6.4).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BootNotificationResponse {
    pub status: RegistrationStatus,
    #[serde(serialize_with = "super::time::rfc3339_millis")]
    pub current_time: DateTime<Utc>,
    /// Between heartbeats; unless accepted, until the next BootNotification.
    #[serde(rename = "interval")]
    pub interval_s: u32,
}

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::Serialize;

use super::IdTagInfo;
use crate::lenient::{DeviceTime, Fields, Message, Refused};
use crate::v16::ID_TAG_MAX_CHARS;

/// `StartTransaction.req` (1.6 section 6.45): a transaction has begun, whatever is known of it. Refused only if none of
/// what tells it from others is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartTransaction<'a> {
    pub connector_id: Option<u32>,
    /// The same as it was written, also where it counts nothing: by it a retry is known.
    pub connector_number: Option<i64>,
    pub id_tag: Option<Cow<'a, str>>,
    /// An integer by the specification.
    pub meter_start_wh: Option<Decimal>,
    pub reservation_id: Option<i64>,
    pub timestamp: Option<DeviceTime<'a>>,
}

impl<'a> Message<'a> for StartTransaction<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        fields.expect(&["connectorId", "idTag", "meterStart", "timestamp"]);
        let connector_number = fields.integer("connectorId");
        let start = Self {
            connector_id: connector_number.and_then(|number| fields.counted("connectorId", number)),
            connector_number,
            id_tag: fields.text("idTag", ID_TAG_MAX_CHARS),
            meter_start_wh: fields.quantity("meterStart"),
            reservation_id: fields.integer("reservationId"),
            timestamp: fields.time("timestamp"),
        };
        let says_nothing = start.connector_number.is_none()
            && start.id_tag.is_none()
            && start.meter_start_wh.is_none()
            && start.timestamp.is_none();
        if says_nothing {
            fields.required("connectorId", None::<u32>)?;
        }
        Ok(start)
    }
}

/// `StartTransaction.conf` (1.6 section 6.46).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartTransactionResponse {
    pub id_tag_info: IdTagInfo,
    /// Positive: several chargers take 0 or less for no transaction.
    pub transaction_id: i32,
}

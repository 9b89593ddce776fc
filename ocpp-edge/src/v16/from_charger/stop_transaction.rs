use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::Serialize;

use super::{IdTagInfo, MeterValue};
use crate::lenient::{DeviceTime, Fields, Message, Refused, Word, words};
use crate::v16::ID_TAG_MAX_CHARS;

words! {
    /// `Reason` (1.6 section 7); absent means `Local`.
    pub enum StopReason {
        DeAuthorized = "DeAuthorized",
        EmergencyStop = "EmergencyStop",
        EvDisconnected = "EVDisconnected",
        HardReset = "HardReset",
        Local = "Local",
        Other = "Other",
        PowerLoss = "PowerLoss",
        Reboot = "Reboot",
        Remote = "Remote",
        SoftReset = "SoftReset",
        UnlockCommand = "UnlockCommand",
    }
}

/// `StopTransaction.req` (1.6 section 6.49). Never refused: chargers repeat a refused one for ever, or stall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopTransaction<'a> {
    Of {
        /// May be 0 or negative where the transaction was begun offline.
        transaction_id: i64,
        stop: Stop<'a>,
    },
    /// It does not say which transaction: to be acknowledged, and kept for people to look at.
    Unmatched(Stop<'a>),
}

/// What a StopTransaction says besides which transaction it stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop<'a> {
    /// Who stopped it, if a tag did.
    pub id_tag: Option<Cow<'a, str>>,
    /// An integer by the specification.
    pub meter_stop_wh: Option<Decimal>,
    pub timestamp: Option<DeviceTime<'a>>,
    pub reason: Option<Word<'a, StopReason>>,
    /// `transactionData`: the readings of the whole session, thousands of them for a long one.
    pub meter_values: Vec<MeterValue<'a>>,
}

impl<'a> Message<'a> for StopTransaction<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        fields.expect(&["transactionId", "meterStop", "timestamp"]);
        let transaction_id = fields.integer("transactionId");
        let stop = Stop {
            id_tag: fields.text("idTag", ID_TAG_MAX_CHARS),
            meter_stop_wh: fields.quantity("meterStop"),
            timestamp: fields.time("timestamp"),
            reason: fields.word("reason"),
            meter_values: MeterValue::read_list(fields, "transactionData"),
        };
        Ok(match transaction_id {
            Some(transaction_id) => Self::Of { transaction_id, stop },
            None => Self::Unmatched(stop),
        })
    }
}

/// `StopTransaction.conf` (1.6 section 6.50).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StopTransactionResponse {
    /// Only where the request had a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_tag_info: Option<IdTagInfo>,
}

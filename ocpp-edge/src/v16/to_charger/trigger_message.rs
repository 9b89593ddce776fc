use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::lenient::words;

words! {
    /// `MessageTrigger` (1.6 section 7).
    pub enum RequestedMessage {
        BootNotification = "BootNotification",
        DiagnosticsStatusNotification = "DiagnosticsStatusNotification",
        FirmwareStatusNotification = "FirmwareStatusNotification",
        Heartbeat = "Heartbeat",
        MeterValues = "MeterValues",
        StatusNotification = "StatusNotification",
    }
}

/// `TriggerMessage.req` (1.6 section 6.51).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TriggerMessage {
    pub requested_message: RequestedMessage,
    /// Left out: for all connectors, where the message is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<NonZeroU16>,
}

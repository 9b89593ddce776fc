use std::borrow::Cow;

use serde::Serialize;

use crate::lenient::{Fields, Message, Refused, words};

/// `DataTransfer.req` (1.6 section 6.15): whatever a vendor likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataTransfer<'a> {
    pub vendor_id: Option<Cow<'a, str>>,
    pub message_id: Option<Cow<'a, str>>,
    /// A text by the specification; where a vendor sends JSON, its text.
    pub data: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> for DataTransfer<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        fields.expect(&["vendorId"]);
        Ok(Self {
            vendor_id: fields.text("vendorId", 255),
            message_id: fields.text("messageId", 50),
            data: fields.text("data", usize::MAX),
        })
    }
}

words! {
    /// `DataTransferStatus` (1.6 section 7).
    pub enum DataTransferStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
        UnknownMessageId = "UnknownMessageId",
        UnknownVendorId = "UnknownVendorId",
    }
}

/// `DataTransfer.conf` (1.6 section 6.16).
#[derive(Clone, Debug, Serialize)]
pub struct DataTransferResponse {
    pub status: DataTransferStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

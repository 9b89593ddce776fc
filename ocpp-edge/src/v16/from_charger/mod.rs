//! What a charger reports or asks, and what it is answered.
//!
//! Only what is needed to act on a message is required of it; a message refused here is answered with a CALLERROR, and
//! many chargers repeat it for ever. What can be recorded is recorded: StopTransaction, MeterValues, Heartbeat and
//! DataTransfer are never refused.

pub mod authorize;
pub mod boot_notification;
pub mod data_transfer;
pub mod diagnostics_status_notification;
pub mod firmware_status_notification;
pub mod heartbeat;
mod id_tag_info;
pub mod meter_values;
mod sampled_value;
pub mod start_transaction;
pub mod status_notification;
pub mod stop_transaction;
mod time;

#[cfg(test)]
mod tests;

pub use authorize::{Authorize, AuthorizeResponse};
pub use boot_notification::{BootNotification, BootNotificationResponse, RegistrationStatus};
pub use data_transfer::{DataTransfer, DataTransferResponse, DataTransferStatus};
pub use diagnostics_status_notification::{DiagnosticsStatus, DiagnosticsStatusNotification};
pub use firmware_status_notification::{FirmwareStatus, FirmwareStatusNotification};
pub use heartbeat::{Heartbeat, HeartbeatResponse};
pub use id_tag_info::{AuthorizationStatus, IdTagInfo};
pub use meter_values::MeterValues;
pub use sampled_value::{MeterValue, SampledValue};
pub use start_transaction::{StartTransaction, StartTransactionResponse};
pub use status_notification::{ChargePointErrorCode, ChargePointStatus, StatusNotification};
pub use stop_transaction::{Stop, StopReason, StopTransaction, StopTransactionResponse};

use serde::Serialize;

use super::Action;
use crate::frame::ErrorCode;
use crate::json::Node;
use crate::lenient::{Message, Parsed, Refused};

/// The answer to a message that is only taken note of: `{}`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Acknowledged {}

/// A call of a charger.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    Authorize(Authorize<'a>),
    BootNotification(BootNotification<'a>),
    DataTransfer(DataTransfer<'a>),
    DiagnosticsStatusNotification(DiagnosticsStatusNotification<'a>),
    FirmwareStatusNotification(FirmwareStatusNotification<'a>),
    Heartbeat(Heartbeat),
    MeterValues(MeterValues<'a>),
    StartTransaction(StartTransaction<'a>),
    StatusNotification(StatusNotification<'a>),
    StopTransaction(StopTransaction<'a>),
}

/// A call that is answered with a CALLERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the action is not known")]
    Unknown,
    #[error("the action is not supported")]
    Unsupported,
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Error {
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::NotImplemented,
            Self::Unsupported => ErrorCode::NotSupported,
            Self::Refused(refused) => refused.code,
        }
    }
}

impl<'a> Request<'a> {
    /// Reads the payload as the action's message.
    ///
    /// # Errors
    /// The action is not one that a charger calls here, or its payload cannot be acted on.
    pub fn parse(action: &str, payload: Node<'a>) -> Result<Parsed<Self>, Error> {
        fn read<'a, T: Message<'a>>(
            payload: Node<'a>,
            into: impl FnOnce(T) -> Request<'a>,
        ) -> Result<Parsed<Request<'a>>, Error> {
            let parsed = T::parse(payload)?;
            Ok(Parsed { message: into(parsed.message), deviations: parsed.deviations })
        }

        let action = Action::called_by_charger(action).map_err(|code| match code {
            ErrorCode::NotImplemented => Error::Unknown,
            _ => Error::Unsupported,
        })?;
        match action.name {
            "Authorize" => read(payload, Self::Authorize),
            "BootNotification" => read(payload, Self::BootNotification),
            "DataTransfer" => read(payload, Self::DataTransfer),
            "DiagnosticsStatusNotification" => read(payload, Self::DiagnosticsStatusNotification),
            "FirmwareStatusNotification" => read(payload, Self::FirmwareStatusNotification),
            "Heartbeat" => read(payload, Self::Heartbeat),
            "MeterValues" => read(payload, Self::MeterValues),
            "StartTransaction" => read(payload, Self::StartTransaction),
            "StatusNotification" => read(payload, Self::StatusNotification),
            "StopTransaction" => read(payload, Self::StopTransaction),
            _ => Err(Error::Unsupported),
        }
    }
}

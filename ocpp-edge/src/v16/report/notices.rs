use std::borrow::Cow;

use application::report::Notice;

use super::Reporter;
use crate::persist::Failure;
use crate::v16::from_charger::{
    Acknowledged, DataTransfer, DataTransferResponse, DataTransferStatus, DiagnosticsStatusNotification,
    FirmwareStatusNotification,
};

impl Reporter<'_> {
    pub(super) async fn firmware_status(
        &mut self,
        firmware: FirmwareStatusNotification<'_>,
    ) -> Result<Acknowledged, Failure> {
        self.notice(Notice::Firmware { status: firmware.status.text.into_owned() }).await?;
        Ok(Acknowledged {})
    }

    pub(super) async fn diagnostics_status(
        &mut self,
        diagnostics: DiagnosticsStatusNotification<'_>,
    ) -> Result<Acknowledged, Failure> {
        self.notice(Notice::Diagnostics { status: diagnostics.status.text.into_owned() }).await?;
        Ok(Acknowledged {})
    }

    /// Recorded whatever the vendor; accepted of those who are configured.
    pub(super) async fn data_transfer(&mut self, data: DataTransfer<'_>) -> Result<DataTransferResponse, Failure> {
        let vendor_id = data.vendor_id.map(Cow::into_owned).unwrap_or_default();
        let is_known =
            self.edge.config.data_transfer_vendors.iter().any(|vendor| vendor.eq_ignore_ascii_case(&vendor_id));
        let message_id = data.message_id.map(Cow::into_owned);
        self.notice(Notice::Data { vendor_id, message_id, data: data.data.map(Cow::into_owned) }).await?;
        let status = if is_known { DataTransferStatus::Accepted } else { DataTransferStatus::UnknownVendorId };
        Ok(DataTransferResponse { status, data: None })
    }
}

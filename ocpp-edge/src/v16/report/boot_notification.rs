use std::borrow::Cow;

use chrono::Utc;
use domain::charge_point::BootReport;

use super::Reporter;
use crate::persist::{Failure, persist};
use crate::v16::from_charger::{BootNotification, BootNotificationResponse, RegistrationStatus};

impl Reporter<'_> {
    pub(super) async fn boot(&mut self, boot: BootNotification<'_>) -> Result<BootNotificationResponse, Failure> {
        let report = BootReport {
            vendor: boot.vendor.map(Cow::into_owned).unwrap_or_default(),
            model: boot.model.map(Cow::into_owned).unwrap_or_default(),
            serial_number: boot.charge_point_serial_number.or(boot.charge_box_serial_number).map(Cow::into_owned),
            firmware_version: boot.firmware_version.map(Cow::into_owned),
            iccid: boot.iccid.map(Cow::into_owned),
            meter_type: boot.meter_type.map(Cow::into_owned),
            meter_serial_number: boot.meter_serial_number.map(Cow::into_owned),
            boot_reason: None,
        };
        let circumstances = self.circumstances(self.now().times);
        persist(self.retry_for(), || self.link.boot(&circumstances, report.clone())).await?;
        self.clock.booted();
        self.edge.untriggerable.forget(self.link.charge_point_id);
        Ok(BootNotificationResponse {
            status: RegistrationStatus::Accepted,
            current_time: Utc::now(),
            interval_s: self.edge.config.heartbeat_interval_s,
        })
    }
}

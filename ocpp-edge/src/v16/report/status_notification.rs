use std::borrow::Cow;

use application::report::Status;
use domain::charge_point::StatusReport;

use super::Reporter;
use crate::lenient::{Word, Words};
use crate::persist::{Failure, persist};
use crate::v16::from_charger::{Acknowledged, StatusNotification};

impl Reporter<'_> {
    pub(super) async fn status_notification(
        &mut self,
        status: StatusNotification<'_>,
    ) -> Result<Acknowledged, Failure> {
        // The timestamp is optional, and few chargers keep statuses while they are offline: without one it is of now.
        let timed = match &status.timestamp {
            Some(timestamp) => self.time(Some(timestamp)),
            None => self.now(),
        };
        let report = StatusReport {
            outlet: self.link.outlet_of(status.connector_id),
            ocpp_status: status.status.map(spelled).unwrap_or_default(),
            error_code: status.error_code.map(spelled),
            info: status.info.map(Cow::into_owned),
            vendor_id: status.vendor_id.map(Cow::into_owned),
            vendor_error_code: status.vendor_error_code.map(Cow::into_owned),
            at: timed.times.occurred_at,
        };
        let circumstances = self.circumstances(timed.times);
        let attempt = || self.link.status(&circumstances, Status { report: report.clone() });
        persist(self.retry_for(), attempt).await?;
        Ok(Acknowledged {})
    }
}

/// A word of the specification in its spelling, any other as it came.
fn spelled<E: Words>(word: Word<'_, E>) -> String {
    word.known.map_or_else(|| word.text.into_owned(), |known| known.as_str().to_owned())
}

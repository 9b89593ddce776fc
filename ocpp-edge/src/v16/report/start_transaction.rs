use std::borrow::Cow;

use application::report;
use domain::clock::Delivery;

use super::Reporter;
use crate::persist::{Failure, persist};
use crate::v16::from_charger::{StartTransaction, StartTransactionResponse};

impl Reporter<'_> {
    pub(super) async fn start_transaction(
        &mut self,
        start: StartTransaction<'_>,
    ) -> Result<StartTransactionResponse, Failure> {
        let timed = self.time(start.timestamp.as_ref());
        let start = report::StartTransaction {
            outlet: start.connector_id.and_then(|n| self.link.outlet_of(n)),
            connector: start.connector_number,
            id_tag: start.id_tag.map(Cow::into_owned),
            meter_start_wh: start.meter_start_wh,
            reservation_id: start.reservation_id,
            offline: timed.delivery == Delivery::Queued,
        };
        let circumstances = self.circumstances(timed.times);
        let attempt = || self.link.start_transaction(&circumstances, start.clone());
        let started = persist(self.retry_for(), attempt).await?;
        tracing::info!(session = %started.session_id, transaction = started.transaction_id, "a transaction began");
        Ok(StartTransactionResponse { id_tag_info: started.verdict.into(), transaction_id: started.transaction_id })
    }
}

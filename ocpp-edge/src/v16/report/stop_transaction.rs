use std::borrow::Cow;

use application::report;
use domain::clock::Delivery;

use super::Reporter;
use super::meter_values::recorded;
use crate::json::Node;
use crate::persist::{Failure, persist};
use crate::v16::from_charger::{StopTransaction, StopTransactionResponse};

impl Reporter<'_> {
    /// A stop that doesn't say of which transaction is acknowledged, and kept as it came.
    pub(super) async fn stop_transaction(
        &mut self,
        stop: StopTransaction<'_>,
        payload: Node<'_>,
    ) -> Result<StopTransactionResponse, Failure> {
        let (transaction_id, stop) = match stop {
            StopTransaction::Of { transaction_id, stop } => (transaction_id, stop),
            StopTransaction::Unmatched(_) => {
                let why = "transactionId: is missing or cannot be read";
                self.try_quarantine("StopTransaction", payload.raw().get(), why).await?;
                return Ok(StopTransactionResponse::default());
            }
        };
        let timed = self.time(stop.timestamp.as_ref());
        // Of a whole session: none of them was sent as it was taken.
        let readings = stop.meter_values.into_iter();
        let readings = readings.map(|value| recorded(self.clock, value, self.received_at, Delivery::Queued)).collect();
        let stop = report::StopTransaction {
            transaction_id,
            id_tag: stop.id_tag.map(Cow::into_owned),
            meter_stop_wh: stop.meter_stop_wh,
            reason: stop.reason.map(|reason| reason.text.into_owned()),
            readings,
        };
        let circumstances = self.circumstances(timed.times);
        let attempt = || self.link.stop_transaction(&circumstances, stop.clone());
        let verdict = persist(self.retry_for(), attempt).await?;
        tracing::info!(transaction = transaction_id, "a transaction ended");
        Ok(StopTransactionResponse { id_tag_info: verdict.map(Into::into) })
    }
}

use std::time::Duration;

use domain::charge_point::ChargePoint;
use tokio::time::Instant;

use super::{Connection, End};
use crate::refresh::{Refresh, is_incomplete, missing};
use crate::v16::to_charger::{Command, RequestedMessage, TriggerMessage};

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);
/// For the statuses that a charger was asked for to come.
const REPORTS_WAIT: Duration = Duration::from_secs(5);

impl Connection {
    /// Moves on with asking for statuses, when its time has come.
    pub(super) async fn refresh_when_due(&mut self, now: Instant) -> Result<(), End> {
        if self.refresh.due().is_none_or(|due| due > now) {
            return Ok(());
        }
        if self.edge.untriggerable.contains(self.link.charge_point_id) {
            self.refresh = Refresh::Done;
            return Ok(());
        }
        let loaded = self.edge.app.store().load::<ChargePoint>(self.link.charge_point_id).await;
        let charge_point = match loaded {
            Ok(loaded) => loaded.state,
            Err(error) => {
                tracing::warn!(charger = self.identity.as_str(), %error, "statuses are not asked for");
                self.refresh = Refresh::Done;
                return Ok(());
            }
        };
        let epoch = self.link.epoch;
        match self.refresh {
            Refresh::AskAll(_) if !is_incomplete(&charge_point, epoch) => self.refresh = Refresh::Done,
            Refresh::AskAll(_) if !self.outbox.is_idle() => self.refresh = Refresh::AskAll(now + REPORTS_WAIT),
            Refresh::AskAll(_) => {
                self.refresh = Refresh::AskEach(now + REPORTS_WAIT);
                // Without a connector: of the charge point, and with many makes of all connectors.
                self.ask(None).await?;
            }
            Refresh::AskEach(_) => self.refresh = Refresh::Asking(missing(&charge_point, epoch)),
            Refresh::Idle | Refresh::Asking(_) | Refresh::Done => {}
        }
        Ok(())
    }

    /// There may be connectors to ask for.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.refresh, Refresh::Asking(_)) && self.outbox.is_idle()
    }

    /// Asks for the next connector, while nothing else is to be sent.
    pub(super) async fn ask_next(&mut self) -> Result<(), End> {
        let Refresh::Asking(connectors) = &mut self.refresh else { return Ok(()) };
        if !self.outbox.is_idle() {
            return Ok(());
        }
        match connectors.pop_front() {
            Some(connector_id) => self.ask(Some(connector_id)).await,
            None => {
                self.refresh = Refresh::Done;
                Ok(())
            }
        }
    }

    async fn ask(&mut self, connector_id: Option<std::num::NonZeroU16>) -> Result<(), End> {
        metrics::counter!("coulomb_ocpp_edge_statuses_asked_total").increment(1);
        let trigger = TriggerMessage { requested_message: RequestedMessage::StatusNotification, connector_id };
        self.send_call(Command::TriggerMessage(trigger), None, Instant::now() + ANSWER_WAIT_MAX).await
    }

    /// It is not asked again, on this connection or the next ones.
    pub(super) fn refused_to_be_asked(&mut self) {
        self.refresh = Refresh::Done;
        self.edge.untriggerable.remember(self.link.charge_point_id);
    }
}

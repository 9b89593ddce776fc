//! What chargers report, one file each. A report is never refused: it is recorded, and what does not fit is flagged.
//!
//! Every append carries the guard of the connection's epoch: of several sockets of one charger only the newest
//! authenticated one is heard.

mod authorize;
mod boot;
mod commands;
mod connect;
mod meter_values;
mod notice;
mod readings;
mod start_transaction;
mod status;
mod stop_transaction;

use std::sync::Arc;

use domain::charge_point::{ChargePoint, ConnectorNumbers};
use domain::envelope::{Actor, Envelope, ReportTimes};
use domain::id::{ChargePointId, ConnectorNumber, Epoch, Outlet, TenantId};
use event_store::{Guard, GuardCondition, Session, stream_of};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Application;

pub use authorize::Verdict;
pub use commands::{CommandAnswer, OpenCommands, Requested, Sending, ToSend};
pub use connect::{Standing, admit, connect, edge_lease, presume_disconnected};
pub use meter_values::MeterValues;
pub use notice::Notice;
pub use start_transaction::{StartTransaction, Started};
pub use status::Status;
pub use stop_transaction::StopTransaction;

/// A connected charger: the right to append its facts, for as long as no newer socket of it is authenticated.
#[derive(Clone)]
pub struct Link {
    pub(crate) app: Application,
    pub tenant_id: TenantId,
    pub charge_point_id: ChargePointId,
    pub epoch: Epoch,
    /// What the charger means by its connectors' numbers.
    pub numbers: ConnectorNumbers,
    /// Of what is no report: those have one each.
    pub(crate) trace_id: Option<String>,
}

/// The circumstances of a report.
#[derive(Debug, Clone)]
pub struct Circumstances {
    pub times: ReportTimes,
    /// W3C trace id, begun with the charger's frame.
    pub trace_id: Option<String>,
}

impl Link {
    /// The same; what it appends of commands and of the connection's end belongs to this trace.
    #[must_use]
    pub fn traced(&self, trace_id: Option<String>) -> Self {
        Self { trace_id, ..self.clone() }
    }

    /// The outlet that the charger calls connector `n`; none for 0, which is the charger itself.
    pub fn outlet_of(&self, n: u32) -> Option<Outlet> {
        ConnectorNumber::new(n).map(|number| self.numbers.outlet_of(number))
    }

    fn envelope(&self, circumstances: &Circumstances) -> Arc<Envelope> {
        let mut envelope = Envelope::new(self.tenant_id, Actor::charger(self.charge_point_id));
        envelope.times = Some(circumstances.times.clone());
        envelope.trace_id.clone_from(&circumstances.trace_id);
        Arc::new(envelope)
    }

    fn correlated(&self, circumstances: &Circumstances, correlation_id: Uuid) -> Arc<Envelope> {
        let envelope = Arc::unwrap_or_clone(self.envelope(circumstances));
        Arc::new(envelope.correlated_with(correlation_id))
    }

    /// The commit happens only while this connection is the newest.
    fn guard(&self, session: &mut Session) {
        let stream = stream_of::<ChargePoint>(self.charge_point_id);
        session.guard(Guard { stream, condition: GuardCondition::Fence(self.epoch) });
    }
}

/// A hash of what a report says, by which a retry is known: 32 hex digits. Message ids don't enter: some chargers reuse
/// them, some renew them.
fn content_hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

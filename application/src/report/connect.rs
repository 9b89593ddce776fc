use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::charge_point::{ChargePoint, ChargePointCommand, ConnectorNumbers, RegisteredChargePoint};
use domain::envelope::{Actor, Envelope};
use domain::id::{ChargePointId, ChargePointIdentity, Epoch, TenantId};
use event_store::{Guard, GuardCondition, Session, session::ATTEMPTS_MAX, stream_of};

use super::Link;
use crate::work::{Work, decide};
use crate::{Application, Error};

/// Makes a charger known that nobody registered, where the policy is to accept them.
pub async fn admit(
    app: &Application,
    tenant_id: TenantId,
    identity: &ChargePointIdentity,
    trace_id: Option<String>,
) -> Result<ChargePointId, Error> {
    let charge_point_id = app.chargers().find_or_make(tenant_id, identity).await?;
    let envelope = Envelope { trace_id, ..Envelope::new(tenant_id, Actor::system("ocpp-edge")) };
    let work = Admit { charge_point_id, identity: identity.clone() };
    if let (_, Some(_)) = app.work(&Arc::new(envelope), Arc::new(work)).await? {
        // It needs none, even if an operator who was about to register it has proposed one.
        app.chargers().settle_credential(charge_point_id, None).await?;
    }
    Ok(charge_point_id)
}

struct Admit {
    charge_point_id: ChargePointId,
    identity: ChargePointIdentity,
}

impl Work for Admit {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        if session.load::<ChargePoint>(self.charge_point_id).await?.is_registered() {
            return Ok(());
        }
        let details = RegisteredChargePoint {
            charge_point_id: self.charge_point_id,
            identity: self.identity.clone(),
            site_id: None,
            evses: vec![],
            admitted: true,
        };
        let command = ChargePointCommand::Register(details);
        decide::<ChargePoint>(session, self.charge_point_id, self.charge_point_id, command).await?;
        Ok(())
    }
}

/// A socket of the charger was authenticated. It takes over from whichever one was there before.
///
/// `edge` is the name under which the edge holds its lease.
pub async fn connect(
    app: &Application,
    tenant_id: TenantId,
    charge_point_id: ChargePointId,
    protocol: &str,
    edge: &str,
    trace_id: Option<String>,
    now: DateTime<Utc>,
) -> Result<Link, Error> {
    let envelope = Arc::new(Envelope { trace_id, ..Envelope::new(tenant_id, Actor::charger(charge_point_id)) });
    let work = Arc::new(Connect { charge_point_id, protocol: protocol.to_owned(), edge: edge.to_owned(), now });
    for _ in 0..ATTEMPTS_MAX {
        match app.work(&envelope, Arc::clone(&work)).await {
            Ok(((epoch, numbers), _)) => {
                return Ok(Link { app: app.clone(), tenant_id, charge_point_id, epoch, numbers, trace_id: None });
            }
            // Two sockets at the same moment: the later one is the newest.
            Err(Error::Fenced) => app.store().forget(stream_of::<ChargePoint>(charge_point_id)),
            Err(error) => return Err(error),
        }
    }
    Err(Error::Busy)
}

struct Connect {
    charge_point_id: ChargePointId,
    protocol: String,
    edge: String,
    now: DateTime<Utc>,
}

impl Work for Connect {
    type Output = (Epoch, ConnectorNumbers);

    async fn run(&self, session: &mut Session) -> Result<(Epoch, ConnectorNumbers), Error> {
        let charge_point = session.load::<ChargePoint>(self.charge_point_id).await?;
        let (epoch, numbers) = (Epoch(charge_point.epoch.0 + 1), charge_point.connector_numbers());
        let command = ChargePointCommand::Connect {
            epoch,
            protocol: self.protocol.clone(),
            edge: self.edge.clone(),
            at: self.now,
        };
        decide::<ChargePoint>(session, self.charge_point_id, self.charge_point_id, command).await?;
        session.fence::<ChargePoint>(self.charge_point_id, epoch).await?;
        Ok((epoch, numbers))
    }
}

/// What the log says of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the charger's newest, and has not ended.
    Newest,
    /// A newer socket was authenticated.
    Superseded,
    /// It was recorded as ended.
    Disconnected,
}

impl Link {
    /// What the log says of this connection now.
    pub async fn standing(&self) -> Result<Standing, Error> {
        let charge_point = self.app.store().load::<ChargePoint>(self.charge_point_id).await?.state;
        Ok(match (charge_point.epoch == self.epoch, charge_point.online) {
            (true, true) => Standing::Newest,
            (true, false) => Standing::Disconnected,
            (false, _) => Standing::Superseded,
        })
    }

    /// The socket is gone. Of an older socket this changes nothing.
    pub async fn disconnect(&self, reason: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let mut envelope = Envelope::new(self.tenant_id, Actor::charger(self.charge_point_id));
        envelope.trace_id.clone_from(&self.trace_id);
        disconnect(&self.app, envelope, (self.charge_point_id, self.epoch), reason, now).await?;
        Ok(())
    }
}

/// The lease of an edge, of partition 0: while it is held, the chargers that connected under the edge's name are taken to
/// be connected. An edge that lost it closes its sockets.
pub fn edge_lease(edge: &str) -> String {
    format!("edge:{edge}")
}

/// The edge that held the charger is gone, and the charger has not come back elsewhere. Whether that was news.
pub async fn presume_disconnected(
    app: &Application,
    tenant_id: TenantId,
    charge_point_id: ChargePointId,
    epoch: Epoch,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let envelope = Envelope::new(tenant_id, Actor::system("edge watch"));
    disconnect(app, envelope, (charge_point_id, epoch), "the edge that held it is gone", now).await
}

async fn disconnect(
    app: &Application,
    envelope: Envelope,
    (charge_point_id, epoch): (ChargePointId, Epoch),
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let work = Disconnect { charge_point_id, epoch, reason: reason.to_owned(), now };
    match app.work(&Arc::new(envelope), Arc::new(work)).await {
        Ok((news, _)) => Ok(news),
        Err(Error::Fenced) => Ok(false),
        Err(error) => Err(error),
    }
}

struct Disconnect {
    charge_point_id: ChargePointId,
    epoch: Epoch,
    reason: String,
    now: DateTime<Utc>,
}

impl Work for Disconnect {
    /// Whether it was connected until now.
    type Output = bool;

    async fn run(&self, session: &mut Session) -> Result<bool, Error> {
        let command = ChargePointCommand::Disconnect { epoch: self.epoch, reason: self.reason.clone(), at: self.now };
        let events = decide::<ChargePoint>(session, self.charge_point_id, self.charge_point_id, command).await?;
        let stream = stream_of::<ChargePoint>(self.charge_point_id);
        session.guard(Guard { stream, condition: GuardCondition::Fence(self.epoch) });
        Ok(!events.is_empty())
    }
}

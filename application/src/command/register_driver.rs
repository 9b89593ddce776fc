use domain::driver::{Driver, DriverCommand};
use domain::envelope::{Actor, Envelope};
use domain::id::{DriverId, TenantId};
use event_store::Session;
use schema::log::Position;
use std::sync::Arc;

use crate::work::{Work, decide};
use crate::{Application, Error};

/// A person has become a driver: their account exists. Doing it again changes nothing.
pub async fn register_driver(
    app: &Application,
    tenant_id: TenantId,
    driver_id: DriverId,
    trace_id: Option<String>,
) -> Result<Position, Error> {
    let mut envelope = Envelope::new(tenant_id, Actor::driver(driver_id)).caused_by(driver_id.0);
    envelope.trace_id = trace_id;
    let (_, appended) = app.work(&Arc::new(envelope), Arc::new(Register { driver_id })).await?;
    match appended {
        Some(appended) => Ok(appended.position()),
        None => Ok(app.store().head().await?.0),
    }
}

struct Register {
    driver_id: DriverId,
}

impl Work for Register {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        let command = DriverCommand::Register { driver_id: self.driver_id };
        decide::<Driver>(session, self.driver_id, self.driver_id, command).await?;
        Ok(())
    }
}

use std::sync::Arc;

use domain::charge_point::{BootReport, ChargePoint, ChargePointCommand};
use event_store::Session;

use super::{Circumstances, Link};
use crate::Error;
use crate::work::{Work, decide};

impl Link {
    /// BootNotification.
    pub async fn boot(&self, circumstances: &Circumstances, boot: BootReport) -> Result<(), Error> {
        let work = Boot { link: self.clone(), boot };
        self.app.work(&self.envelope(circumstances), Arc::new(work)).await.map(|_| ())
    }
}

struct Boot {
    link: Link,
    boot: BootReport,
}

impl Work for Boot {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        let id = self.link.charge_point_id;
        decide::<ChargePoint>(session, id, id, ChargePointCommand::ReportBoot(self.boot.clone())).await?;
        self.link.guard(session);
        Ok(())
    }
}

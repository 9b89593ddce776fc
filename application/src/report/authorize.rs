use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::charge_point::{Authorization, AuthorizationStatus, ChargePoint, ChargePointCommand};
use domain::id::TokenId;
use domain::session::ChargingSession;
use event_store::Session;

use super::{Circumstances, Link};
use crate::Error;
use crate::authorize::judge;
use crate::work::{Work, decide};

/// What a charger is told of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub status: AuthorizationStatus,
    /// `parentIdTag`, `groupIdToken`.
    pub group: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl From<&Authorization> for Verdict {
    fn from(authorization: &Authorization) -> Self {
        let Authorization { status, group, expires_at, .. } = authorization;
        Self { status: *status, group: group.clone(), expires_at: *expires_at }
    }
}

impl Link {
    /// Authorize: the decision is recorded before the charger has it.
    pub async fn authorize(&self, circumstances: &Circumstances, id_tag: &str) -> Result<Verdict, Error> {
        let token_id = self.app.tokens().find_or_make(self.tenant_id, id_tag).await?;
        let now = circumstances.times.received_at;
        let work = Authorize { link: self.clone(), id_tag: id_tag.to_owned(), token_id, now };
        Ok(self.app.work(&self.envelope(circumstances), Arc::new(work)).await?.0)
    }
}

struct Authorize {
    link: Link,
    id_tag: String,
    token_id: TokenId,
    now: DateTime<Utc>,
}

impl Work for Authorize {
    type Output = Verdict;

    async fn run(&self, session: &mut Session) -> Result<Verdict, Error> {
        let id = self.link.charge_point_id;
        let claim = session.load::<ChargePoint>(id).await?.claim_by_tag(&self.id_tag).map(|(_, claim)| claim.clone());
        if let Some(claim) = claim {
            // A start from an app, decided when it was requested.
            let group = session.load::<ChargingSession>(claim.session_id).await?.group.clone();
            return Ok(Verdict { status: AuthorizationStatus::Accepted, group, expires_at: None });
        }
        let authorization = judge(session, self.token_id, None, self.now).await?;
        let verdict = Verdict::from(&authorization);
        decide::<ChargePoint>(session, id, id, ChargePointCommand::RecordAuthorization(authorization)).await?;
        self.link.guard(session);
        Ok(verdict)
    }
}

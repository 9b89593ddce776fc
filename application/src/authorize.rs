//! Whether a token may charge, and at whose cost. The decision is recorded by whoever asks for it.

use chrono::{DateTime, Utc};
use domain::charge_point::{Authorization, AuthorizationStatus, Limits};
use domain::driver::Driver;
use domain::id::{AuthorizationId, EvseId, TokenId};
use domain::token::{Token, TokenStatus};
use event_store::Session;

use crate::Error;

/// A token of a driver may charge while it is accepted and its driver has an active plan; a token that nobody owns while it
/// is accepted; a token that nobody registered never.
pub(crate) async fn judge(
    session: &mut Session,
    token_id: TokenId,
    evse_id: Option<EvseId>,
    now: DateTime<Utc>,
) -> Result<Authorization, Error> {
    let token = session.load::<Token>(token_id).await?;
    let status = token.status(now);
    let details = token.details.clone();
    let driver_id = details.as_ref().and_then(|details| details.driver_id);
    let plan_id = match driver_id {
        Some(driver_id) => session.load::<Driver>(driver_id).await?.plan_id,
        None => None,
    };
    let status = match status {
        None => AuthorizationStatus::Invalid,
        Some(TokenStatus::Blocked) => AuthorizationStatus::Blocked,
        Some(TokenStatus::Expired) => AuthorizationStatus::Expired,
        Some(TokenStatus::Accepted) if driver_id.is_some() && plan_id.is_none() => AuthorizationStatus::NoActivePlan,
        Some(TokenStatus::Accepted) => AuthorizationStatus::Accepted,
    };
    Ok(Authorization {
        authorization_id: AuthorizationId::generate(),
        status,
        token_id: Some(token_id),
        evse_id,
        driver_id,
        group: details.as_ref().and_then(|details| details.group.clone()).or(driver_id.map(Driver::group_tag)),
        plan_id,
        limits: Limits::default(),
        decided_at: now,
        expires_at: details.and_then(|details| details.expires_at),
    })
}

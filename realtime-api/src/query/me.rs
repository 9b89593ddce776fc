use axum::extract::State;
use schema::api::query::{Dated, Me};
use schema::view::{Model, Reached, Row};
use service_host::Query;

use super::answer::{Answer, Answered};
use super::chargers::Fresh;
use super::openapi::Refusals;
use super::when::When;
use crate::caller::Authenticated;
use crate::resource::At;
use crate::resource::me::{account, compose};
use crate::state::Api;

/// The caller, with their plan. The account is no history: it is as it is now, whatever `as_of` says.
#[utoipa::path(get, path = "/api/me", tag = "sessions", params(Fresh),
    responses((status = 200, body = Dated<Me>), Refusals))]
pub(super) async fn me(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(fresh): Query<Fresh>,
) -> Answer<Me> {
    let when = api.when(fresh.asked()).await?;
    let account = account(&api.pool, &caller).await?;
    let now = api.hub.scene();
    // Composed with the plan: as new as that.
    let when = match when {
        When::Now(_) => When::Now(Some(Reached { generation: now.generation, position: now.upto })),
        When::Then(moment) => When::Then(moment),
    };
    let found = api.get(Model::Drivers, &caller.user_id.to_string(), &when).await?;
    let driver = found.rows.as_deref().and_then(|change| match &change.row {
        Row::Drivers(row) => Some(At::of(change, row.as_ref())),
        _ => None,
    });
    let places = match &when {
        When::Now(_) => now.places,
        When::Then(moment) => {
            let plan_id = driver.and_then(|driver| driver.row.driver.plan_id);
            api.plan_then(plan_id, moment).await?
        }
    };
    let body = compose(&caller, account, driver, &places);
    Ok(Answered::new(&when, found.reached, body))
}

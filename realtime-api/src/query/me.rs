use axum::extract::State;
use schema::api::query::Me;
use schema::view::{Model, Row};
use service_host::Query;

use super::answer::{Answer, Answered};
use super::chargers::Fresh;
use super::openapi::Refusals;
use crate::caller::Authenticated;
use crate::resource::At;
use crate::resource::me::{account, compose};
use crate::state::Api;

/// The caller, with their plan.
#[utoipa::path(get, path = "/api/me", tag = "sessions", params(Fresh),
    responses((status = 200, body = Me), Refusals))]
pub(super) async fn me(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(fresh): Query<Fresh>,
) -> Answer<Me> {
    api.at_least(fresh.min_position).await?;
    let account = account(&api.pool, &caller).await?;
    let scene = api.hub.scene();
    let found = api.views.get(Model::Drivers, &caller.user_id.to_string()).await?;
    let driver = found.rows.as_deref().and_then(|change| match &change.row {
        Row::Drivers(row) => Some(At::of(change, row.as_ref())),
        _ => None,
    });
    let body = compose(&caller, account, driver, &scene.places);
    Ok(Answered { reached: found.reached, body })
}

use axum::extract::State;
use schema::api::query::{Driver, Page, Token};
use schema::view::{Column, Model, Query as Rows, Row};
use serde::Deserialize;
use service_host::Query;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::Answer;
use super::openapi::Refusals;
use super::page::Paging;
use super::sites::ListQuery;
use crate::caller::OperatorOnly;
use crate::resource::{At, people};
use crate::state::Api;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TokensQuery {
    driver_id: Option<Uuid>,
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    min_position: Option<i64>,
}

/// Drivers, for operators.
#[utoipa::path(get, path = "/api/drivers", tag = "operators", params(ListQuery),
    responses((status = 200, body = Page<Driver>), Refusals))]
pub(super) async fn drivers(
    State(api): State<Api>,
    OperatorOnly(caller): OperatorOnly,
    Query(query): Query<ListQuery>,
) -> Answer<Page<Driver>> {
    let paging = Paging::of("drivers", &(), query.limit, query.cursor.as_deref())?;
    api.at_least(query.min_position).await?;
    let rows = Rows::of(Model::Drivers)
        .with(Column::TenantId, caller.tenant_id)
        .after(paging.after.clone())
        .limit(paging.limit);
    let found = api.views.list(&rows).await?;
    let items = found.rows.iter().filter_map(|change| match &change.row {
        Row::Drivers(row) => Some(people::driver(At::of(change, row.as_ref()))),
        _ => None,
    });
    Ok(paging.page(found.reached, items.collect(), found.next.clone()))
}

/// Tokens, for operators.
#[utoipa::path(get, path = "/api/tokens", tag = "operators", params(TokensQuery),
    responses((status = 200, body = Page<Token>), Refusals))]
pub(super) async fn tokens(
    State(api): State<Api>,
    OperatorOnly(caller): OperatorOnly,
    Query(query): Query<TokensQuery>,
) -> Answer<Page<Token>> {
    let paging = Paging::of("tokens", &query.driver_id, query.limit, query.cursor.as_deref())?;
    api.at_least(query.min_position).await?;
    let mut rows = Rows::of(Model::Tokens)
        .with(Column::TenantId, caller.tenant_id)
        .after(paging.after.clone())
        .limit(paging.limit);
    if let Some(driver_id) = query.driver_id {
        rows = rows.with(Column::DriverId, driver_id);
    }
    let found = api.views.list(&rows).await?;
    let (now, vault) = (api.now(), api.application.vault());
    let mut items = Vec::with_capacity(found.rows.len());
    for change in &found.rows {
        if let Row::Tokens(row) = &change.row {
            items.push(people::token(At::of(change, row.as_ref()), vault, now).await?);
        }
    }
    Ok(paging.page(found.reached, items, found.next))
}

use axum::extract::State;
use schema::api::query::{Dated, Driver, Page, Token};
use schema::view::{Column, Model, Query as Rows, Row};
use serde::Deserialize;
use service_host::Query;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::Answer;
use super::openapi::Refusals;
use super::page::Paging;
use super::sites::ListQuery;
use super::when::WhenAsked;
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
    /// As of a position of the log, or of a time (RFC 3339): what was then. Not together with `min_position`.
    as_of: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    min_position: Option<i64>,
}

/// Drivers, for operators.
#[utoipa::path(get, path = "/api/drivers", tag = "operators", params(ListQuery),
    responses((status = 200, body = Dated<Page<Driver>>), Refusals))]
pub(super) async fn drivers(
    State(api): State<Api>,
    OperatorOnly(caller): OperatorOnly,
    Query(query): Query<ListQuery>,
) -> Answer<Page<Driver>> {
    let paging = Paging::of("drivers", &(), query.limit, query.cursor.as_deref())?;
    let when = api
        .when(WhenAsked { as_of: query.as_of.as_deref(), min_position: query.min_position, paged: paging.paged })
        .await?;
    let rows = Rows::of(Model::Drivers)
        .with(Column::TenantId, caller.tenant_id)
        .after(paging.after.clone())
        .limit(paging.limit);
    let found = api.list(&rows, &when).await?;
    let items = found.rows.iter().filter_map(|change| match &change.row {
        Row::Drivers(row) => Some(people::driver(At::of(change, row.as_ref()))),
        _ => None,
    });
    Ok(paging.page(&when, found.reached, items.collect(), found.next.clone()))
}

/// Tokens, for operators.
#[utoipa::path(get, path = "/api/tokens", tag = "operators", params(TokensQuery),
    responses((status = 200, body = Dated<Page<Token>>), Refusals))]
pub(super) async fn tokens(
    State(api): State<Api>,
    OperatorOnly(caller): OperatorOnly,
    Query(query): Query<TokensQuery>,
) -> Answer<Page<Token>> {
    let paging = Paging::of("tokens", &query.driver_id, query.limit, query.cursor.as_deref())?;
    let when = api
        .when(WhenAsked { as_of: query.as_of.as_deref(), min_position: query.min_position, paged: paging.paged })
        .await?;
    let mut rows = Rows::of(Model::Tokens)
        .with(Column::TenantId, caller.tenant_id)
        .after(paging.after.clone())
        .limit(paging.limit);
    if let Some(driver_id) = query.driver_id {
        rows = rows.with(Column::DriverId, driver_id);
    }
    let found = api.list(&rows, &when).await?;
    // Whether a token had expired is as of then, too.
    let now = when.moment().and_then(|moment| moment.recorded_at).unwrap_or_else(|| api.now());
    let vault = api.application.vault();
    let mut items = Vec::with_capacity(found.rows.len());
    for change in &found.rows {
        if let Row::Tokens(row) = &change.row {
            items.push(people::token(At::of(change, row.as_ref()), vault, now).await?);
        }
    }
    Ok(paging.page(&when, found.reached, items, found.next))
}

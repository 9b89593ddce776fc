use axum::extract::State;
use schema::api::query::{Dated, Page, Site};
use schema::view::{Column, Model, Query as Rows, Row};
use serde::Deserialize;
use service_host::Query;
use utoipa::IntoParams;

use super::answer::Answer;
use super::openapi::Refusals;
use super::page::Paging;
use super::when::WhenAsked;
use crate::caller::Authenticated;
use crate::resource::At;
use crate::resource::site::compose;
use crate::state::Api;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// As of a position of the log, or of a time (RFC 3339): what was then. Not together with `min_position`.
    pub as_of: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    pub min_position: Option<i64>,
}

/// Sites.
#[utoipa::path(get, path = "/api/sites", tag = "chargers", params(ListQuery),
    responses((status = 200, body = Dated<Page<Site>>), Refusals))]
pub(super) async fn sites(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListQuery>,
) -> Answer<Page<Site>> {
    let paging = Paging::of("sites", &(), query.limit, query.cursor.as_deref())?;
    let when = api
        .when(WhenAsked { as_of: query.as_of.as_deref(), min_position: query.min_position, paged: paging.paged })
        .await?;
    let rows =
        Rows::of(Model::Sites).with(Column::TenantId, caller.tenant_id).after(paging.after.clone()).limit(paging.limit);
    let found = api.list(&rows, &when).await?;
    let items = found.rows.iter().filter_map(|change| match &change.row {
        Row::Sites(row) => compose(At::of(change, row.as_ref())),
        _ => None,
    });
    Ok(paging.page(&when, found.reached, items.collect(), found.next.clone()))
}

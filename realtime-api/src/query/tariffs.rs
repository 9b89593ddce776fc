use axum::extract::State;
use schema::api::query::{Dated, Page, Tariff};
use schema::view::{Column, Model, Query as Rows, Row};
use service_host::Query;

use super::answer::Answer;
use super::openapi::Refusals;
use super::page::Paging;
use super::sites::ListQuery;
use super::when::WhenAsked;
use crate::caller::Authenticated;
use crate::resource::At;
use crate::resource::tariff::compose;
use crate::state::Api;

/// Tariffs, each in its newest version.
#[utoipa::path(get, path = "/api/tariffs", tag = "chargers", params(ListQuery),
    responses((status = 200, body = Dated<Page<Tariff>>), Refusals))]
pub(super) async fn tariffs(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListQuery>,
) -> Answer<Page<Tariff>> {
    let paging = Paging::of("tariffs", &(), query.limit, query.cursor.as_deref())?;
    let when = api
        .when(WhenAsked { as_of: query.as_of.as_deref(), min_position: query.min_position, paged: paging.paged })
        .await?;
    let rows = Rows::of(Model::Tariffs)
        .with(Column::TenantId, caller.tenant_id)
        .after(paging.after.clone())
        .limit(paging.limit);
    let found = api.list(&rows, &when).await?;
    let items = found.rows.iter().filter_map(|change| match &change.row {
        Row::Tariffs(row) => compose(At::of(change, row.as_ref())),
        _ => None,
    });
    Ok(paging.page(&when, found.reached, items.collect(), found.next.clone()))
}

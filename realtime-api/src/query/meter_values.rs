use axum::extract::State;
use domain::id::SessionId;
use domain::refusal::Refusal;
use schema::api::query::{Dated, MeterValues, Page};
use schema::view::{Model, Query as Rows, Row};
use serde::Deserialize;
use service_host::{Path, Query};
use utoipa::IntoParams;

use super::answer::Answer;
use super::openapi::Refusals;
use super::page::Paging;
use super::sessions::{key_of, may_see};
use super::when::WhenAsked;
use crate::caller::Authenticated;
use crate::resource::At;
use crate::resource::meter_values::compose;
use crate::state::Api;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MeterValuesQuery {
    /// Counts reports of the charger; one may have several readings.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// As of a position of the log, or of a time (RFC 3339): what was then. Not together with `min_position`.
    as_of: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    min_position: Option<i64>,
}

/// The readings of a session, in the order in which they were reported.
#[utoipa::path(get, path = "/api/sessions/{session_id}/meter-values", tag = "sessions",
    params(("session_id" = uuid::Uuid, Path), MeterValuesQuery),
    responses((status = 200, body = Dated<Page<MeterValues>>), Refusals))]
pub(super) async fn meter_values(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(session_id): Path<String>,
    Query(query): Query<MeterValuesQuery>,
) -> Answer<Page<MeterValues>> {
    let session_id: SessionId = session_id.parse().map_err(|_| Refusal::SessionUnknown)?;
    let paging = Paging::of("meter values", &session_id, query.limit, query.cursor.as_deref())?;
    let when = api
        .when(WhenAsked { as_of: query.as_of.as_deref(), min_position: query.min_position, paged: paging.paged })
        .await?;
    let session = api.get(Model::Sessions, &key_of(session_id), &when).await?;
    session.rows.filter(|change| may_see(&caller, change)).ok_or(Refusal::SessionUnknown)?;
    let rows = Rows::of(Model::MeterValues)
        .key_prefix(format!("{session_id}/"))
        .after(paging.after.clone())
        .limit(paging.limit);
    let found = api.list(&rows, &when).await?;
    let mut items = Vec::new();
    for change in &found.rows {
        if let Row::MeterValues(row) = &change.row {
            items.extend(compose(At::of(change, row.as_ref())));
        }
    }
    Ok(paging.page(&when, found.reached, items, found.next))
}

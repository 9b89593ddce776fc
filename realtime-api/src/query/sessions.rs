use application::auth::Caller;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::id::{DriverId, SessionId};
use domain::refusal::Refusal;
use domain::session::SessionState;
use schema::api::query::{Dated, Page, Session};
use schema::view::{Column, Cursor, Model, Order, PAGE_ROWS_MAX, Query as Rows, Row, RowChange, SessionRow};
use serde::Deserialize;
use service_host::{Code, Path, Problem, Query};
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{Answer, Answered};
use super::chargers::Fresh;
use super::openapi::Refusals;
use super::page::{Paging, whole};
use super::when::WhenAsked;
use crate::caller::Authenticated;
use crate::directory::Names;
use crate::failed::Failed;
use crate::resource::At;
use crate::resource::session::{OPEN, compose};
use crate::state::{Api, invalid};

const STATES: [SessionState; 5] = [
    SessionState::Requested,
    SessionState::Active,
    SessionState::Stopping,
    SessionState::Completed,
    SessionState::Failed,
];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionsQuery {
    /// requested, active, stopping, completed or failed; several with commas.
    state: Option<String>,
    charger_id: Option<String>,
    /// For operators. A driver sees their own anyway.
    driver_id: Option<Uuid>,
    /// Asked for, or first reported, at this time or later.
    from: Option<DateTime<Utc>>,
    /// Asked for, or first reported, before this time.
    to: Option<DateTime<Utc>>,
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// As of a position of the log, or of a time (RFC 3339): what was then. Not together with `min_position`.
    as_of: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    min_position: Option<i64>,
}

/// Sessions, the newest first: a driver's own, for operators the tenant's.
#[utoipa::path(get, path = "/api/sessions", tag = "sessions", params(SessionsQuery),
    responses((status = 200, body = Dated<Page<Session>>), Refusals))]
pub(super) async fn sessions(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(query): Query<SessionsQuery>,
) -> Answer<Page<Session>> {
    let filters = (&query.state, &query.charger_id, query.driver_id, query.from, query.to);
    let paging = Paging::of("sessions", &filters, query.limit, query.cursor.as_deref())?;
    let mut rows = visible_to(&caller, query.driver_id)?.order(Order::KeyDescending).limit(paging.limit);
    if let Some(words) = &query.state {
        rows = rows.with_any(Column::State, states(words)?);
    }
    let when = api
        .when(WhenAsked { as_of: query.as_of.as_deref(), min_position: query.min_position, paged: paging.paged })
        .await?;
    if let Some(charger_id) = &query.charger_id {
        let charge_point_id = api.charge_point_called(caller.tenant_id, charger_id, &when).await?;
        rows = rows.with(Column::ChargePointId, charge_point_id);
    }
    // The ids of sessions begin with their time, and the list goes down from the cursor.
    let before = query.to.map(|to| Cursor { sort: None, key: first_id_of(to) });
    let after = [paging.after.clone(), before].into_iter().flatten().min_by(|a, b| a.key.cmp(&b.key));
    let found = api.list(&rows.after(after), &when).await?;
    let floor = query.from.map(first_id_of).unwrap_or_default();
    let within: Vec<_> = found.rows.into_iter().filter(|change| change.key >= floor).collect();
    let next = found.next.filter(|next| next.key >= floor);
    let names = api.names(&within, &when).await?;
    let items = within.iter().filter_map(|change| session_of(change, &names)).collect();
    Ok(paging.page(&when, found.reached, items, next))
}

/// The caller's open sessions.
#[utoipa::path(get, path = "/api/sessions/status", tag = "sessions", params(Fresh),
    responses((status = 200, body = Dated<Page<Session>>), Refusals))]
pub(super) async fn open_sessions(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(fresh): Query<Fresh>,
) -> Answer<Page<Session>> {
    let when = api.when(fresh.asked()).await?;
    let rows = Rows::of(Model::Sessions)
        .with(Column::TenantId, caller.tenant_id)
        .with(Column::DriverId, caller.user_id)
        .with_any(Column::State, OPEN.map(SessionState::as_str))
        .order(Order::KeyDescending)
        .limit(PAGE_ROWS_MAX);
    let found = api.list(&rows, &when).await?;
    let names = api.names(&found.rows, &when).await?;
    let items = found.rows.iter().filter_map(|change| session_of(change, &names)).collect();
    Ok(whole(&when, found.reached, items))
}

/// A session.
#[utoipa::path(get, path = "/api/sessions/{session_id}", tag = "sessions",
    params(("session_id" = uuid::Uuid, Path), Fresh), responses((status = 200, body = Dated<Session>), Refusals))]
pub(super) async fn session(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(session_id): Path<String>,
    Query(fresh): Query<Fresh>,
) -> Answer<Session> {
    let when = api.when(fresh.asked()).await?;
    let session_id = session_id.parse().map_err(|_| Refusal::SessionUnknown)?;
    let found = api.get(Model::Sessions, &key_of(session_id), &when).await?;
    let change = found.rows.filter(|change| may_see(&caller, change)).ok_or(Refusal::SessionUnknown)?;
    let names = api.names(std::slice::from_ref(&change), &when).await?;
    let body = session_of(&change, &names).ok_or(Refusal::SessionUnknown)?;
    Ok(Answered::new(&when, found.reached, body))
}

pub(super) fn key_of(session_id: SessionId) -> String {
    session_id.to_string()
}

/// A driver sees their own sessions, an operator those of the tenant.
pub(super) fn may_see(caller: &Caller, change: &RowChange) -> bool {
    match &change.row {
        Row::Sessions(row) => is_visible(caller, row),
        _ => false,
    }
}

pub fn is_visible(caller: &Caller, row: &SessionRow) -> bool {
    let own = caller.driver_id().is_none_or(|driver_id| row.session.driver_id == Some(driver_id));
    row.tenant_id == caller.tenant_id && own
}

fn session_of(change: &RowChange, names: &Names) -> Option<Session> {
    match &change.row {
        Row::Sessions(row) => Some(compose(At::of(change, row.as_ref()), names)),
        _ => None,
    }
}

fn visible_to(caller: &Caller, asked: Option<Uuid>) -> Result<Rows, Failed> {
    let rows = Rows::of(Model::Sessions).with(Column::TenantId, caller.tenant_id);
    match (caller.driver_id(), asked.map(DriverId)) {
        (Some(own), Some(asked)) if own != asked => {
            Err(Problem::new(Code::Forbidden, "A driver sees their own sessions only.").into())
        }
        (Some(driver_id), _) | (None, Some(driver_id)) => Ok(rows.with(Column::DriverId, driver_id)),
        (None, None) => Ok(rows),
    }
}

fn states(words: &str) -> Result<Vec<&'static str>, Failed> {
    let known = |word: &str| STATES.into_iter().map(SessionState::as_str).find(|known| *known == word);
    let found: Option<Vec<_>> = words.split(',').map(known).collect();
    found.ok_or_else(|| invalid("state", &format!("is one of {}", STATES.map(SessionState::as_str).join(", "))).into())
}

/// The lowest UUIDv7 of a moment.
fn first_id_of(at: DateTime<Utc>) -> String {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_sessions_are_ordered_by_time() {
        let before: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
        let id = SessionId::generate().to_string();
        assert!(first_id_of(before) < id && id < first_id_of(Utc::now() + chrono::TimeDelta::hours(1)));
    }
}

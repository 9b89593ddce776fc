use application::auth::Caller;
use axum::extract::State;
use domain::id::CommandId;
use domain::refusal::Refusal;
use domain::station_command::CommandState;
use schema::api::query::{Command, Dated, Page};
use schema::view::{Column, CommandRow, Model, Order, Query as Rows, Row, RowChange};
use serde::Deserialize;
use service_host::{Path, Query};
use utoipa::IntoParams;

use super::answer::{Answer, Answered};
use super::chargers::Fresh;
use super::openapi::Refusals;
use super::page::Paging;
use super::when::WhenAsked;
use crate::caller::{Authenticated, OperatorOnly};
use crate::directory::Names;
use crate::failed::Failed;
use crate::resource::At;
use crate::resource::command::compose;
use crate::state::{Api, invalid};

const STATES: [CommandState; 8] = [
    CommandState::Requested,
    CommandState::Sent,
    CommandState::Accepted,
    CommandState::Done,
    CommandState::Rejected,
    CommandState::Failed,
    CommandState::TimedOut,
    CommandState::Expired,
];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CommandsQuery {
    /// One of the states; several with commas.
    state: Option<String>,
    charger_id: Option<String>,
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// As of a position of the log, or of a time (RFC 3339): what was then. Not together with `min_position`.
    as_of: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    min_position: Option<i64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChargerCommandsQuery {
    /// One of the states; several with commas.
    state: Option<String>,
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// As of a position of the log, or of a time (RFC 3339): what was then. Not together with `min_position`.
    as_of: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    min_position: Option<i64>,
}

/// Commands of the tenant, the newest first, for operators.
#[utoipa::path(get, path = "/api/commands", tag = "operators", params(CommandsQuery),
    responses((status = 200, body = Dated<Page<Command>>), Refusals))]
pub(super) async fn commands(
    State(api): State<Api>,
    OperatorOnly(caller): OperatorOnly,
    Query(query): Query<CommandsQuery>,
) -> Answer<Page<Command>> {
    list(&api, &caller, query).await
}

/// Commands to a charger, the newest first, for operators.
#[utoipa::path(get, path = "/api/chargers/{charger_id}/commands", tag = "operators",
    params(("charger_id" = String, Path), ChargerCommandsQuery),
    responses((status = 200, body = Dated<Page<Command>>), Refusals))]
pub(super) async fn charger_commands(
    State(api): State<Api>,
    OperatorOnly(caller): OperatorOnly,
    Path(charger_id): Path<String>,
    Query(query): Query<ChargerCommandsQuery>,
) -> Answer<Page<Command>> {
    let ChargerCommandsQuery { state, limit, cursor, as_of, min_position } = query;
    list(&api, &caller, CommandsQuery { state, charger_id: Some(charger_id), limit, cursor, as_of, min_position }).await
}

async fn list(api: &Api, caller: &Caller, query: CommandsQuery) -> Answer<Page<Command>> {
    let filters = (&query.state, &query.charger_id);
    let paging = Paging::of("commands", &filters, query.limit, query.cursor.as_deref())?;
    let mut rows = Rows::of(Model::Commands)
        .with(Column::TenantId, caller.tenant_id)
        .order(Order::RequestedAtDescending)
        .after(paging.after.clone())
        .limit(paging.limit);
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
    let found = api.list(&rows, &when).await?;
    let names = api.names(&found.rows, &when).await?;
    let items = found.rows.iter().filter_map(|change| command_of(change, &names)).collect();
    Ok(paging.page(&when, found.reached, items, found.next))
}

/// A command: a driver's own; for operators any of the tenant.
#[utoipa::path(get, path = "/api/commands/{command_id}", tag = "sessions",
    params(("command_id" = uuid::Uuid, Path), Fresh), responses((status = 200, body = Dated<Command>), Refusals))]
pub(super) async fn command(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(command_id): Path<String>,
    Query(fresh): Query<Fresh>,
) -> Answer<Command> {
    let when = api.when(fresh.asked()).await?;
    let command_id: CommandId = command_id.parse().map_err(|_| Refusal::CommandUnknown)?;
    let found = api.get(Model::Commands, &command_id.to_string(), &when).await?;
    let change = found.rows.filter(|change| match &change.row {
        Row::Commands(row) => may_see(&caller, row),
        _ => false,
    });
    let change = change.ok_or(Refusal::CommandUnknown)?;
    let names = api.names(std::slice::from_ref(&change), &when).await?;
    let body = command_of(&change, &names).ok_or(Refusal::CommandUnknown)?;
    Ok(Answered::new(&when, found.reached, body))
}

fn may_see(caller: &Caller, row: &CommandRow) -> bool {
    row.tenant_id == caller.tenant_id && (caller.is_operator() || row.requested_by == caller.actor())
}

fn command_of(change: &RowChange, names: &Names) -> Option<Command> {
    match &change.row {
        Row::Commands(row) => Some(compose(At::of(change, row.as_ref()), names)),
        _ => None,
    }
}

fn states(words: &str) -> Result<Vec<&'static str>, Failed> {
    let known = |word: &str| STATES.into_iter().map(CommandState::as_str).find(|known| *known == word);
    let found: Option<Vec<_>> = words.split(',').map(known).collect();
    found.ok_or_else(|| invalid("state", &format!("is one of {}", STATES.map(CommandState::as_str).join(", "))).into())
}

//! All that is held on a person, for them or for an operator who answers them.

use application::CommandContext;
use application::auth::Caller;
use application::erasure::{disclose_person, tokens_of};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::event::AggregateType;
use domain::id::{DriverId, TenantId};
use domain::refusal::Refusal;
use schema::api::person::{ExportedEvent, PersonExport};
use schema::columns;
use schema::stored::StoredEvent;
use schema::view::{Column, Model, PAGE_ROWS_MAX, Query as Rows, Row, RowChange};
use serde::Deserialize;
use service_host::{Code, Json, Path, Problem, Query};
use std::sync::Arc;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::openapi::Refusals;
use super::when::When;
use crate::caller::{Authenticated, OperatorOnly};
use crate::failed::Failed;
use crate::resource::{At, command, me, people, session};
use crate::state::Api;

/// Beyond that an answer would not fit into memory beside others: such a person is exported with `coulomb events export`.
const EVENTS_MAX: usize = 100_000;
/// Exports that are put together at once; others wait.
static EXPORTS: Semaphore = Semaphore::const_new(2);
const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// An export is of everything, as it is now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

/// All that is held on a driver.
///
/// Account, tokens in the clear, sessions, commands, every event of theirs with sealed values opened, and where their values
/// were written to in the clear. Of an erased driver it shows what is left. That it was given, and to whom, is recorded in the log
/// before anything is opened.
#[utoipa::path(get, path = "/api/drivers/{driver_id}/export", tag = "operators",
    params(("driver_id" = uuid::Uuid, Path)), responses((status = 200, body = PersonExport), Refusals))]
pub(super) async fn export_driver(
    State(api): State<Api>,
    OperatorOnly(caller): OperatorOnly,
    Query(NoParameters {}): Query<NoParameters>,
    Path(driver_id): Path<String>,
) -> Result<Response, Failed> {
    let driver_id = driver_id.parse().map_err(|_| Refusal::DriverUnknown)?;
    export(&api, caller.tenant_id, driver_id, Some(caller)).await
}

/// All that is held on the caller.
#[utoipa::path(get, path = "/api/me/export", tag = "sessions",
    responses((status = 200, body = PersonExport), Refusals))]
pub(super) async fn export_me(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Failed> {
    let own = caller.driver_id().ok_or(Refusal::Forbidden("Only drivers have an export of their own."))?;
    export(&api, caller.tenant_id, own, None).await
}

/// `operator`: who is given it, where it is not the driver themself.
async fn export(
    api: &Api,
    tenant_id: TenantId,
    driver_id: DriverId,
    operator: Option<Caller>,
) -> Result<Response, Failed> {
    let _turn = EXPORTS.acquire().await.map_err(|_| Problem::internal())?;
    api.catch_up().await?;
    let found = api.views_now().get(Model::Drivers, &driver_id.to_string()).await?;
    let driver = found.rows.as_deref().and_then(|change| match &change.row {
        Row::Drivers(row) if row.tenant_id == tenant_id => Some(people::driver(At::of(change, row.as_ref()))),
        _ => None,
    });
    let driver = driver.ok_or(Refusal::DriverUnknown)?;
    if let Some(caller) = operator {
        let context = CommandContext { caller, idempotency: None, trace_id: None, now: api.now() };
        disclose_person(&api.application, &context, driver_id).await?;
    }
    let vault = api.application.vault();
    let of_driver = |model| Rows::of(model).with(Column::DriverId, driver_id);
    let mut tokens = vec![];
    for change in all(api, of_driver(Model::Tokens)).await? {
        if let Row::Tokens(row) = &change.row {
            tokens.push(people::token(At::of(&change, row.as_ref()), vault, api.now()).await?);
        }
    }
    let session_rows = all(api, of_driver(Model::Sessions)).await?;
    let names = api.names(&session_rows, &When::Now(None)).await?;
    let mut streams = vec![(AggregateType::Driver, driver_id.0)];
    let mut sessions = vec![];
    for change in &session_rows {
        if let Row::Sessions(row) = &change.row {
            streams.push((AggregateType::ChargingSession, row.session_id.0));
            sessions.push(session::compose(At::of(change, row.as_ref()), &names));
        }
    }
    let asked =
        Rows::of(Model::Commands).with(Column::RequestedByKind, "driver").with(Column::RequestedById, driver_id);
    let command_rows = all(api, asked).await?;
    let names = api.names(&command_rows, &When::Now(None)).await?;
    let commands = command_rows.iter().filter_map(|change| match &change.row {
        Row::Commands(row) => Some(command::compose(At::of(change, row.as_ref()), &names)),
        _ => None,
    });
    let token_ids = tokens_of(&api.application, driver_id).await?;
    streams.extend(token_ids.iter().map(|token| (AggregateType::Token, token.0)));
    let body = PersonExport {
        driver_id: driver_id.to_string(),
        account: me::exported_account(&api.pool, driver_id.0).await?,
        driver,
        tokens,
        sessions,
        commands: commands.collect(),
        events: events(api, &streams).await?,
        exports_in_clear: api
            .application
            .exports_in_clear(driver_id, &token_ids)
            .await?
            .iter()
            .map(|one| one.told())
            .collect(),
    };
    Ok(([NO_STORE], Json(body)).into_response())
}

/// Every page.
async fn all(api: &Api, rows: Rows) -> Result<Vec<Arc<RowChange>>, Failed> {
    let mut rows = rows.limit(PAGE_ROWS_MAX);
    let mut found = vec![];
    loop {
        let page = api.views_now().list(&rows).await?;
        found.extend(page.rows);
        match page.next {
            Some(next) if found.len() < EVENTS_MAX => rows = rows.after(Some(next)),
            Some(_) => return Err(too_large()),
            None => return Ok(found),
        }
    }
}

async fn events(api: &Api, streams: &[(AggregateType, Uuid)]) -> Result<Vec<ExportedEvent>, Failed> {
    let mut events = vec![];
    for (aggregate, id) in streams {
        let mut after = 0;
        loop {
            let page = api.application.store().look_at_stream(*aggregate, *id, after).await;
            let page = page.map_err(application::Error::from)?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            for stored in page {
                events.push(exported(api, stored).await?);
            }
            if events.len() > EVENTS_MAX {
                return Err(too_large());
            }
        }
    }
    events.sort_by_key(|event: &ExportedEvent| event.position);
    Ok(events)
}

async fn exported(api: &Api, stored: StoredEvent) -> Result<ExportedEvent, Failed> {
    let payload = match columns::row::newest(&stored) {
        Ok((table, mut members)) => {
            api.application.vault().open_members(table, &mut members).await?;
            members
        }
        // What can't be understood is shown as it is stored.
        Err(_) => serde_json::from_str(&stored.payload).unwrap_or_default(),
    };
    Ok(ExportedEvent {
        position: stored.position.0,
        recorded_at: stored.recorded_at.into(),
        aggregate: stored.aggregate_type,
        stream: stored.aggregate_id.to_string(),
        event_type: stored.event_type,
        payload,
    })
}

fn too_large() -> Failed {
    let detail = format!(
        "More than {EVENTS_MAX} events are held on this driver. Use `coulomb events export --stream` for each of their \
         streams, with --with-personal-data."
    );
    Problem::new(Code::TooLarge, detail).into()
}

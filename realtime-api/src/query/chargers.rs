use std::sync::Arc;

use application::auth::Caller;
use axum::extract::State;
use domain::id::ChargePointIdentity;
use domain::refusal::Refusal;
use schema::api::query::{Charger, ChargerStatus, Dated, Page};
use schema::view::{Column, Cursor, Model, Order, Query as Rows, Reached, Row, RowChange};
use serde::Deserialize;
use service_host::{Path, Query};
use utoipa::IntoParams;

use super::answer::{Answer, Answered};
use super::openapi::Refusals;
use super::page::Paging;
use super::when::{When, WhenAsked, reached};
use crate::caller::Authenticated;
use crate::directory::Scene;
use crate::failed::Failed;
use crate::resource::At;
use crate::resource::charger::{Face, compose, overall};
use crate::state::{Api, invalid};

/// Rows looked at for one page where the filter is about what no column holds. The page is short then, and has a `next`.
const SCANNED_MAX: usize = 5_000;
const SCAN_STEP: u32 = 500;
/// The words that a status can be.
const STATUS_WORDS: [&str; 10] = [
    "available",
    "preparing",
    "charging",
    "suspended",
    "finishing",
    "reserved",
    "unavailable",
    "faulted",
    "occupied",
    "unknown",
];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChargersQuery {
    /// Only chargers of this status; several with commas.
    status: Option<String>,
    site_id: Option<String>,
    /// Part of the charger's name, or of its site's name or city.
    q: Option<String>,
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
pub(super) struct Fresh {
    /// As of a position of the log, or of a time (RFC 3339): what was then. Not together with `min_position`.
    pub as_of: Option<String>,
    /// Wait until the views contain this position (at most 5 s).
    pub min_position: Option<i64>,
}

impl Fresh {
    pub fn asked(&self) -> WhenAsked<'_> {
        WhenAsked { as_of: self.as_of.as_deref(), min_position: self.min_position, paged: None }
    }
}

pub fn face_for(caller: &Caller) -> Face {
    match caller.driver_id() {
        Some(driver_id) => Face::Own(driver_id),
        None => Face::Operator,
    }
}

/// Chargers, by name.
#[utoipa::path(get, path = "/api/chargers", tag = "chargers", params(ChargersQuery),
    responses((status = 200, body = Dated<Page<Charger>>), Refusals))]
pub(super) async fn chargers(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ChargersQuery>,
) -> Answer<Page<Charger>> {
    let filters = (&query.status, &query.site_id, &query.q);
    let paging = Paging::of("chargers", &filters, query.limit, query.cursor.as_deref())?;
    let filter = Filter::new(&query)?;
    let mut when = api
        .when(WhenAsked { as_of: query.as_of.as_deref(), min_position: query.min_position, paged: paging.paged })
        .await?;
    let mut rows = Rows::of(Model::ChargePoints)
        .with(Column::TenantId, caller.tenant_id)
        .order(Order::IdentityAscending)
        .limit(if filter.scans() { SCAN_STEP } else { paging.limit });
    if let Some(site_id) = &query.site_id {
        rows = rows.with(Column::SiteId, site_id);
    }
    let face = face_for(&caller);
    let (mut items, mut after, mut scanned) = (Vec::new(), paging.after.clone(), 0);
    loop {
        let step = rows.clone().after(after.take());
        let (found, scene) = api.chargers(&step, &when).await?;
        // The next step is of the same page.
        when = when.no_older_than(found.reached);
        for (n, change) in found.rows.iter().enumerate() {
            let Some(charger) = filter.charger(change, &scene, face) else { continue };
            items.push(charger);
            let more = n + 1 < found.rows.len() || found.next.is_some();
            if items.len() == paging.limit as usize && more {
                return Ok(paging.page(&when, found.reached, items, cursor_of(change)));
            }
        }
        scanned += found.rows.len();
        match found.next {
            Some(next) if scanned < SCANNED_MAX => after = Some(next),
            next => return Ok(paging.page(&when, found.reached, items, next)),
        }
    }
}

/// A charger: its public face, and the caller's own sessions on it.
#[utoipa::path(get, path = "/api/chargers/{charger_id}", tag = "chargers", params(("charger_id" = String, Path), Fresh),
    responses((status = 200, body = Dated<Charger>), Refusals))]
pub(super) async fn charger(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(charger_id): Path<String>,
    Query(fresh): Query<Fresh>,
) -> Answer<Charger> {
    let when = api.when(fresh.asked()).await?;
    let (body, at) = find(&api, &caller, &charger_id, &when).await?;
    Ok(Answered::new(&when, at, body))
}

/// How a charger and its connectors are.
#[utoipa::path(get, path = "/api/chargers/{charger_id}/status", tag = "chargers",
    params(("charger_id" = String, Path), Fresh), responses((status = 200, body = Dated<ChargerStatus>), Refusals))]
pub(super) async fn charger_status(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Path(charger_id): Path<String>,
    Query(fresh): Query<Fresh>,
) -> Answer<ChargerStatus> {
    let when = api.when(fresh.asked()).await?;
    let (charger, at) = find(&api, &caller, &charger_id, &when).await?;
    Ok(Answered::new(&when, at, charger.into()))
}

async fn find(api: &Api, caller: &Caller, charger_id: &str, when: &When) -> Result<(Charger, Reached), Failed> {
    let identity = ChargePointIdentity::parse(charger_id).map_err(|_| Refusal::ChargerUnknown)?;
    if let When::Then(moment) = when {
        let (change, scene) = api.charger_then(caller.tenant_id, identity.as_str(), moment).await?;
        let charger = charger_of(&change, &scene, face_for(caller)).ok_or(Refusal::ChargerUnknown)?;
        return Ok((charger, reached(moment)));
    }
    let rows = Rows::of(Model::ChargePoints)
        .with(Column::TenantId, caller.tenant_id)
        .with(Column::Identity, identity)
        .limit(1);
    let (found, scene) = api.staged(&rows, None).await?;
    let charger = found.rows.first().and_then(|change| charger_of(change, &scene, face_for(caller)));
    Ok((charger.ok_or(Refusal::ChargerUnknown)?, found.reached))
}

fn charger_of(change: &RowChange, scene: &Scene, face: Face) -> Option<Charger> {
    match &change.row {
        Row::ChargePoints(row) => compose(At::of(change, row.as_ref()), &scene.places, face),
        _ => None,
    }
}

fn cursor_of(change: &Arc<RowChange>) -> Option<Cursor> {
    match &change.row {
        Row::ChargePoints(row) => {
            let identity = row.charge_point.identity.as_ref()?;
            Some(Cursor { sort: Some(identity.to_string()), key: change.key.clone() })
        }
        _ => None,
    }
}

/// What no column holds: the status follows from connection and reports, the site's name from another row.
struct Filter {
    status: Vec<String>,
    text: Option<String>,
}

impl Filter {
    fn new(query: &ChargersQuery) -> Result<Self, Failed> {
        let status: Vec<_> = query.status.iter().flat_map(|words| words.split(',')).map(str::to_owned).collect();
        if status.iter().any(|word| !STATUS_WORDS.contains(&word.as_str())) {
            return Err(invalid("status", &format!("is one of {}", STATUS_WORDS.join(", "))).into());
        }
        Ok(Self { status, text: query.q.as_ref().map(|text| text.to_lowercase()) })
    }

    fn scans(&self) -> bool {
        !self.status.is_empty() || self.text.is_some()
    }

    fn charger(&self, change: &RowChange, scene: &Scene, face: Face) -> Option<Charger> {
        let Row::ChargePoints(row) = &change.row else { return None };
        let status = overall(&row.charge_point);
        if !self.status.is_empty() && !self.status.iter().any(|word| word == status.as_str()) {
            return None;
        }
        let charger = charger_of(change, scene, face)?;
        let found = |text: &str| self.text.as_ref().is_none_or(|wanted| text.to_lowercase().contains(wanted));
        let site = charger.site.as_ref();
        let matches =
            found(&charger.charger_id) || site.is_some_and(|site| found(&site.name) || found(&site.address.city));
        matches.then_some(charger)
    }
}

//! Queries: one file for each resource, all read from the rows of the read models.

mod answer;
mod chargers;
mod commands;
mod export;
mod me;
mod meter_values;
pub mod openapi;
mod page;
mod people;
mod sessions;
mod sites;
mod tariffs;
mod when;

pub use sessions::is_visible;

use axum::Router;
use axum::routing::get;

use crate::state::Api;

/// The whole API of queries.
pub fn router() -> Router<Api> {
    Router::new()
        .route("/api/me", get(me::me))
        .route("/api/me/export", get(export::export_me))
        .route("/api/chargers", get(chargers::chargers))
        .route("/api/chargers/{charger_id}", get(chargers::charger))
        .route("/api/chargers/{charger_id}/status", get(chargers::charger_status))
        .route("/api/chargers/{charger_id}/commands", get(commands::charger_commands))
        .route("/api/sessions", get(sessions::sessions))
        .route("/api/sessions/status", get(sessions::open_sessions))
        .route("/api/sessions/{session_id}", get(sessions::session))
        .route("/api/sessions/{session_id}/meter-values", get(meter_values::meter_values))
        .route("/api/commands", get(commands::commands))
        .route("/api/commands/{command_id}", get(commands::command))
        .route("/api/sites", get(sites::sites))
        .route("/api/tariffs", get(tariffs::tariffs))
        .route("/api/drivers", get(people::drivers))
        .route("/api/drivers/{driver_id}/export", get(export::export_driver))
        .route("/api/tokens", get(people::tokens))
}

//! What clients can ask for, over HTTP.

mod answer;
mod auth;
mod chargers;
mod charging;
mod command;
mod drivers;
mod key;
mod openapi;
mod problem;
mod sessions;
mod sites;
mod state;
mod tariffs;
mod tokens;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, post};
use schema::api::command::{
    ActivatePlan, BlockToken, CommandBody, EraseDriver, EraseMe, PublishPlan, PublishTariff, RegisterCharger,
    RegisterSite, RegisterToken, RemoteStart, RemoteStop, StartCharging, StationCommand, StopCharging,
};

pub use openapi::openapi;
pub use state::{Api, RequestRates};

/// The largest body: a tariff of as many elements as there may be.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The whole API.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/auth/register", counted("register", auth::register))
        .route("/api/auth/login", counted("login", auth::login))
        .route("/api/auth/refresh", counted("refresh", auth::refresh))
        .route("/api/auth/logout", counted("logout", auth::logout))
        .route("/api/sessions/start", command::<StartCharging, _, _>(sessions::start_charging))
        .route("/api/sessions/stop", command::<StopCharging, _, _>(sessions::stop_charging))
        .route("/api/me/erase", command::<EraseMe, _, _>(drivers::erase_me))
        // Operators.
        .route("/api/chargers", command::<RegisterCharger, _, _>(chargers::register_charger))
        .route("/api/chargers/{charger_id}/commands", command::<StationCommand, _, _>(chargers::send_station_command))
        .route("/api/charging/remote_start", command::<RemoteStart, _, _>(charging::remote_start))
        .route("/api/charging/remote_stop", command::<RemoteStop, _, _>(charging::remote_stop))
        .route("/api/sites", command::<RegisterSite, _, _>(sites::register_site))
        .route("/api/tariffs", command::<PublishTariff, _, _>(tariffs::publish_tariff))
        .route("/api/plans", command::<PublishPlan, _, _>(tariffs::publish_plan))
        .route("/api/drivers/{driver_id}/plan", command::<ActivatePlan, _, _>(drivers::activate_plan))
        .route("/api/drivers/{driver_id}/tokens", command::<RegisterToken, _, _>(drivers::register_token))
        .route("/api/drivers/{driver_id}/erase", command::<EraseDriver, _, _>(drivers::erase_driver))
        .route("/api/tokens/{token_id}/block", command::<BlockToken, _, _>(tokens::block_token))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

fn command<B: CommandBody, H: Handler<T, Api>, T: 'static>(handler: H) -> MethodRouter<Api> {
    counted(B::KIND, handler)
}

/// Counts what comes of requests of a kind.
fn counted<H: Handler<T, Api>, T: 'static>(kind: &'static str, handler: H) -> MethodRouter<Api> {
    post(handler).layer(axum::middleware::map_response(move |response| answer::count(kind, response)))
}

//! The document of this API, from the types and the handlers.

use std::collections::BTreeMap;

use schema::api::command::Problem;
use schema::api::document::{AccessToken, problems};
use schema::api::socket;
use utoipa::openapi::{OpenApi, RefOr, Response};
use utoipa::{IntoResponses, OpenApi as _};

use super::{chargers, commands, export, me, meter_values, people, sessions, sites, tariffs};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Coulomb: queries", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        me::me,
        chargers::chargers,
        chargers::charger,
        chargers::charger_status,
        sessions::sessions,
        sessions::open_sessions,
        sessions::session,
        meter_values::meter_values,
        commands::command,
        commands::commands,
        commands::charger_commands,
        sites::sites,
        tariffs::tariffs,
        people::drivers,
        export::export_driver,
        export::export_me,
        people::tokens,
        crate::socket::open,
    ),
    components(schemas(Problem, socket::ClientMessage, socket::ServerMessage, socket::ResourceSet)),
    tags(
        (name = "chargers", description = "What everybody who is logged in may see."),
        (name = "sessions", description = "What is the caller's."),
        (name = "operators", description = "What only operators of the network may see."),
        (name = "live", description = "The same resources, as they change."),
    ),
    security(("access_token" = [])),
    modifiers(&AccessToken),
)]
struct Document;

/// What this service answers to.
pub fn openapi() -> OpenApi {
    Document::openapi()
}

/// Why a query may be refused.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "invalid-request: a parameter is not known or not acceptable, and named"),
            ("401", "unauthenticated: no access token, or one that is not good"),
            ("403", "forbidden"),
            ("404", "charger-unknown, session-unknown, command-unknown or driver-unknown: also someone else's"),
            ("410", "history-not-kept: of before `earliest_position` it can't be said any more what was"),
            ("503", "position-not-reached or unavailable, with Retry-After"),
        ])
    }
}

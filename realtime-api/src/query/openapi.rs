//! The document of this API, from the types and the handlers.

use std::collections::BTreeMap;

use schema::api::command::Problem;
use schema::api::socket;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder};
use utoipa::{IntoResponses, Modify, OpenApi as _};

use super::{chargers, commands, me, meter_values, people, sessions, sites, tariffs};

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

struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access_token", SecurityScheme::Http(scheme));
    }
}

/// Why a query may be refused.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = |description: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            ResponseBuilder::new().description(description).content("application/problem+json", content).build()
        };
        ResponsesBuilder::new()
            .response("400", problem("invalid-request: a parameter is not known or not acceptable, and named"))
            .response("401", problem("unauthenticated: no access token, or one that is not good"))
            .response("403", problem("forbidden"))
            .response("404", problem("charger-unknown, session-unknown or command-unknown: also someone else's"))
            .response("503", problem("position-not-reached or unavailable, with Retry-After"))
            .build()
            .into()
    }
}

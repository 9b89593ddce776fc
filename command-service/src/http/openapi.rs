//! The document of this API, from the types and the handlers.

use std::collections::BTreeMap;

use schema::api::command::{Accepted, Problem};
use schema::api::document::{AccessToken, problems};
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, ResponsesBuilder,
};
use utoipa::{IntoParams, IntoResponses, OpenApi as _};

use super::{auth, chargers, charging, drivers, sessions, sites, tariffs, tokens};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Coulomb: commands", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        auth::register,
        auth::login,
        auth::refresh,
        auth::logout,
        sessions::start_charging,
        sessions::stop_charging,
        chargers::register_charger,
        chargers::send_station_command,
        charging::remote_start,
        charging::remote_stop,
        sites::register_site,
        tariffs::publish_tariff,
        tariffs::publish_plan,
        drivers::activate_plan,
        drivers::register_token,
        drivers::erase_driver,
        drivers::erase_me,
        tokens::block_token,
    ),
    components(schemas(Accepted, Problem)),
    tags(
        (name = "accounts", description = "Who may log in."),
        (name = "drivers", description = "What a driver does."),
        (name = "operators", description = "What an operator of the network does."),
    ),
    security(("access_token" = [])),
    modifiers(&AccessToken),
)]
struct Document;

/// What this service answers to.
pub fn openapi() -> OpenApi {
    Document::openapi()
}

/// The header that makes a command safe to repeat.
pub(super) struct KeyDocument;

impl IntoParams for KeyDocument {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<utoipa::openapi::path::Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        let about = "The client's own name for this request, kept for 7 days with its answer. The same request again gets \
                     the first answer, refusals too; another one gets idempotency-conflict.";
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(text));
        vec![parameter.build()]
    }
}

/// A command that was taken.
pub(super) struct TakenDocument;

impl IntoResponses for TakenDocument {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let number = || HeaderBuilder::new().schema(ObjectBuilder::new().schema_type(Type::Integer)).build();
        let accepted = ContentBuilder::new().schema(Some(Ref::from_schema_name("Accepted"))).build();
        let response = ResponseBuilder::new()
            .description("Taken: in the log, and on its way")
            .content("application/json", accepted)
            .header("Coulomb-Position", number())
            .header("Coulomb-Generation", number());
        ResponsesBuilder::new().response("202", response).build().into()
    }
}

/// Why a command is refused.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "invalid-request: it can't be read"),
            ("401", "unauthenticated"),
            ("403", "forbidden, no-active-plan"),
            ("404", "charger-unknown, session-unknown, driver-unknown, token-unknown"),
            (
                "409",
                "charger-offline, connector-occupied, connector-faulted, session-open, session-over, already-exists, \
                 idempotency-conflict",
            ),
            ("413", "too-large"),
            ("422", "invalid-request: `field` names what is not acceptable"),
            ("429", "rate-limited: wait for `Retry-After`"),
            ("503", "unavailable: try again after `Retry-After`, with the same key"),
        ])
    }
}

/// Why an account can't be used.
pub(super) struct AuthRefusals;

impl IntoResponses for AuthRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "invalid-request: it can't be read"),
            ("401", "unauthenticated: wrong, or not good any more"),
            ("413", "too-large"),
            ("422", "invalid-request: `field` names what is not acceptable"),
            ("429", "rate-limited: wait for `Retry-After`"),
            ("503", "unavailable: try again after `Retry-After`"),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a document refers to is in it, and each operation has a place of its own.
    #[test]
    fn the_document_is_whole() {
        let json = serde_json::to_value(openapi()).unwrap();
        let text = json.to_string();
        let references: Vec<_> =
            text.split("\"$ref\":\"#/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 16);
        for reference in references {
            assert!(json.pointer(&format!("/{reference}")).is_some(), "{reference} is missing");
        }
        assert_eq!(json["paths"].as_object().unwrap().len(), 18);
        for (path, item) in json["paths"].as_object().unwrap() {
            let post = &item["post"];
            assert!(post["summary"].is_string(), "{path} says nothing");
            assert!(
                post["requestBody"].is_object() || path.ends_with("/block") || path.ends_with("/erase"),
                "{path} has no body"
            );
        }
    }
}

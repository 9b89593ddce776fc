//! What the OpenAPI documents of the services have in common.

use std::collections::BTreeMap;

use utoipa::Modify;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Adds the security scheme `access_token`.
pub struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access_token", SecurityScheme::Http(scheme));
    }
}

/// Answers that are problems ([`Problem`](super::command::Problem)), by status, each with the codes that it may have.
pub fn problems(all: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let problem = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = |about: &str| {
        ResponseBuilder::new().description(about).content("application/problem+json", problem()).build().into()
    };
    all.iter().map(|(status, about)| ((*status).to_owned(), response(about))).collect()
}

use application::Application;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schema::api::command::Accepted;
use schema::log::Generation;
use service_host::Json;

use super::problem::{Failed, chain};

const POSITION: HeaderName = HeaderName::from_static("coulomb-position");
const GENERATION: HeaderName = HeaderName::from_static("coulomb-generation");

/// What comes of a command.
pub(super) type Answer = Result<Taken, Failed>;

/// The command was taken: 202, with its position in the body and in a header.
pub(super) struct Taken {
    accepted: Accepted,
    generation: Option<Generation>,
}

impl Taken {
    pub(super) async fn new(application: &Application, accepted: application::command::Accepted) -> Self {
        // The command is committed: that the generation can't be read must not make it look refused.
        let generation = match application.store().head().await {
            Ok((_, generation)) => Some(generation),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the generation of the log could not be read");
                None
            }
        };
        let application::command::Accepted {
            command_id,
            position,
            session_id,
            charger_id,
            site_id,
            tariff_id,
            plan_id,
            driver_id,
            token_id,
        } = accepted;
        let accepted =
            Accepted { command_id, position, session_id, charger_id, site_id, tariff_id, plan_id, driver_id, token_id };
        Self { accepted, generation }
    }
}

impl IntoResponse for Taken {
    fn into_response(self) -> Response {
        let position = self.accepted.position.0;
        let mut response = (StatusCode::ACCEPTED, Json(self.accepted)).into_response();
        response.headers_mut().insert(POSITION, HeaderValue::from(position));
        if let Some(Generation(generation)) = self.generation {
            response.headers_mut().insert(GENERATION, HeaderValue::from(generation));
        }
        response
    }
}

/// What came of a request, for the metrics: the code of its problem.
#[derive(Clone, Copy)]
pub(super) struct Outcome(pub &'static str);

pub(super) async fn count(kind: &'static str, response: Response) -> Response {
    let code = match response.extensions().get::<Outcome>() {
        Some(Outcome(code)) => code,
        None => "ok",
    };
    metrics::counter!("coulomb_command_service_requests_total", "kind" => kind, "code" => code).increment(1);
    response
}

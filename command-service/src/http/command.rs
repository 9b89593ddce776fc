//! How a command is read from a request, in the order in which it may be refused.

use application::auth::Caller;
use application::{Application, CommandContext, Idempotency};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use domain::refusal::Refusal;
use schema::api::command::{BODY_HASH_PURPOSE, CommandBody};
use service_host::{Json, Problem, TraceContext, required_bearer};

use super::answer::Taken;
use super::key::idempotency_key;
use super::problem::Failed;
use super::state::{Api, ClientAddress};

/// A command as it came: who gives it, under which key, what the path names, and its body.
pub(super) struct Command<B> {
    pub api: Api,
    pub context: CommandContext,
    /// The variable part of the path; empty where there is none.
    pub target: String,
    pub body: B,
}

impl<B> Command<B> {
    pub(super) fn application(&self) -> &Application {
        &self.api.application
    }

    pub(super) async fn taken(&self, accepted: application::command::Accepted) -> Taken {
        Taken::new(self.application(), accepted).await
    }
}

impl<B: CommandBody> FromRequest<Api> for Command<B> {
    type Rejection = Failed;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failed> {
        let (mut parts, body) = request.into_parts();
        ClientAddress::from_request_parts(&mut parts, api).await?;
        let caller = authenticated(&parts.headers, api).await?;
        api.take_for(&caller)?;
        if B::ONLY_OPERATORS && !caller.is_operator() {
            return Err(Refusal::Forbidden("Only operators of the network may do this.").into());
        }
        let key = idempotency_key(&parts.headers)?;
        let Ok(TraceContext { trace_id, .. }) = TraceContext::from_request_parts(&mut parts, api).await;
        let target =
            target(&RawPathParams::from_request_parts(&mut parts, api).await.map_err(|_| Problem::internal())?);
        let request = with_body(Request::from_parts(parts, body));
        let Json(body) = Json::<B>::from_request(request, api).await?;
        let context = CommandContext {
            caller,
            idempotency: key.map(|key| Idempotency { key, body_hash: hash(api, &target, &body) }),
            trace_id: Some(trace_id.to_string()),
            now: api.clock.now(),
        };
        Ok(Self { api: api.clone(), context, target, body })
    }
}

async fn authenticated(headers: &HeaderMap, api: &Api) -> Result<Caller, Failed> {
    Ok(api.application.verifier().verify(required_bearer(headers)?, api.clock.now()).await?)
}

fn target(params: &RawPathParams) -> String {
    params.iter().map(|(_, value)| value).collect::<Vec<_>>().join("/")
}

/// No body is the same as an empty object: some commands have nothing to say, and for the others it names the field that
/// is missing.
fn with_body(request: Request) -> Request {
    if request.body().size_hint().exact() != Some(0) {
        return request;
    }
    let (mut parts, _) = request.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Request::from_parts(parts, Body::from("{}"))
}

fn hash<B: CommandBody>(api: &Api, target: &str, body: &B) -> [u8; 32] {
    let target = (!target.is_empty()).then_some(target);
    api.application.vault().index_hash(BODY_HASH_PURPOSE, &body.canonical(target))
}

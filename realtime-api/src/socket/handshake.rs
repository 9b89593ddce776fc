//! The opening handshake (RFC 6455, section 4.2).

use std::future::Future;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use service_host::{Code, Problem, bearer};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The subprotocol that is selected, whatever else is offered.
const SUBPROTOCOL: &str = "coulomb";
/// What stands before the token where it is offered as a subprotocol.
const TOKEN_PREFIX: &str = "bearer.";

/// How the token came. It is shown to nobody: not in answers, not in logs.
pub enum Credential {
    Header(String),
    Subprotocol(String),
    None,
}

pub struct Handshake {
    accept: HeaderValue,
    subprotocol: bool,
    upgrade: OnUpgrade,
    pub credential: Credential,
}

impl Handshake {
    pub fn read(mut request: Request) -> Result<Self, Problem> {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let headers = request.headers();
        if !has_word(headers, header::UPGRADE, "websocket") || !has_word(headers, header::CONNECTION, "upgrade") {
            return Err(Problem::new(Code::InvalidRequest, "This address speaks the WebSocket protocol only."));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
            return Err(refused("Sec-WebSocket-Version", "must be 13"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| refused("Sec-WebSocket-Key", "is missing"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let upgrade = upgrade.ok_or_else(Problem::internal)?;
        let offered: Vec<&str> = words(headers, header::SEC_WEBSOCKET_PROTOCOL).collect();
        let token = offered.iter().find_map(|word| word.strip_prefix(TOKEN_PREFIX));
        let credential = match (bearer(headers), token) {
            (Some(token), _) => Credential::Header(token.to_owned()),
            (None, Some(token)) => Credential::Subprotocol(token.to_owned()),
            (None, None) => Credential::None,
        };
        Ok(Self {
            accept: accept.map_err(|_| Problem::internal())?,
            subprotocol: offered.contains(&SUBPROTOCOL),
            upgrade,
            credential,
        })
    }

    /// The answer, and the stream once the answer is written.
    pub fn accept(self) -> (Response, impl Future<Output = hyper::Result<Upgraded>> + Send) {
        let mut response = (StatusCode::SWITCHING_PROTOCOLS, Body::empty()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.subprotocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }
        (response, self.upgrade)
    }
}

fn refused(name: &str, why: &str) -> Problem {
    Problem::new(Code::InvalidRequest, format!("The header {name} {why}.")).with("field", name)
}

fn words(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn has_word(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    words(headers, name).any(|found| found.eq_ignore_ascii_case(word))
}

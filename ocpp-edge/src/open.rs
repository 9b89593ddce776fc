//! From an accepted TCP connection to a charger that stands in the log as connected.

use std::sync::Arc;

use application::report;
use chrono::Utc;
use domain::id::{ChargePointId, ChargePointIdentity};
use domain::refusal::Refusal as DomainRefusal;
use service_host::TraceId;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::config::UnknownChargers;
use crate::connection::{Connection, End};
use crate::edge::Edge;
use crate::handshake::{self, Negotiated, Opening, Refusal, Version};
use crate::persist::causes;
use crate::socket::Socket;

/// A charger that has proved who it is, and waits for its socket to be opened.
pub struct Authenticated {
    stream: TcpStream,
    opening: Opening,
    response: Response,
    version: Version,
    identity: ChargePointIdentity,
    charge_point_id: ChargePointId,
    /// From its knock to what phones see of its connection.
    trace_id: TraceId,
}

/// Reads the opening request and finds out whose it is; who must not be let in is told so. May be given up at any time.
pub async fn authenticated(edge: &Edge, mut stream: TcpStream) -> Option<Authenticated> {
    let opening = match Opening::read(&mut stream).await {
        Ok(opening) => opening,
        Err(error) => {
            if let Some(refusal) = Option::<Refusal>::from(&error) {
                refuse(stream, refusal, "").await;
            }
            return None;
        }
    };
    let negotiated = opening.negotiate();
    let Some(response) = opening.accepted(negotiated) else {
        refuse(stream, Refusal::NotAnUpgrade, opening.path()).await;
        return None;
    };
    let version = match negotiated {
        Negotiated::Selected(version) | Negotiated::Assumed(version) => version,
        Negotiated::Refused => {
            close_for_version(stream, opening, &response).await;
            return None;
        }
    };
    let trace_id = TraceId::random();
    match authenticate(edge, &opening, trace_id).await {
        Ok((identity, charge_point_id)) => {
            Some(Authenticated { stream, opening, response, version, identity, charge_point_id, trace_id })
        }
        Err(refusal) => {
            refuse(stream, refusal, opening.path()).await;
            None
        }
    }
}

/// Records the connection, then opens the socket. To be carried through: what is begun here must be ended.
///
/// The socket is opened only when the connection stands in the log: while that can't be written, chargers are told to come
/// again, and keep what they have to report.
pub async fn connect(edge: &Arc<Edge>, authenticated: Authenticated) -> Option<Connection> {
    let Authenticated { mut stream, opening, response, version, identity, charge_point_id, trace_id } = authenticated;
    // First the mailbox: a command that is requested from now on is either put there or found when the open ones are taken.
    let mailbox = edge.mailboxes.register(charge_point_id);
    let (protocol, name) = (version.subprotocol(), edge.config.name.as_str());
    let now = Utc::now();
    let trace = Some(trace_id.to_string());
    // Before: whoever sleeps until it is recorded asks whether the charger has moved meanwhile.
    let standstills = edge.pulse.standstills();
    let record =
        || report::connect(&edge.app, edge.config.tenant_id, charge_point_id, protocol, name, trace.clone(), now);
    let connected = match record().await {
        // A row without a charger, of a registration that was broken off.
        Err(application::Error::Refused(DomainRefusal::ChargerUnknown))
            if admit(edge, &identity, trace_id).await.is_ok() =>
        {
            record().await
        }
        connected => connected,
    };
    let link = match connected {
        Ok(link) => link,
        Err(error) => {
            edge.mailboxes.remove(charge_point_id, &mailbox);
            let refusal = refusal_of(&error, &identity, "a charger could not be recorded as connected");
            refuse(stream, refusal, opening.path()).await;
            return None;
        }
    };
    mailbox.connected(link.epoch);
    tracing::info!(charger = identity.as_str(), epoch = link.epoch.0, %trace_id, "a charger has connected");
    metrics::counter!("coulomb_ocpp_edge_openings_total", "outcome" => "accepted").increment(1);
    let opened = handshake::accept(&mut stream, &response).await;
    let socket = Socket::new(stream, opening.read_ahead, edge.config.limits.message_bytes_max);
    let connection = Connection::new(Arc::clone(edge), identity, link, socket, mailbox, now, standstills);
    if opened.is_err() {
        connection.finish(End::Lost).await;
        return None;
    }
    Some(connection)
}

/// OCPP-J 1.6 section 3.2: completed without a subprotocol, then closed at once.
async fn close_for_version(mut stream: TcpStream, opening: Opening, response: &Response) {
    metrics::counter!("coulomb_ocpp_edge_openings_total", "outcome" => "subprotocol").increment(1);
    tracing::info!(reason = "subprotocol", path = opening.path(), "a connection was refused");
    if handshake::accept(&mut stream, response).await.is_ok() {
        let reason = "no offered version of OCPP is spoken here".into();
        let frame = CloseFrame { code: CloseCode::Protocol, reason };
        Socket::new(stream, opening.read_ahead, 0).close(Some(frame)).await;
    }
}

async fn refuse(mut stream: TcpStream, refusal: Refusal, path: &str) {
    metrics::counter!("coulomb_ocpp_edge_openings_total", "outcome" => refusal.label()).increment(1);
    tracing::info!(reason = refusal.label(), path, "a connection was refused");
    if let Err(error) = refusal.answer(&mut stream).await {
        tracing::debug!(%error, "the peer did not wait for its refusal");
    }
}

/// Who it is, if it is who it says.
async fn authenticate(
    edge: &Edge,
    opening: &Opening,
    trace_id: TraceId,
) -> Result<(ChargePointIdentity, ChargePointId), Refusal> {
    let charger = opening.charger().map_err(|_| Refusal::NoCharger)?;
    let identity = ChargePointIdentity::parse(charger.as_str()).map_err(|_| Refusal::NoCharger)?;
    // Never closed.
    let _turn = edge.openings.acquire().await.map_err(|_| Refusal::Unavailable)?;
    let found = edge.app.chargers().find(edge.config.tenant_id, &identity).await.map_err(|error| {
        tracing::warn!(charger = identity.as_str(), %error, "a charger could not be looked up");
        Refusal::Unavailable
    })?;
    let Some(entry) = found else {
        return admit(edge, &identity, trace_id).await.map(|charge_point_id| (identity, charge_point_id));
    };
    if let Some(credential) = &entry.credential {
        let presented = opening.authorization().ok().flatten().and_then(|auth| auth.password_for(&charger));
        let password = presented.ok_or(Refusal::Unauthenticated)?;
        match edge.passwords.verify(password, credential).await {
            Ok(true) => {}
            Ok(false) => return Err(Refusal::Unauthenticated),
            Err(error) => {
                tracing::warn!(charger = identity.as_str(), %error, "a password could not be checked");
                return Err(Refusal::Unavailable);
            }
        }
    }
    Ok((identity, entry.charge_point_id))
}

async fn admit(edge: &Edge, identity: &ChargePointIdentity, trace_id: TraceId) -> Result<ChargePointId, Refusal> {
    if edge.config.unknown_chargers == UnknownChargers::Refuse {
        return Err(Refusal::Unknown);
    }
    let admitted = report::admit(&edge.app, edge.config.tenant_id, identity, Some(trace_id.to_string())).await;
    admitted.map_err(|error| refusal_of(&error, identity, "a charger could not be admitted"))
}

/// Logs what could not be recorded of an opening, and says how that is answered.
fn refusal_of(error: &application::Error, identity: &ChargePointIdentity, what: &'static str) -> Refusal {
    let (charger, causes) = (identity.as_str(), causes(error));
    match error {
        application::Error::Unreadable(_) => {
            tracing::error!(charger, error = causes, "{what}");
            Refusal::Internal
        }
        application::Error::Refused(DomainRefusal::ChargerUnknown) => {
            tracing::warn!(charger, error = causes, "{what}");
            Refusal::Unknown
        }
        _ => {
            tracing::warn!(charger, error = causes, "{what}");
            Refusal::Unavailable
        }
    }
}

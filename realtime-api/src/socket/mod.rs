//! `/ws`: one task for each socket (docs/websocket.md).

mod actions;
mod allowance;
mod close;
mod commands;
mod connection;
mod handshake;
mod message;
mod opening;
mod say;
mod sockets;
mod wire;

use axum::extract::{Request, State};
use axum::response::Response;
use service_host::{Code, Problem};

pub use allowance::MessageRate;
pub use close::Close;
#[cfg(test)]
pub use message::read;
pub use sockets::Sockets;

use crate::failed::Failed;
use crate::query::openapi::Refusals;
use crate::state::Api;
use connection::Connection;
use handshake::{Credential, Handshake};

/// Follow resources as they change (docs/websocket.md).
///
/// A WebSocket of text frames, each a JSON object: `ClientMessage` and `ServerMessage`. The token comes in the header
/// `Authorization`, as one of the subprotocols `coulomb, bearer.<token>`, or in the first message.
#[utoipa::path(get, path = "/ws", tag = "live",
    responses((status = 101, description = "The socket is open"), Refusals))]
pub async fn open(State(api): State<Api>, request: Request) -> Result<Response, Failed> {
    let handshake = Handshake::read(request)?;
    if api.shutdown.has_begun() {
        return Err(Problem::unavailable("This process is ending. Connect again.").into());
    }
    let place = api.sockets.enter(api.limits.sockets_max).ok_or_else(|| {
        Failed(
            Problem::new(Code::Unavailable, "There are too many connections here. Try again.").retry_after(RETRY_AFTER),
        )
    })?;
    let presented = match &handshake.credential {
        // Native clients see the status of the answer; browsers, which can't set this header, would not.
        Credential::Header(token) => Some(Ok(api.verify(token).await?)),
        Credential::Subprotocol(token) => Some(api.verify(token).await),
        Credential::None => None,
    };
    let (response, upgraded) = handshake.accept();
    let sockets = api.sockets.clone();
    sockets.spawn(async move {
        match upgraded.await {
            // A task of its own: this one's state, with the handshake in it, would be held for as long as the socket.
            Ok(stream) => api.sockets.clone().spawn(Connection::serve(api, place, stream, presented)),
            Err(error) => tracing::debug!(%error, "a socket was not opened after all"),
        }
    });
    Ok(response)
}

const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

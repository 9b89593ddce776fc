//! One way to open a WebSocket, for chargers and phones.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};

/// For the connection and the opening handshake together.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(10);
/// Small, so that thousands fit into one process.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// What a peer may send in one message; a snapshot of a large fleet is the largest.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

pub type Socket = WebSocketStream<TcpStream>;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is not an address of the form ws://host:port/path")]
    Address(String),
    #[error("nothing answers at {authority}")]
    Unreachable { authority: String, source: std::io::Error },
    #[error("not open within {} s", OPEN_WAIT_MAX.as_secs())]
    TooSlow,
    /// The peer answered with another status than 101.
    #[error("refused with {0}")]
    Refused(StatusCode),
    #[error("the opening handshake failed")]
    Handshake(#[source] Box<tungstenite::Error>),
}

/// Opens a socket. A subprotocol that was asked for and not selected is no failure here: some servers omit it.
pub async fn open(url: &str, headers: &[(HeaderName, HeaderValue)]) -> Result<Socket, Error> {
    tokio::time::timeout(OPEN_WAIT_MAX, connect(url, headers)).await.unwrap_or(Err(Error::TooSlow))
}

async fn connect(url: &str, headers: &[(HeaderName, HeaderValue)]) -> Result<Socket, Error> {
    let malformed = || Error::Address(url.to_owned());
    let mut request = url.into_client_request().map_err(|_| malformed())?;
    if request.uri().scheme_str() != Some("ws") {
        return Err(malformed());
    }
    let host = request.uri().host().ok_or_else(malformed)?;
    let authority = format!("{host}:{}", request.uri().port_u16().unwrap_or(80));
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    let unreachable = |source| Error::Unreachable { authority: authority.clone(), source };
    let stream = TcpStream::connect(&authority).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => Err(Error::Refused(answer.status())),
        Err(other) => Err(Error::Handshake(Box::new(other))),
    }
}

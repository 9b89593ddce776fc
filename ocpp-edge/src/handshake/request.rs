use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response, create_response, write_response};
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::{self};

use super::{BasicAuth, ChargerIdentity, Error, Negotiated, negotiate};

/// The largest opening request. Nothing larger is taken of anybody who is not authenticated.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
const READ_BYTES: usize = 1024;

/// Why an opening request was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the peer is gone")]
    Gone(#[from] io::Error),
    /// Answered with 431.
    #[error("the request is larger than {REQUEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Answered with 400.
    #[error("not an HTTP/1.1 GET request")]
    NotHttp(#[source] tungstenite::Error),
}

/// A request to open a WebSocket.
pub struct Opening {
    request: Request,
    /// What the charger sent ahead of our answer.
    pub read_ahead: Vec<u8>,
}

impl Opening {
    /// Reads the request; how long that may take is the caller's affair.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(stream: &mut TcpStream) -> Result<Self, ReadError> {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(ReadError::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some((bytes, request)) = Request::try_parse(&buffer).map_err(ReadError::NotHttp)? {
                return Ok(Self { request, read_ahead: buffer.split_off(bytes) });
            }
            if buffer.len() >= REQUEST_BYTES_MAX {
                return Err(ReadError::TooLarge);
            }
        }
    }

    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// # Errors
    /// [`Error::Path`] or [`Error::Identity`].
    pub fn charger(&self) -> Result<ChargerIdentity, Error> {
        ChargerIdentity::from_path(self.path())
    }

    pub fn negotiate(&self) -> Negotiated {
        let offers = self.request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        negotiate(offers.iter().filter_map(|offer| offer.to_str().ok()))
    }

    /// None: no password was presented.
    ///
    /// # Errors
    /// [`Error::Authorization`].
    pub fn authorization(&self) -> Result<Option<BasicAuth>, Error> {
        self.request.headers().get(AUTHORIZATION).map(|header| BasicAuth::parse(header.as_bytes())).transpose()
    }

    /// The answer that opens the socket, if the request is one for a WebSocket of RFC 6455.
    pub fn accepted(&self, negotiated: Negotiated) -> Option<Response> {
        let mut response = create_response(&self.request).ok()?;
        if let Some(protocol) = negotiated.header() {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        Some(response)
    }
}

/// Writes the answer that opens the socket.
///
/// # Errors
/// The peer is gone.
pub async fn accept(stream: &mut TcpStream, response: &Response) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(256);
    write_response(&mut bytes, response).map_err(io::Error::other)?;
    stream.write_all(&bytes).await
}

use anyhow::Context;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The default of 128 KiB is cleared before each read, and would cost the load more than what is measured.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// A WebSocket to an address of this machine, its frames sent at once.
pub async fn open(request: Request) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let authority = request.uri().authority().context("an address has a host")?.as_str().to_owned();
    let stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
    let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
    Ok(socket)
}

//! The WebSocket of a charger: tungstenite's protocol on a TCP stream, polled directly.
//!
//! Not tokio-tungstenite's stream, which ends at the first error of any kind: a charger that puts bytes into a text that are
//! no UTF-8 must not lose its connection. And its buffers must not stay as large as its largest message.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Read at once, and all that an idle connection keeps. Most messages fit.
const READ_BUFFER_BYTES: usize = 1024;
/// Above the largest frame that is sent; what a charger doesn't take beyond it closes the socket.
const WRITE_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// After a larger message the buffers are made anew.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// For the peer to take the close frame, and then to close its side: otherwise what it is still sending would reset the
/// connection before it has read why.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

pub struct Socket {
    stream: TcpStream,
    context: WebSocketContext,
    message_bytes_max: usize,
    /// Bytes that were read and belong to no message yet, as far as is known: never too low.
    unaccounted: usize,
    /// The buffers have grown.
    is_swollen: bool,
}

impl Socket {
    /// After the handshake; `read_ahead` is what came with it.
    pub fn new(stream: TcpStream, read_ahead: Vec<u8>, message_bytes_max: usize) -> Self {
        let unaccounted = read_ahead.len();
        let config = Some(config(message_bytes_max));
        let context = WebSocketContext::from_partially_read(read_ahead, Role::Server, config);
        Self { stream, context, message_bytes_max, unaccounted, is_swollen: false }
    }

    /// The next message, control messages included; pings are answered. Cancel safe.
    ///
    /// After [`Error::Utf8`] the next message can be read as if nothing had been.
    pub async fn read(&mut self) -> Result<Message, Error> {
        if self.is_swollen && self.unaccounted == 0 {
            self.context = WebSocketContext::new(Role::Server, Some(config(self.message_bytes_max)));
            self.is_swollen = false;
        }
        let Self { stream, context, unaccounted, .. } = self;
        let message = poll_fn(|cx| {
            let mut io = Io { stream, cx, read: unaccounted };
            pending(context.read(&mut io))
        })
        .await;
        if let Ok(message) = &message {
            let bytes = message.len();
            self.unaccounted = self.unaccounted.saturating_sub(frame_bytes(bytes));
            self.is_swollen |= bytes > KEPT_BYTES_MAX;
        }
        message
    }

    /// Writes one message. After a cancellation it may have been sent in part: then only close.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        let Self { stream, context, unaccounted, .. } = self;
        let mut message = Some(message);
        poll_fn(|cx| {
            let mut io = Io { stream, cx, read: unaccounted };
            if let Some(message) = message.take() {
                match pending(context.write(&mut io, message)) {
                    // It waits in the buffer.
                    Poll::Pending | Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            pending(context.flush(&mut io))
        })
        .await
    }

    /// Says why, and closes. Takes no longer than twice [`CLOSE_WAIT_MAX`].
    pub async fn close(mut self, frame: Option<CloseFrame>) {
        // The peer may be gone, which is what closing is for.
        let _ = timeout(CLOSE_WAIT_MAX, self.send_close(frame)).await;
        let _ = timeout(CLOSE_WAIT_MAX, self.linger()).await;
    }

    /// Sends the close frame, or the answer to that of the peer, which waits in the buffer (RFC 6455 section 5.5.1).
    async fn send_close(&mut self, frame: Option<CloseFrame>) -> Result<(), Error> {
        let Self { stream, context, unaccounted, .. } = self;
        poll_fn(|cx| {
            let mut io = Io { stream, cx, read: unaccounted };
            // Once it is under way this only flushes.
            pending(context.close(&mut io, frame.clone()))
        })
        .await
    }

    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut scratch = [0; READ_BUFFER_BYTES];
        let mut read = 0;
        while read < LINGER_BYTES_MAX {
            match self.stream.read(&mut scratch).await? {
                0 => break,
                bytes => read += bytes,
            }
        }
        Ok(())
    }
}

fn config(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

fn pending<T>(result: Result<T, Error>) -> Poll<Result<T, Error>> {
    match result {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        ready => Poll::Ready(ready),
    }
}

/// What a message takes on the wire, if it came as one frame with the shortest header (RFC 6455 section 5.2); one that did not
/// takes more.
const fn frame_bytes(payload: usize) -> usize {
    const MASK: usize = 4;
    let header = match payload {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    header + MASK + payload
}

/// The stream as tungstenite wants it: what isn't ready would block, and wakes the task.
struct Io<'s, 'c, 'w> {
    stream: &'s mut TcpStream,
    cx: &'c mut Context<'w>,
    read: &'s mut usize,
}

impl io::Read for Io<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().len();
                *self.read += bytes;
                Ok(bytes)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl io::Write for Io<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.stream).poll_write(self.cx, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Nothing is buffered between here and the kernel.
        Ok(())
    }
}

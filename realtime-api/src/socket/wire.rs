//! The stream under tungstenite, with an out queue of its own.
//!
//! tungstenite's buffer for what is written never shrinks: one snapshot would be paid for as long as the socket lives. So
//! text frames are put into this queue, past it, as shared bytes that are let go once written; what tungstenite writes
//! itself (pongs and closes) is queued behind them. Frames can't interleave, since everything goes through the one queue.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Pieces handed to one write.
const SLICES_MAX: usize = 64;
/// FIN and opcode of a text frame that is a whole message (RFC 6455, section 5.2). A server's frames are not masked.
const WHOLE_TEXT: u8 = 0x81;

#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    out: VecDeque<Piece>,
    /// Whether the first piece continues a frame that is partly written.
    mid_frame: bool,
    /// Whether anything was written since [`Wire::take_progress`].
    progressed: bool,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    ends_frame: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, out: VecDeque::new(), mid_frame: false, progressed: false }
    }

    /// Queues a text message in three parts, of which the middle one is shared.
    pub fn queue(&mut self, before: &[u8], shared: Bytes, after: &'static [u8]) {
        let length = before.len() + shared.len() + after.len();
        let mut head = BytesMut::with_capacity(10 + before.len());
        head.extend_from_slice(&[WHOLE_TEXT]);
        match length {
            0..=125 => head.extend_from_slice(&[length as u8]),
            126..=0xffff => {
                head.extend_from_slice(&[126]);
                head.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                head.extend_from_slice(&[127]);
                head.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        head.extend_from_slice(before);
        self.push(head.freeze(), shared.is_empty() && after.is_empty());
        if !shared.is_empty() {
            self.push(shared, after.is_empty());
        }
        if !after.is_empty() {
            self.push(Bytes::from_static(after), true);
        }
    }

    /// Queues a whole message.
    pub fn queue_text(&mut self, text: Vec<u8>) {
        self.queue(&[], text.into(), &[]);
    }

    fn push(&mut self, bytes: Bytes, ends_frame: bool) {
        self.out.push_back(Piece { bytes, ends_frame });
    }

    /// Lets go of every frame that was not begun, so that a last one can follow.
    pub fn forget_queued(&mut self) {
        let begun = match self.mid_frame {
            true => self.out.iter().position(|piece| piece.ends_frame).map_or(self.out.len(), |end| end + 1),
            false => 0,
        };
        self.out.truncate(begun);
    }

    pub fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    /// Writes until the queue is empty.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.out.len().min(SLICES_MAX);
            for (slice, piece) in slices.iter_mut().zip(&self.out) {
                *slice = IoSlice::new(&piece.bytes);
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.wrote(written);
        }
        // Idle sockets keep no queue.
        self.out = VecDeque::new();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn wrote(&mut self, mut written: usize) {
        self.progressed = true;
        while let Some(first) = self.out.front_mut() {
            if written < first.bytes.len() {
                self.mid_frame |= written > 0;
                first.bytes.advance(written);
                return;
            }
            written -= first.bytes.len();
            self.mid_frame = !first.ends_frame;
            self.out.pop_front();
        }
    }

    /// Reads and throws away what a client still sends after its socket was closed. Ready when it has ended.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Says that nothing more will be written.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

/// What tungstenite writes: control frames, each in one call or in parts that follow each other.
impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.push(Bytes::copy_from_slice(bytes), true);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::StreamExt;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    /// Through a pipe of few bytes, so that every write is partial.
    #[tokio::test]
    async fn messages_of_every_length_arrive_whole() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];
        let (ours, theirs) = tokio::io::duplex(1_000);
        let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let writer = tokio::spawn(async move {
            let mut wire = Wire::new(ours);
            for length in lengths {
                wire.queue(b"", Bytes::from(vec![b'x'; length]), b"");
                wire.queue(b"a", Bytes::from(vec![b'x'; length]), b"z");
            }
            poll_fn(|cx| wire.poll_send(cx)).await.expect("written");
            assert!(wire.out.is_empty() && !wire.mid_frame);
        });
        for length in lengths {
            for extra in [0, 2] {
                let message = client.next().await.expect("open").expect("a message");
                assert!(matches!(&message, Message::Text(text) if text.len() == length + extra), "{length}");
            }
        }
        writer.await.expect("no panic");
    }

    #[tokio::test]
    async fn a_frame_that_was_begun_is_ended_before_the_last_one() {
        let (ours, theirs) = tokio::io::duplex(10);
        let mut wire = Wire::new(ours);
        for _ in 0..3 {
            wire.queue(b"0123456789", Bytes::from_static(b"0123456789"), b"!");
        }
        let first = poll_fn(|cx| Poll::Ready(wire.poll_send(cx))).await;
        assert!(first.is_pending() && wire.mid_frame);
        wire.forget_queued();
        wire.queue(b"last", Bytes::new(), b"");
        let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let (sent, texts) = tokio::join!(poll_fn(|cx| wire.poll_send(cx)), async {
            [client.next().await, client.next().await].map(|message| message.expect("open").expect("a message"))
        });
        sent.expect("written");
        assert_eq!(texts.map(|text| text.into_text().expect("text").to_string()), ["01234567890123456789!", "last"]);
    }
}

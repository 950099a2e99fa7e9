//! The link: the WebSocket of one session.

use super::{Limits, stream::Stream, wire::Wire};
use crate::engineio::{CloseReason, Dialect, Frame, MESSAGE};
use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use hyper::upgrade::OnUpgrade;
use std::{
    collections::VecDeque,
    future::poll_fn,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::ProtocolError,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// What tungstenite reads at once. It keeps a buffer of this size for every client, idle or not, and takes
/// more for a message that needs it. Smaller, and it would not find its way back to this size.
const READ_BUFFER_BYTES: usize = 1024;

/// How much of tungstenite's own may wait to be written: a few pongs, which is all that it writes.
const CONTROL_BUFFER_BYTES: usize = 1024;

/// What is read at once while a peer is being got rid of.
const IGNORED_BYTES: usize = 4096;

/// A WebSocket that carries one Engine.IO packet a message.
pub(super) struct Link {
    websocket: WebSocketStream<Wire>,
    dialect: Dialect,
    /// A large message, kept until the next read has begun. Only while someone else holds the memory of
    /// one does tungstenite take a fresh buffer; otherwise it would keep the large one for ever.
    large: Option<Bytes>,
    /// The message whose rest we wait for, by its number, and since when.
    awaited: Option<(u32, Instant)>,
}

/// What came in.
pub(super) enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The peer's last word: a close frame, or the end of its stream. Nothing follows.
    End(End),
}

/// How the connection stands when it has to be taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order: say goodbye, without a status as the reference does.
    Open,
    /// The peer has said goodbye; answer it.
    ClosedByPeer,
    /// The peer broke the WebSocket protocol in this way.
    Failed(CloseCode),
    /// Nothing can be sent any more.
    Broken,
}

impl Received {
    /// What it takes to keep it, in bytes.
    fn bytes(&self) -> usize {
        mem::size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Binary(bytes) => bytes.len(),
                Self::End(_) => 0,
            }
    }

    /// Whether it is for the application: an Engine.IO message.
    fn is_message(&self) -> bool {
        match self {
            Self::Text(text) => text.starts_with(MESSAGE),
            Self::Binary(_) => true,
            Self::End(_) => false,
        }
    }
}

/// Messages that were read before their time. No heap while there are none.
#[derive(Default)]
pub(super) struct PutAside {
    messages: VecDeque<Received>,
    bytes: usize,
}

impl PutAside {
    fn push(&mut self, message: Received) {
        self.bytes += message.bytes();
        self.messages.push_back(message);
    }

    /// The oldest.
    fn pop(&mut self) -> Option<Received> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.bytes();
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        Some(message)
    }
}

impl Link {
    /// Waits until the 101 is out, and takes the connection over. `None`: it broke before that, or its
    /// peer does not take the 101.
    pub(super) async fn open(
        upgrade: OnUpgrade,
        dialect: Dialect,
        limits: &Limits,
    ) -> Option<Self> {
        let upgraded = match timeout(limits.write_timeout, upgrade).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(error)) => {
                log::debug!("the connection broke during the handshake: {error}");
                return None;
            }
            Err(_elapsed) => {
                log::debug!("the peer did not take the 101");
                return None;
            }
        };
        let (stream, early) = Stream::new(upgraded);
        Some(Self::new(stream, early, dialect, limits).await)
    }

    /// A WebSocket on a connection that has just answered 101. `early` is what came right behind the request.
    async fn new(stream: Stream, early: Bytes, dialect: Dialect, limits: &Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BUFFER_BYTES)
            .max_message_size(Some(limits.max_payload_bytes))
            .max_frame_size(Some(limits.max_payload_bytes));
        // A copy: hyper's own buffer is 8 KiB, and would stay for the whole life of the session.
        let mut buffer = Vec::with_capacity(READ_BUFFER_BYTES.max(early.len()));
        buffer.extend_from_slice(&early);
        drop(early);
        let wire = Wire::new(stream, &buffer);
        let websocket =
            WebSocketStream::from_partially_read(wire, buffer, Role::Server, Some(config)).await;
        Self {
            websocket,
            dialect,
            large: None,
            awaited: None,
        }
    }

    /// Queues a frame as one text message; [`Link::poll_flush`] sends it.
    pub(super) fn push(&mut self, frame: &Frame) {
        let frame = self.dialect.encode_frame(frame);
        self.websocket.get_mut().push(&frame);
    }

    /// How many bytes wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.websocket.get_ref().queued()
    }

    /// How many bytes the peer's side of the connection has taken so far.
    pub(super) fn written(&self) -> u64 {
        self.websocket.get_ref().written()
    }

    /// Sends all that is queued, with as few calls as the kernel allows.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.websocket).poll_flush(context)
    }

    /// The next message. Pings are answered underneath. After [`Received::End`] do not call it again.
    pub(super) fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        loop {
            let polled = Pin::new(&mut self.websocket).poll_next(context);
            self.large = None;
            let Poll::Ready(next) = polled else {
                self.await_rest();
                return Poll::Pending;
            };
            let received = match next {
                Some(Ok(Message::Text(text))) => {
                    self.keep_if_large(text.as_ref());
                    Received::Text(text)
                }
                Some(Ok(Message::Binary(bytes))) => {
                    self.keep_if_large(&bytes);
                    Received::Binary(bytes)
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) | None => Received::End(End::ClosedByPeer),
                Some(Err(error)) => Received::End(End::of(&error)),
            };
            // The next is not late as long as it is not asked for.
            self.awaited = None;
            return Poll::Ready(received);
        }
    }

    /// Notes since when the peer has owed the rest of a message. What comes between its fragments pays
    /// nothing off.
    fn await_rest(&mut self) {
        let unfinished = self.websocket.get_ref().unfinished();
        self.awaited = unfinished.map(|number| match self.awaited {
            Some((before, since)) if before == number => (number, since),
            _ => (number, Instant::now()),
        });
    }

    /// Since when the peer has owed the rest of a message.
    pub(super) fn awaiting_since(&self) -> Option<Instant> {
        self.awaited.map(|(_, since)| since)
    }

    /// The next message that may be heard. A client that does not take its answers may not ask for more: its
    /// messages are put aside until it does, and then it is read no further. Its pongs count all the same.
    pub(super) fn poll_message(
        &mut self,
        may_ask: bool,
        put_aside: &mut PutAside,
        limit: usize,
        context: &mut Context<'_>,
    ) -> Poll<Received> {
        if may_ask && let Some(message) = put_aside.pop() {
            return Poll::Ready(message);
        }
        while may_ask || put_aside.bytes < limit {
            match ready!(self.poll_receive(context)) {
                received if may_ask || !received.is_message() => return Poll::Ready(received),
                message => put_aside.push(message),
            }
        }
        Poll::Pending
    }

    fn keep_if_large(&mut self, message: &Bytes) {
        if message.len() > READ_BUFFER_BYTES {
            self.large = Some(message.clone());
        }
    }

    /// Takes the connection down: what is queued, a close frame, the end of the stream; then waits for the
    /// peer's end, since a connection that is dropped with unread bytes in it is reset, and a reset
    /// destroys what the peer has not read yet. `running` is held until then.
    pub(super) async fn close(
        mut self,
        end: End,
        limits: Arc<Limits>,
        running: watch::Receiver<()>,
    ) {
        match timeout(limits.write_timeout, self.say_goodbye(end)).await {
            Ok(Ok(())) => {
                let _until_the_peer_ends =
                    timeout(limits.linger_timeout, self.ignore_the_rest()).await;
            }
            Ok(Err(error)) => log::debug!("the connection broke during the goodbye: {error}"),
            Err(_elapsed) => {
                log::debug!("the peer did not take the goodbye");
                self.reset_on_drop();
            }
        }
        drop((self, running));
    }

    /// To be dropped by a reset, without a goodbye: the peer takes nothing.
    pub(super) fn reset_on_drop(&self) {
        self.websocket.get_ref().reset_on_drop();
    }

    async fn say_goodbye(&mut self, end: End) -> Result<(), Error> {
        let frame = match end {
            End::Failed(code) => Some(CloseFrame {
                code,
                reason: Utf8Bytes::default(),
            }),
            End::Open | End::ClosedByPeer | End::Broken => None,
        };
        if end != End::ClosedByPeer {
            let mut websocket = Pin::new(&mut self.websocket);
            poll_fn(|context| websocket.as_mut().poll_ready(context)).await?;
            websocket.start_send(Message::Close(frame))?;
        }
        poll_fn(|context| self.poll_flush(context)).await?;
        self.websocket.get_mut().shutdown().await?;
        Ok(())
    }

    async fn ignore_the_rest(&mut self) -> io::Result<()> {
        let mut ignored = [0; IGNORED_BYTES];
        while self.websocket.get_mut().read(&mut ignored).await? > 0 {}
        Ok(())
    }
}

impl End {
    /// Why a session ends whose connection has come to this.
    pub(super) fn reason(self) -> CloseReason {
        match self {
            Self::Open | Self::ClosedByPeer => CloseReason::TransportClosed,
            Self::Failed(_) | Self::Broken => CloseReason::TransportError,
        }
    }

    /// What an error of tungstenite's says about the connection.
    fn of(error: &Error) -> Self {
        match error {
            // RFC 6455, 7.4.1: the close codes for each kind of failure.
            Error::Capacity(_) => Self::Failed(CloseCode::Size),
            Error::Utf8(_) => Self::Failed(CloseCode::Invalid),
            Error::ConnectionClosed | Error::AlreadyClosed => Self::ClosedByPeer,
            // The stream ended without a close frame: not nice, but an end.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::ClosedByPeer,
            Error::Protocol(_) => Self::Failed(CloseCode::Protocol),
            Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Failed(CloseCode::Protocol)
            }
            _ => Self::Broken,
        }
    }
}

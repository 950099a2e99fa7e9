//! The link: the WebSocket of one session.

use super::{
    Bounds, Limit,
    decoder::Decoder,
    stream::Stream,
    wire::{Batch, Wire},
};
use crate::engineio::{BASE64, CloseReason, Dialect, Frame, MESSAGE};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    mem::{self, MaybeUninit},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{io::ReadBuf, sync::watch, task::coop::consume_budget, time::timeout};
use tokio_tungstenite::tungstenite::{
    Error, Message, Utf8Bytes,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// How much is read at once, into the stack: a client that says nothing has no buffer.
const READ_BYTES: usize = 8 << 10;

/// How much is read in one go, in bytes, where it brings no message; then others have their turn.
const TURN_BYTES: usize = 64 << 10;

/// A WebSocket that carries one Engine.IO packet a message.
pub(super) struct Link {
    wire: Wire,
    /// There while something is left to be read or to be answered, and gone while the client is silent, as nearly
    /// all clients are nearly always.
    decoder: Option<Box<Decoder>>,
    dialect: Dialect,
    max_payload_bytes: usize,
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

    /// A copy in memory of its own: as it was read it keeps all that was read with it, which may be much more.
    fn alone(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.to_string().into()),
            Self::Binary(bytes) => Self::Binary(Bytes::copy_from_slice(&bytes)),
            Self::End(end) => Self::End(end),
        }
    }

    /// Whether it is for the application: an Engine.IO message.
    fn is_message(&self) -> bool {
        match self {
            Self::Text(text) => text.starts_with([MESSAGE, BASE64]),
            Self::Binary(_) => true,
            Self::End(_) => false,
        }
    }
}

/// What was read in one go.
#[derive(Default)]
pub(super) struct Reading {
    /// In bytes.
    bytes: usize,
    /// How many frames were no message's last: control frames, and fragments. They are as much work as a message.
    pub(super) others: usize,
}

/// Messages that were read before their time. Boxed, because hardly ever are there any.
#[derive(Default)]
pub(super) struct PutAside(Option<Box<Messages>>);

#[derive(Default)]
struct Messages {
    waiting: VecDeque<Received>,
    bytes: usize,
}

impl PutAside {
    fn push(&mut self, message: Received) {
        let message = message.alone();
        let messages = self.0.get_or_insert_default();
        messages.bytes += message.bytes();
        messages.waiting.push_back(message);
    }

    /// The oldest.
    fn pop(&mut self) -> Option<Received> {
        let messages = self.0.as_mut()?;
        let oldest = messages.waiting.pop_front();
        messages.bytes -= oldest.as_ref().map_or(0, Received::bytes);
        self.0.take_if(|messages| messages.waiting.is_empty());
        oldest
    }

    /// What it takes to keep them, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |messages| messages.bytes)
    }
}

impl Link {
    /// Waits until the 101 is out, and takes the connection over. `None`: it broke before that, or its
    /// peer does not take the 101.
    pub(super) async fn open(
        upgrade: OnUpgrade,
        dialect: Dialect,
        bounds: &Bounds,
    ) -> Option<Self> {
        let upgraded = match timeout(bounds.write_timeout, upgrade).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(error)) => {
                log::debug!("the connection broke during the handshake: {error}");
                return None;
            }
            Err(_elapsed) => {
                log::debug!("the peer did not take the 101");
                bounds.note(Limit::WriteTimeout);
                return None;
            }
        };
        let (stream, early) = Stream::new(upgraded);
        Some(Self::new(stream, &early, dialect, bounds))
    }

    /// A WebSocket on a connection that has just answered 101. `early` is what came right behind the request.
    fn new(stream: Stream, early: &[u8], dialect: Dialect, bounds: &Bounds) -> Self {
        let mut link = Self {
            wire: Wire::new(stream),
            decoder: None,
            dialect,
            max_payload_bytes: bounds.max_payload_bytes,
        };
        if !early.is_empty() {
            link.decoder().push(early);
        }
        link
    }

    fn decoder(&mut self) -> &mut Decoder {
        let max_payload_bytes = self.max_payload_bytes;
        self.decoder
            .get_or_insert_with(|| Box::new(Decoder::new(max_payload_bytes)))
    }

    /// Queues a frame as one message; [`Link::poll_flush`] sends it.
    pub(super) fn push(&mut self, frame: &Frame) {
        self.gather(frame, &mut ReadBuf::uninit(&mut []));
    }

    /// Queues a frame as one message, or puts it into the batch, that [`Link::poll_send`] sends.
    pub(super) fn gather(&mut self, frame: &Frame, batch: &mut Batch<'_>) {
        self.wire.push(&self.dialect.encode_frame(frame), batch);
    }

    /// Queues what is in the batch.
    pub(super) fn keep(&mut self, batch: &mut Batch<'_>) {
        self.wire.keep(batch);
    }

    /// Sends what is in the batch, and all that is queued.
    pub(super) fn poll_send(
        &mut self,
        batch: &mut Batch<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.wire.poll_send(batch, context))?;
        self.poll_flush(context)
    }

    /// How many bytes wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.wire.queued()
    }

    /// How many bytes the peer's side of the connection has taken so far.
    pub(super) fn written(&self) -> u64 {
        self.wire.written()
    }

    /// Sends all that is queued, with as few calls as the kernel allows.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.wire.poll_flush(context))?;
        if let Some(decoder) = &mut self.decoder {
            // What had no room before.
            decoder.flush(&mut self.wire)?;
            ready!(self.wire.poll_flush(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// The next message. Pings are answered underneath. After [`Received::End`] do not call it again.
    ///
    /// Whoever says much has turns as well: each frame takes a part of the task's budget, and so does what is read.
    pub(super) fn poll_receive(
        &mut self,
        reading: &mut Reading,
        context: &mut Context<'_>,
    ) -> Poll<Received> {
        loop {
            ready!(pin!(consume_budget()).poll(context));
            if let Some(decoder) = &mut self.decoder {
                match decoder.decode(&mut self.wire) {
                    Ok(Some(Message::Text(text))) => return Poll::Ready(Received::Text(text)),
                    Ok(Some(Message::Binary(bytes))) => {
                        return Poll::Ready(Received::Binary(bytes));
                    }
                    Ok(Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Ok(Some(Message::Close(_))) => {
                        return Poll::Ready(Received::End(End::ClosedByPeer));
                    }
                    // It may have answered, and found no room for all of it.
                    Ok(None) => {
                        let is_blocked = decoder.is_blocked();
                        let flushed = match self.wire.poll_flush(context) {
                            Poll::Ready(Ok(())) if is_blocked => self.poll_flush(context),
                            flushed => flushed.map_err(Error::from),
                        };
                        if let Poll::Ready(Err(error)) = flushed {
                            return Poll::Ready(Received::End(End::of(&error)));
                        }
                    }
                    Err(error) => return Poll::Ready(Received::End(End::of(&error))),
                }
                self.decoder.take_if(|decoder| decoder.is_done());
            }
            if reading.bytes >= TURN_BYTES {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            match ready!(self.wire.poll_read(context, &mut buffer)) {
                // The stream ended without a close frame: not nice, but an end.
                Ok(()) if buffer.filled().is_empty() => {
                    return Poll::Ready(Received::End(End::ClosedByPeer));
                }
                Ok(()) => {
                    reading.bytes += buffer.filled().len();
                    reading.others += self.decoder().push(buffer.filled());
                }
                Err(error) => return Poll::Ready(Received::End(End::of(&error.into()))),
            }
        }
    }

    /// Until `now` nothing was read, so that the rest of a message could not come.
    pub(super) fn handle_pause(&mut self, now: Instant) {
        if let Some(decoder) = &mut self.decoder {
            decoder.handle_pause(now);
        }
    }

    /// Since when the peer has owed the rest of a message.
    pub(super) fn awaiting_since(&self) -> Option<Instant> {
        self.decoder.as_ref()?.awaiting_since()
    }

    /// The next message that may be heard. A client that does not take its answers may not ask for more: its
    /// messages are put aside until it does, and then it is read no further. Its pongs count all the same.
    pub(super) fn poll_message(
        &mut self,
        may_ask: bool,
        put_aside: &mut PutAside,
        limit: usize,
        reading: &mut Reading,
        context: &mut Context<'_>,
    ) -> Poll<Received> {
        if may_ask && let Some(message) = put_aside.pop() {
            return Poll::Ready(message);
        }
        while may_ask || put_aside.bytes() < limit {
            match ready!(self.poll_receive(reading, context)) {
                received if may_ask || !received.is_message() => return Poll::Ready(received),
                message => put_aside.push(message),
            }
        }
        Poll::Pending
    }

    /// Takes the connection down: what is queued, a close frame, the end of the stream; then waits for the
    /// peer's end, since a connection that is dropped with unread bytes in it is reset, and a reset
    /// destroys what the peer has not read yet. `running` is held until then.
    pub(super) async fn close(
        mut self,
        end: End,
        bounds: Arc<Bounds>,
        running: watch::Receiver<()>,
    ) {
        match timeout(bounds.write_timeout, self.say_goodbye(end)).await {
            Ok(Ok(())) => {
                let rest = timeout(bounds.linger_timeout, self.ignore_the_rest());
                if rest.await.is_err() {
                    bounds.note(Limit::LingerTimeout);
                }
            }
            Ok(Err(error)) => log::debug!("the connection broke during the goodbye: {error}"),
            Err(_elapsed) => {
                log::debug!("the peer did not take the goodbye");
                bounds.note(Limit::WriteTimeout);
                self.reset_on_drop();
            }
        }
        drop((self, running));
    }

    /// To be dropped by a reset, without a goodbye: the peer takes nothing.
    pub(super) fn reset_on_drop(&self) {
        self.wire.reset_on_drop();
    }

    async fn say_goodbye(&mut self, end: End) -> Result<(), Error> {
        let frame = match end {
            End::Failed(code) => Some(CloseFrame {
                code,
                reason: Utf8Bytes::default(),
            }),
            End::Open | End::ClosedByPeer | End::Broken => None,
        };
        poll_fn(|context| self.poll_flush(context)).await?;
        if end != End::ClosedByPeer {
            self.decoder();
            if let Some(decoder) = &mut self.decoder {
                decoder.close(&mut self.wire, frame)?;
            }
            poll_fn(|context| self.poll_flush(context)).await?;
        }
        poll_fn(|context| self.wire.poll_shutdown(context)).await?;
        Ok(())
    }

    async fn ignore_the_rest(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            loop {
                let mut ignored = [const { MaybeUninit::uninit() }; READ_BYTES];
                let mut ignored = ReadBuf::uninit(&mut ignored);
                ready!(self.wire.poll_read(context, &mut ignored))?;
                if ignored.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
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

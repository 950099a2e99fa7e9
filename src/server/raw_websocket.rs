//! A WebSocket by itself: the same handshake and the same link as a session's, and no Engine.IO on it.

use super::{
    Answer, Bounds,
    link::{End, Link, Reading, Received},
    websocket::{self, HandshakeError},
};
use crate::engineio::{Dialect, Frame, Revision};
use hyper::Request;
use std::{
    error, fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{Sleep, sleep},
};

/// As a frame is, so it is sent.
const AS_IT_IS: Dialect = Dialect {
    revision: Revision::V4,
    base64_only: false,
};

/// An open WebSocket that carries whatever its two ends agree on. Here a [`Frame`] is one message, of text or of bytes,
/// and not an Engine.IO packet.
///
/// Pings are answered while a message is waited for; none are sent. To be ended by [`RawWebSocket::close`]: one that is
/// dropped is cut off. It is no session: [`Engine::shut_down`](super::Engine::shut_down) does not wait for it.
pub struct RawWebSocket {
    link: Link,
    /// For the one deadline there is at a time. Set anew each time, as the task may be another.
    timer: Pin<Box<Sleep>>,
    /// Since when the peer has taken nothing of what waits, and how many bytes it had taken by then.
    stalled: Option<(Instant, u64)>,
    bounds: Arc<Bounds>,
    /// How it has ended, if it has.
    end: Option<End>,
}

/// The WebSocket has ended: nothing can be sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the WebSocket has ended")
    }
}

impl error::Error for Ended {}

impl RawWebSocket {
    /// Answers a request for a WebSocket, and once the 101 is out, lets `speak` have it in a task of its own. To
    /// anything else the answer is a refusal, and `speak` is dropped; so it is if the connection breaks before.
    ///
    /// Of the limits, those count that are about a WebSocket: `max_payload_bytes`, `message_timeout`, `write_timeout` and
    /// `linger_timeout`, as in [`Limits`](super::Limits). How many there may be is the caller's to say.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn accept<B, S>(
        mut request: Request<B>,
        bounds: Arc<Bounds>,
        speak: impl FnOnce(Self) -> S + Send + 'static,
    ) -> Answer
    where
        S: Future<Output = ()> + Send,
    {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, _no_body) = request.into_parts();
        if !websocket::is_upgrade(&parts) {
            return HandshakeError::Upgrade.answer();
        }
        match websocket::accept(&parts) {
            Ok(accepted) => {
                tokio::spawn(async move {
                    if let Some(link) = Link::open(upgrade, AS_IT_IS, &bounds).await {
                        speak(Self::new(link, bounds)).await;
                    }
                });
                accepted
            }
            Err(error) => error.answer(),
        }
    }

    fn new(link: Link, bounds: Arc<Bounds>) -> Self {
        Self {
            link,
            timer: Box::pin(sleep(Duration::ZERO)),
            stalled: None,
            bounds,
            end: None,
        }
    }

    /// The next message. None: there will be no more, because the peer has said goodbye, has broken the rules or one of
    /// the limits, or is gone; [`RawWebSocket::close`] then answers as it should.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is lost.
    pub async fn receive(&mut self) -> Option<Frame> {
        if self.end.is_some() {
            return None;
        }
        match poll_fn(|context| self.poll_receive(context)).await {
            Received::Text(text) => Some(Frame::Text(text.into())),
            Received::Binary(bytes) => Some(Frame::Binary(bytes)),
            Received::End(end) => {
                self.end = Some(end);
                None
            }
        }
    }

    /// Sends a message, and waits until the kernel has all of it.
    ///
    /// # Errors
    /// The WebSocket has ended, or ends now because the peer is gone or takes nothing.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the rest of the message is sent by what is called next.
    pub async fn send(&mut self, message: &Frame) -> Result<(), Ended> {
        if self.end.is_some() {
            return Err(Ended);
        }
        self.link.push(message);
        let sent = poll_fn(|context| self.poll_sent(context)).await;
        sent.map_err(|end| {
            self.end = Some(end);
            Ended
        })
    }

    /// Ends it in good order: a close frame, which says what the peer did wrong if it did, or answers the peer's; then
    /// waits for the peer's end, for `linger_timeout` at most.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the connection is cut off.
    pub async fn close(self) {
        let (_, running) = watch::channel(());
        match self.end.unwrap_or(End::Open) {
            End::Broken => {}
            end => self.link.close(end, self.bounds, running).await,
        }
    }

    /// A peer that does not take what it is sent is not heard.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        if let Err(end) = ready!(self.poll_sent(context)) {
            return Poll::Ready(Received::End(end));
        }
        if let Poll::Ready(received) = self.link.poll_receive(&mut Reading::default(), context) {
            return Poll::Ready(received);
        }
        let Some(since) = self.link.awaiting_since() else {
            return Poll::Pending;
        };
        self.poll_deadline(since + self.bounds.message_timeout, context)
            .map(|()| Received::End(End::Open))
    }

    /// Sends what waits, for as long as the peer takes something of it.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        if let Poll::Ready(sent) = self.link.poll_flush(context) {
            self.stalled = None;
            return Poll::Ready(sent.map_err(|_broken| End::Broken));
        }
        let written = self.link.written();
        let since = match self.stalled {
            Some((since, before)) if before == written => since,
            _ => Instant::now(),
        };
        self.stalled = Some((since, written));
        ready!(self.poll_deadline(since + self.bounds.write_timeout, context));
        self.link.reset_on_drop();
        Poll::Ready(Err(End::Broken))
    }

    fn poll_deadline(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.deadline() != deadline.into() {
            self.timer.as_mut().reset(deadline.into());
        }
        self.timer.as_mut().poll(context)
    }
}

//! The driver: the one task that owns a session.
//!
//! In come the client's messages, the session's [`Outbound`] and the clock; out go frames. Everything that
//! happens to a session happens in [`Driver::run`], one thing after another.

use super::{
    Limits,
    link::{End, Link, PutAside, Received},
    sessions::Registration,
};
use crate::engineio::{
    CloseReason, Due, Input, Message, Packet, Session, SessionHandler,
    outbound::{Delivery, Outbound},
};
use futures_util::FutureExt;
use std::{
    fmt,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{
    sync::watch,
    time::{Sleep, sleep_until},
};

/// One session with all that belongs to it.
pub(super) struct Driver<H, I> {
    pub(super) link: Link,
    /// Messages that have to wait until the client takes what it was sent.
    pub(super) put_aside: PutAside,
    pub(super) session: Session,
    pub(super) handler: H,
    pub(super) outbound: Outbound,
    pub(super) limits: Arc<Limits>,
    /// The session's name in the log; the session id is a secret.
    pub(super) name: SessionName,
    /// Keeps the session findable for as long as it lives.
    pub(super) _registration: Registration<I>,
    /// Says, until it is dropped, that there is still something to end.
    pub(super) running: watch::Receiver<()>,
}

/// A number that names a session in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionName(pub(super) u64);

/// What woke the driver.
enum Wake {
    Received(Received),
    Close(CloseReason),
    Timeout,
    WriteFailed,
}

/// The end of a session: why, and how the connection stands.
type Ending = (CloseReason, End);

impl<H: SessionHandler, I> Driver<H, I> {
    /// Drives the session to its end.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments and what becomes of them: the driver, twice"
    )]
    pub(super) fn run(mut self) -> impl Future<Output = ()> {
        async move {
            let opened = Instant::now();
            let served = AssertUnwindSafe(self.serve()).catch_unwind().await;
            // The panic itself is on standard error already. What it left half done is the program's; that the
            // session ends like any other keeps the rest right.
            let (reason, end) = served.unwrap_or((CloseReason::HandlerPanicked, End::Open));
            if let Some(last_word) = self.handler.handle_close(reason) {
                self.link.push(&last_word);
            }
            log::info!(
                "{} closed after {:.1?}: {reason}",
                self.name,
                opened.elapsed()
            );
            // The goodbye waits for the peer. In a task of its own it needs no room in this one, which an
            // idle session would keep all its life.
            if end != End::Broken {
                tokio::spawn(self.link.close(end, self.limits, self.running));
            }
        }
    }

    async fn serve(&mut self) -> Ending {
        let mut clock = Clock::new(self.session.deadline());
        loop {
            let wake = poll_fn(|context| self.poll_wake(&mut clock, context)).await;
            let now = Instant::now();
            let mut outcome = match wake {
                Wake::Received(Received::Text(text)) => self.handle_text(now, &text),
                Wake::Received(Received::Binary(bytes)) => {
                    self.handle_packet(now, Packet::Message(Message::Binary(bytes)))
                }
                Wake::Received(Received::End(end)) => Err((end.reason(), end)),
                Wake::Close(reason) => Err((reason, End::Open)),
                Wake::WriteFailed => Err((CloseReason::TransportError, End::Broken)),
                Wake::Timeout => Ok(()),
            };
            // After each wake, not only when the timer went off: a client that keeps the session busy does
            // not put the deadlines off, and a pong that has arrived is read before it is missed.
            if self.deadline(&clock) <= now {
                outcome = outcome.and_then(|()| self.handle_timeout(now, &clock));
            }
            if let Err(ending) = outcome {
                return ending;
            }
        }
    }

    /// Moves what waits towards the client as far as the client takes it, then waits for whatever comes
    /// first.
    ///
    /// # Cancel safety
    /// All progress is kept in `self` and in `clock`.
    fn poll_wake(&mut self, clock: &mut Clock, context: &mut Context<'_>) -> Poll<Wake> {
        let blocked = loop {
            let mut drained = false;
            while !drained && self.link.queued() < self.limits.write_batch_bytes {
                match self.outbound.poll_next(context) {
                    Poll::Ready(Delivery::Frame(frame)) => self.link.push(&frame),
                    Poll::Ready(Delivery::Close(reason)) => {
                        return Poll::Ready(Wake::Close(reason));
                    }
                    Poll::Pending => drained = true,
                }
            }
            match self.link.poll_flush(context) {
                Poll::Ready(Ok(())) if drained => break false,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    log::debug!("{}: writing failed: {error}", self.name);
                    return Poll::Ready(Wake::WriteFailed);
                }
                Poll::Pending => break true,
            }
        };
        clock.note_progress(blocked, self.link.written());
        if blocked && let Poll::Ready(reason) = self.outbound.poll_close(context) {
            return Poll::Ready(Wake::Close(reason));
        }
        if let Poll::Ready(received) = self.poll_receive(blocked, context) {
            return Poll::Ready(Wake::Received(received));
        }
        clock
            .poll_deadline(self.deadline(clock), context)
            .map(|()| Wake::Timeout)
    }

    /// What the client says. One that does not take its answers may ask for no more: its messages are put
    /// aside until it does, and then it is read no further. Its pongs count all the same.
    fn poll_receive(&mut self, blocked: bool, context: &mut Context<'_>) -> Poll<Received> {
        let may_ask = !(blocked && self.outbound.is_half_full());
        if may_ask && let Some(message) = self.put_aside.pop() {
            return Poll::Ready(message);
        }
        while may_ask || self.put_aside.bytes() < self.limits.max_put_aside_bytes {
            match ready!(self.link.poll_receive(context)) {
                received if may_ask || !received.is_message() => return Poll::Ready(received),
                message => self.put_aside.push(message),
            }
        }
        Poll::Pending
    }

    /// When the first of all those who wait has waited long enough.
    fn deadline(&self, clock: &Clock) -> Instant {
        let stall = clock
            .stalled
            .map(|(since, _)| since + self.limits.write_timeout);
        [self.handler.deadline(), stall]
            .into_iter()
            .flatten()
            .fold(self.session.deadline(), Ord::min)
    }

    fn handle_text(&mut self, now: Instant, text: &str) -> Result<(), Ending> {
        match Packet::decode(text) {
            Ok(packet) => self.handle_packet(now, packet),
            Err(error) => Err(self.violation(&error)),
        }
    }

    fn handle_packet(&mut self, now: Instant, packet: Packet<'_>) -> Result<(), Ending> {
        match self.session.handle_packet(now, packet) {
            Ok(Input::Nothing) => Ok(()),
            Ok(Input::Message(message)) => self
                .handler
                .handle_message(now, message)
                .map_err(|violation| self.violation(&violation)),
            Ok(Input::Close) => Err((CloseReason::ClientClosed, End::Open)),
            Err(violation) => Err(self.violation(&violation)),
        }
    }

    fn handle_timeout(&mut self, now: Instant, clock: &Clock) -> Result<(), Ending> {
        if let Some((since, _)) = clock.stalled
            && since + self.limits.write_timeout <= now
        {
            return Err((CloseReason::WriteStalled, End::Broken));
        }
        match self.session.handle_timeout(now) {
            Due::Nothing => {}
            Due::Ping => self.link.push(&Packet::Ping("").encode()),
            Due::PingTimeout => return Err((CloseReason::PingTimeout, End::Open)),
        }
        self.handler
            .handle_timeout(now)
            .map_or(Ok(()), |reason| Err((reason, End::Open)))
    }

    fn violation(&self, violation: &dyn fmt::Display) -> Ending {
        log::info!("{}: the client sent {violation}", self.name);
        (CloseReason::ParseError, End::Open)
    }
}

impl End {
    fn reason(self) -> CloseReason {
        match self {
            Self::Open | Self::ClosedByPeer => CloseReason::TransportClosed,
            Self::Failed(_) | Self::Broken => CloseReason::TransportError,
        }
    }
}

/// The session's view of time: one timer, and since when the client takes nothing.
struct Clock {
    timer: Pin<Box<Sleep>>,
    /// Since when the client has taken nothing, and how many bytes it had taken by then.
    stalled: Option<(Instant, u64)>,
}

impl Clock {
    fn new(deadline: Instant) -> Self {
        Self {
            timer: Box::pin(sleep_until(deadline.into())),
            stalled: None,
        }
    }

    /// Notes whether the client takes nothing, given how many bytes it has taken in all. Any progress
    /// starts the waiting anew.
    fn note_progress(&mut self, blocked: bool, written: u64) {
        self.stalled = match self.stalled {
            _ if !blocked => None,
            Some((since, before)) if before == written => Some((since, before)),
            _ => Some((Instant::now(), written)),
        };
    }

    /// Waits for `deadline`. A timer that goes off too early is cheaper than one that is set anew each
    /// time that the deadline moves away, so it is only ever brought forward; `handle_timeout` looks again.
    fn poll_deadline(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let deadline = deadline.into();
        if self.timer.is_elapsed() || deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(context)
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.0)
    }
}

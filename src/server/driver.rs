//! The driver: the one task that owns a session.
//!
//! In come the client's messages, the session's [`Outbound`] and the clock; out go frames. Everything that
//! happens to a session happens in [`Driver::run`], one thing after another. What may happen when is the
//! [`Session`]'s to say; here is how.

use super::{
    Bounds, Limit, Stage, answer,
    candidate::Candidate,
    clock::Clock,
    door::{Doorkeeper, Knock, Reply},
    goodbye::{Goodbye, see_off},
    link::{End, PutAside, Reading, Received},
    pace::Pace,
    polling::{BodyError, Post, Posted},
    session_name::SessionName,
    sessions::Registration,
    transport::{Arrival, Progress, Stop, Transport},
    turned_away,
};
use crate::engineio::{
    CloseReason, Dialect, Due, Input, Packet, PayloadError, Probed, Session, SessionHandler,
    handshake::Refusal, outbound::Outbound,
};
use futures_util::FutureExt;
use hyper::StatusCode;
use std::{
    fmt,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::coop::consume_budget};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// One session with all that belongs to it.
pub(super) struct Driver<H, I> {
    pub(super) transport: Transport,
    /// How fast the client speaks.
    pub(super) pace: Pace,
    /// The client is not listened to for a while: its answers to pings, and the rest of what it began to say, may be late.
    pub(super) is_deaf: bool,
    /// Messages that have to wait until the client takes what it was sent.
    pub(super) put_aside: PutAside,
    /// The WebSocket that is to take over.
    pub(super) candidate: Option<Box<Candidate>>,
    /// Where HTTP requests come in; a session that was born on a WebSocket has none.
    pub(super) door: Option<Doorkeeper>,
    pub(super) dialect: Dialect,
    pub(super) session: Session,
    pub(super) handler: H,
    pub(super) outbound: Outbound,
    pub(super) bounds: Arc<Bounds>,
    /// The session's name in the log; the session id is a secret.
    pub(super) name: SessionName,
    /// Keeps the session findable for as long as it lives.
    pub(super) registration: Registration<I>,
    /// Says, until it is dropped, that there is still something to end.
    pub(super) running: watch::Receiver<()>,
}

/// What woke the driver.
enum Wake {
    /// On the session's WebSocket.
    Received(Received),
    /// The body of a POST is there, or will never be.
    Posted(Result<Posted, BodyError>),
    /// The client of the GET that waited has gone.
    PollAbandoned,
    /// On the WebSocket that is to take over.
    Probed(Received),
    /// At the door, at that time.
    Knock(Instant, Knock),
    Close(CloseReason),
    WriteFailed,
    Timeout,
}

/// The end of a session: why, and how the connection stands.
type Ending = (CloseReason, End);

impl<H: SessionHandler, I: Send + Sync + 'static> Driver<H, I> {
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
            let (transport, owner) = (&self.transport, self.registration.owner());
            let revision = self.dialect.revision;
            self.name
                .log_end(reason, transport, revision, owner, opened.elapsed());
            self.registration.count_end(reason);
            Limit::of(reason)
                .into_iter()
                .for_each(|limit| self.bounds.note(limit));
            self.close(reason, end);
        }
    }

    async fn serve(&mut self) -> Ending {
        let mut clock = Clock::new(self.session.deadline());
        if let Err(violation) = self.handler.handle_open(Instant::now()) {
            return self.violation(&violation);
        }
        loop {
            let wake = poll_fn(|context| self.poll_wake(&mut clock, context)).await;
            let now = Instant::now();
            let outcome = match wake {
                // A request that comes too late must not find the session alive because the timer is slow, nor one that
                // came in time find it gone because it was taken late.
                Wake::Knock(came, knock) => self
                    .handle_timeout(now, now.saturating_duration_since(came), &clock)
                    .and_then(|()| self.handle_knock(now, knock)),
                Wake::Timeout => self.handle_timeout(now, Duration::ZERO, &clock),
                // A pong that has arrived counts, however late it is read and whatever stands before it: the client is
                // late when nothing is left to be read. It cannot put that off for ever by saying more.
                Wake::Received(received) => self.handle_received(now, received).and_then(|()| {
                    let patience = self.session.ping_timeout();
                    self.handle_timeout(now, patience, &clock)
                }),
                // In a place of its own: an idle session shall have no room for it.
                Wake::Posted(body) => Box::pin(self.handle_posted(body)).await,
                Wake::PollAbandoned => Err((CloseReason::TransportClosed, End::Broken)),
                Wake::Probed(received) => {
                    self.handle_probed(now, &received);
                    self.handle_timeout(now, Duration::ZERO, &clock)
                }
                Wake::Close(reason) => Err((reason, End::Open)),
                Wake::WriteFailed => Err((CloseReason::TransportError, End::Broken)),
            };
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
        let now = Instant::now();
        if self.is_deaf {
            self.session.handle_pause(now);
            self.transport.handle_pause(now);
        }
        if matches!(self.transport, Transport::Polling(_)) && self.outbound.take_released() {
            self.session.handle_sent(now);
        }
        // Before the door: a GET that was sent after the `5` must not be taken for one from before it. A flood of probes
        // does not keep the door shut: reading them and answering them ends with the task's budget.
        if let Some(candidate) = &mut self.candidate
            && let Poll::Ready(received) = candidate.poll_receive(context)
        {
            return Poll::Ready(Wake::Probed(received));
        }
        if let Some(door) = &self.door
            && let Poll::Ready((came, knock)) = door.poll_knock(context)
        {
            return Poll::Ready(Wake::Knock(came, knock));
        }
        self.handler.poll(now, context);
        let progress = match self.poll_send(clock, context) {
            Ok(progress) => progress,
            Err(wake) => return Poll::Ready(wake),
        };
        // An order to close must not wait behind what the client does not take.
        if progress == Progress::Blocked
            && let Poll::Ready(reason) = self.outbound.poll_close(context)
        {
            return Poll::Ready(Wake::Close(reason));
        }
        let too_far_behind = progress != Progress::Done && self.outbound.is_half_full();
        let paused_until = self.pace.paused_until(now, &self.bounds);
        if paused_until.is_none()
            && let Poll::Ready(arrival) = self.poll_arrival(now, too_far_behind, context)
        {
            return Poll::Ready(match arrival {
                Arrival::Received(received) => Wake::Received(received),
                Arrival::Posted(body) => Wake::Posted(body),
                Arrival::PollAbandoned => Wake::PollAbandoned,
            });
        }
        self.is_deaf = paused_until.is_some() || (too_far_behind && self.put_aside_is_full());
        let deadline = self.deadline(clock);
        let deadline = paused_until.map_or(deadline, |until| until.min(deadline));
        clock
            .poll_deadline(now, deadline, context)
            .map(|()| Wake::Timeout)
    }

    /// What the client says, as far as it may.
    fn poll_arrival(
        &mut self,
        now: Instant,
        too_far_behind: bool,
        context: &mut Context<'_>,
    ) -> Poll<Arrival> {
        let was_full = self.put_aside_is_full();
        let mut reading = Reading::default();
        let arrival = self.transport.poll_arrival(
            too_far_behind,
            &mut self.put_aside,
            &self.bounds,
            &mut reading,
            context,
        );
        if !was_full && self.put_aside_is_full() {
            self.bounds.note(Limit::PutAsideBytes);
        }
        if reading.others > 0 {
            self.note_pace(now, reading.others, 0);
        }
        arrival
    }

    fn put_aside_is_full(&self) -> bool {
        self.put_aside.bytes() >= self.bounds.max_put_aside_bytes
    }

    /// Sends as much as the client takes, and as one may in one go.
    fn poll_send(
        &mut self,
        clock: &mut Clock,
        context: &mut Context<'_>,
    ) -> Result<Progress, Wake> {
        let (session, outbound) = (&mut self.session, &mut self.outbound);
        let sent = self.transport.poll_send(
            session,
            outbound,
            &self.bounds,
            self.registration.meter(),
            context,
        );
        match sent {
            Ok(progress) => {
                if let Some(written) = self.transport.written() {
                    clock.note_progress(progress == Progress::Blocked, written);
                }
                Ok(progress)
            }
            Err(Stop::Close(reason)) => Err(Wake::Close(reason)),
            Err(Stop::PollAbandoned) => Err(Wake::PollAbandoned),
            Err(Stop::Failed(error)) => {
                log::debug!("{}: writing failed: {error}", self.name);
                Err(Wake::WriteFailed)
            }
        }
    }

    /// When the first of all those who wait has waited long enough.
    fn deadline(&self, clock: &Clock) -> Instant {
        let stall = clock
            .stalled_since()
            .map(|since| since + self.bounds.write_timeout);
        [self.handler.deadline(), stall, self.message_deadline()]
            .into_iter()
            .flatten()
            .fold(self.session.deadline(), Ord::min)
    }

    /// When the rest of a message that has begun is late.
    fn message_deadline(&self) -> Option<Instant> {
        match &self.transport {
            Transport::WebSocket(link, _) => link
                .awaiting_since()
                .map(|since| since + self.bounds.message_timeout),
            Transport::Polling(_) => None,
        }
    }

    fn handle_received(&mut self, now: Instant, received: Received) -> Result<(), Ending> {
        match received {
            Received::Text(text) => {
                self.note_received(now, 1, text.len());
                self.handle_packet(now, self.dialect.decode_text(&text))
            }
            Received::Binary(bytes) => {
                self.note_received(now, 1, bytes.len());
                self.handle_packet(now, self.dialect.decode_binary(bytes))
            }
            Received::End(end) => {
                if end == End::Failed(CloseCode::Size) {
                    self.bounds.note(Limit::PayloadBytes);
                }
                Err((end.reason(), end))
            }
        }
    }

    fn note_received(&mut self, now: Instant, packets: usize, bytes: usize) {
        self.registration.meter().note_received(packets, bytes);
        self.note_pace(now, packets, bytes);
    }

    fn note_pace(&mut self, now: Instant, messages: usize, bytes: usize) {
        let limit = self.pace.note(now, messages, bytes, &self.bounds);
        if self.pace.paused_until(now, &self.bounds).is_some() {
            self.bounds.note(limit);
        }
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        packet: Result<Packet<'_>, impl fmt::Display>,
    ) -> Result<(), Ending> {
        let packet = packet.map_err(|error| self.violation(&error))?;
        self.note_stage(true);
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

    fn handle_knock(&mut self, now: Instant, knock: Knock) -> Result<(), Ending> {
        match (knock, &mut self.transport) {
            (Knock::Poll(reply), Transport::Polling(polling)) => match self.session.handle_poll() {
                Ok(()) => {
                    polling.hold(reply);
                    Ok(())
                }
                Err(violation) => Err(self.overlap(reply, &violation)),
            },
            (Knock::Post(post), Transport::Polling(polling)) => match self.session.handle_post(now)
            {
                Ok(()) => {
                    polling.read(post);
                    Ok(())
                }
                Err(violation) => Err(self.overlap(post.reply, &violation)),
            },
            (Knock::Poll(reply) | Knock::Post(Post { reply, .. }), Transport::WebSocket(..)) => {
                let _gone = reply.send(turned_away::refusal(Refusal::BadRequest));
                Ok(())
            }
            (Knock::WebSocket(upgrade, dialect), _) => {
                let candidate = Candidate::new(upgrade, dialect, Arc::clone(&self.bounds));
                if self.session.handle_websocket(now) {
                    self.candidate = Some(Box::new(candidate));
                    self.note_stage(false);
                } else {
                    // It gets its 101, as the official suites expect, and harms nothing.
                    candidate.close(End::Open, &self.bounds, &self.running);
                }
                Ok(())
            }
        }
    }

    /// Two GETs or two POSTs at once: the client has lost count, and nobody can say what it has got.
    fn overlap(&self, reply: Reply, violation: &dyn fmt::Display) -> Ending {
        let _gone = reply.send(answer::empty(StatusCode::BAD_REQUEST));
        let (_, end) = self.violation(violation);
        (CloseReason::TransportError, end)
    }

    async fn handle_posted(&mut self, body: Result<Posted, BodyError>) -> Result<(), Ending> {
        self.session.handle_post_end();
        let (status, outcome) = match body {
            Ok(Posted { bytes, is_binary }) => {
                let outcome = self.handle_payload(is_binary, &bytes).await;
                (StatusCode::OK, outcome)
            }
            Err(BodyError::TooLarge) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                Err((CloseReason::PayloadTooLarge, End::Open)),
            ),
            Err(BodyError::ContentType) => (
                StatusCode::BAD_REQUEST,
                Err((CloseReason::ParseError, End::Open)),
            ),
            Err(BodyError::Aborted) => return Err((CloseReason::TransportClosed, End::Open)),
        };
        let leaves = matches!(outcome, Err((CloseReason::ClientClosed, _)));
        match &self.transport {
            // It has to be seen off.
            Transport::Polling(polling) if leaves && !polling.is_held() => {}
            _ => self.transport.finish_post(status),
        }
        outcome
    }

    /// Protocol, "Payload encoding": the packets of a POST, in order, as far as they are any, and until the session is told
    /// to close. They may be very many, and others have their turns meanwhile.
    async fn handle_payload(&mut self, is_binary: bool, body: &[u8]) -> Result<(), Ending> {
        let max_packets = self.bounds.max_payload_packets;
        let mut count = 0;
        for packet in self.dialect.decode_payload(is_binary, body, max_packets) {
            if matches!(packet, Err(PayloadError::TooManyPackets)) {
                self.bounds.note(Limit::PayloadPackets);
            }
            count += 1;
            self.handle_packet(Instant::now(), packet)?;
            if self.outbound.is_closing() {
                break;
            }
            consume_budget().await;
        }
        self.note_received(Instant::now(), count, body.len());
        Ok(())
    }

    fn handle_probed(&mut self, now: Instant, received: &Received) {
        let packet = match received {
            Received::Text(text) => self.dialect.decode_text(text).ok(),
            Received::Binary(_) | Received::End(_) => None,
        };
        let verdict = match packet {
            Some(packet) => self.session.handle_probe(now, &packet),
            None => {
                self.session.handle_websocket_lost(now);
                Probed::Reject
            }
        };
        match (verdict, &mut self.candidate) {
            (Probed::Answer(frame), Some(candidate)) => candidate.push(&frame),
            (Probed::Switch, _) => self.switch(),
            _ => self.reject_candidate(match received {
                Received::End(end) => *end,
                Received::Text(_) | Received::Binary(_) => End::Open,
            }),
        }
    }

    /// The session goes on on the WebSocket.
    fn switch(&mut self) {
        let candidate = self.candidate.take();
        if let Some(link) = candidate.and_then(|candidate| candidate.into_link()) {
            log::debug!("{} moved to websocket", self.name);
            self.registration.note_websocket();
            self.transport.switch(link);
        }
        self.note_stage(false);
    }

    /// How far the session has come, once its client has spoken.
    fn note_stage(&mut self, has_spoken: bool) {
        if !has_spoken && !self.registration.has_spoken() {
            return;
        }
        self.registration
            .note_stage(match (&self.transport, &self.candidate) {
                (Transport::WebSocket(..), _) => Stage::WebSocket,
                (Transport::Polling(_), Some(_)) => Stage::Upgrading,
                (Transport::Polling(_), None) => Stage::Polling,
            });
    }

    fn reject_candidate(&mut self, end: End) {
        if let Some(candidate) = self.candidate.take() {
            candidate.close(end, &self.bounds, &self.running);
            self.note_stage(false);
        }
    }

    /// Does what is due at `now`, if the first of it has been for as long as one is patient.
    fn handle_timeout(
        &mut self,
        now: Instant,
        patience: Duration,
        clock: &Clock,
    ) -> Result<(), Ending> {
        if now < self.deadline(clock) + patience {
            return Ok(());
        }
        if clock
            .stalled_since()
            .is_some_and(|since| since + self.bounds.write_timeout <= now)
        {
            if let Transport::WebSocket(link, _) = &self.transport {
                link.reset_on_drop();
            }
            return Err((CloseReason::WriteStalled, End::Broken));
        }
        if self
            .message_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            return Err((CloseReason::MessageTimeout, End::Open));
        }
        // For who takes nothing of it there is `write_timeout`.
        if self.outbound.has_held() {
            self.session.handle_unsent(now);
        }
        loop {
            match self.session.handle_timeout(now) {
                Due::Nothing => break,
                Due::Reject => self.reject_candidate(End::Open),
                Due::Close(reason) => return Err((reason, End::Open)),
            }
        }
        self.handler
            .handle_timeout(now)
            .map_or(Ok(()), |reason| Err((reason, End::Open)))
    }

    fn violation(&self, violation: &dyn fmt::Display) -> Ending {
        log::info!("{}: the client sent {violation}", self.name);
        (CloseReason::ParseError, End::Open)
    }

    /// Ends everything that belongs to the session. The goodbye waits for the peer: in a task of its own it
    /// needs no room in this one, which an idle session would keep all its life.
    fn close(mut self, reason: CloseReason, end: End) {
        let last_words = self.handler.handle_close(Instant::now(), reason);
        let goodbye = self.session.handle_close(reason);
        self.reject_candidate(End::Open);
        match self.transport {
            Transport::WebSocket(mut link, _) => {
                last_words.iter().for_each(|frame| link.push(frame));
                if end != End::Broken {
                    tokio::spawn(link.close(end, self.bounds, self.running));
                }
            }
            Transport::Polling(mut polling) if polling.is_held() && last_words.is_empty() => {
                polling.answer_last(goodbye);
            }
            Transport::Polling(polling) if reason == CloseReason::ClientClosed => {
                if let Some(door) = self.door {
                    let held = (self.registration, self.running);
                    tokio::spawn(see_off(polling, door, goodbye, held));
                }
            }
            Transport::Polling(mut polling) => {
                // Who is sent away in good order is told so, with what was said before.
                if reason == CloseReason::ServerDisconnected
                    && let Some(door) = self.door
                {
                    let held = (self.registration, self.running);
                    let goodbye = Goodbye {
                        door,
                        dialect: self.dialect,
                        outbound: self.outbound,
                        last_words,
                        goodbye,
                    };
                    tokio::spawn(goodbye.say(polling.release(), self.bounds, held));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Driver;
    use crate::{
        engineio::{
            CloseReason, Frame, Message, SessionHandler,
            outbound::{Inbox, Subscription},
        },
        server::{clock::Clock, link::Link},
    };
    use std::{convert::Infallible, mem::size_of, time::Instant};

    /// As large as a client of Socket.IO.
    struct Handler {
        _room: [u64; 11],
    }

    impl SessionHandler for Handler {
        type Violation = Infallible;

        fn handle_message(&mut self, _: Instant, _: Message<'_>) -> Result<(), Infallible> {
            Ok(())
        }

        fn deadline(&self) -> Option<Instant> {
            None
        }

        fn handle_timeout(&mut self, _: Instant) -> Option<CloseReason> {
            None
        }

        fn handle_close(&mut self, _: Instant, _: CloseReason) -> Vec<Frame> {
            Vec::new()
        }
    }

    /// What an idle client costs: docs/performance.md says where the rest goes. More is a decision, and not an accident.
    #[test]
    fn an_idle_session_is_small() {
        fn of_its_task<F: Future>(_: fn(Driver<Handler, ()>) -> F) -> usize {
            size_of::<F>()
        }
        let sizes = [
            ("the task", of_its_task(Driver::run), 752),
            ("the link", size_of::<Link>(), 120),
            ("the subscription", size_of::<Subscription>(), 104),
            ("the inbox", size_of::<Inbox>(), 104),
            ("the clock", size_of::<Clock>(), 56),
        ];
        for (what, found, most) in sizes {
            assert!(found <= most, "{what} takes {found} bytes, at most {most}");
            // A limit that is far off would hide the next change.
            let least = most * 3 / 4;
            assert!(found > least, "{what} takes {found} bytes: lower {most}");
        }
    }
}

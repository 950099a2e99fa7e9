//! A session: the rules of one Engine.IO connection, without IO and without a clock.
//!
//! The session's task ([`crate::server`]) tells it what arrived and what time it is, and carries out what it
//! answers. Which phases there are, and what leads from one to the next, stands in [`super::state`].

use super::{
    CloseReason, Frame, Message, Packet, Phase, Revision, Trigger,
    heartbeat::{Beat, Heartbeat},
};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long things take at most. The first two are told to the client.
///
/// The times are added to the clock's, which panics where that cannot count so far: `Duration::MAX` is not "never".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From one pong, or the opening, to the next ping.
    pub ping_interval: Duration,
    /// How long a pong may take.
    pub ping_timeout: Duration,
    /// How long a WebSocket may take from its opening until the session moves to it.
    pub upgrade_timeout: Duration,
    /// How long a client on long-polling may be without a poll.
    pub poll_timeout: Duration,
    /// How long the body of a POST may take.
    pub post_timeout: Duration,
}

impl Default for Timing {
    /// The reference's, as far as it has them.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            poll_timeout: Duration::from_secs(20),
            post_timeout: Duration::from_secs(20),
        }
    }
}

/// One Engine.IO session, as seen by its own rules.
#[derive(Debug)]
pub struct Session {
    timing: Arc<Timing>,
    phase: Phase,
    heartbeat: Heartbeat,
    /// What the session itself has to say next, on whichever transport can.
    own: Own,
    /// Long-polling: the client's requests.
    poll: Poll,
    /// Long-polling: when the body of a POST is late.
    post: Option<Instant>,
    /// When a WebSocket that is to take over is late.
    upgrade: Option<Instant>,
}

/// The poll that a client on long-polling should always have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poll {
    /// A GET waits for something to be sent.
    Held,
    /// There has been none since then.
    Absent { since: Instant },
}

/// Packets of the session's own. There is never more than one of each to send.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Own {
    ping: bool,
    pong: bool,
}

/// What a packet means to those above.
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Nothing: the session dealt with it.
    Nothing,
    /// A message for the application.
    Message(Message<'a>),
    /// The client ends the session.
    Close,
}

/// What a packet on a WebSocket means that is to take over.
#[derive(Debug, PartialEq, Eq)]
pub enum Probed {
    /// Send this back on it.
    Answer(Frame),
    /// It is the session's transport from now on.
    Switch,
    /// Close it; the session goes on as before.
    Reject,
}

/// What has become due.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing that needs anyone's help.
    Nothing,
    /// The WebSocket that was to take over took too long: close it; the session goes on.
    Reject,
    /// The session is over.
    Close(CloseReason),
}

/// How a client broke the rules of Engine.IO. It costs the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A ping in version 4, where only the server pings; or a pong in version 3.
    HeartbeatDirection,
    /// A second GET while one is held.
    PollOverlap,
    /// A second POST while one is under way.
    PostOverlap,
}

impl Session {
    /// A session that opened at `now` on long-polling, or on a WebSocket.
    pub fn open(now: Instant, revision: Revision, timing: Arc<Timing>, on_websocket: bool) -> Self {
        Self {
            phase: if on_websocket {
                Phase::WebSocket
            } else {
                Phase::Polling
            },
            heartbeat: Heartbeat::start(now, revision, &timing),
            own: Own::default(),
            poll: Poll::Absent { since: now },
            post: None,
            upgrade: None,
            timing,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes a packet of the client's that arrived at `now`, on the transport that is the session's.
    ///
    /// # Errors
    /// The client broke a rule; the session must be closed.
    pub fn handle_packet<'a>(
        &mut self,
        now: Instant,
        packet: Packet<'a>,
    ) -> Result<Input<'a>, Violation> {
        let is_answer = match (&packet, self.heartbeat) {
            // Unasked pongs are free, they only put off the next ping.
            (Packet::Pong(_), Heartbeat::Quiet { .. } | Heartbeat::Pinged { .. }) => true,
            (Packet::Ping(_), Heartbeat::Listening { .. }) => true,
            (Packet::Ping(_) | Packet::Pong(_), _) => return Err(Violation::HeartbeatDirection),
            _ => false,
        };
        if is_answer {
            self.heartbeat.answered(now, &self.timing);
        } else {
            self.heartbeat.extend_once(now, &self.timing);
        }
        Ok(match packet {
            Packet::Message(message) => Input::Message(message),
            Packet::Close => Input::Close,
            Packet::Ping(_) => {
                self.own.pong = true;
                Input::Nothing
            }
            // No meaning from a client on the transport that it is on, and no harm.
            Packet::Pong(_) | Packet::Open(_) | Packet::Upgrade | Packet::Noop => Input::Nothing,
        })
    }

    /// The session's own next packet, for a WebSocket. Long-polling gets them by [`Session::answer_poll`].
    pub fn take_own(&mut self) -> Option<Frame> {
        if std::mem::take(&mut self.own.pong) {
            return Some(Packet::Pong("").encode());
        }
        std::mem::take(&mut self.own.ping).then(|| Packet::Ping("").encode())
    }

    /// Whether anything can be sent: always on a WebSocket, on long-polling while a GET waits.
    pub fn is_writable(&self) -> bool {
        match self.phase {
            Phase::Polling | Phase::Probing | Phase::Upgrading => self.poll == Poll::Held,
            Phase::WebSocket => true,
            Phase::Closed => false,
        }
    }

    /// A GET arrived, and waits.
    ///
    /// # Errors
    /// There is one already; the session must be closed.
    pub fn handle_poll(&mut self) -> Result<(), Violation> {
        match self.poll {
            Poll::Held => Err(Violation::PollOverlap),
            Poll::Absent { .. } => {
                self.poll = Poll::Held;
                Ok(())
            }
        }
    }

    /// What to answer a waiting GET with at `now`, taken from the session itself and from `next`, the way to
    /// all that waits for this client. `None`: it goes on waiting.
    ///
    /// During an upgrade it never waits: the client cannot move before its GET is answered (protocol,
    /// "Upgrade": the NOOP).
    pub fn answer_poll(
        &mut self,
        now: Instant,
        next: impl FnMut() -> Option<Frame>,
    ) -> Option<Vec<Frame>> {
        if self.poll != Poll::Held {
            return None;
        }
        // A client that pings before its first poll finds the pong behind its welcome, as from the reference.
        let mut frames: Vec<Frame> = std::iter::from_fn(next).collect();
        frames.extend(std::iter::from_fn(|| self.take_own()));
        if frames.is_empty() && self.phase == Phase::Upgrading {
            frames.push(Packet::Noop.encode());
        }
        if frames.is_empty() {
            return None;
        }
        self.poll = Poll::Absent { since: now };
        Some(frames)
    }

    /// A POST arrived at `now`; its body is being read.
    ///
    /// # Errors
    /// There is one already; the session must be closed.
    pub fn handle_post(&mut self, now: Instant) -> Result<(), Violation> {
        if self.post.is_some() {
            return Err(Violation::PostOverlap);
        }
        self.post = Some(now + self.timing.post_timeout);
        Ok(())
    }

    /// The body of the POST is there.
    pub fn handle_post_end(&mut self) {
        self.post = None;
    }

    /// A WebSocket came at `now` that names this session. Whether it may try to take over.
    pub fn handle_websocket(&mut self, now: Instant) -> bool {
        let may_try = self.advance(Trigger::WebSocketOpened);
        if may_try {
            self.upgrade = Some(now + self.timing.upgrade_timeout);
        }
        may_try
    }

    /// Takes a packet that arrived at `now` on the WebSocket that is to take over.
    pub fn handle_probe(&mut self, now: Instant, packet: &Packet<'_>) -> Probed {
        let verdict = match packet {
            Packet::Ping("probe") if self.advance(Trigger::Probe) => {
                Probed::Answer(Packet::Pong("probe").encode())
            }
            Packet::Upgrade if self.advance(Trigger::Upgrade) => {
                self.upgrade = None;
                self.poll = Poll::Absent { since: now };
                self.heartbeat.rearm(now, &self.timing);
                Probed::Switch
            }
            // Anything else, and be it a message, proves that the client does not know what it does.
            _ => Probed::Reject,
        };
        if verdict == Probed::Reject {
            self.handle_websocket_lost(now);
        }
        verdict
    }

    /// Until `now` the client was not heard, because it speaks too fast or does not take its answers: its answer to a ping
    /// may be late, and the rest of its POST.
    pub fn handle_pause(&mut self, now: Instant) {
        self.heartbeat.rearm(now, &self.timing);
        if let Some(deadline) = &mut self.post {
            *deadline = now + self.timing.post_timeout;
        }
    }

    /// At `now` the answer to the last GET is still under way: what it says of pings cannot be answered yet, and the next GET
    /// comes when it is there.
    pub fn handle_unsent(&mut self, now: Instant) {
        self.heartbeat.rearm(now, &self.timing);
        if let Poll::Absent { since } = &mut self.poll {
            *since = now;
        }
    }

    /// The WebSocket that was to take over is gone at `now`. Another may try.
    pub fn handle_websocket_lost(&mut self, now: Instant) {
        self.upgrade = None;
        if self.advance(Trigger::WebSocketLost) && self.poll != Poll::Held {
            // The client had better things to do than to poll.
            self.poll = Poll::Absent { since: now };
        }
    }

    /// At `now` the answer to the last GET has arrived. If that took long, there was no time to answer what it says.
    pub fn handle_sent(&mut self, now: Instant) {
        if let Poll::Absent { since } = self.poll
            && now - since > self.timing.ping_timeout / 2
        {
            self.handle_unsent(now);
        }
    }

    /// The session is over. Says what a GET that waits is to be answered with.
    pub fn handle_close(&mut self, reason: CloseReason) -> Frame {
        self.advance(Trigger::Close);
        match reason {
            // The client knows that already.
            CloseReason::ClientClosed => Packet::Noop.encode(),
            _ => Packet::Close.encode(),
        }
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn deadline(&self) -> Instant {
        let poll = match (self.phase, self.poll) {
            (Phase::Polling, Poll::Absent { since }) => Some(since + self.timing.poll_timeout),
            _ => None,
        };
        [poll, self.post, self.upgrade]
            .into_iter()
            .flatten()
            .fold(self.heartbeat.deadline(), Ord::min)
    }

    /// How long a client may take to answer a ping.
    pub fn ping_timeout(&self) -> Duration {
        self.timing.ping_timeout
    }

    /// Does what is due at `now`. Called early, it does nothing; call it until it answers [`Due::Nothing`].
    pub fn handle_timeout(&mut self, now: Instant) -> Due {
        if self.upgrade.is_some_and(|deadline| deadline <= now) {
            self.handle_websocket_lost(now);
            return Due::Reject;
        }
        if self.post.is_some_and(|deadline| deadline <= now) {
            return Due::Close(CloseReason::PostTimeout);
        }
        match self.heartbeat.beat(now, &self.timing) {
            Beat::Late => return Due::Close(CloseReason::PingTimeout),
            Beat::Ping => self.own.ping = true,
            Beat::Nothing => {}
        }
        match (self.phase, self.poll) {
            (Phase::Polling, Poll::Absent { since }) if since + self.timing.poll_timeout <= now => {
                Due::Close(CloseReason::PollTimeout)
            }
            _ => Due::Nothing,
        }
    }

    /// Takes the step that the table has for `trigger`, if it has one.
    fn advance(&mut self, trigger: Trigger) -> bool {
        let next = self.phase.after(trigger);
        self.phase = next.unwrap_or(self.phase);
        next.is_some()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeartbeatDirection => {
                f.write_str("a ping or pong that is the other side's to send")
            }
            Self::PollOverlap => f.write_str("a second GET while one was waiting"),
            Self::PostOverlap => f.write_str("a second POST while one was under way"),
        }
    }
}

impl std::error::Error for Violation {}

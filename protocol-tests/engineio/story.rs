//! The story of one session on long-polling, by whatever tells it what happens next: the seeded runs of `engineio.rs`, and
//! the fuzzing in `fuzz/`. Every step asserts what a session promises.

use rollcall::engineio::{
    CloseReason, Due, Frame, Input, Message, Packet, Phase, Probed, Revision, Session, Timing,
    Trigger, Violation, state::TRANSITIONS,
};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

pub const INTERVAL: u64 = 25_000;
pub const TIMEOUT: u64 = 20_000;

pub fn timing() -> Timing {
    Timing {
        ping_interval: Duration::from_millis(INTERVAL),
        ping_timeout: Duration::from_millis(TIMEOUT),
        ..Timing::default()
    }
}

/// Says what happens next.
pub trait Choices {
    /// A number from 0 up to but not including `end`.
    fn below(&mut self, end: u64) -> u64;

    /// Whether something happens that happens `percent` times of a hundred.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub type Row = (Phase, Trigger, Phase);

/// A session, a driver that does with it what the server's does, and a client that is polite most of the time.
/// Frames and messages are numbered, and time is milliseconds since the opening.
pub struct Story<'a, C> {
    pub choices: C,
    revision: Revision,
    timing: Timing,
    opened: Instant,
    now: u64,
    session: Session,
    pub closed: Option<CloseReason>,
    /// The rows of the table that were taken, by all stories.
    taken: &'a mut HashSet<Row>,

    /// Waits for a transport that takes it, how much there has been, and how much the client has read.
    waiting: VecDeque<Frame>,
    sent: u32,
    read: u32,
    /// The client wants to say this, how much there has been, and how much the server has heard.
    outgoing: VecDeque<String>,
    said: u32,
    heard: u32,

    /// Whether a GET waits, and since when none does.
    held: bool,
    absent_since: u64,
    /// What GETs were answered with and the client has not read.
    answers: VecDeque<Frame>,
    /// The POST whose body is under way.
    post: Option<(u64, Vec<String>)>,
    /// When the WebSocket came that is to take over.
    candidate: Option<u64>,
    /// What is under way on the WebSocket, be it a candidate or not.
    up: VecDeque<String>,
    down: VecDeque<Frame>,
    /// The client has sent `5`, and uses its WebSocket only.
    moved: bool,
    /// The client lost the WebSocket that it had moved to.
    gone: bool,
    /// When the client last showed by a pong, or a ping in version 3, that it is there.
    alive: u64,
}

impl<'a, C: Choices> Story<'a, C> {
    pub fn open(mut choices: C, taken: &'a mut HashSet<Row>) -> Self {
        let revision = if choices.chance(75) {
            Revision::V4
        } else {
            Revision::V3
        };
        let opened = Instant::now();
        let timing = timing();
        let session = Session::open(opened, revision, Arc::new(timing.clone()), false);
        Self {
            choices,
            revision,
            timing,
            opened,
            now: 0,
            session,
            closed: None,
            taken,
            waiting: VecDeque::new(),
            sent: 0,
            read: 0,
            outgoing: VecDeque::new(),
            said: 0,
            heard: 0,
            held: false,
            absent_since: 0,
            answers: VecDeque::new(),
            post: None,
            candidate: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            moved: false,
            gone: false,
            alive: 0,
        }
    }

    fn at(&self) -> Instant {
        self.opened + Duration::from_millis(self.now)
    }

    pub fn phase(&self) -> Phase {
        self.session.phase()
    }

    fn is_over(&self, since: u64, limit: Duration) -> bool {
        u128::from(self.now - since) >= limit.as_millis()
    }

    /// Asserts that `trigger` has done to the phase what the table says.
    fn moves(&mut self, from: Phase, trigger: Trigger) {
        let row = TRANSITIONS
            .iter()
            .find(|row| (row.0, row.1) == (from, trigger));
        let to = row.map_or(from, |row| row.2);
        assert_eq!(self.phase(), to, "{from:?} by {trigger:?}");
        self.taken.extend(row);
    }

    // What the driver does.

    /// One turn: a request sees what is overdue, whatever else comes counts before it.
    fn turn(&mut self, is_request: bool, event: impl FnOnce(&mut Self)) {
        if is_request {
            self.time_out();
        }
        let before = self.phase();
        if self.closed.is_none() {
            event(self);
        }
        if self.closed.is_none() && !is_request {
            self.time_out();
        }
        if self.closed.is_none() {
            self.send();
        }
        assert!(before != Phase::Closed || self.phase() == Phase::Closed);
        let is_trying = matches!(self.phase(), Phase::Probing | Phase::Upgrading);
        assert_eq!(self.candidate.is_some(), is_trying);
    }

    fn time_out(&mut self) {
        while self.closed.is_none() {
            let (now, from) = (self.at(), self.phase());
            match self.session.handle_timeout(now) {
                Due::Nothing => {
                    assert_eq!(self.phase(), from);
                    assert!(self.session.deadline() > now, "a deadline in the past");
                    let limits = &self.timing;
                    let since = self.post.as_ref().map(|post| post.0);
                    assert!(!since.is_some_and(|at| self.is_over(at, limits.post_timeout)));
                    let since = self.candidate;
                    assert!(!since.is_some_and(|at| self.is_over(at, limits.upgrade_timeout)));
                    let is_absent = from == Phase::Polling && !self.held;
                    assert!(!is_absent || !self.is_over(self.absent_since, limits.poll_timeout));
                    // In version 4 a driver that wakes late pings late.
                    let limit = limits.ping_interval + limits.ping_timeout;
                    assert!(self.revision == Revision::V4 || !self.is_over(self.alive, limit));
                    return;
                }
                Due::Reject => {
                    let since = self.candidate.expect("there is one");
                    assert!(self.is_over(since, self.timing.upgrade_timeout));
                    self.moves(from, Trigger::WebSocketLost);
                    self.lose_candidate();
                }
                Due::Close(reason) => {
                    let (since, limit) = match reason {
                        CloseReason::PostTimeout => {
                            let post = self.post.as_ref().expect("a POST is under way");
                            (post.0, self.timing.post_timeout)
                        }
                        CloseReason::PollTimeout => {
                            assert!(!self.held && from == Phase::Polling);
                            (self.absent_since, self.timing.poll_timeout)
                        }
                        CloseReason::PingTimeout => {
                            let limits = &self.timing;
                            (self.alive, limits.ping_interval + limits.ping_timeout)
                        }
                        other => panic!("{other} is no timeout"),
                    };
                    assert!(self.is_over(since, limit), "{reason} too early");
                    assert_eq!(self.phase(), from);
                    self.close(reason);
                }
            }
        }
    }

    fn send(&mut self) {
        if self.phase() == Phase::WebSocket {
            while let Some(frame) = self.session.take_own() {
                self.down.push_back(frame);
            }
            self.down.extend(self.waiting.drain(..));
            assert!(self.session.is_writable());
            return;
        }
        let (now, phase) = (self.at(), self.phase());
        let waiting = &mut self.waiting;
        let answer = self.session.answer_poll(now, || waiting.pop_front());
        if let Some(frames) = answer {
            assert!(self.held, "nobody asked");
            assert!(!frames.is_empty());
            let noop = Packet::Noop.encode();
            if frames.contains(&noop) {
                assert_eq!((phase, frames.as_slice()), (Phase::Upgrading, &[noop][..]));
            }
            self.held = false;
            self.absent_since = self.now;
            self.answers.extend(frames);
        }
        if self.held {
            assert_ne!(phase, Phase::Upgrading, "it answers at once");
            assert!(self.waiting.is_empty());
        }
        assert_eq!(self.session.is_writable(), self.held);
    }

    fn close(&mut self, reason: CloseReason) {
        let from = self.phase();
        let goodbye = self.session.handle_close(reason);
        self.moves(from, Trigger::Close);
        let expected = match reason {
            CloseReason::ClientClosed => Packet::Noop,
            _ => Packet::Close,
        };
        assert_eq!(goodbye, expected.encode());
        self.closed = Some(reason);
        self.candidate = None;
        // For good.
        let now = self.at();
        assert!(!self.session.is_writable());
        assert!(!self.session.handle_websocket(now));
        let upgrade = self.session.handle_probe(now, &Packet::Upgrade);
        assert_eq!((upgrade, self.phase()), (Probed::Reject, Phase::Closed));
    }

    fn lose_candidate(&mut self) {
        self.candidate = None;
        self.up.clear();
        self.down.clear();
        self.gone |= self.moved;
        // The client that had the time to poll has polled.
        if !self.held {
            self.absent_since = self.now;
        }
    }

    fn hear(&mut self, wire: &str) {
        let now = self.at();
        let packet = Packet::decode(wire).expect("a packet");
        let from = self.phase();
        match self.session.handle_packet(now, packet) {
            Ok(Input::Message(Message::Text(number))) => {
                assert_eq!(number, self.heard.to_string(), "from the client");
                self.heard += 1;
            }
            Ok(Input::Message(Message::Binary(_))) => panic!("nobody sent that"),
            Ok(Input::Nothing) => {
                if matches!(wire, "2" | "3") {
                    self.alive = self.now;
                }
            }
            Ok(Input::Close) => self.close(CloseReason::ClientClosed),
            Err(violation) => {
                assert_eq!(violation, Violation::HeartbeatDirection);
                self.close(CloseReason::ParseError);
            }
        }
        assert!(self.closed.is_some() || self.phase() == from);
    }

    /// A GET arrives.
    fn poll(&mut self) {
        self.turn(true, |story| {
            if story.phase() == Phase::WebSocket {
                return;
            }
            let from = story.phase();
            let outcome = story.session.handle_poll();
            assert_eq!(story.phase(), from);
            if story.held {
                assert_eq!(outcome, Err(Violation::PollOverlap));
                story.close(CloseReason::TransportError);
            } else {
                assert_eq!(outcome, Ok(()));
                story.held = true;
            }
        });
    }

    /// A POST arrives; its body comes later.
    fn post(&mut self) {
        self.turn(true, |story| {
            if story.phase() == Phase::WebSocket {
                return;
            }
            let outcome = story.session.handle_post(story.at());
            if story.post.is_some() {
                assert_eq!(outcome, Err(Violation::PostOverlap));
                story.close(CloseReason::TransportError);
            } else {
                assert_eq!(outcome, Ok(()));
                story.post = Some((story.now, story.outgoing.drain(..).collect()));
            }
        });
    }

    fn finish_post(&mut self) {
        self.turn(false, |story| {
            let Some((_, packets)) = story.post.take() else {
                return;
            };
            story.session.handle_post_end();
            for wire in packets {
                if story.closed.is_none() {
                    story.hear(&wire);
                }
            }
        });
    }

    /// A WebSocket arrives that names the session.
    fn open_websocket(&mut self) {
        self.turn(true, |story| {
            let from = story.phase();
            let may_try = story.session.handle_websocket(story.at());
            assert_eq!(may_try, from == Phase::Polling);
            story.moves(from, Trigger::WebSocketOpened);
            if may_try {
                story.candidate = Some(story.now);
            }
        });
    }

    /// What comes next on the WebSocket.
    fn receive(&mut self) {
        self.turn(false, |story| {
            let from = story.phase();
            // First what was sent first.
            if from == Phase::WebSocket && story.post.is_some() {
                return;
            }
            let Some(wire) = story.up.pop_front() else {
                return;
            };
            if from == Phase::WebSocket {
                return story.hear(&wire);
            }
            let now = story.at();
            let packet = Packet::decode(&wire).expect("a packet");
            let probed = story.session.handle_probe(now, &packet);
            match wire.as_str() {
                "2probe" => {
                    assert_eq!(probed, Probed::Answer(Frame::text("3probe".to_owned())));
                    story.moves(from, Trigger::Probe);
                    story.down.push_back(Frame::text("3probe".to_owned()));
                }
                "5" => {
                    assert_eq!(probed, Probed::Switch);
                    story.moves(from, Trigger::Upgrade);
                    story.candidate = None;
                    if story.revision == Revision::V3 {
                        // A ping that is under way on the old transport may be late.
                        story.alive = story.now;
                    }
                    // The driver's own answer to a GET that the client left behind.
                    story.held = false;
                }
                _ => {
                    assert_eq!(probed, Probed::Reject);
                    story.moves(from, Trigger::WebSocketLost);
                    story.lose_candidate();
                }
            }
        });
    }

    /// The WebSocket breaks.
    fn abort_websocket(&mut self) {
        self.turn(false, |story| {
            let from = story.phase();
            if from == Phase::WebSocket {
                story.close(CloseReason::TransportClosed);
            } else if story.candidate.is_some() {
                story.session.handle_websocket_lost(story.at());
                story.moves(from, Trigger::WebSocketLost);
                story.lose_candidate();
            }
        });
    }

    // What the client does.

    /// Reads all that has come, first what was answered to its GETs.
    fn read(&mut self) {
        let frames: Vec<(bool, Frame)> = self
            .answers
            .drain(..)
            .map(|frame| (false, frame))
            .chain(self.down.drain(..).map(|frame| (true, frame)))
            .collect();
        for (on_websocket, frame) in frames {
            let text = std::str::from_utf8(frame.bytes()).expect("UTF-8");
            match (Packet::decode(text).expect("a packet"), self.revision) {
                (Packet::Message(Message::Text(number)), _) => {
                    assert_eq!(number, self.read.to_string(), "to the client");
                    self.read += 1;
                }
                (Packet::Ping(""), Revision::V4) => self.outgoing.push_back("3".to_owned()),
                (Packet::Pong(""), Revision::V3) => {}
                (Packet::Pong("probe"), _) => assert!(on_websocket),
                (Packet::Noop, _) => assert!(!on_websocket, "a NOOP on the WebSocket"),
                (other, _) => panic!("the client got {other:?}"),
            }
        }
    }

    fn say(&mut self) {
        self.outgoing.push_back(format!("4{}", self.said));
        self.said += 1;
    }

    fn flush(&mut self) {
        if self.moved {
            self.up.extend(self.outgoing.drain(..));
        } else if self.post.is_none() && !self.outgoing.is_empty() {
            self.post();
        }
    }

    /// Whether nothing more can happen but the end.
    pub fn is_told(&self) -> bool {
        self.closed.is_some() || self.gone
    }

    /// Lets the client behave, and asserts that everything has arrived, once and in order; or that the session is over.
    pub fn end(&mut self) {
        if self.closed.is_none() {
            self.settle();
        }
        if self.closed.is_none() {
            assert_eq!(self.read, self.sent, "to the client");
            assert_eq!(self.heard, self.said, "from the client");
            assert!(self.waiting.is_empty() && self.outgoing.is_empty());
        }
    }

    /// Something happens.
    pub fn go_on(&mut self) {
        match self.choices.below(1_000) {
            0..150 => {
                self.turn(false, |story| {
                    let frame = Frame::message(&story.sent.to_string());
                    story.waiting.push_back(frame);
                    story.sent += 1;
                });
            }
            150..250 => self.say(),
            250..350 => self.flush(),
            350..450 => self.finish_post(),
            450..550 => self.read(),
            550..670 if !self.moved && !self.held => self.poll(),
            670..720 if self.candidate.is_none() && !self.moved => self.open_websocket(),
            720..780 if self.candidate.is_some() && !self.moved => {
                self.up.push_back("2probe".to_owned());
            }
            780..800 if self.candidate.is_some() && !self.moved => {
                // Mostly after what was under way, as clients do.
                if self.choices.chance(70) {
                    self.finish_post();
                    self.read();
                }
                if self.candidate.is_some() {
                    self.up.push_back("5".to_owned());
                    self.moved = true;
                }
            }
            800..900 => self.receive(),
            900..903 => self.abort_websocket(),
            905..910 if self.candidate.is_some() && !self.moved => {
                let wrong = ["40", "2", "3probe", "6", "1", "2Probe", "0{}"];
                let wrong = wrong[self.choices.below(wrong.len() as u64) as usize];
                self.up.push_back(wrong.to_owned());
            }
            // One WebSocket too many.
            910..915 => self.open_websocket(),
            // A GET or a POST too many.
            915..917 => self.poll(),
            917..919 if !self.moved => self.post(),
            // A pong, or a ping in version 3, that nobody waits for.
            919..930 => {
                let wire = match self.revision {
                    Revision::V4 => "3",
                    Revision::V3 => "2",
                };
                self.outgoing.push_back(wire.to_owned());
            }
            // The other side's to send; the end.
            930 => {
                let wire = match self.revision {
                    Revision::V4 => "2",
                    Revision::V3 => "3",
                };
                self.outgoing.push_back(wire.to_owned());
            }
            931 => self.outgoing.push_back("1".to_owned()),
            932 => self.turn(false, |story| story.close(CloseReason::ServerDisconnected)),
            // The client gives a GET up.
            933 if self.held => self.turn(false, |story| story.close(CloseReason::TransportClosed)),
            // Time passes; only then does the driver wake, or it wakes late.
            940..985 => self.now += self.choices.below(1_500),
            985..987 => self.now += self.choices.below(26_000),
            // The client speaks too fast, and is not heard for a while.
            987..990 => self.turn(false, |story| {
                story.session.handle_pause(story.at());
                if story.revision == Revision::V3 {
                    story.alive = story.now;
                }
                if let Some((since, _)) = &mut story.post {
                    *since = story.now;
                }
            }),
            // It takes long to take its answer.
            990 if !self.moved => self.turn(false, |story| {
                if story.choices.chance(50) {
                    story.session.handle_unsent(story.at());
                } else {
                    story.session.handle_sent(story.at());
                    let timeout = story.timing.ping_timeout.as_millis() as u64;
                    if story.held || story.now - story.absent_since <= timeout / 2 {
                        return;
                    }
                }
                if story.revision == Revision::V3 {
                    story.alive = story.now;
                }
                if !story.held {
                    story.absent_since = story.now;
                }
            }),
            _ => {
                let deadline = self.session.deadline() - self.opened;
                let near = deadline.as_millis() as u64;
                if self.choices.chance(2) {
                    self.now = self.now.max(near - self.choices.below(2).min(near));
                }
                self.turn(false, |_| {});
            }
        }
    }

    /// The client behaves, until everything is where it should be or the session is over.
    fn settle(&mut self) {
        if self.gone {
            // It leaves nothing behind but a session that must notice.
            for _ in 0..10 {
                let deadline = self.session.deadline() - self.opened;
                self.now = self.now.max(deadline.as_millis() as u64);
                self.turn(false, |_| {});
                if self.closed.is_some() {
                    return;
                }
            }
            panic!("a session without a client goes on for ever");
        }
        if self.candidate.is_some() && !self.moved {
            if self.choices.chance(50) {
                self.up
                    .extend(["2probe".to_owned(), "2probe".to_owned(), "5".to_owned()]);
                self.moved = true;
            } else {
                self.abort_websocket();
            }
        }
        let under_way = self.up.len() + self.outgoing.len();
        for _ in 0..200 + under_way {
            if self.closed.is_some() || self.gone {
                break;
            }
            self.now += 1;
            self.read();
            self.flush();
            if !self.moved && !self.held && self.closed.is_none() {
                self.poll();
            }
            self.finish_post();
            self.receive();
        }
        if self.gone && self.closed.is_none() {
            self.settle();
        }
    }
}

//! Engine.IO without sockets: the heartbeat in virtual time, sessions on long-polling and their move to a
//! WebSocket, the verdict on a handshake, the session's id, and the open packet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use rollcall::engineio::{
    CloseReason, Due, Frame, Input, Message, Packet, PacketError, Phase, Probed, Revision, Session,
    Sid, Timing, Trigger, Violation,
    handshake::{Asked, Method, Query, Refusal, Request},
    open_packet,
    state::TRANSITIONS,
};
use std::{
    collections::{HashSet, VecDeque},
    fmt::Write as _,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use support::Random;

const INTERVAL: u64 = 25_000;
const TIMEOUT: u64 = 20_000;

fn timing() -> Timing {
    Timing {
        ping_interval: Duration::from_millis(INTERVAL),
        ping_timeout: Duration::from_millis(TIMEOUT),
        ..Timing::default()
    }
}

// ---------------------------------------------------------------------------------------------------------
// The heartbeat.

/// A session whose time is the test's: milliseconds since it opened.
struct Timed {
    opened: Instant,
    session: Session,
}

/// How a packet can be refused.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// It is none.
    Packet(PacketError),
    /// It is not the client's to send.
    Rule(Violation),
}

impl Timed {
    /// A session on a WebSocket, where only the heartbeat counts.
    fn open() -> Self {
        Self::open_as(Revision::V4)
    }

    fn open_as(revision: Revision) -> Self {
        let opened = Instant::now();
        let session = Session::open(opened, revision, Arc::new(timing()), true);
        Self { opened, session }
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.opened + Duration::from_millis(milliseconds)
    }

    fn deadline(&self) -> u64 {
        (self.session.deadline() - self.opened).as_millis() as u64
    }

    fn due(&mut self, milliseconds: u64) -> Due {
        self.session.handle_timeout(self.at(milliseconds))
    }

    fn takes<'a>(&mut self, milliseconds: u64, wire: &'a str) -> Result<Input<'a>, Refused> {
        let packet = Packet::decode(wire).map_err(Refused::Packet)?;
        let now = self.at(milliseconds);
        self.session
            .handle_packet(now, packet)
            .map_err(Refused::Rule)
    }

    /// What the session itself has to say.
    fn says(&mut self) -> Option<Frame> {
        self.session.take_own()
    }

    /// Asserts that a ping is due at `milliseconds`, and one only.
    #[track_caller]
    fn pings(&mut self, milliseconds: u64) {
        assert_eq!(self.due(milliseconds), Due::Nothing);
        assert_eq!(self.says(), Some(Frame::text("2".to_owned())));
        assert_eq!(self.due(milliseconds), Due::Nothing);
        assert_eq!(self.says(), None, "one ping at a time");
    }

    /// Asserts that the session waits for `milliseconds`, and does nothing before.
    #[track_caller]
    fn waits_until(&mut self, milliseconds: u64) {
        assert_eq!(self.deadline(), milliseconds);
        for early in [0, milliseconds / 2, milliseconds - 1] {
            assert_eq!(self.due(early), Due::Nothing, "at {early}");
            assert_eq!(self.says(), None, "at {early}");
        }
        assert_eq!(
            self.deadline(),
            milliseconds,
            "too early, and not without effect"
        );
    }
}

/// What happens to a session, by the clock.
enum Step {
    /// The client sends this, and it means nothing to those above.
    Client(u64, &'static str),
    /// The session waits until then, and pings.
    Ping(u64),
    /// The session waits until then, and is over.
    Over(u64),
}

#[test]
fn heartbeat_stories() {
    use Step::{Client, Over, Ping};
    let stories: &[(&str, &[Step])] = &[
        (
            "the first ping comes one interval after the opening, and a client that is silent is lost",
            &[Ping(25_000), Over(45_000)],
        ),
        (
            "the next ping comes one interval after the pong arrived, not after the ping went out",
            &[
                Ping(25_000),
                Client(25_003, "3"),
                Ping(50_003),
                Client(69_000, "3"),
                Ping(94_000),
                Over(114_000),
            ],
        ),
        (
            "a pong at the last moment counts",
            &[Ping(25_000), Client(44_999, "3"), Ping(69_999)],
        ),
        (
            "what a pong carries does not matter",
            &[Ping(25_000), Client(25_001, "3probe"), Ping(50_001)],
        ),
        (
            "a pong that nobody asked for puts off the next ping",
            &[Client(10_000, "3"), Ping(35_000), Over(55_000)],
        ),
        (
            "any number of them only put it off again",
            &[
                Client(1, "3"),
                Client(1, "3"),
                Client(24_999, "3"),
                Client(49_998, "3x"),
                Ping(74_998),
            ],
        ),
        (
            "a second pong for one ping is one that nobody asked for",
            &[
                Ping(25_000),
                Client(25_010, "3"),
                Client(26_000, "3"),
                Ping(51_000),
            ],
        ),
        (
            "another packet instead of the pong restarts the timeout",
            &[Ping(25_000), Client(40_000, "6"), Over(60_000)],
        ),
        (
            "but once only",
            &[
                Ping(25_000),
                Client(30_000, "6"),
                Client(35_000, "6"),
                Client(49_999, "5"),
                Over(50_000),
            ],
        ),
        (
            "each ping gives a new respite",
            &[
                Ping(25_000),
                Client(30_000, "6"),
                Client(31_000, "3"),
                Ping(56_000),
                Client(75_000, "6"),
                Over(95_000),
            ],
        ),
        (
            "a pong after a respite counts as any other",
            &[
                Ping(25_000),
                Client(44_000, "6"),
                Client(63_999, "3"),
                Ping(88_999),
            ],
        ),
        (
            "without a ping out, other packets put off nothing",
            &[
                Client(1_000, "6"),
                Client(24_999, "5"),
                Ping(25_000),
                Over(45_000),
            ],
        ),
    ];
    for (story, steps) in stories {
        let mut timed = Timed::open();
        println!("{story}");
        for step in *steps {
            match *step {
                Client(at, wire) => assert_eq!(timed.takes(at, wire), Ok(Input::Nothing)),
                Ping(at) => {
                    timed.waits_until(at);
                    timed.pings(at);
                }
                Over(at) => {
                    timed.waits_until(at);
                    assert_eq!(timed.due(at), Due::Close(CloseReason::PingTimeout));
                }
            }
        }
    }
}

#[test]
fn what_a_client_may_send() {
    type Meaning = Result<Input<'static>, Refused>;
    let message = |text| Ok(Input::Message(Message::Text(text)));
    let bytes = |bytes: &'static [u8]| {
        let bytes = bytes::Bytes::from_static(bytes);
        Ok(Input::Message(Message::Binary(bytes)))
    };
    let packet = |error| Err(Refused::Packet(error));
    let direction = || Err(Refused::Rule(Violation::HeartbeatDirection));
    let table: Vec<(&str, Meaning)> = vec![
        ("0", Ok(Input::Nothing)),
        ("0{\"sid\":\"x\"}", Ok(Input::Nothing)),
        ("1", Ok(Input::Close)),
        ("2", direction()),
        ("2probe", direction()),
        ("2hello", direction()),
        ("3", Ok(Input::Nothing)),
        ("4", message("")),
        ("40", message("0")),
        ("4é€😀", message("é€😀")),
        ("5", Ok(Input::Nothing)),
        ("6", Ok(Input::Nothing)),
        ("b", bytes(&[])),
        ("bAQID", bytes(&[1, 2, 3])),
        ("", packet(PacketError::Empty)),
        ("7", packet(PacketError::UnknownType('7'))),
        ("b!", packet(PacketError::Base64)),
    ];
    for (wire, meaning) in table {
        let mut quiet = Timed::open();
        assert_eq!(quiet.takes(1, wire), meaning, "{wire:?}");
        let mut pinged = Timed::open();
        pinged.pings(INTERVAL);
        assert_eq!(
            pinged.takes(INTERVAL + 1, wire),
            meaning,
            "{wire:?} instead of a pong"
        );
    }
}

#[test]
fn a_message_extends_the_pong_deadline_once_text_and_binary_alike() {
    for wire in ["40", "bAQID"] {
        let mut timed = Timed::open();
        timed.pings(INTERVAL);
        timed.takes(INTERVAL + 5_000, wire).expect("a message");
        timed.takes(INTERVAL + 6_000, wire).expect("a message");
        timed.waits_until(INTERVAL + 5_000 + TIMEOUT);
        assert_eq!(
            timed.due(INTERVAL + 5_000 + TIMEOUT),
            Due::Close(CloseReason::PingTimeout)
        );
    }
}

#[test]
fn a_driver_that_wakes_a_little_late_lets_nobody_live_longer() {
    for late in [0, 1, 3_000, TIMEOUT / 2] {
        let mut timed = Timed::open();
        timed.pings(INTERVAL + late);
        timed.waits_until(INTERVAL + TIMEOUT);
        let due = timed.due(INTERVAL + TIMEOUT);
        assert_eq!(due, Due::Close(CloseReason::PingTimeout), "{late} late");
    }
}

#[test]
fn a_driver_that_slept_does_not_shorten_what_the_client_has() {
    for late in [TIMEOUT / 2 + 1, TIMEOUT, 3_600_000] {
        let mut timed = Timed::open();
        let woken = INTERVAL + late;
        timed.pings(woken);
        timed.waits_until(woken + TIMEOUT);
        let due = timed.due(woken + TIMEOUT + 60_000);
        assert_eq!(due, Due::Close(CloseReason::PingTimeout), "{late} late");
    }
}

/// Whatever a client sends and whenever: pings are an interval or more apart, and a session ends between one
/// and two timeouts after an unanswered ping.
#[test]
fn heartbeat_holds_whatever_the_client_does() {
    for seed in 1..=2_000 {
        let mut random = Random::new(seed);
        let mut timed = Timed::open();
        let (mut now, mut last_pong, mut pinged) = (0, 0, None);
        for _ in 0..40 {
            // Until the client says something, or does not before the deadline.
            let next = now + random.below(INTERVAL + TIMEOUT);
            while timed.deadline() <= next {
                now = timed.deadline();
                match (timed.due(now), pinged) {
                    (Due::Nothing, None) => {
                        assert!(timed.says().is_some(), "seed {seed}");
                        assert_eq!(now, last_pong + INTERVAL, "seed {seed}");
                        pinged = Some(now);
                    }
                    (Due::Close(CloseReason::PingTimeout), Some(pinged)) => {
                        let waited = now - pinged;
                        assert!((TIMEOUT..2 * TIMEOUT).contains(&waited), "seed {seed}");
                        break;
                    }
                    (due, _) => panic!("{due:?} at {now}, seed {seed}"),
                }
            }
            if timed.deadline() <= next {
                break;
            }
            now = next;
            let wire = ["3", "6", "40"][random.below(3) as usize];
            timed.takes(now, wire).expect("it may be sent");
            if wire == "3" {
                (last_pong, pinged) = (now, None);
            }
        }
    }
}

/// Version 3: the client pings, and nothing else counts.
#[test]
fn heartbeat_of_version_3() {
    let pong = Some(Frame::text("3".to_owned()));
    let mut timed = Timed::open_as(Revision::V3);
    timed.waits_until(INTERVAL + TIMEOUT);
    assert_eq!(timed.takes(10_000, "2abc"), Ok(Input::Nothing));
    assert_eq!(timed.says(), pong, "without what the ping carried");
    assert_eq!(timed.says(), None);
    timed.waits_until(10_000 + INTERVAL + TIMEOUT);
    timed.takes(20_000, "40").expect("a message");
    timed.waits_until(10_000 + INTERVAL + TIMEOUT);
    let over = Due::Close(CloseReason::PingTimeout);
    assert_eq!(timed.due(10_000 + INTERVAL + TIMEOUT), over);
    let direction = Err(Refused::Rule(Violation::HeartbeatDirection));
    assert_eq!(timed.takes(1, "3"), direction);
}

// ---------------------------------------------------------------------------------------------------------
// Long-polling, and the move to a WebSocket.

type Row = (Phase, Trigger, Phase);

/// A session, a driver that does with it what the server's does, and a client that is polite most of the time.
/// Frames and messages are numbered, and time is milliseconds since the opening.
struct Story<'a> {
    random: Random,
    revision: Revision,
    timing: Timing,
    opened: Instant,
    now: u64,
    session: Session,
    closed: Option<CloseReason>,
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

impl<'a> Story<'a> {
    fn open(seed: u64, taken: &'a mut HashSet<Row>) -> Self {
        let mut random = Random::new(seed);
        let revision = if random.chance(75) {
            Revision::V4
        } else {
            Revision::V3
        };
        let opened = Instant::now();
        let timing = timing();
        let session = Session::open(opened, revision, Arc::new(timing.clone()), false);
        Self {
            random,
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

    fn phase(&self) -> Phase {
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

    /// Something happens.
    fn go_on(&mut self) {
        match self.random.below(1_000) {
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
                if self.random.chance(70) {
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
                let wrong = wrong[self.random.below(wrong.len() as u64) as usize];
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
            940..985 => self.now += self.random.below(1_500),
            985..987 => self.now += self.random.below(26_000),
            _ => {
                let deadline = self.session.deadline() - self.opened;
                let near = deadline.as_millis() as u64;
                if self.random.chance(2) {
                    self.now = self.now.max(near - self.random.below(2).min(near));
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
            if self.random.chance(50) {
                self.up
                    .extend(["2probe".to_owned(), "2probe".to_owned(), "5".to_owned()]);
                self.moved = true;
            } else {
                self.abort_websocket();
            }
        }
        for _ in 0..200 {
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

/// Whatever happens in whatever order: everything arrives once and in order, or the session is over for a
/// reason; and the phases change as the table says.
#[test]
fn sessions_keep_their_promises_in_any_order() {
    let mut taken = HashSet::new();
    let (mut reasons, mut complete, mut moved) = (HashSet::new(), 0, 0);
    for seed in 1..=10_000 {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut story = Story::open(seed, &mut taken);
            for _ in 0..20 + story.random.below(230) {
                story.go_on();
                if story.closed.is_some() || story.gone {
                    break;
                }
            }
            if story.closed.is_none() {
                story.settle();
            }
            if story.closed.is_none() {
                assert_eq!(story.read, story.sent, "to the client");
                assert_eq!(story.heard, story.said, "from the client");
                assert!(story.waiting.is_empty() && story.outgoing.is_empty());
                complete += 1;
                moved += u32::from(story.phase() == Phase::WebSocket);
            }
            reasons.extend(story.closed);
        }));
        assert!(told.is_ok(), "seed {seed}");
    }
    let missing: Vec<&Row> = TRANSITIONS
        .iter()
        .filter(|row| !taken.contains(row))
        .collect();
    assert!(missing.is_empty(), "never taken: {missing:?}");
    assert!(taken.iter().all(|row| TRANSITIONS.contains(row)));
    println!("{complete} complete, {moved} of them moved; the others: {reasons:?}");
    // The stories are worth something only when they are not all alike.
    assert!(complete > 2_000 && moved > 500 && complete - moved > 500);
    for reason in [
        CloseReason::ClientClosed,
        CloseReason::TransportClosed,
        CloseReason::TransportError,
        CloseReason::PingTimeout,
        CloseReason::PollTimeout,
        CloseReason::PostTimeout,
        CloseReason::ParseError,
        CloseReason::ServerDisconnected,
    ] {
        assert!(reasons.contains(&reason), "no session ended by {reason}");
    }
}

/// Also when the client moves while its GET waits: what is said then is the WebSocket's.
#[test]
fn nothing_is_handed_to_polling_after_the_switch() {
    let now = Instant::now();
    let mut session = Session::open(now, Revision::V4, Arc::new(timing()), false);
    assert_eq!(session.handle_poll(), Ok(()));
    assert!(session.handle_websocket(now));
    assert_eq!(session.handle_probe(now, &Packet::Upgrade), Probed::Switch);
    let frame = Frame::message("0");
    let mut waiting = VecDeque::from([frame.clone()]);
    let answer = session.answer_poll(now, || waiting.pop_front());
    assert_eq!(answer, None);
    assert_eq!(waiting, [frame]);
}

/// The page shows the table itself.
#[test]
fn the_page_on_states_shows_the_table() {
    let mut diagram =
        "```mermaid\nstateDiagram-v2\n    [*] --> Polling\n    [*] --> WebSocket\n".to_owned();
    for (from, trigger, to) in TRANSITIONS {
        writeln!(diagram, "    {from:?} --> {to:?}: {trigger:?}").expect("a string takes all");
    }
    diagram.push_str("    Closed --> [*]\n```\n");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/session-states.md");
    let text = fs::read_to_string(&page).expect("the page");
    assert!(
        text.ends_with(&diagram) && text.matches("```").count() == 2,
        "{} has to end with this, and no other diagram:\n{diagram}",
        page.display()
    );
}

// ---------------------------------------------------------------------------------------------------------
// The handshake.

#[test]
fn queries() {
    type Read<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);
    let table: &[(&str, Read<'_>)] = &[
        ("", (None, None, None)),
        ("&&&", (None, None, None)),
        ("=", (None, None, None)),
        (
            "EIO=4&transport=websocket",
            (Some("4"), Some("websocket"), None),
        ),
        (
            "EIO=4&transport=websocket&sid=abc",
            (Some("4"), Some("websocket"), Some("abc")),
        ),
        (
            "sid=abc&transport=polling&EIO=3",
            (Some("3"), Some("polling"), Some("abc")),
        ),
        // The last of several wins, also when it is empty.
        ("EIO=3&EIO=4", (Some("4"), None, None)),
        ("EIO=4&EIO=3", (Some("3"), None, None)),
        ("EIO=4&EIO", (Some(""), None, None)),
        (
            "transport=polling&transport=websocket",
            (None, Some("websocket"), None),
        ),
        ("sid=a&sid=b", (None, None, Some("b"))),
        ("sid=a&sid=", (None, None, None)),
        ("sid=&sid=a", (None, None, Some("a"))),
        // An empty sid is none.
        ("sid=", (None, None, None)),
        ("sid", (None, None, None)),
        // As a form is encoded.
        ("transport=web%73ocket", (None, Some("websocket"), None)),
        ("%45%49%4f=%34", (Some("4"), None, None)),
        ("EIO=+4", (Some(" 4"), None, None)),
        ("EIO=%2B4", (Some("+4"), None, None)),
        ("sid=a+b%20c", (None, None, Some("a b c"))),
        ("sid=a%26b%3Dc", (None, None, Some("a&b=c"))),
        ("sid=a=b", (None, None, Some("a=b"))),
        ("sid=%", (None, None, Some("%"))),
        ("sid=%zz%4", (None, None, Some("%zz%4"))),
        ("sid=%00", (None, None, Some("\0"))),
        ("sid=%ff", (None, None, Some("\u{fffd}"))),
        ("sid=%F0%9F%98%80", (None, None, Some("😀"))),
        // Names count as they are.
        ("eio=4&Transport=websocket&SID=a", (None, None, None)),
        ("EIO =4& transport=websocket", (None, None, None)),
        ("EIO[]=4", (None, None, None)),
        // Others do not count.
        ("t=Q8AMszH&b64=1&j=0&token=x&EIO=4", (Some("4"), None, None)),
        ("__proto__=x&constructor=y", (None, None, None)),
        (
            "sid=__proto__&transport=constructor",
            (None, Some("constructor"), Some("__proto__")),
        ),
        (
            "EIO=4;transport=websocket",
            (Some("4;transport=websocket"), None, None),
        ),
    ];
    for (text, (version, transport, sid)) in table {
        let query = Query::parse(text);
        assert_eq!(query.version.as_deref(), *version, "EIO in {text:?}");
        assert_eq!(
            query.transport.as_deref(),
            *transport,
            "transport in {text:?}"
        );
        assert_eq!(query.sid.as_deref(), *sid, "sid in {text:?}");
    }
    // Text only: whatever `b64` says, as long as it says something.
    for (text, base64_only) in [
        ("b64=1", true),
        ("b64=0", true),
        ("b64=", false),
        ("b64=1&b64=", false),
        ("B64=1", false),
    ] {
        assert_eq!(Query::parse(text).base64_only, base64_only, "{text:?}");
    }
}

#[test]
fn verdicts_come_in_the_order_of_the_reference() {
    use Asked::{OpenPolling, OpenWebSocket as Open, Poll, Post, WebSocket as Duplicate};
    use Refusal::{
        BadHandshakeMethod, BadRequest, SessionUnknown, TransportUnknown, UnsupportedVersion,
    };
    const UPGRADE: bool = true;
    const PLAIN: bool = false;
    /// What is asked, or the first reason why not, where the version is the last.
    fn verdict(query: &str, method: Method, is_upgrade: bool) -> Result<Asked, Refusal> {
        let request = Request {
            query: Query::parse(query),
            method,
            is_upgrade,
            allow_eio3: false,
        };
        let asked = request.verify(|sid| (sid == "living").then_some(Revision::V4))?;
        match asked {
            Open | OpenPolling => request.verify_version().map(|_| asked),
            Poll | Post | Duplicate => Ok(asked),
        }
    }
    let table = [
        ("EIO=4&transport=websocket", "GET", UPGRADE, Ok(Open)),
        ("EIO=4&transport=websocket&sid=", "GET", UPGRADE, Ok(Open)),
        ("EIO=4&transport=websocket&sid", "GET", UPGRADE, Ok(Open)),
        (
            "EIO=3&EIO=4&transport=polling&transport=websocket",
            "GET",
            UPGRADE,
            Ok(Open),
        ),
        (
            "EIO=4&transport=websocket&sid=living",
            "GET",
            UPGRADE,
            Ok(Duplicate),
        ),
        (
            "EIO=4&transport=websocket&sid=gone&sid=living",
            "GET",
            UPGRADE,
            Ok(Duplicate),
        ),
        (
            "EIO=4&transport=websocket&sid=living&sid=",
            "GET",
            UPGRADE,
            Ok(Open),
        ),
        // The transport is looked at before all else.
        ("", "POST", PLAIN, Err(TransportUnknown)),
        ("EIO=4", "GET", UPGRADE, Err(TransportUnknown)),
        ("EIO=4&transport=", "GET", UPGRADE, Err(TransportUnknown)),
        (
            "EIO=4&transport=Websocket",
            "GET",
            UPGRADE,
            Err(TransportUnknown),
        ),
        (
            "EIO=4&transport=websocket+",
            "GET",
            UPGRADE,
            Err(TransportUnknown),
        ),
        (
            "EIO=4&transport=webtransport",
            "GET",
            UPGRADE,
            Err(TransportUnknown),
        ),
        (
            "EIO=4&transport=constructor",
            "GET",
            UPGRADE,
            Err(TransportUnknown),
        ),
        (
            "EIO=4&transport=__proto__",
            "GET",
            UPGRADE,
            Err(TransportUnknown),
        ),
        (
            "EIO=4&transport=websocket&transport=x",
            "GET",
            UPGRADE,
            Err(TransportUnknown),
        ),
        (
            "EIO=3&transport=x&sid=gone",
            "POST",
            PLAIN,
            Err(TransportUnknown),
        ),
        (
            "EIO=4&transport=x&sid=living",
            "GET",
            UPGRADE,
            Err(TransportUnknown),
        ),
        // Then the session.
        (
            "EIO=4&transport=websocket&sid=gone",
            "GET",
            UPGRADE,
            Err(SessionUnknown),
        ),
        (
            "EIO=3&transport=websocket&sid=gone",
            "POST",
            PLAIN,
            Err(SessionUnknown),
        ),
        (
            "EIO=4&transport=websocket&sid=__proto__",
            "GET",
            UPGRADE,
            Err(SessionUnknown),
        ),
        (
            "EIO=4&transport=websocket&sid=living+",
            "GET",
            UPGRADE,
            Err(SessionUnknown),
        ),
        (
            "EIO=4&transport=websocket&sid=LIVING",
            "GET",
            UPGRADE,
            Err(SessionUnknown),
        ),
        (
            "EIO=4&transport=websocket&sid=living",
            "GET",
            PLAIN,
            Err(BadRequest),
        ),
        (
            "EIO=4&transport=websocket&sid=living",
            "POST",
            PLAIN,
            Err(BadRequest),
        ),
        // Then the method, and only then whether it is an upgrade.
        (
            "EIO=4&transport=websocket",
            "POST",
            UPGRADE,
            Err(BadHandshakeMethod),
        ),
        (
            "EIO=4&transport=websocket",
            "POST",
            PLAIN,
            Err(BadHandshakeMethod),
        ),
        (
            "EIO=3&transport=websocket",
            "POST",
            PLAIN,
            Err(BadHandshakeMethod),
        ),
        ("EIO=4&transport=websocket", "GET", PLAIN, Err(BadRequest)),
        ("EIO=3&transport=websocket", "GET", PLAIN, Err(BadRequest)),
        // The version is the last.
        (
            "transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=3&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=5&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=04&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=4.0&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=+4&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=4&EIO=3&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        (
            "EIO=abc&transport=websocket",
            "GET",
            UPGRADE,
            Err(UnsupportedVersion),
        ),
        // Long-polling: the same order.
        ("EIO=4&transport=polling", "GET", PLAIN, Ok(OpenPolling)),
        (
            "EIO=4&transport=polling&sid=",
            "GET",
            PLAIN,
            Ok(OpenPolling),
        ),
        ("EIO=4&transport=polling&sid=living", "GET", PLAIN, Ok(Poll)),
        (
            "EIO=4&transport=polling&sid=living",
            "POST",
            PLAIN,
            Ok(Post),
        ),
        (
            "EIO=4&transport=polling&sid=gone",
            "POST",
            PLAIN,
            Err(SessionUnknown),
        ),
        (
            "EIO=5&transport=polling&sid=gone",
            "PUT",
            UPGRADE,
            Err(SessionUnknown),
        ),
        (
            "EIO=5&transport=polling&sid=living",
            "GET",
            PLAIN,
            Err(BadRequest),
        ),
        (
            "transport=polling&sid=living",
            "POST",
            PLAIN,
            Err(BadRequest),
        ),
        (
            "EIO=5&transport=websocket&sid=living",
            "GET",
            UPGRADE,
            Err(BadRequest),
        ),
        (
            "EIO=4&transport=polling&sid=living",
            "PUT",
            PLAIN,
            Err(BadRequest),
        ),
        (
            "EIO=4&transport=polling&sid=living",
            "GET",
            UPGRADE,
            Err(BadRequest),
        ),
        (
            "EIO=4&transport=polling",
            "POST",
            PLAIN,
            Err(BadHandshakeMethod),
        ),
        (
            "EIO=5&transport=polling",
            "PUT",
            UPGRADE,
            Err(BadHandshakeMethod),
        ),
        ("EIO=4&transport=polling", "GET", UPGRADE, Err(BadRequest)),
        (
            "EIO=5&transport=polling",
            "GET",
            PLAIN,
            Err(UnsupportedVersion),
        ),
        ("transport=polling", "GET", PLAIN, Err(UnsupportedVersion)),
    ];
    for (query, method, is_upgrade, expected) in table {
        let named = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            _ => Method::Other,
        };
        let verdict = verdict(query, named, is_upgrade);
        assert_eq!(
            verdict, expected,
            "{method} ?{query}, upgrade: {is_upgrade}"
        );
    }
}

#[test]
fn version_3_is_spoken_where_it_is_allowed_and_with_those_who_began_so() {
    for (query, allow_eio3, expected) in [
        ("EIO=3", true, Ok(Revision::V3)),
        ("EIO=3", false, Err(Refusal::UnsupportedVersion)),
        ("EIO=4&EIO=3", true, Ok(Revision::V3)),
        ("EIO=4", true, Ok(Revision::V4)),
        ("EIO=5", true, Err(Refusal::UnsupportedVersion)),
        ("EIO=03", true, Err(Refusal::UnsupportedVersion)),
        ("EIO=", true, Err(Refusal::UnsupportedVersion)),
        ("", true, Err(Refusal::UnsupportedVersion)),
    ] {
        let request = Request {
            query: Query::parse(query),
            method: Method::Get,
            is_upgrade: false,
            allow_eio3,
        };
        assert_eq!(request.verify_version(), expected, "{query}, {allow_eio3}");
    }
    for (query, spoken, expected) in [
        ("EIO=3", Revision::V3, Ok(Asked::Poll)),
        ("EIO=4", Revision::V3, Err(Refusal::BadRequest)),
        ("EIO=3", Revision::V4, Err(Refusal::BadRequest)),
        ("", Revision::V3, Err(Refusal::BadRequest)),
    ] {
        let query = format!("transport=polling&sid=x&{query}");
        let request = Request {
            query: Query::parse(&query),
            method: Method::Get,
            is_upgrade: false,
            allow_eio3: true,
        };
        assert_eq!(request.verify(|_| Some(spoken)), expected, "{query}");
    }
}

#[test]
fn a_session_is_looked_up_only_when_one_is_named() {
    let asked = |query| {
        let mut asked = Vec::new();
        let request = Request {
            query: Query::parse(query),
            method: Method::Get,
            is_upgrade: true,
            allow_eio3: false,
        };
        let _verdict = request.verify(|sid| {
            asked.push(sid.to_owned());
            None
        });
        asked
    };
    assert!(asked("transport=websocket&EIO=4").is_empty());
    assert!(asked("transport=websocket&sid=").is_empty());
    assert!(
        asked("transport=x&sid=abc").is_empty(),
        "that is refused before"
    );
    assert_eq!(asked("transport=websocket&sid=a%2Fb"), ["a/b"]);
}

#[test]
fn codes_of_refusals() {
    let table = [
        (Refusal::TransportUnknown, 0, "Transport unknown"),
        (Refusal::SessionUnknown, 1, "Session ID unknown"),
        (Refusal::BadHandshakeMethod, 2, "Bad handshake method"),
        (Refusal::BadRequest, 3, "Bad request"),
        (
            Refusal::UnsupportedVersion,
            5,
            "Unsupported protocol version",
        ),
    ];
    for (refusal, code, message) in table {
        assert_eq!((refusal.code(), refusal.message()), (code, message));
        assert_eq!(refusal.to_string(), message);
    }
}

// ---------------------------------------------------------------------------------------------------------
// The session's id.

#[test]
fn a_sid_reads_its_own_text_and_nothing_else() {
    for _ in 0..1_000 {
        let sid = Sid::random().expect("random numbers");
        let text = sid.reveal();
        assert_eq!(text.len(), 24);
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "it stands in a URL as it is: {text}"
        );
        assert_eq!(Sid::parse(&text), Some(sid));
    }
    let text = "lv_VI97HAXpY6yYWAAABlv-_";
    assert_eq!(
        Sid::parse(text).map(|sid| sid.reveal()).as_deref(),
        Some(text)
    );
    let near_misses = [
        "".to_owned(),
        "a".to_owned(),
        text[..23].to_owned(),
        text[..20].to_owned(),
        format!("{text}A"),
        format!("{text}AAAA"),
        format!("{text}="),
        format!("{text}===="),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}\n"),
        format!("{}+", &text[..23]),
        format!("{}/", &text[..23]),
        format!("{}=", &text[..23]),
        format!("{}\0", &text[..23]),
        format!("{}é", &text[..22]),
        format!("{}😀", &text[..20]),
        "__proto__".to_owned(),
        "constructor".to_owned(),
        text.repeat(2),
        "A".repeat(100_000),
        "=".repeat(24),
    ];
    for near_miss in near_misses {
        assert!(Sid::parse(&near_miss).is_none(), "{near_miss:.60?}");
    }
}

#[test]
fn a_sid_is_not_shown() {
    let sid = Sid::random().expect("random numbers");
    let shown = format!("{sid:?} {:?} {sid:#?}", Some(sid));
    let secret = sid.reveal();
    for start in 0..=secret.len() - 4 {
        assert!(!shown.contains(&secret[start..start + 4]), "{shown}");
    }
    let other = Sid::random().expect("random numbers");
    assert_eq!(format!("{sid:?}"), format!("{other:?}"));
}

#[test]
fn sids_are_distinct() {
    let sids: HashSet<Sid> = (0..10_000)
        .map(|_| Sid::random().expect("random numbers"))
        .collect();
    assert_eq!(sids.len(), 10_000);
    // And random in every place: over so many, each of the 64 characters turns up everywhere.
    let texts: Vec<String> = sids.iter().map(Sid::reveal).collect();
    for place in 0..24 {
        let characters: HashSet<u8> = texts.iter().map(|text| text.as_bytes()[place]).collect();
        assert_eq!(characters.len(), 64, "at {place}");
    }
}

// ---------------------------------------------------------------------------------------------------------
// The open packet.

#[test]
fn the_open_packet_has_exactly_five_keys() {
    let sid = Sid::random().expect("random numbers");
    let timing = Timing {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_secs(20),
        ..Timing::default()
    };
    for (upgrades, listed) in [(&[][..], "[]"), (&["websocket"][..], "[\"websocket\"]")] {
        let frame = open_packet(&sid, upgrades, &timing, 1_000_000).expect("it can be encoded");
        let text = std::str::from_utf8(frame.bytes()).expect("UTF-8");
        // Numbers are whole, and the list is one even when it is empty.
        let expected = format!(
            "0{{\"sid\":\"{}\",\"upgrades\":{listed},\"pingInterval\":300,\"pingTimeout\":20000,\"maxPayload\":1000000}}",
            sid.reveal()
        );
        assert_eq!(text, expected);
        let Ok(Packet::Open(payload)) = Packet::decode(text) else {
            panic!("not an open packet: {text}");
        };
        let payload: serde_json::Value = serde_json::from_str(payload).expect("JSON");
        let keys: HashSet<&str> = payload
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        let five = [
            "sid",
            "upgrades",
            "pingInterval",
            "pingTimeout",
            "maxPayload",
        ];
        assert_eq!(keys, HashSet::from(five));
    }
}

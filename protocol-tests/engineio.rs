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

#[path = "engineio/story.rs"]
mod story;
mod support;

use rollcall::engineio::{
    CloseReason, Due, Frame, Input, Message, Packet, PacketError, Phase, Probed, Revision, Session,
    Sid, Timing, Violation,
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
use story::{Choices, INTERVAL, Row, Story, TIMEOUT, timing};
use support::Random;

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

impl Choices for Random {
    fn below(&mut self, end: u64) -> u64 {
        Random::below(self, end)
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
            let mut story = Story::open(Random::new(seed), &mut taken);
            for _ in 0..20 + story.choices.below(230) {
                story.go_on();
                if story.is_told() {
                    break;
                }
            }
            story.end();
            if story.closed.is_none() {
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

//! Socket.IO without sockets, in virtual time: who is in which namespace, what belongs to whom, and what a client may
//! do to us.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use rollcall::{
    engineio::{
        Application, CloseReason, Frame, Message, Revision, SessionHandler,
        outbound::{Delivery, Inbox, Outbound},
    },
    socketio::{
        Answer, Auth, Client, DisconnectReason, Disconnected, EncodeError, Event, Namespace,
        Packet, Refused, Reply, Settings, Socket, SocketId, SocketIo, Sockets, Violation,
    },
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    fmt::Write,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use support::{Random, closed};
use tokio::sync::Semaphore;

// ---------------------------------------------------------------------------------------------------------
// A server, and clients that say what they are told to.

/// A program that writes down what it is told. How it answers a CONNECT, the client says in its auth: with `wait` it
/// waits for the gate, with `refuse` it refuses with that message, and with the `data` if there are any.
struct Scribe {
    name: &'static str,
    log: Log,
    gate: Arc<Semaphore>,
    /// Those who have come and not gone, each with the name in its handshake: what it is told has to fit.
    present: Mutex<HashMap<SocketId, String>>,
}

impl Scribe {
    fn is_present(&self, socket: &Socket<Data>) -> bool {
        self.present.lock().unwrap().contains_key(&socket.id())
    }
}

#[derive(Default, Clone)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// What the program keeps for a socket: something that can be seen to be gone.
type Data = Arc<String>;

impl Namespace for Scribe {
    type Handshake = String;
    type Data = Data;

    async fn admit(&self, handshake: &Arc<String>, auth: Auth) -> Result<Data, Refused> {
        let asked: Map<String, Value> = auth.get()?;
        if asked.contains_key("wait") {
            self.gate.acquire().await.unwrap().forget();
        }
        match (asked.get("refuse"), asked.get("data")) {
            (Some(message), None) => Err(Refused::new(message.as_str().unwrap())),
            (Some(message), Some(data)) => {
                Err(Refused::new(message.as_str().unwrap()).with_data(data)?)
            }
            (None, _) => Ok(Arc::new(format!("{handshake}{}", auth.raw()))),
        }
    }

    fn on_connect(&self, socket: &Socket<Data>) {
        let (session, _) = socket.data().split_once('{').unwrap();
        let mut present = self.present.lock().unwrap();
        // Sessions with a name have one that nobody else has.
        let is_there = present.values().any(|other| other == session);
        assert!(session.is_empty() || !is_there, "two sockets of {session}");
        let before = present.insert(socket.id(), session.to_owned());
        assert_eq!(before, None, "it connects twice");
        drop(present);
        self.log
            .add(format!("{} connect {}", self.name, socket.data()));
        if socket.data().contains("greet") {
            socket.emit("greeting", ()).unwrap();
        }
        if socket.data().contains("never mind") {
            socket.disconnect();
        }
    }

    fn on_event(&self, socket: &Socket<Data>, mut event: Event<'_>) {
        assert!(
            self.is_present(socket),
            "an event of someone who is not there"
        );
        let arguments: Vec<&str> = event.arguments().iter().map(|raw| raw.get()).collect();
        let mut line = format!("{} {}({})", self.name, event.name(), arguments.join(","));
        for attachment in event.arguments().attachments() {
            write!(line, " +{}", BASE64_STANDARD.encode(attachment)).unwrap();
        }
        self.log.add(line);
        match event.name() {
            "echo" => socket.emit("echo", event.arguments()).unwrap(),
            "leave me" => socket.disconnect(),
            "value" => self.log.add(match event.get::<Value>(0) {
                Ok(value) => value.to_string(),
                Err(error) => error.to_string(),
            }),
            _ => {}
        }
        if let Some(ack) = event.take_ack() {
            ack.send(event.arguments()).unwrap();
            assert!(event.take_ack().is_none(), "there is one answer");
        }
    }

    fn on_disconnect(&self, socket: &Socket<Data>, reason: DisconnectReason) {
        let before = self.present.lock().unwrap().remove(&socket.id());
        assert!(before.is_some(), "it goes, and was not there");
        // Nothing reaches it any more.
        socket.emit("too late", ()).unwrap();
        self.log.add(format!("{} disconnect {reason}", self.name));
    }
}

struct World {
    io: SocketIo<String>,
    main: Arc<Sockets<Data>>,
    custom: Arc<Sockets<Data>>,
    log: Log,
    gate: Arc<Semaphore>,
}

const SECOND: Duration = Duration::from_secs(1);

impl World {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let log = Log::default();
        let gate = Arc::new(Semaphore::new(0));
        let mut io = SocketIo::builder(settings);
        let mut of = |name| {
            let scribe = Scribe {
                name,
                log: log.clone(),
                gate: Arc::clone(&gate),
                present: Mutex::default(),
            };
            io.of(name, scribe)
        };
        let (main, custom) = (of("/"), of("/custom"));
        Self {
            io: io.build(),
            main,
            custom,
            log,
            gate,
        }
    }

    fn open_as(&self, revision: Revision, name: &str) -> Session {
        let now = Instant::now();
        let inbox = Arc::new(Inbox::new(64 << 20));
        let outbound = Outbound::new(Arc::clone(&inbox));
        let name = Arc::new(name.to_owned());
        let mut client = self.io.open(now, revision, name, inbox);
        client.handle_open(now).unwrap();
        Session {
            client,
            outbound,
            now,
        }
    }

    fn open(&self) -> Session {
        self.open_as(Revision::V4, "")
    }

    /// A session that is in the main namespace, and its socket.
    fn join(&self) -> (Session, Socket<Data>) {
        let mut session = self.open();
        session.says("0");
        let sid = session.sid();
        assert_eq!(self.told(), ["/ connect {}"]);
        let socket = self.main.get(sid).expect("it has joined");
        (session, socket)
    }

    fn told(&self) -> Vec<String> {
        self.log.take()
    }
}

struct Session {
    client: Client<String>,
    outbound: Outbound,
    now: Instant,
}

impl Session {
    fn sends(&mut self, message: Message<'_>) -> Result<(), Violation> {
        let outcome = self.client.handle_message(self.now, message);
        self.wakes();
        outcome
    }

    /// As the session's task does whenever something happens.
    fn wakes(&mut self) {
        self.client
            .poll(self.now, &mut Context::from_waker(Waker::noop()));
    }

    #[track_caller]
    fn says(&mut self, text: &str) {
        let outcome = self.sends(Message::Text(text));
        assert!(outcome.is_ok(), "{outcome:?}: {text:.100}");
    }

    #[track_caller]
    fn attaches(&mut self, bytes: &'static [u8]) {
        let outcome = self.sends(Message::Binary(Bytes::from_static(bytes)));
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[track_caller]
    fn breaks_by(&mut self, text: &str) -> Violation {
        let outcome = self.sends(Message::Text(text));
        outcome.expect_err("against the rules")
    }

    fn next(&mut self) -> Option<Delivery> {
        let mut context = Context::from_waker(Waker::noop());
        match self.outbound.poll_next(&mut context) {
            Poll::Ready(delivery) => Some(delivery),
            Poll::Pending => None,
        }
    }

    fn frames(&mut self) -> Vec<Frame> {
        let next = || match self.next()? {
            Delivery::Frame(frame) => Some(frame),
            Delivery::Close(reason) => panic!("closed: {reason}"),
        };
        std::iter::from_fn(next).collect()
    }

    /// What comes, without the `4` of the Engine.IO message; bytes as `+` and base64, socket ids as `*`.
    fn hears(&mut self) -> Vec<String> {
        let next = || self.next().map(|delivery| show(&delivery));
        std::iter::from_fn(next).collect()
    }

    /// The id in the yes to a CONNECT, which has to be all that comes.
    #[track_caller]
    fn sid(&mut self) -> SocketId {
        let [Frame::Text(yes)] = &self.frames()[..] else {
            panic!("one answer");
        };
        let yes = std::str::from_utf8(yes).unwrap();
        let (_, json) = yes.split_once('{').expect("an object");
        let sid = json.strip_prefix("\"sid\":\"").expect("a sid");
        let sid = sid.strip_suffix("\"}").expect("nothing but a sid");
        SocketId::parse(sid).expect("a socket id")
    }

    /// Lets time pass, and does what falls due.
    fn waits(&mut self, duration: Duration) -> Option<CloseReason> {
        let until = self.now + duration;
        if let Some(deadline) = self.client.deadline().filter(|deadline| *deadline <= until) {
            if deadline > self.now {
                let early = deadline - Duration::from_nanos(1);
                assert_eq!(self.client.handle_timeout(early), None, "before its time");
                self.now = deadline;
            }
            let reason = self.client.handle_timeout(self.now);
            assert!(reason.is_some(), "a deadline at which nothing is due");
            return reason;
        }
        self.now = until;
        None
    }

    fn closes(mut self, reason: CloseReason) -> Vec<String> {
        let last_words = self.client.handle_close(self.now, reason);
        let show = |frame| show(&Delivery::Frame(frame));
        last_words.into_iter().map(show).collect()
    }
}

fn show(delivery: &Delivery) -> String {
    let text = match delivery {
        Delivery::Close(reason) => return format!("closed: {reason}"),
        Delivery::Frame(Frame::Binary(bytes)) => {
            return format!("+{}", BASE64_STANDARD.encode(bytes));
        }
        Delivery::Frame(Frame::Text(text)) => std::str::from_utf8(text).unwrap(),
    };
    let text = text.strip_prefix('4').expect("a message");
    match text.split_once("{\"sid\":\"") {
        Some((head, _)) => format!("{head}*"),
        None => text.to_owned(),
    }
}

/// What a future has come to.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

const NOTHING: [&str; 0] = [];

/// A placeholder.
fn hole(num: usize) -> String {
    format!("{{\"_placeholder\":true,\"num\":{num}}}")
}

// ---------------------------------------------------------------------------------------------------------
// Namespaces.

#[test]
fn a_client_joins_leaves_and_joins_again_as_somebody_new() {
    let world = World::new();
    let (mut session, first) = world.join();
    assert_eq!(world.main.len(), 1);
    session.says("1");
    assert_eq!(world.told(), ["/ disconnect client namespace disconnect"]);
    assert!(world.main.is_empty());
    assert_eq!(session.hears(), NOTHING, "there is no answer to that");
    assert_eq!(session.breaks_by(r#"2["m"]"#), Violation::NotConnected);

    session.says("0");
    let second = session.sid();
    assert_ne!(first.id(), second);
    // What is meant for the socket that it was does not reach the one that it is.
    first.emit("m", ()).unwrap();
    first.emit_volatile("m", ()).unwrap();
    first.disconnect();
    first.close();
    session.wakes();
    assert_eq!(session.hears(), NOTHING);
    assert_eq!(world.told(), ["/ connect {}"]);
    assert!(world.main.get(first.id()).is_none());
    assert!(session.closes(CloseReason::TransportClosed).is_empty());
    assert_eq!(world.told(), ["/ disconnect transport close"]);
    assert!(world.main.is_empty());
}

#[test]
fn namespaces_have_nothing_to_do_with_each_other() {
    let world = World::new();
    let mut session = world.open();
    for connect in ["0", "0/custom,{\"token\":1}"] {
        session.says(connect);
    }
    assert_eq!(session.hears(), ["0*", "0/custom,*"]);
    assert_eq!(
        world.told(),
        ["/ connect {}", "/custom connect {\"token\":1}"]
    );
    let ids = [&world.main, &world.custom].map(|sockets| sockets.all()[0].id());
    assert_ne!(ids[0], ids[1]);

    session.says(r#"2/custom,7["echo",1]"#);
    assert_eq!(session.hears(), [r#"2/custom,["echo",1]"#, "3/custom,7[1]"]);
    session.says("1/custom");
    session.says(r#"2["echo"]"#);
    assert_eq!(session.hears(), [r#"2["echo"]"#]);
    let told = [
        "/custom echo(1)",
        "/custom disconnect client namespace disconnect",
        "/ echo()",
    ];
    assert_eq!(world.told(), told);
    assert_eq!(
        session.breaks_by(r#"2/custom,["m"]"#),
        Violation::NotConnected
    );
}

#[test]
fn names_of_namespaces_are_compared_byte_by_byte() {
    let world = World::new();
    let mut session = world.open();
    for name in [
        "/unknown",
        "/CUSTOM",
        "/%63ustom",
        "//custom",
        "/custom/",
        "/custom?token=1",
        "/__proto__",
        "/é",
    ] {
        for comma in ["", ","] {
            session.says(&format!("0{name}{comma}"));
            let no = format!(r#"4{name},{{"message":"Invalid namespace"}}"#);
            assert_eq!(session.hears(), [no]);
        }
    }
    for main in ["0/", "1/", "0/,", "1/,", "0", "1"] {
        session.says(main);
    }
    assert_eq!(session.hears(), ["0*", "0*", "0*"]);
    assert_eq!(world.told().len(), 6);
}

#[test]
fn whoever_has_not_joined_may_do_nothing_else() {
    for text in [
        r#"2["m"]"#,
        r#"20["m"]"#,
        "1",
        "30[]",
        "1/custom,",
        r#"2/custom,["m"]"#,
        r#"51-["m",{"_placeholder":true,"num":0}]"#,
        "61-0[1]",
    ] {
        let world = World::new();
        assert_eq!(
            world.open().breaks_by(text),
            Violation::NotConnected,
            "{text}"
        );
        // Another namespace does not help.
        let mut session = world.open();
        session.says(if text.contains("/custom") {
            "0"
        } else {
            "0/custom,"
        });
        assert_eq!(session.breaks_by(text), Violation::NotConnected, "{text}");
    }
}

#[test]
fn what_only_a_server_says_and_what_is_said_twice_is_against_the_rules() {
    let world = World::new();
    for joined in [false, true] {
        for text in [r#"4{"message":"x"}"#, r#"4"x""#, r#"4/nowhere,"x""#] {
            let mut session = world.open();
            if joined {
                session.says("0");
            }
            assert_eq!(session.breaks_by(text), Violation::ConnectError);
        }
    }
    let (mut session, _) = world.join_quietly();
    assert_eq!(session.breaks_by("0"), Violation::AlreadyConnected);
    assert_eq!(world.main.len(), 1);
}

impl World {
    fn join_quietly(&self) -> (Session, Socket<Data>) {
        self.told();
        self.join()
    }
}

#[test]
fn the_auth_payload_is_as_deep_as_anything_else() {
    let world = World::with(Settings {
        max_depth: 300,
        ..Settings::default()
    });
    let auth = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!("{{\"a\":{open}{close}}}")
    };
    let mut session = world.open();
    // Not what serde_json follows, but what the program asked for here is text.
    session.says(&format!("0{}", auth(100)));
    assert_eq!(session.hears(), ["0*"]);
    for name in ["", "/custom,", "/unknown,"] {
        let mut session = world.open();
        assert_eq!(
            session.breaks_by(&format!("0{name}{}", auth(301))),
            Violation::TooDeep
        );
    }
    let mut session = world.open();
    session.says(&format!("0{}", auth(300)));
}

// ---------------------------------------------------------------------------------------------------------
// Admission.

#[test]
fn an_admission_that_waits_lets_in_when_it_is_done() {
    let world = World::new();
    let mut session = world.open();
    session.says(r#"0{"wait":1,"greet":1}"#);
    session.says("0/custom,");
    assert_eq!(session.hears(), ["0/custom,*"]);
    assert!(world.main.is_empty(), "nobody can send to it yet");
    world.main.emit("news", ()).unwrap();
    world.gate.add_permits(1);
    session.wakes();
    // The answer comes first, whatever the program says on connect.
    assert_eq!(session.hears(), ["0*", r#"2["greeting"]"#]);
    assert_eq!(world.main.len(), 1);
    session.says(r#"2["m"]"#);
}

#[test]
fn two_connects_while_the_first_waits_give_at_most_one_socket() {
    let world = World::new();
    let mut session = world.open();
    session.says(r#"0{"wait":1}"#);
    assert_eq!(session.breaks_by("0"), Violation::AlreadyConnected);
    world.gate.add_permits(2);
    assert!(session.closes(CloseReason::ParseError).is_empty());
    assert_eq!(world.told(), NOTHING);
    assert!(world.main.is_empty());
    assert_eq!(world.gate.available_permits(), 2, "nobody waits any more");
}

#[test]
fn nothing_is_taken_from_a_client_whose_admission_waits() {
    let header = r#"51-["m",{"_placeholder":true,"num":0}]"#;
    for text in [r#"2["m"]"#, "20[\"m\"]", "1", "30[]", header] {
        let world = World::new();
        let mut session = world.open();
        session.says(r#"0{"wait":1}"#);
        assert_eq!(session.breaks_by(text), Violation::NotConnected, "{text}");
    }
}

#[test]
fn the_program_never_hears_of_a_client_that_goes_while_its_admission_waits() {
    let world = World::new();
    let mut session = world.open();
    session.says(r#"0{"wait":1}"#);
    session.closes(CloseReason::TransportClosed);
    world.gate.add_permits(1);
    assert_eq!(world.told(), NOTHING);
    // The one who comes next takes the place at the gate.
    let mut session = world.open();
    session.says(r#"0{"wait":1}"#);
    assert_eq!(session.hears(), ["0*"]);
    drop(session);
    assert!(world.main.is_empty(), "however a session ends");
}

#[test]
fn a_refusal_says_why_and_the_client_may_ask_again() {
    let world = World::new();
    let mut session = world.open();
    session.says(r#"0{"refuse":"no"}"#);
    session.says(r#"0/custom,{"refuse":"\"no\"","data":{"code":[1,null]}}"#);
    session.says(r#"0{"refuse":"later","wait":1}"#);
    world.gate.add_permits(1);
    session.wakes();
    session.says("0{}");
    assert_eq!(
        session.hears(),
        [
            r#"4{"message":"no"}"#,
            r#"4/custom,{"message":"\"no\"","data":{"code":[1,null]}}"#,
            r#"4{"message":"later"}"#,
            "0*"
        ]
    );
    assert_eq!(world.told(), ["/ connect {}"]);
}

// ---------------------------------------------------------------------------------------------------------
// Version 4 of Socket.IO, on Engine.IO 3.

#[test]
fn a_client_of_version_2_is_in_the_main_namespace_at_once() {
    let world = World::new();
    let mut session = world.open_as(Revision::V3, "old");
    assert_eq!(session.hears(), ["0"], "without a payload");
    assert_eq!(world.told(), ["/ connect old{}"]);
    session.says(r#"21["echo",{"_placeholder":true,"num":0}]"#);
    session.says("0/custom?token=a%20b&x=&token=c+d");
    let heard = session.hears();
    let hole = hole(0);
    assert_eq!(
        heard,
        [
            format!("2[\"echo\",{hole}]"),
            format!("31[{hole}]"),
            "0/custom,".to_owned()
        ]
    );
    assert_eq!(
        world.told()[1],
        r#"/custom connect old{"token":"c d","x":""}"#
    );
    session.says(r#"2/custom?whatever,["echo"]"#);
    assert_eq!(session.hears(), [r#"2/custom,["echo"]"#]);
    session.says("1/custom?x");
    session.says("1");
    assert_eq!(session.breaks_by(r#"2["m"]"#), Violation::NotConnected);
}

#[test]
fn a_client_of_version_2_is_refused_in_its_own_words() {
    let world = World::new();
    let mut session = world.open_as(Revision::V3, "old");
    assert_eq!(session.hears(), ["0"]);
    for (connect, no) in [
        (
            "0/unknown?a=b",
            r#"4/unknown,{"message":"Invalid namespace"}"#,
        ),
        ("0/custom?refuse=no%22", r#"4/custom,"no\"""#),
        ("0/custom?refuse=no&data=details", r#"4/custom,"details""#),
    ] {
        session.says(connect);
        assert_eq!(session.hears(), [no]);
    }
    // An auth payload is none of its version.
    session.says(r#"0/custom,{"refuse":"no"}"#);
    assert_eq!(session.hears(), ["0/custom,"]);
}

#[test]
fn a_client_of_version_2_that_was_sent_away_comes_back_with_its_query() {
    let world = World::new();
    let mut session = world.open_as(Revision::V3, "old");
    session.says("0/custom?token=1");
    world.custom.all()[0].disconnect();
    session.wakes();
    session.says("0/custom?token=2");
    assert_eq!(
        session.hears(),
        ["0", "0/custom,", "1/custom,", "0/custom,"]
    );
    let told = world.told();
    assert_eq!(told.last().unwrap(), r#"/custom connect old{"token":"2"}"#);
}

// ---------------------------------------------------------------------------------------------------------
// The connect timeout.

const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);

#[test]
fn a_client_that_joins_nothing_is_closed_in_time() {
    let world = World::new();
    let mut session = world.open();
    assert_eq!(session.waits(CONNECT_TIMEOUT - SECOND), None);
    // Neither of these is inside.
    session.says("0/unknown,");
    session.says(r#"0{"refuse":"no"}"#);
    session.says(r#"0/custom,{"wait":1}"#);
    assert_eq!(session.waits(SECOND), Some(CloseReason::ConnectTimeout));
}

#[test]
fn the_first_namespace_stops_the_connect_timeout_and_leaving_the_last_starts_it() {
    let world = World::new();
    let mut session = world.open();
    session.waits(CONNECT_TIMEOUT - SECOND);
    session.says("0/custom,");
    assert_eq!(session.client.deadline(), None);
    assert_eq!(session.waits(100 * CONNECT_TIMEOUT), None);
    session.says("0");
    session.says("1/custom,");
    assert_eq!(session.waits(100 * CONNECT_TIMEOUT), None);
    session.says("1");
    assert_eq!(session.waits(CONNECT_TIMEOUT - SECOND), None);
    session.says("0");
    assert_eq!(session.waits(100 * CONNECT_TIMEOUT), None);
    // Sent away is outside, too.
    world.main.all()[0].disconnect();
    session.wakes();
    assert_eq!(session.waits(CONNECT_TIMEOUT - SECOND), None);
    assert_eq!(session.waits(SECOND), Some(CloseReason::ConnectTimeout));
}

#[test]
fn an_admission_that_takes_long_stops_the_connect_timeout_when_it_lets_in() {
    let world = World::new();
    let mut session = world.open();
    session.says(r#"0{"wait":1}"#);
    session.waits(CONNECT_TIMEOUT - SECOND);
    world.gate.add_permits(1);
    session.wakes();
    assert_eq!(session.waits(100 * CONNECT_TIMEOUT), None);
}

// ---------------------------------------------------------------------------------------------------------
// The server ends it.

#[test]
fn a_socket_that_the_program_ends_is_told_so_and_the_program_once() {
    let world = World::new();
    let (mut session, socket) = world.join();
    socket.emit("before", ()).unwrap();
    socket.disconnect();
    socket.disconnect();
    socket.emit("after", ()).unwrap();
    session.wakes();
    session.wakes();
    assert_eq!(session.hears(), [r#"2["before"]"#, "1"]);
    assert_eq!(world.told(), ["/ disconnect server namespace disconnect"]);
    assert!(world.main.is_empty());

    // What the client sent before it knew.
    session.says(r#"2["m"]"#);
    session.says("30[]");
    session.says(r#"51-["m",{"_placeholder":true,"num":0}]"#);
    session.attaches(b"x");
    session.says("1");
    assert_eq!(world.told(), NOTHING);
    session.says("0");
    assert_ne!(session.sid(), socket.id());
    assert_eq!(world.told(), ["/ connect {}"]);
    assert_eq!(world.main.len(), 1);
    session.says(r#"2["m"]"#);
    assert_eq!(world.told(), ["/ m()"]);
}

#[test]
fn a_client_may_come_back_before_its_session_has_noticed_that_it_was_sent_away() {
    let world = World::new();
    let (mut session, socket) = world.join();
    // From another thread, between the session's looking and its sending.
    socket.disconnect();
    assert_eq!(session.hears(), ["1"]);
    session.says("0");
    assert_eq!(session.hears(), ["0*"]);
    assert_eq!(
        world.told(),
        ["/ disconnect server namespace disconnect", "/ connect {}"]
    );
    assert_eq!(world.main.len(), 1);
}

#[test]
fn a_disconnect_of_both_sides_at_once_is_one() {
    let world = World::new();
    let (mut session, socket) = world.join();
    socket.disconnect();
    session.says("1");
    assert_eq!(session.hears(), ["1"]);
    assert_eq!(world.told().len(), 1);
    session.says("0");
    assert_eq!(session.hears(), ["0*"]);
}

#[test]
fn a_program_may_end_it_in_any_handler() {
    let world = World::new();
    let mut session = world.open();
    session.says(r#"0{"never mind":1}"#);
    assert_eq!(session.hears(), ["0*", "1"]);
    assert_eq!(world.told()[1], "/ disconnect server namespace disconnect");
    session.says("0");
    session.says(r#"25["leave me"]"#);
    // It is outside when it should answer.
    assert_eq!(session.hears(), ["0*", "1"]);
    session.says("0");
    assert_eq!(session.hears(), ["0*"]);
}

#[test]
fn a_close_says_goodbye_in_every_namespace_and_once_in_each() {
    let world = World::new();
    let (mut session, socket) = world.join();
    session.says("0/custom,");
    session.hears();
    socket.emit("last", ()).unwrap();
    socket.close();
    socket.emit("too late", ()).unwrap();
    assert_eq!(
        session.hears(),
        [r#"2["last"]"#, "closed: forced server close"]
    );
    world.told();
    let mut goodbyes = session.closes(CloseReason::ServerDisconnected);
    goodbyes.sort();
    assert_eq!(goodbyes, ["1", "1/custom,"]);
    let mut told = world.told();
    told.sort();
    assert_eq!(
        told,
        [
            "/ disconnect forced server close",
            "/custom disconnect forced server close"
        ]
    );

    // Whoever was sent away a moment before knows it already.
    let (mut session, socket) = world.join_quietly();
    session.says("0/custom,");
    session.hears();
    socket.disconnect();
    world.custom.all()[0].close();
    assert_eq!(session.hears()[0], "1");
    assert_eq!(
        session.closes(CloseReason::ServerDisconnected),
        ["1/custom,"]
    );
    let told = world.told();
    assert!(
        told.contains(&"/ disconnect server namespace disconnect".to_owned()),
        "{told:?}"
    );
}

#[test]
fn no_other_end_has_last_words() {
    for reason in CloseReason::ALL {
        let world = World::new();
        let (session, _) = world.join();
        let words = session.closes(reason);
        assert_eq!(
            words.is_empty(),
            reason != CloseReason::ServerDisconnected,
            "{reason}"
        );
        assert_eq!(world.told(), [format!("/ disconnect {}", closed(reason))]);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Events and acks.

#[test]
fn acks_of_the_program_carry_the_id_of_the_event() {
    let world = World::new();
    let (mut session, _) = world.join();
    session.says(r#"20["m"]"#);
    session.says(r#"2007["m",1,"é€😀",null]"#);
    session.says(r#"29007199254740991["m",1e400]"#);
    session.says(r#"52-/,12["m",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#);
    session.attaches(b"\x01");
    session.attaches(b"");
    session.says(r#"2["m"]"#);
    let (zero, one) = (hole(0), hole(1));
    let expected = [
        "30[]".to_owned(),
        r#"37[1,"é€😀",null]"#.to_owned(),
        "39007199254740991[1e400]".to_owned(),
        format!("62-12[{one},{zero}]"),
        "+AQ==".to_owned(),
        "+".to_owned(),
    ];
    assert_eq!(session.hears(), expected);
}

fn asks(socket: &Socket<Data>) -> Reply {
    socket.emit_with_ack("q", (1,)).unwrap()
}

#[test]
fn answers_of_the_client_find_their_questions() {
    let world = World::new();
    let (mut session, socket) = world.join();
    let [mut first, mut second, mut third] = [(); 3].map(|()| asks(&socket));
    assert_eq!(
        session.hears(),
        [r#"20["q",1]"#, r#"21["q",1]"#, r#"22["q",1]"#]
    );
    assert!(now(&mut first).is_none());
    // Unknown, without an id, and of another namespace's making.
    session.says("3999[1]");
    session.says("3[1]");
    session.says("0/custom,");
    session.says("3/custom,0[\"not this\"]");
    assert!(now(&mut first).is_none());

    session.says(r#"31["two"]"#);
    session.says(r#"31["again"]"#);
    let answer = now(&mut second).unwrap().unwrap();
    assert_eq!(answer.get::<String>(0).unwrap(), "two");
    assert_eq!(answer.get::<Option<String>>(1).unwrap(), None);
    assert!(answer.get::<u8>(0).is_err());
    session.says("31[3]");

    session.says(r#"61-2[{"_placeholder":true,"num":0},0]"#);
    session.attaches(b"\x00\xff");
    let answer: Answer = now(&mut third).unwrap().unwrap();
    assert_eq!(answer.get::<Vec<u8>>(0).unwrap(), [0, 255]);
    assert_eq!(answer.arguments().len(), 2);
    assert_eq!(answer.arguments().raw(1).unwrap().get(), "0");
    assert_eq!(answer.arguments().attachments().len(), 1);

    session.says("30[]");
    assert!(now(&mut first).unwrap().unwrap().arguments().is_empty());
}

#[test]
fn a_question_to_many_has_the_answers_of_all_who_give_one() {
    let world = World::new();
    let clients = [(); 5].map(|()| world.join());
    let mut sessions = Vec::new();
    for (at, (mut session, socket)) in clients.into_iter().enumerate() {
        // Their numbers are their own.
        (0..at).for_each(|_| drop(socket.emit_with_ack("before", ()).unwrap()));
        session.hears();
        socket.join("red");
        sessions.push((session, socket));
    }
    let except = sessions[4].1.id().to_string();
    let chosen = world.main.to("red").except(&except);
    assert!(matches!(
        chosen.emit_with_ack("connect", ()).err(),
        Some(EncodeError::ReservedName)
    ));
    let mut replies = chosen.emit_with_ack("q", (1,)).unwrap();
    assert_eq!(replies.missing(), 4);
    assert!(now(pin!(replies.next())).is_none());
    for (at, (session, _)) in sessions.iter_mut().enumerate() {
        let asked = session.hears().pop();
        assert_eq!(asked, (at < 4).then(|| format!(r#"2{at}["q",1]"#)));
    }
    // One goes, one keeps silent.
    sessions[2].0.says("32[2]");
    sessions[0].0.says("30[0]");
    sessions[3].0.says("1");
    let mut heard = Vec::new();
    while let Some(Some((socket, answer))) = now(pin!(replies.next())) {
        heard.push((socket.id(), answer.ok().map(|it| it.get::<u8>(0).unwrap())));
    }
    let id = |at: usize| sessions[at].1.id();
    let expected = [(id(2), Some(2)), (id(0), Some(0)), (id(3), None)];
    heard.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(heard, expected);
    assert_eq!(replies.missing(), 1);
    sessions[1].0.says("31[1]");
    assert!(matches!(now(pin!(replies.next())), Some(Some(_))));
    assert!(matches!(now(pin!(replies.next())), Some(None)));
    let mut nobody = world.main.to("blue").emit_with_ack("q", ()).unwrap();
    assert!(matches!(now(pin!(nobody.next())), Some(None)));
}

#[test]
fn an_answer_to_a_question_that_was_dropped_is_ignored() {
    let world = World::new();
    let (mut session, socket) = world.join();
    drop(asks(&socket));
    let refused = socket.emit_with_ack("connect", ()).err();
    assert!(matches!(refused, Some(EncodeError::ReservedName)));
    let mut kept = asks(&socket);
    session.says("30[]");
    session.says("31[]");
    assert!(
        now(&mut kept).is_none(),
        "a number is used once, sent or not"
    );
    session.says("32[5]");
    assert_eq!(now(&mut kept).unwrap().unwrap().get::<u8>(0).unwrap(), 5);
}

#[test]
fn whoever_waits_for_a_client_that_is_gone_waits_no_more() {
    type Ending = fn(&mut Session, &Socket<Data>);
    let endings: [Ending; 3] = [
        |session, _| session.says("1"),
        |session, socket| {
            socket.disconnect();
            session.wakes();
        },
        |session, _| {
            drop(
                session
                    .client
                    .handle_close(session.now, CloseReason::PingTimeout),
            )
        },
    ];
    for ending in endings {
        let world = World::new();
        let (mut session, socket) = world.join();
        let mut reply = asks(&socket);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        assert!(pin!(&mut reply).poll(&mut context).is_pending());
        ending(&mut session, &socket);
        assert_eq!(Arc::strong_count(&woken), 2, "the waker is not kept");
        assert!(*woken.0.lock().unwrap(), "nobody told the task that waits");
        assert!(matches!(now(reply), Some(Err(Disconnected))));
        assert!(
            matches!(now(asks(&socket)), Some(Err(Disconnected))),
            "asked afterwards"
        );
    }
}

#[derive(Default)]
struct Woken(Mutex<bool>);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = true;
    }
}

#[test]
fn what_a_server_may_not_send_is_refused_and_nothing_is_sent() {
    let world = World::new();
    let (mut session, socket) = world.join();
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        assert!(matches!(
            socket.emit(name, ()),
            Err(EncodeError::ReservedName)
        ));
        assert!(matches!(
            socket.emit_volatile(name, ()),
            Err(EncodeError::ReservedName)
        ));
        assert!(matches!(
            world.main.emit(name, ()),
            Err(EncodeError::ReservedName)
        ));
        assert!(matches!(
            world.main.to("x").emit(name, ()),
            Err(EncodeError::ReservedName)
        ));
    }
    let bytes = |count| vec![Bytes::from_static(b"x"); count];
    assert!(matches!(
        socket.emit("m", (bytes(6), bytes(5))),
        Err(EncodeError::TooManyAttachments)
    ));
    let map = HashMap::from([((1, 2), 3)]);
    assert!(matches!(
        socket.emit("m", (map,)),
        Err(EncodeError::Json(_))
    ));
    assert_eq!(session.hears(), NOTHING);
    socket.emit("m", (bytes(5), bytes(5))).unwrap();
    assert_eq!(session.hears().len(), 11);
    for name in ["error", "connection", "", "é\"\\\u{1e}", "__proto__"] {
        socket.emit(name, ()).unwrap();
        assert_eq!(session.hears(), [format!("2[{}]", json!(name))]);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Attachments.

#[test]
fn nothing_gets_between_a_packet_and_its_attachments() {
    let world = World::new();
    let (mut session, socket) = world.join();
    let bytes = [b"one", b"two"].map(|bytes| Bytes::from_static(bytes));
    let [one, two] = bytes;
    socket
        .emit("b", (&one, json!({"a": 1}), vec![&two]))
        .unwrap();
    socket.emit("after", ()).unwrap();
    let mut heard = Vec::new();
    while let Some(delivery) = session.next() {
        heard.push(show(&delivery));
        if heard.len() < 4 {
            // While it is under way.
            socket.emit(&format!("late {}", heard.len()), ()).unwrap();
            socket.emit_volatile("never", ()).unwrap();
        }
        assert_eq!(session.outbound.is_amid(), matches!(heard.len(), 1 | 2));
    }
    let expected = [
        format!("52-[\"b\",{},{{\"a\":1}},[{}]]", hole(0), hole(1)),
        "+b25l".to_owned(),
        "+dHdv".to_owned(),
        r#"2["after"]"#.to_owned(),
        r#"2["late 1"]"#.to_owned(),
        r#"2["late 2"]"#.to_owned(),
        r#"2["late 3"]"#.to_owned(),
    ];
    assert_eq!(heard, expected);
}

#[test]
fn an_event_is_heard_when_its_last_attachment_has_come() {
    let world = World::new();
    let (mut session, _) = world.join();
    session.says(r#"52-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#);
    session.attaches(b"a");
    assert_eq!(world.told(), NOTHING);
    session.attaches(b"b");
    let event = format!("echo\",{},{}]", hole(0), hole(1));
    assert_eq!(
        session.hears(),
        [
            format!("52-[\"{event}"),
            "+YQ==".to_owned(),
            "+Yg==".to_owned()
        ]
    );
    assert_eq!(world.told().len(), 1);
    // And no attachment is kept for the next.
    session.says(r#"51-["echo",{"_placeholder":true,"num":0}]"#);
    session.attaches(b"c");
    assert_eq!(session.hears()[1..], ["+Yw=="]);
}

#[test]
fn a_message_of_the_wrong_kind_is_against_the_rules() {
    let world = World::new();
    let binary = || Message::Binary(Bytes::from_static(b"x"));
    assert_eq!(world.open().sends(binary()), Err(Violation::StrayBinary));
    let (mut session, _) = world.join();
    assert_eq!(session.sends(binary()), Err(Violation::StrayBinary));
    for text in [
        r#"2["m"]"#,
        "1",
        "0",
        r#"51-["m",{"_placeholder":true,"num":0}]"#,
        "",
    ] {
        let (mut session, _) = world.join_quietly();
        session.says(r#"51-["m",{"_placeholder":true,"num":0}]"#);
        assert_eq!(session.breaks_by(text), Violation::AttachmentsMissing);
    }
    let (mut session, _) = world.join_quietly();
    session.says(r#"51-["m",{"_placeholder":true,"num":0}]"#);
    session.attaches(b"x");
    assert_eq!(session.sends(binary()), Err(Violation::StrayBinary));
}

#[test]
fn placeholders_point_at_attachments_or_the_session_ends() {
    // What stands for a value in an event with one attachment, `\u{1}`; and what the program gets, or none.
    let cases = [
        (r#"{"_placeholder":true,"num":0}"#, Some("[1]")),
        (r#"{"num":0,"_placeholder":true}"#, Some("[1]")),
        (r#"{ "_placeholder" : true , "num" : 0 }"#, Some("[1]")),
        (r#"{"_placeholder":true,"num":0,"more":[]}"#, Some("[1]")),
        (r#"{"\u005fplaceholder":true,"n\u0075m":0}"#, Some("[1]")),
        (
            r#"{"_placeholder":false,"_placeholder":true,"num":5,"num":0}"#,
            Some("[1]"),
        ),
        (r#"{"_placeholder":true,"num":-0}"#, Some("[1]")),
        (r#"{"_placeholder":true,"num":0.0}"#, Some("[1]")),
        (r#"{"_placeholder":true,"num":0e5}"#, Some("[1]")),
        (
            r#"{"a":[{"b":{"_placeholder":true,"num":0}}]}"#,
            Some(r#"{"a":[{"b":[1]}]}"#),
        ),
        (
            r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
            Some("[[1],[1]]"),
        ),
        // A placeholder has nothing in it, whatever is written there.
        (
            r#"{"_placeholder":true,"x":{"_placeholder":true,"num":9},"num":0}"#,
            Some("[1]"),
        ),
        (
            r#"{"x":[{"_placeholder":true,"num":9}],"_placeholder":true,"num":0}"#,
            Some("[1]"),
        ),
        (
            r#"{"__proto__":{"_placeholder":true,"num":0}}"#,
            Some(r#"{"__proto__":[1]}"#),
        ),
        ("1", Some("1")),
        (
            r#"{"_placeholder":"x","num":0}"#,
            Some(r#"{"_placeholder":"x","num":0}"#),
        ),
        (
            r#"{"_placeholder":1,"num":9}"#,
            Some(r#"{"_placeholder":1,"num":9}"#),
        ),
        (
            r#"{"_placeholder":false,"num":9}"#,
            Some(r#"{"_placeholder":false,"num":9}"#),
        ),
        (
            r#"{"_placeholder":true,"_placeholder":null}"#,
            Some(r#"{"_placeholder":null}"#),
        ),
        (
            r#"{"_Placeholder":true,"num":9}"#,
            Some(r#"{"_Placeholder":true,"num":9}"#),
        ),
        (
            r#"{"a_placeholder":true}"#,
            Some(r#"{"a_placeholder":true}"#),
        ),
        (
            r#"["_placeholder",true,"num",9]"#,
            Some(r#"["_placeholder",true,"num",9]"#),
        ),
        (
            r#"{"a":"_placeholder","b":"{\"_placeholder\":true}"}"#,
            Some(r#"{"a":"_placeholder","b":"{\"_placeholder\":true}"}"#),
        ),
        (r#"{"_placeholder":true,"num":1}"#, None),
        (r#"{"_placeholder":true,"num":-1}"#, None),
        (r#"{"_placeholder":true,"num":0.5}"#, None),
        (r#"{"_placeholder":true,"num":1e400}"#, None),
        (r#"{"_placeholder":true,"num":"0"}"#, None),
        (r#"{"_placeholder":true,"num":"splice"}"#, None),
        (r#"{"_placeholder":true,"num":null}"#, None),
        (r#"{"_placeholder":true,"num":true}"#, None),
        (r#"{"_placeholder":true,"num":[0]}"#, None),
        (r#"{"_placeholder":true,"num":{"num":0}}"#, None),
        (r#"{"_placeholder":true,"num":0,"num":"0"}"#, None),
        (r#"{"_placeholder":true}"#, None),
        (r#"{"_placeholder":true,"x":{"num":0}}"#, None),
        (r#"{"_placeholder":true,"num":256}"#, None),
        (r#"{"_placeholder":true,"num":18446744073709551616}"#, None),
    ];
    for (json, expected) in cases {
        let world = World::new();
        let (mut session, _) = world.join();
        session.says(&format!("51-[\"value\",{json}]"));
        let outcome = session.sends(Message::Binary(Bytes::from_static(b"\x01")));
        match expected {
            Some(value) => {
                assert_eq!(outcome, Ok(()), "{json}");
                assert_eq!(world.told()[1], value, "{json}");
            }
            None => {
                assert_eq!(outcome, Err(Violation::Placeholder), "{json}");
                assert_eq!(world.told(), NOTHING);
            }
        }
    }
}

#[test]
fn in_an_event_without_attachments_a_placeholder_is_data() {
    let world = World::new();
    let (mut session, _) = world.join();
    let data = r#"{"_placeholder":true,"num":"splice"}"#;
    session.says(&format!("2[\"value\",{data}]"));
    assert_eq!(world.told()[1], data);
}

#[test]
fn one_attachment_is_copied_twice_and_no_more() {
    let world = World::new();
    let (mut session, _) = world.join();
    let hole = hole(0);
    session.says(&format!("51-[\"value\",[{hole},{hole},{hole}]]"));
    session.attaches(b"x");
    assert_eq!(
        world.told()[1],
        "argument 0: an attachment is in it more than twice"
    );
}

#[test]
fn attachments_are_limited_in_number_bytes_and_time() {
    let world = World::with(Settings {
        max_attachment_bytes: 100,
        ..Settings::default()
    });
    let header = |count| format!("5{count}-[\"m\"]");
    let (mut session, _) = world.join();
    for count in ["11", "1000", "999999999999999999999"] {
        let refused = session.breaks_by(&header(count));
        assert!(matches!(refused, Violation::Packet(_)), "{refused:?}");
    }
    session.says(&header("10"));
    for _ in 0..9 {
        session.attaches(&[0; 10]);
    }
    session.attaches(&[0; 10]);
    assert_eq!(world.told().len(), 1, "as many as are allowed");

    session.says(&header("2"));
    session.attaches(&[0; 100]);
    let one_more = session.sends(Message::Binary(Bytes::from_static(b"x")));
    assert_eq!(one_more, Err(Violation::AttachmentsTooLarge));

    let (mut session, _) = world.join_quietly();
    let timeout = Settings::default().attachment_timeout;
    session.says(&header("3"));
    assert_eq!(session.waits(timeout - SECOND), None);
    session.attaches(b"a");
    assert_eq!(
        session.waits(SECOND),
        Some(CloseReason::AttachmentTimeout),
        "from the header on"
    );
    let (mut session, _) = world.join_quietly();
    session.says(&header("1"));
    session.attaches(b"a");
    assert_eq!(session.client.deadline(), None, "complete");
}

#[test]
fn how_many_attachments_a_client_may_send_is_the_programs_to_say() {
    for max_attachments in [0, 1, 2, 40, 255] {
        let settings = Settings {
            max_attachments,
            ..Settings::default()
        };
        let world = World::with(settings);
        for count in [1, 2, 10, 11, 40, 41, 255, 256] {
            let (mut session, _) = world.join_quietly();
            let header = format!("5{count}-[\"m\"]");
            if count > u32::from(max_attachments) {
                let refused = session.breaks_by(&header);
                assert!(matches!(refused, Violation::Packet(_)), "{refused:?}");
                continue;
            }
            session.says(&header);
            for _ in 1..count {
                session.attaches(b"x");
            }
            assert_eq!(world.told(), NOTHING, "one is missing");
            session.attaches(b"x");
            assert_eq!(world.told().len(), 1);
        }
    }
}

#[test]
fn the_id_of_a_socket_is_its_text() {
    let id = SocketId::random().unwrap();
    let text = serde_json::to_string(&id).unwrap();
    assert_eq!(text, format!("\"{id}\""));
    assert_eq!(serde_json::from_str::<SocketId>(&text).unwrap(), id);
    // Every character may be written as an escape.
    let escaped = format!("\"\\u{:04x}{}", text.as_bytes()[1], &text[2..]);
    assert_eq!(serde_json::from_str::<SocketId>(&escaped).unwrap(), id);
    let shorter = format!("{}\"", &text[..20]);
    let longer = format!("\"A{}", &text[1..]);
    for nonsense in [
        "\"\"",
        "7",
        "null",
        "[]",
        &shorter,
        &longer,
        "\"!!!!!!!!!!!!!!!!!!!!\"",
    ] {
        let error = serde_json::from_str::<SocketId>(nonsense).unwrap_err();
        assert!(!error.to_string().is_empty(), "{nonsense}");
    }
    let map: HashMap<SocketId, u8> = serde_json::from_str(&format!("{{{text}:1}}")).unwrap();
    assert_eq!(map[&id], 1);
}

#[test]
fn depth_is_limited_wherever_it_is() {
    let world = World::with(Settings {
        max_depth: 50,
        ..Settings::default()
    });
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    for (depth, fits) in [(50, true), (51, false), (100_000, false)] {
        for json in [
            nested(depth),
            objects(depth),
            format!("\"[[[\",{}", nested(depth)),
        ] {
            for head in ["2[\"m\",1,", "3999[", "51-[\"m\",", "61-999["] {
                let (mut session, socket) = world.join_quietly();
                let mut outcome = session.sends(Message::Text(&format!("{head}{json}]")));
                if head.contains('-') {
                    assert_eq!(outcome, Ok(()), "the attachment is still to come");
                    outcome = session.sends(Message::Binary(Bytes::new()));
                }
                let expected = if fits {
                    Ok(())
                } else {
                    Err(Violation::TooDeep)
                };
                assert_eq!(outcome, expected, "{depth} in {head}");
                drop(socket);
                world.told();
            }
        }
    }
    // Many are not deep, and what is in a string is not there.
    let (mut session, _) = world.join_quietly();
    session.says(&format!("2[\"m\",[{}[]]]", "[],".repeat(10_000)));
    session.says(&format!("2[\"m\",\"{}\"]", "[\\\"{".repeat(10_000)));
}

// ---------------------------------------------------------------------------------------------------------
// Arguments.

#[derive(Debug, PartialEq, Deserialize)]
struct Letter {
    to: String,
    pages: Vec<Page>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Page {
    text: Option<String>,
    image: Bytes,
    thumbnail: Vec<u8>,
}

/// A namespace whose handler is the test's.
struct Ear<F>(F);

impl<F: Fn(Event<'_>) + Send + Sync + 'static> Namespace for Ear<F> {
    type Handshake = String;
    type Data = ();

    async fn admit(&self, _: &Arc<String>, _: Auth) -> Result<(), Refused> {
        Ok(())
    }

    fn on_event(&self, _: &Socket<()>, event: Event<'_>) {
        self.0(event);
    }
}

/// A session in the main namespace of a program that does this with events.
fn listening(hear: impl Fn(Event<'_>) + Send + Sync + 'static) -> Session {
    let mut io = SocketIo::builder(Settings::default());
    io.of("/", Ear(hear));
    let now = Instant::now();
    let inbox = Arc::new(Inbox::new(64 << 20));
    let outbound = Outbound::new(Arc::clone(&inbox));
    let client = io.build().open(now, Revision::V4, Arc::default(), inbox);
    let mut session = Session {
        client,
        outbound,
        now,
    };
    session.says("0");
    session.sid();
    session
}

#[test]
fn arguments_become_what_the_program_asks_for() {
    let log = Log::default();
    let heard = log.clone();
    let mut session = listening(move |event| {
        assert_eq!(event.name(), "letter");
        let image = Bytes::from_static(b"\x00\x09\x0a\x63\x64\xff");
        let letter: Letter = event.get(0).unwrap();
        let page = |text, image, thumbnail: &[u8]| Page {
            text,
            image,
            thumbnail: thumbnail.to_vec(),
        };
        let pages = vec![
            page(Some("hi".to_owned()), image.clone(), b""),
            page(None, Bytes::new(), &image),
        ];
        assert_eq!(
            letter,
            Letter {
                to: "é".to_owned(),
                pages
            }
        );
        assert_eq!(event.get::<Bytes>(1).unwrap(), image);
        assert_eq!(event.get::<Vec<u8>>(1).unwrap(), image);
        assert_eq!(event.get::<Option<Bytes>>(2).unwrap(), None);
        assert!(event.get::<Bytes>(2).is_err());
        assert!(event.get::<String>(1).is_err());
        assert_eq!(event.get::<(f64, bool)>(3).unwrap(), (-1.5, true));
        assert_eq!(event.get::<Option<u8>>(4).unwrap(), None, "it is not there");
        let error = event.get::<u8>(3).unwrap_err().to_string();
        assert!(error.starts_with("argument 3: "), "{error}");
        assert_eq!(event.arguments().len(), 4);
        assert_eq!(event.arguments().attachments().len(), 2);
        assert!(event.raw(4).is_none());
        heard.add("heard".to_owned());
    });
    let (zero, one) = (hole(0), hole(1));
    session.says(&format!(
        "52-[\"letter\",{{\"to\":\"é\",\"pages\":[{{\"text\":\"hi\",\"image\":{zero},\"thumbnail\":{one}}},{{\"image\":{one},\"thumbnail\":{zero}}}]}},{zero},null,[-1.5,true]]"
    ));
    session.attaches(b"\x00\x09\x0a\x63\x64\xff");
    session.attaches(b"");
    assert_eq!(log.take(), ["heard"]);
}

#[test]
fn the_name_of_an_event_is_what_it_says() {
    let log = Log::default();
    let heard = log.clone();
    let mut session = listening(move |event| heard.add(event.name().to_owned()));
    for json in [
        r#""m""#,
        r#""\u006d""#,
        "1",
        "-1.50",
        r#""""#,
        r#""__proto__""#,
        r#""\ud800""#,
        r#""é""#,
    ] {
        session.says(&format!("2[{json},1]"));
    }
    assert_eq!(
        log.take(),
        ["m", "m", "1", "-1.50", "", "__proto__", r#""\ud800""#, "é"]
    );
}

// ---------------------------------------------------------------------------------------------------------
// Volatile.

#[test]
fn volatile_events_go_only_to_those_who_take_them_at_once() {
    let world = World::new();
    let (mut session, socket) = world.join();
    let bytes = Bytes::from_static(b"x");
    let said = |session: &mut Session| session.hears().len();
    socket.emit_volatile("v", ()).unwrap();
    // The first waits, so the others do not.
    socket.emit_volatile("v", ()).unwrap();
    world
        .main
        .to(&socket.id().to_string())
        .emit_volatile("v", (&bytes,))
        .unwrap();
    assert_eq!(said(&mut session), 1);
    socket.emit_volatile("v", (&bytes,)).unwrap();
    assert_eq!(said(&mut session), 2, "all of it");
    socket.emit("m", ()).unwrap();
    socket.emit_volatile("v", (&bytes,)).unwrap();
    assert_eq!(session.hears(), [r#"2["m"]"#], "nothing of it");
    session.outbound.note_blocked(true);
    socket.emit_volatile("v", (&bytes,)).unwrap();
    assert_eq!(session.hears(), NOTHING);
    session.outbound.note_blocked(false);
    socket.emit_volatile("v", ()).unwrap();
    assert_eq!(said(&mut session), 1);
}

// ---------------------------------------------------------------------------------------------------------
// Rooms.

/// Sockets a, b and c; what each hears is told by its letter, in order.
struct Group<'a> {
    world: &'a World,
    members: Vec<(Session, Socket<Data>)>,
}

impl<'a> Group<'a> {
    fn new(world: &'a World) -> Self {
        let members = (0..3).map(|_| world.join_quietly()).collect();
        world.told();
        Self { world, members }
    }

    fn socket(&self, letter: char) -> &Socket<Data> {
        &self.members[letter as usize - 'a' as usize].1
    }

    /// Who has heard one event, each as often as that.
    fn heard(&mut self) -> String {
        let mut all = String::new();
        for ((session, _), letter) in self.members.iter_mut().zip('a'..) {
            session.wakes();
            for _ in session.hears() {
                all.push(letter);
            }
        }
        all
    }
}

#[test]
fn rooms_have_those_who_joined_them_and_everyone_once() {
    let world = World::new();
    let mut group = Group::new(&world);
    let main = Arc::clone(&group.world.main);
    let [a, b, c] = ['a', 'b', 'c'].map(|letter| group.socket(letter).clone());
    for (socket, rooms) in [(&a, "x y"), (&b, "y"), (&c, "z")] {
        rooms.split(' ').for_each(|room| socket.join(room));
    }
    a.join("x");
    let own = |socket: &Socket<Data>| socket.id().to_string();
    macro_rules! reaches {
        ($broadcast:expr, $whom:expr) => {
            $broadcast.emit("m", ()).unwrap();
            assert_eq!(group.heard(), $whom, "{}", stringify!($broadcast));
            $broadcast
                .emit_volatile("m", (Bytes::from_static(b"x"),))
                .unwrap();
            let twice: String = $whom.chars().flat_map(|letter| [letter; 2]).collect();
            assert_eq!(group.heard(), twice, "{}", stringify!($broadcast));
            assert_eq!($broadcast.sockets().len(), $whom.len());
        };
    }
    reaches!(main.to("x"), "a");
    reaches!(main.to("y"), "ab");
    reaches!(main.to("x").to("y"), "ab");
    reaches!(main.to("x").to("y").to("z"), "abc");
    reaches!(main.to("y").except("x"), "b");
    reaches!(main.except("y"), "c");
    reaches!(main.except("x").except("z"), "b");
    reaches!(main.except("nowhere"), "abc");
    reaches!(main.to("nowhere"), "");
    reaches!(a.broadcast(), "bc");
    reaches!(a.to("y"), "b");
    reaches!(a.to("x"), "");
    reaches!(c.to("y"), "ab");
    reaches!(a.broadcast().except("y"), "c");
    // Its id is a room of each socket, alone or among others.
    reaches!(main.to(&own(&b)), "b");
    reaches!(main.to(&own(&b)).to("y"), "ab");
    reaches!(main.to("y").except(&own(&b)), "a");
    reaches!(main.except(&own(&b)), "ac");
    reaches!(a.to(&own(&a)), "");
    // Also if it joins that by hand, or somebody else does.
    b.join(&own(&b));
    reaches!(main.to(&own(&b)), "b");
    c.join(&own(&b));
    reaches!(main.to(&own(&b)), "bc");
    c.leave(&own(&b));
    b.leave(&own(&b));
    reaches!(main.to(&own(&b)), "b");

    main.to("y").join("w");
    reaches!(main.to("w"), "ab");
    main.to("w").leave("y");
    reaches!(main.to("y"), "");
    a.leave("nowhere");
    let mut rooms = a.rooms();
    rooms.sort();
    assert!(rooms.iter().map(|room| &**room).eq(["w", "x"]));
    assert!(c.rooms().iter().map(|room| &**room).eq(["z"]));
}

#[test]
fn a_socket_that_is_gone_is_in_no_room_and_comes_into_none() {
    let world = World::new();
    let mut group = Group::new(&world);
    let main = Arc::clone(&world.main);
    let [a, b, c] = ['a', 'b', 'c'].map(|letter| group.socket(letter).clone());
    [&a, &b, &c].iter().for_each(|socket| socket.join("x"));
    group.members[0].0.says("1");
    main.to(&b.id().to_string()).disconnect();
    assert_eq!(group.heard(), "b", "its DISCONNECT");
    assert_eq!(world.told().len(), 2);
    a.join("x");
    b.join("x");
    main.to("x").emit("m", ()).unwrap();
    assert_eq!(group.heard(), "c");
    assert!(a.rooms().is_empty() && b.rooms().is_empty());
    // It comes back as somebody else.
    group.members[0].0.says("0");
    group.members[0].0.sid();
    main.to("x").emit("m", ()).unwrap();
    main.to(&a.id().to_string()).emit("m", ()).unwrap();
    assert_eq!(group.heard(), "c");
    // One who is sent away leaves at once what is sent to its rooms, though its session has not noticed.
    c.disconnect();
    main.to("x").emit("m", ()).unwrap();
    group.members[2].0.wakes();
    assert_eq!(group.members[2].0.hears(), ["1"]);
    assert_eq!(main.to("x").sockets().len(), 0);
    assert_eq!(main.len(), 1);
}

#[test]
fn rooms_are_those_of_one_namespace() {
    let world = World::new();
    let mut session = world.open();
    session.says("0");
    session.says("0/custom,");
    session.hears();
    world.main.all()[0].join("x");
    world.custom.to("x").emit("m", ()).unwrap();
    assert_eq!(session.hears(), NOTHING);
    world.custom.all()[0].join("x");
    world.custom.to("x").emit("m", ()).unwrap();
    assert_eq!(session.hears(), [r#"2/custom,["m"]"#]);
}

#[test]
fn an_event_for_many_is_encoded_once() {
    let world = World::new();
    let mut group = Group::new(&world);
    let bytes = Bytes::from_static(b"x");
    world.main.emit("m", (&bytes, "y".repeat(100))).unwrap();
    world.main.emit("m", (1,)).unwrap();
    let mut places = group.members.iter_mut().map(|(session, _)| {
        let frames = session.frames();
        assert_eq!(frames.len(), 3);
        frames
            .iter()
            .map(|frame| frame.bytes().as_ptr())
            .collect::<Vec<_>>()
    });
    let first = places.next().unwrap();
    assert!(places.all(|place| place == first), "the same bytes for all");
}

// ---------------------------------------------------------------------------------------------------------
// Whatever they say: numbers that look random.

/// JSON in which bytes may be anywhere.
#[derive(Clone)]
enum Tree {
    Plain(Value),
    Bytes(Bytes),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::Bytes(bytes) => bytes.serialize(serializer),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => serializer.collect_map(map.iter().map(|(name, tree)| (name, tree))),
        }
    }
}

impl Tree {
    fn random(random: &mut Random, bytes_left: &mut usize, depth: u64) -> Self {
        match random.below(if depth == 0 { 5 } else { 8 }) {
            0 | 1 if *bytes_left > 0 => {
                *bytes_left -= 1;
                let length = random.below(20);
                Self::Bytes((0..length).map(|_| random.next() as u8).collect())
            }
            0 => Self::Plain(Value::Null),
            1 => Self::Plain(json!(random.chance(50))),
            2 => Self::Plain(json!(random.next() as i64)),
            3 => Self::Plain(json!(random.below(1000) as f64 / 8.0)),
            4 => Self::Plain(json!(word(random))),
            5 | 6 => {
                let length = random.below(4);
                Self::List(
                    (0..length)
                        .map(|_| Self::random(random, bytes_left, depth - 1))
                        .collect(),
                )
            }
            _ => {
                let length = random.below(4);
                // Each name once.
                let name = |place, random: &mut Random| format!("{}{place}", word(random));
                Self::Map(
                    (0..length)
                        .map(|place| {
                            (
                                name(place, random),
                                Self::random(random, bytes_left, depth - 1),
                            )
                        })
                        .collect(),
                )
            }
        }
    }

    /// With the bytes as numbers, as a program gets them.
    fn value(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Bytes(bytes) => json!(&**bytes),
            Self::List(list) => list.iter().map(Self::value).collect(),
            Self::Map(map) => map
                .iter()
                .map(|(name, tree)| (name.clone(), tree.value()))
                .collect(),
        }
    }
}

fn word(random: &mut Random) -> String {
    const PARTS: [&str; 12] = [
        "a",
        "é",
        "😀",
        "\"",
        "\\",
        "_placeholder",
        "num",
        "\u{1e}",
        "\0",
        ",",
        "/",
        "[{",
    ];
    (0..random.below(4))
        .map(|_| PARTS[random.below(12) as usize])
        .collect()
}

#[test]
fn what_one_end_encodes_the_other_reads() {
    let world = World::new();
    let (mut server, socket) = world.join();
    let log = Log::default();
    let heard = log.clone();
    let mut reader = listening(move |event| {
        let length = event.arguments().len();
        let values: Vec<Value> = (0..length).map(|place| event.get(place).unwrap()).collect();
        heard.add(json!([event.name(), values]).to_string());
    });
    let mut random = Random::new(4);
    let mut with_attachments = 0;
    for _ in 0..3000 {
        let mut bytes_left = random.below(11) as usize;
        let mut tree = || Tree::random(&mut random, &mut bytes_left, 5);
        let args = (tree(), tree(), tree());
        let name = word(&mut random);
        socket.emit(&name, &args).unwrap();
        let frames = server.frames();
        let text = std::str::from_utf8(frames[0].bytes())
            .unwrap()
            .strip_prefix('4')
            .unwrap();
        let packet = Packet::decode(text).unwrap();
        assert_eq!(usize::from(packet.attachments()), frames.len() - 1);
        assert_eq!(packet.encode(), frames[0], "ours is the canonical form");
        with_attachments += frames.len().min(2) - 1;
        reader.says(text);
        for frame in &frames[1..] {
            assert!(matches!(frame, Frame::Binary(_)));
            let outcome = reader.sends(Message::Binary(frame.bytes().clone()));
            assert_eq!(outcome, Ok(()), "{text}");
        }
        let expected = json!([name, [args.0.value(), args.1.value(), args.2.value()]]);
        let heard: Vec<Value> = log
            .take()
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(heard, [expected], "{text}");
    }
    assert!(with_attachments > 500, "{with_attachments}");
}

#[test]
fn every_packet_that_is_read_is_written_and_read_again() {
    let mut random = Random::new(5);
    let mut read = 0;
    for _ in 0..100_000 {
        const PARTS: [&str; 24] = [
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "1-",
            "10-",
            "11-",
            "/",
            "/a",
            ",",
            "7",
            "[",
            "]",
            "\"m\"",
            "{}",
            "{\"_placeholder\":true,\"num\":0}",
            "[\"m\"]",
            "[\"m\",1]",
            " ",
            "é",
            "9007199254740991",
        ];
        let text: String = (0..1 + random.below(6))
            .map(|_| PARTS[random.below(24) as usize])
            .collect();
        let Ok(packet) = Packet::decode(&text) else {
            continue;
        };
        read += 1;
        let frame = packet.encode();
        let written = std::str::from_utf8(frame.bytes())
            .unwrap()
            .strip_prefix('4')
            .unwrap();
        let again = Packet::decode(written).unwrap();
        assert_eq!(format!("{packet:?}"), format!("{again:?}"), "{text}");
        assert_eq!(again.encode(), frame, "{text}");
    }
    assert!(read > 1000, "{read}");
}

/// JSON with placeholders, good and bad ones, in any spelling.
fn spelled(random: &mut Random, depth: u64) -> String {
    let space = |random: &mut Random| [" ", "\n\t", "", "", ""][random.below(5) as usize];
    match random.below(if depth == 0 { 3 } else { 6 }) {
        0 => ["1", "null", "true", "-0.5e2", "[]", "{}"][random.below(6) as usize].to_owned(),
        1 => json!(word(random)).to_string(),
        2 | 5 => {
            let mut members = Vec::new();
            let key = [
                "\"_placeholder\"",
                "\"_placeholder\"",
                "\"\\u005fplacehol\\u0064er\"",
            ][random.below(3) as usize];
            let is = ["true", "true", "true", "true", "false", "1", "\"true\""]
                [random.below(7) as usize];
            members.push((key, is.to_owned()));
            if random.chance(90) {
                const NUMS: [&str; 16] = [
                    "0", "0", "0", "1", "1", "1", "2", "1.0", "10e-1", "-0", "0.5", "-1", "\"0\"",
                    "null", "3", "256",
                ];
                let known = if random.chance(90) { 10 } else { 16 };
                let num = NUMS[random.below(known) as usize];
                let key = ["\"num\"", "\"n\\u0075m\""][usize::from(random.chance(20))];
                members.insert(random.below(2) as usize, (key, num.to_owned()));
            }
            if random.chance(20) {
                // Of two members of one name the last one counts.
                members.push(("\"num\"", random.below(3).to_string()));
            }
            if depth > 0 && random.chance(30) {
                let at = random.below(members.len() as u64 + 1) as usize;
                members.insert(at, ("\"more\"", spelled(random, depth - 1)));
            }
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| {
                    format!(
                        "{}{key}{}:{}{value}{}",
                        space(random),
                        space(random),
                        space(random),
                        space(random)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
        3 => {
            let all: Vec<String> = (0..random.below(4))
                .map(|_| spelled(random, depth - 1))
                .collect();
            format!(
                "[{}{}]",
                all.join(&format!("{},", space(random))),
                space(random)
            )
        }
        _ => {
            let member = |place, random: &mut Random| {
                let key = json!(format!("{}{place}", word(random)));
                format!("{key}{}:{}", space(random), spelled(random, depth - 1))
            };
            let all: Vec<String> = (0..random.below(4))
                .map(|place| member(place, random))
                .collect();
            format!("{{{}}}", all.join(","))
        }
    }
}

/// As the protocol has it, and as anyone would write it: none if a placeholder points nowhere. Counts how often each
/// attachment is filled in.
fn filled(value: &Value, attachments: &[Bytes], uses: &mut Vec<usize>) -> Option<Value> {
    match value {
        Value::Object(map) if map.get("_placeholder") == Some(&Value::Bool(true)) => {
            let num = map
                .get("num")?
                .as_f64()
                .filter(|num| num.fract() == 0.0 && *num >= 0.0)?;
            let bytes = attachments.get(num as usize)?;
            uses[num as usize] += 1;
            Some(json!(&**bytes))
        }
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| Some((name.clone(), filled(value, attachments, uses)?)))
            .collect::<Option<Map<String, Value>>>()
            .map(Value::Object),
        Value::Array(list) => list
            .iter()
            .map(|value| filled(value, attachments, uses))
            .collect(),
        plain => Some(plain.clone()),
    }
}

#[test]
fn placeholders_are_found_as_if_all_were_parsed() {
    let attachments = [
        Bytes::from_static(b"a"),
        Bytes::new(),
        Bytes::from_static(b"bc"),
    ];
    let world = World::new();
    let (mut session, _) = world.join();
    let mut random = Random::new(6);
    // Good, bad, and more copies than there may be.
    let mut counts = [0; 3];
    for _ in 0..20_000 {
        let json = spelled(&mut random, 4);
        let mut uses = vec![0; attachments.len()];
        let parsed: Value = serde_json::from_str(&json).unwrap();
        let expected = filled(&parsed, &attachments, &mut uses);
        session.says(&format!("53-[\"value\",{json}]"));
        let mut outcome = Ok(());
        for attachment in &attachments {
            outcome = session.sends(Message::Binary(attachment.clone()));
        }
        let told = world.told();
        match expected {
            None => {
                counts[1] += 1;
                assert_eq!(outcome, Err(Violation::Placeholder), "{json}");
                assert_eq!(told, NOTHING);
                // The session would be over.
                (session, _) = world.join_quietly();
            }
            Some(expected) => {
                assert_eq!(outcome, Ok(()), "{json}");
                if uses.iter().all(|uses| *uses <= 2) {
                    counts[0] += 1;
                    let got: Value = serde_json::from_str(&told[1]).unwrap();
                    assert_eq!(got, expected, "{json}");
                } else {
                    counts[2] += 1;
                    assert!(told[1].ends_with("more than twice"), "{json}: {}", told[1]);
                }
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 30), "{counts:?}");
}

#[test]
fn whatever_clients_and_programs_do_nothing_is_left_of_them() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let world = World::new();
        let mut sessions: Vec<Session> = Vec::new();
        let mut sockets: Vec<Socket<Data>> = Vec::new();
        let mut replies: Vec<Reply> = Vec::new();
        // What the program keeps for each socket.
        let mut data: Vec<Weak<String>> = Vec::new();
        let mut inside: HashMap<&str, i32> = HashMap::new();
        let mut keep_books = |world: &World| {
            for line in world.told() {
                let mut words = line.split(' ');
                let (name, what) = (words.next().unwrap(), words.next().unwrap());
                let name = if name == "/" { "/" } else { "/custom" };
                match what {
                    "connect" => *inside.entry(name).or_default() += 1,
                    "disconnect" => *inside.entry(name).or_default() -= 1,
                    _ => {}
                }
            }
            for (name, all) in [("/", &world.main), ("/custom", &world.custom)] {
                let count = inside.get(name).copied().unwrap_or_default();
                assert_eq!(all.len() as i32, count, "{name}, seed {seed}");
            }
        };
        for _ in 0..200 {
            if sessions.len() < 4 {
                let revision = [Revision::V4, Revision::V3][usize::from(random.chance(30))];
                sessions.push(world.open_as(revision, &format!("{}", random.next())));
            }
            let chosen = random.below(sessions.len() as u64) as usize;
            let session = &mut sessions[chosen];
            let mut ended = None;
            match random.below(14) {
                0..=5 => {
                    const SAYINGS: [&str; 24] = [
                        "0",
                        "0",
                        "0{\"wait\":1}",
                        "0{\"refuse\":\"no\"}",
                        "0/custom,",
                        "0/custom,",
                        "0/custom,{\"wait\":1}",
                        "0/custom?wait=1",
                        "0/nowhere,",
                        "1",
                        "1/custom,",
                        "2[\"m\"]",
                        "2[\"m\"]",
                        "23[\"echo\",1]",
                        "2/custom,[\"leave me\"]",
                        "2[\"leave me\"]",
                        "30[]",
                        "31[1]",
                        "61-0[{\"_placeholder\":true,\"num\":0}]",
                        "51-[\"m\",{\"_placeholder\":true,\"num\":0}]",
                        "52-/custom,1[\"echo\"]",
                        "4\"x\"",
                        "7",
                        "0{\"never mind\":1}",
                    ];
                    // Mostly something harmless, or no session would live long.
                    let saying = SAYINGS[random.below(24) as usize];
                    if session.sends(Message::Text(saying)).is_err() {
                        ended = Some(CloseReason::ParseError);
                    }
                }
                6 | 7 => {
                    if session
                        .sends(Message::Binary(Bytes::from_static(b"x")))
                        .is_err()
                    {
                        ended = Some(CloseReason::ParseError);
                    }
                }
                8 => world.gate.add_permits(1),
                9 => ended = session.waits(SECOND * random.below(60) as u32),
                10 => {
                    let all = [&world.main, &world.custom][random.below(2) as usize].all();
                    data.extend(all.iter().map(|socket| Arc::downgrade(socket.data())));
                    sockets.extend(all);
                }
                11 | 12 => {
                    if let Some(socket) =
                        sockets.get(random.below(sockets.len().max(1) as u64) as usize)
                    {
                        let room = ["x", "y", "z"][random.below(3) as usize];
                        match random.below(10) {
                            0 => socket.disconnect(),
                            1 => socket.close(),
                            2 => socket.leave(room),
                            3 => replies.push(socket.emit_with_ack("q", ()).unwrap()),
                            4 => socket
                                .to(room)
                                .emit("m", (Bytes::from_static(b"x"),))
                                .unwrap(),
                            5 => socket.broadcast().except(room).join("w"),
                            6 => world.main.to(room).disconnect(),
                            _ => socket.join(room),
                        }
                    }
                    if random.chance(30) {
                        sockets.clear();
                    }
                    if random.chance(30) {
                        replies.clear();
                    }
                }
                _ => ended = Some(CloseReason::TransportClosed),
            }
            let mut context = Context::from_waker(Waker::noop());
            for (place, session) in sessions.iter_mut().enumerate() {
                session.wakes();
                while let Poll::Ready(delivery) = session.outbound.poll_next(&mut context) {
                    if let Delivery::Close(reason) = delivery
                        && place == chosen
                    {
                        ended = ended.or(Some(reason));
                        break;
                    }
                }
            }
            if let Some(reason) = ended {
                sessions.swap_remove(chosen).closes(reason);
            }
            keep_books(&world);
        }
        for session in sessions {
            session.closes(CloseReason::ServerShutdown);
        }
        keep_books(&world);
        for room in ["x", "y", "z", "w"] {
            assert!(world.main.to(room).sockets().is_empty());
            assert!(world.custom.to(room).sockets().is_empty());
        }
        assert!(
            replies.into_iter().all(|reply| now(reply).is_some()),
            "nobody waits for the gone"
        );
        sockets.clear();
        assert!(
            data.iter().all(|data| data.upgrade().is_none()),
            "a socket is kept, seed {seed}"
        );
    }
}

// ---------------------------------------------------------------------------------------------------------
// The most that a message of 1 MB can make us do.

const LENGTH: usize = 1_000_000;

/// A third of a second is the longest of all, in a build without optimization; what is not linear takes half a minute and more.
const LONG: Duration = Duration::from_secs(8);

/// As often as it takes to fill the largest message.
fn filled_up(start: &str, part: &str, end: &str) -> String {
    let count = (LENGTH - start.len() - end.len()) / part.len();
    start.to_owned() + &part.repeat(count) + end
}

#[test]
fn no_message_takes_long() {
    let hole = hole(0);
    let holes = format!(",{hole}");
    let nums = format!("51-[\"m\",{}\"", "{\"num\":".repeat(500));
    let nums_end = format!("\"{}]", "}".repeat(500));
    let spaced = format!("{{\"num\":{}[1]}},", " ".repeat(500));
    // What it is, whether it is taken, and how it begins, goes on and ends.
    let cases = [
        ("many arguments", true, "2[\"m\"", ",1", "]"),
        ("many arguments, echoed", true, "2[\"echo\"", ",1", "]"),
        ("many arguments of an ack", true, "30[1", ",1", "]"),
        ("many lists", true, "2[\"m\",[1", ",[]", "]]"),
        ("a long string", true, "2[\"m\",\"", "x", "\"]"),
        ("a string of escapes", true, "2[\"m\",\"", "\\\"", "\"]"),
        ("a long name", true, "2[\"", "\\u0041", "\"]"),
        ("a long number", true, "2[\"m\",", "1", "]"),
        ("a long id", true, "2", "0", "[\"m\"]"),
        ("a long namespace", true, "0/", "x", ""),
        ("deep lists", false, "2[\"m\",", "[", ""),
        (
            "escaped keys",
            true,
            "51-[\"m\",{\"\":0",
            ",\"\\u006eum\":0",
            "}]",
        ),
        ("placeholders", true, "51-[\"m\",[0", &holes, "]]"),
        (
            "placeholders, as a value",
            true,
            "51-[\"value\",[0",
            &holes,
            "]]",
        ),
        (
            "placeholders in a placeholder",
            true,
            "51-[\"m\",{\"a\":[0",
            &holes,
            "],\"_placeholder\":true,\"num\":0}]",
        ),
        ("a num in a num, 500 times", true, &nums, "x", &nums_end),
        (
            "nums behind white space",
            true,
            "51-[\"m\",[",
            &spaced,
            "0]]",
        ),
        ("bytes as a value", true, "51-[\"value\",", &hole, "]"),
    ];
    for (name, is_taken, start, part, end) in cases {
        let text = match part {
            part if part == hole => format!("{start}{part}{end}"),
            part => filled_up(start, part, end),
        };
        let attachment = Bytes::from(vec![255; LENGTH]);
        let time = || {
            let world = World::new();
            let (mut session, socket) = world.join();
            let mut reply = asks(&socket);
            let begun = Instant::now();
            let mut outcome = session.sends(Message::Text(&text));
            if text.starts_with("51-") {
                assert_eq!(outcome, Ok(()), "{name}");
                outcome = session.sends(Message::Binary(attachment.clone()));
            }
            let _answer = now(&mut reply);
            let took = begun.elapsed();
            assert_eq!(outcome.is_ok(), is_taken, "{name}: {outcome:?}");
            took
        };
        // A busy machine may disturb it once.
        let took = time();
        let took = if took < LONG { took } else { time() };
        println!("{:7.2} ms  {name}", took.as_secs_f64() * 1000.0);
        assert!(took < LONG, "{name}: {took:?}");
    }
}

#[test]
fn a_socket_may_be_in_many_rooms() {
    const ROOMS: usize = 50_000;
    let world = World::new();
    let (mut session, socket) = world.join();
    let room = |place: usize| format!("a room whose name is as long as any other's {place:6}");
    let begun = Instant::now();
    (0..ROOMS).for_each(|place| socket.join(&room(place)));
    assert_eq!(socket.rooms().len(), ROOMS);
    (0..ROOMS / 2).for_each(|place| socket.leave(&room(place)));
    session.says("1");
    // Half a second, in a build without optimization; were all its rooms looked through each time, 25 seconds.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert!(world.main.to(&room(ROOMS - 1)).sockets().is_empty());
}

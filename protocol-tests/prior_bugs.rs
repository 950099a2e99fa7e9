//! What went wrong in other servers, where no other test would notice it here. docs/prior-bugs.md has the whole list.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

#[path = "support/mod.rs"]
mod support;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use rollcall::{
    engineio::{
        Application, CloseReason, Frame, Message, Revision, SessionHandler,
        outbound::{Delivery, Inbox, Outbound, Repair, Subscription, Topic},
    },
    socketio::{
        self, Auth, Client, DisconnectReason, Event, Namespace, Refused, Socket, SocketIo, Sockets,
        Violation, encode,
    },
};
use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use support::{CLOSE, FIN, Recorder, Server, Setup, masked, run};
use tokio::io::AsyncReadExt;

// ---------------------------------------------------------------------------------------------------------
// A client in virtual time.

/// Lets in whoever says so, as soon as it says so; sends every event back as it came.
#[derive(Default)]
struct Gate {
    /// Who waits: with a yes or a no for all of them.
    verdict: Mutex<Option<bool>>,
    wakers: Mutex<Vec<Waker>>,
    log: Mutex<Vec<String>>,
}

impl Gate {
    fn decide(&self, verdict: bool) {
        *self.verdict.lock().unwrap() = Some(verdict);
        self.wakers.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

impl Namespace for Gate {
    type Handshake = ();
    type Data = ();

    async fn admit(&self, _: &Arc<()>, auth: Auth) -> Result<(), Refused> {
        if auth.raw() == "{}" {
            return Ok(());
        }
        self.note("asked".to_owned());
        let is_welcome = poll_fn(|context| match *self.verdict.lock().unwrap() {
            Some(verdict) => Poll::Ready(verdict),
            None => {
                self.wakers.lock().unwrap().push(context.waker().clone());
                Poll::Pending
            }
        });
        match is_welcome.await {
            true => Ok(()),
            false => Err(Refused::new("no")),
        }
    }

    fn on_connect(&self, _: &Socket<()>) {
        self.note("connected".to_owned());
    }

    fn on_event(&self, socket: &Socket<()>, event: Event<'_>) {
        self.note(format!("event {}", event.name()));
        socket.emit("back", event.arguments()).unwrap();
    }

    fn on_disconnect(&self, _: &Socket<()>, reason: DisconnectReason) {
        self.note(format!("disconnected: {reason}"));
    }
}

struct Session {
    io: Arc<SocketIo<()>>,
    gate: Arc<Gate>,
    sockets: Arc<Sockets<()>>,
    client: Client<()>,
    outbound: Outbound,
    now: Instant,
}

impl Session {
    fn open() -> Self {
        Self::with(socketio::Settings::default())
    }

    fn with(settings: socketio::Settings) -> Self {
        let gate = Arc::new(Gate::default());
        let mut io = SocketIo::builder(settings);
        let sockets = io.of("/", Arc::clone(&gate));
        Self::of(Arc::new(io.build()), gate, sockets)
    }

    /// One more on the same server.
    fn beside(other: &Self) -> Self {
        let (gate, sockets) = (Arc::clone(&other.gate), Arc::clone(&other.sockets));
        Self::of(Arc::clone(&other.io), gate, sockets)
    }

    fn of(io: Arc<SocketIo<()>>, gate: Arc<Gate>, sockets: Arc<Sockets<()>>) -> Self {
        let inbox = Arc::new(Inbox::new(64 << 20));
        let now = Instant::now();
        let client = io.open(now, Revision::V4, Arc::new(()), Arc::clone(&inbox));
        let outbound = Outbound::new(inbox);
        Self {
            io,
            gate,
            sockets,
            client,
            outbound,
            now,
        }
    }

    fn join() -> Self {
        let mut session = Self::open();
        session.says("0").unwrap();
        assert!(session.hears().starts_with("40{\"sid\":"));
        assert_eq!(session.gate.log(), ["connected"]);
        session
    }

    fn says(&mut self, text: &str) -> Result<(), Violation> {
        self.client.handle_message(self.now, Message::Text(text))
    }

    fn brings(&mut self, bytes: impl Into<Bytes>) -> Result<(), Violation> {
        let bytes = bytes.into();
        self.client.handle_message(self.now, Message::Binary(bytes))
    }

    fn wakes(&mut self) {
        self.client
            .poll(self.now, &mut Context::from_waker(Waker::noop()));
    }

    /// The next frame: bytes in base64.
    fn next(&mut self) -> Option<String> {
        let mut context = Context::from_waker(Waker::noop());
        match self.outbound.poll_next(&mut context) {
            Poll::Ready(Delivery::Frame(Frame::Text(text))) => {
                Some(String::from_utf8(text.to_vec()).unwrap())
            }
            Poll::Ready(Delivery::Frame(Frame::Binary(bytes))) => {
                Some(BASE64_STANDARD.encode(bytes))
            }
            Poll::Ready(Delivery::Close(reason)) => panic!("closed: {reason}"),
            Poll::Pending => None,
        }
    }

    fn hears(&mut self) -> String {
        self.next().expect("something to hear")
    }
}

// ---------------------------------------------------------------------------------------------------------
// Attachments.

const ANNOUNCED: &str =
    "52-[\"m\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";

#[test]
fn attachments_are_limited_in_bytes() {
    let mut session = Session::with(socketio::Settings {
        max_attachment_bytes: 100,
        ..socketio::Settings::default()
    });
    session.says("0").unwrap();
    session.says(ANNOUNCED).unwrap();
    session.brings(vec![0; 60]).unwrap();
    session.brings(vec![0; 40]).unwrap();
    assert_eq!(session.gate.log(), ["connected", "event m"]);

    session.says(ANNOUNCED).unwrap();
    session.brings(vec![0; 60]).unwrap();
    let refused = session.brings(vec![0; 41]);
    assert_eq!(refused, Err(Violation::AttachmentsTooLarge));
    assert!(session.gate.log().is_empty());
}

#[test]
fn attachments_do_not_take_for_ever() {
    let mut session = Session::join();
    assert_eq!(session.client.deadline(), None);
    session.says(ANNOUNCED).unwrap();
    let deadline = session.now + Duration::from_secs(20);
    session.now += Duration::from_secs(19);
    session.brings("one").unwrap();
    assert_eq!(
        session.client.deadline(),
        Some(deadline),
        "not put off by an attachment"
    );
    assert_eq!(session.client.handle_timeout(session.now), None);
    assert_eq!(
        session.client.handle_timeout(deadline),
        Some(CloseReason::AttachmentTimeout)
    );
}

#[test]
fn attachments_of_nowhere_are_not_waited_for() {
    let mut session = Session::open();
    assert_eq!(session.says(ANNOUNCED), Err(Violation::NotConnected));
    let mut session = Session::join();
    assert_eq!(session.brings("stray"), Err(Violation::StrayBinary));
    let mut session = Session::join();
    session.says(ANNOUNCED).unwrap();
    assert_eq!(session.says("2[\"m\"]"), Err(Violation::AttachmentsMissing));
}

struct News(Topic);

impl Repair for News {
    fn repair(self: Arc<Self>) -> Subscription {
        panic!("nobody lags here")
    }
}

#[test]
fn nothing_comes_between_a_packet_and_its_attachments() {
    let mut session = Session::join();
    let socket = session.sockets.all().remove(0);
    let news = Arc::new(News(Topic::new(64)));
    socket.follow(news.0.subscribe(None, Arc::<News>::clone(&news)));
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    socket
        .emit("m", (bytes("one"), "between", vec![bytes("two")]))
        .unwrap();
    let wanted = [
        concat!(
            r#"452-["m",{"_placeholder":true,"num":0},"between","#,
            r#"[{"_placeholder":true,"num":1}]]"#
        ),
        "b25l",
        "dHdv",
    ];
    for wanted in wanted {
        assert_eq!(session.hears(), wanted);
        news.0.publish(Frame::text("42[\"news\"]".to_owned()));
        socket.emit("private", ()).unwrap();
        session.sockets.emit("to all", ()).unwrap();
    }
    let rest: Vec<String> = std::iter::from_fn(|| session.next()).collect();
    let round = ["42[\"news\"]", "42[\"private\"]", "42[\"to all\"]"];
    assert_eq!(rest, [round, round, round].concat());
}

#[test]
fn a_namespace_stands_behind_the_number_of_attachments() {
    let encoded = encode::event("/admin", "m", (Bytes::from_static(b"one"),)).unwrap();
    let encode::Encoded::Frames(frames) = encoded else {
        panic!("{encoded:?}");
    };
    let header: &[u8] = br#"451-/admin,["m",{"_placeholder":true,"num":0}]"#;
    assert_eq!(frames[0].bytes(), header);
    assert_eq!(frames.len(), 2);
}

// ---------------------------------------------------------------------------------------------------------
// Nesting.

#[test]
fn what_is_nested_too_deep_for_others_is_not_passed_on() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("2[\"m\",{open}{close}]")
    };
    let mut session = Session::join();
    session.says(&nested(500)).unwrap();
    let back = nested(500).replacen("2[\"m\"", "42[\"back\"", 1);
    assert_eq!(session.hears(), back);
    for levels in [5_000, 100_000, 490_000] {
        let mut session = Session::join();
        assert_eq!(session.says(&nested(levels)), Err(Violation::TooDeep));
        assert!(session.gate.log().is_empty(), "{levels}");
    }
}

// ---------------------------------------------------------------------------------------------------------
// Namespaces.

const HESITANT: &str = "0{\"wait\":true}";

#[test]
fn two_connects_at_once_make_one_socket() {
    let mut session = Session::open();
    session.says(HESITANT).unwrap();
    assert_eq!(session.says(HESITANT), Err(Violation::AlreadyConnected));
    assert_eq!(session.gate.log(), ["asked"]);
    assert!(session.sockets.is_empty());
}

#[test]
fn a_client_that_goes_while_it_is_judged_was_never_there() {
    let mut session = Session::open();
    session.says(HESITANT).unwrap();
    session
        .client
        .handle_close(Instant::now(), CloseReason::TransportClosed);
    session.gate.decide(true);
    session.wakes();
    assert_eq!(session.gate.log(), ["asked"]);
    assert!(session.sockets.is_empty());
}

#[test]
fn a_client_that_is_refused_leaves_no_socket() {
    let mut session = Session::open();
    session.says(HESITANT).unwrap();
    assert!(session.sockets.is_empty(), "not before it is let in");
    session.gate.decide(false);
    session.wakes();
    assert_eq!(session.hears(), "44{\"message\":\"no\"}");
    assert_eq!(session.gate.log(), ["asked"]);
    assert!(session.sockets.is_empty());
    // It may try again.
    session.gate.decide(true);
    session.says(HESITANT).unwrap();
    assert!(session.hears().starts_with("40{\"sid\":"));
    assert_eq!(session.sockets.len(), 1);
}

#[test]
fn what_comes_right_behind_the_connect_is_taken() {
    let mut session = Session::open();
    session.says("0").unwrap();
    session.says("2[\"m\",1]").unwrap();
    assert_eq!(session.gate.log(), ["connected", "event m"]);
    assert!(session.hears().starts_with("40{\"sid\":"));
    assert_eq!(session.hears(), "42[\"back\",1]");
}

#[test]
fn a_client_that_left_everything_has_to_join_again_or_go() {
    let mut session = Session::join();
    assert_eq!(session.client.deadline(), None);
    session.now += Duration::from_secs(1000);
    session.says("1").unwrap();
    let deadline = session.now + Duration::from_secs(45);
    assert_eq!(session.client.deadline(), Some(deadline));
    assert_eq!(
        session.client.handle_timeout(deadline),
        Some(CloseReason::ConnectTimeout)
    );
}

#[test]
fn acks_are_numbered_by_socket() {
    let mut one = Session::join();
    let mut other = Session::beside(&one);
    other.says("0").unwrap();
    other.hears();
    let sockets = one.sockets.all();
    assert_eq!(sockets.len(), 2);
    let ask = |socket: &Socket<()>| socket.emit_with_ack("ask", ()).unwrap();
    let replies: Vec<_> = sockets.iter().chain(&sockets).map(ask).collect();
    for session in [&mut one, &mut other] {
        assert_eq!(session.hears(), "420[\"ask\"]");
        assert_eq!(session.hears(), "421[\"ask\"]");
    }
    drop(replies);
}

// ---------------------------------------------------------------------------------------------------------
// WebSocket.

#[test]
fn a_reset_while_a_client_is_refused_disturbs_nobody() {
    run(async {
        let (server, _recording): (Server<Recorder>, _) = Recorder::server(Setup::default());
        let mut bystander = support::Client::join(server.address, "bystander").await;
        for name in ["nobody", "undecided"].repeat(20) {
            let mut client = support::Client::dial(server.address).await;
            let request = support::upgrade_request(name, support::OPEN, "");
            client.write(request.as_bytes()).await;
            client.reset();
            bystander.echo("undisturbed").await;
        }
        assert_eq!(server.sessions(), 1);
        drop(bystander);
        server.stop().await;
    });
}

#[test]
fn a_close_frame_says_nothing_but_what_the_client_said() {
    run(async {
        let (server, _recording): (Server<Recorder>, _) = Recorder::server(Setup::default());
        for reason in ["", "bye", &"é".repeat(61)] {
            let mut client = support::Client::join(server.address, "alice").await;
            let mut reader = client.second_handle();
            let payload = [&1000_u16.to_be_bytes(), reason.as_bytes()].concat();
            client.write(&masked(FIN | CLOSE, &payload)).await;
            let mut said = Vec::new();
            reader.read_to_end(&mut said).await.unwrap();
            assert_eq!(
                said[..2],
                [FIN | CLOSE, u8::try_from(said.len() - 2).unwrap()]
            );
            assert!(payload.starts_with(&said[2..]), "{said:?}");
        }
        server.stop().await;
    });
}

//! Connection state recovery, in virtual time: who comes back gets what it missed, once, and nobody else does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

use bytes::Bytes;
use rollcall::{
    engineio::{
        Application, CloseReason, Message, Revision, SessionHandler,
        outbound::{Delivery, Inbox, Outbound},
    },
    socketio::{
        Auth, Client, DisconnectReason, Event, Namespace, Recovery, Refused, Settings, Socket,
        SocketIo, Sockets,
    },
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Notes who comes and goes. Who has `"banned":true` in its auth payload may not come.
#[derive(Default)]
struct Lobby(Mutex<Vec<String>>);

impl Lobby {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Namespace for Lobby {
    type Handshake = ();
    type Data = Value;

    async fn admit(&self, _: &Arc<()>, auth: Auth) -> Result<Value, Refused> {
        let auth: Value = auth.get()?;
        match auth["banned"] == json!(true) {
            true => Err(Refused::new("banned")),
            false => Ok(auth),
        }
    }

    fn on_connect(&self, socket: &Socket<Value>) {
        let recovered = socket.recovered();
        self.note(format!("in {recovered} {}", socket.data()));
        if !recovered {
            socket.emit("welcome", ()).unwrap();
        }
    }

    fn on_event(&self, socket: &Socket<Value>, event: Event<'_>) {
        match event.name() {
            "join" => socket.join(&event.get::<String>(0).unwrap()),
            other => panic!("{other}"),
        }
    }

    fn on_disconnect(&self, _: &Socket<Value>, reason: DisconnectReason) {
        self.note(format!("out {reason}"));
    }
}

struct World {
    io: SocketIo<()>,
    lobby: Arc<Lobby>,
    sockets: Arc<Sockets<Value>>,
    now: Instant,
}

/// A connection, and what has been heard on it.
struct Connection {
    client: Client<()>,
    outbound: Outbound,
}

/// What a client keeps while it is away.
#[derive(Debug, Clone, PartialEq)]
struct Memory {
    sid: String,
    pid: String,
    offset: String,
}

impl World {
    fn new(recovery: Option<Recovery>) -> Self {
        let mut io = SocketIo::builder(Settings {
            recovery,
            ..Settings::default()
        });
        let lobby = Arc::new(Lobby::default());
        let sockets = io.of("/", Arc::clone(&lobby));
        Self {
            io: io.build(),
            lobby,
            sockets,
            now: Instant::now(),
        }
    }

    fn connect(&self, payload: &str) -> Connection {
        let inbox = Arc::new(Inbox::new(1 << 20));
        let outbound = Outbound::new(Arc::clone(&inbox));
        let mut client = self.io.open(self.now, Revision::V4, Arc::new(()), inbox);
        client.handle_open(self.now).unwrap();
        let mut connection = Connection { client, outbound };
        connection.says(self.now, &format!("0{payload}"));
        connection
    }

    /// A newcomer, after its welcome.
    fn newcomer(&self) -> (Connection, Memory) {
        let mut connection = self.connect("");
        let heard = connection.hears();
        let [connected, welcome] = &heard[..] else {
            panic!("{heard:?}");
        };
        let connected: Value = serde_json::from_str(connected.strip_prefix("40").unwrap()).unwrap();
        let memory = Memory {
            sid: connected["sid"].as_str().unwrap().to_owned(),
            pid: connected["pid"].as_str().unwrap().to_owned(),
            offset: event(welcome).1,
        };
        self.lobby.notes();
        (connection, memory)
    }

    fn lose(&self, mut connection: Connection, reason: CloseReason) {
        connection.client.handle_close(self.now, reason);
    }

    /// Comes back; what is heard, and whether as the same.
    fn come_back(&self, memory: &Memory) -> (Connection, Vec<String>, bool) {
        let claim = json!({ "pid": memory.pid, "offset": memory.offset });
        let mut connection = self.connect(&claim.to_string());
        let mut heard = connection.hears();
        let place = heard
            .iter()
            .position(|packet| packet.starts_with("40"))
            .unwrap();
        let connected: Value = serde_json::from_str(&heard.remove(place)[2..]).unwrap();
        let is_same = connected["sid"] == json!(memory.sid);
        if is_same {
            assert_eq!(connected["pid"], json!(memory.pid));
            assert_eq!(
                place,
                heard.len(),
                "what was missed comes before the answer"
            );
        }
        (connection, heard, is_same)
    }
}

impl Connection {
    fn says(&mut self, now: Instant, message: &str) {
        let outcome = self.client.handle_message(now, Message::Text(message));
        assert_eq!(outcome, Ok(()), "{message}");
    }

    fn hears(&mut self) -> Vec<String> {
        let mut context = Context::from_waker(Waker::noop());
        let mut heard = Vec::new();
        while let Poll::Ready(Delivery::Frame(frame)) = self.outbound.poll_next(&mut context) {
            heard.push(String::from_utf8_lossy(frame.bytes()).into_owned());
        }
        heard
    }
}

/// An event's arguments, its name among them, and its offset.
fn event(packet: &str) -> (Vec<Value>, String) {
    let json = &packet[packet.find('[').unwrap()..];
    let mut arguments: Vec<Value> = serde_json::from_str(json).unwrap();
    let offset = arguments.pop().unwrap();
    (arguments, offset.as_str().unwrap().to_owned())
}

fn names(packets: &[String]) -> Vec<String> {
    let name = |packet: &String| event(packet).0[0].as_str().unwrap().to_owned();
    packets.iter().map(name).collect()
}

#[test]
fn who_comes_back_in_time_has_missed_nothing() {
    let world = World::new(Some(Recovery::default()));
    let (mut connection, mut memory) = world.newcomer();
    connection.says(world.now, r#"2["join","red"]"#);
    world.sockets.emit("seen", (1,)).unwrap();
    let heard = connection.hears();
    assert_eq!(event(&heard[0]).0, [json!("seen"), json!(1)]);
    memory.offset = event(&heard[0]).1;
    // Sent, but lost on the way.
    world.sockets.emit("lost", ()).unwrap();
    connection.hears();
    world.lose(connection, CloseReason::TransportClosed);
    assert!(world.sockets.is_empty());
    world.sockets.emit("all", ()).unwrap();
    world
        .sockets
        .to("red")
        .emit("red", (Bytes::from_static(&[1, 2]),))
        .unwrap();
    world.sockets.to(&memory.sid).emit("own", ()).unwrap();
    world.sockets.to("blue").emit("blue", ()).unwrap();
    world.sockets.except("red").emit("not red", ()).unwrap();
    world
        .sockets
        .to("red")
        .emit_volatile("volatile", ())
        .unwrap();

    let (mut connection, heard, is_same) = world.come_back(&memory);
    assert!(is_same);
    let texts: Vec<String> = heard
        .iter()
        .filter(|packet| packet.starts_with('4'))
        .cloned()
        .collect();
    assert_eq!(names(&texts), ["lost", "all", "red", "own"]);
    assert!(texts[2].starts_with("451-"), "{texts:?}");
    assert_eq!(heard.len(), texts.len() + 1, "the attachment is there");
    assert_eq!(
        world.lobby.notes(),
        ["out transport close", "in true {}"],
        "the claim is no part of the auth payload"
    );
    // It is in its rooms, and goes on.
    world.sockets.to("red").emit("red again", ()).unwrap();
    assert_eq!(names(&connection.hears()), ["red again"]);
    assert_eq!(world.sockets.len(), 1);
}

#[test]
fn it_may_be_lost_again_and_again() {
    let world = World::new(Some(Recovery::default()));
    let (mut connection, mut memory) = world.newcomer();
    for round in 0..50 {
        world.lose(connection, CloseReason::PingTimeout);
        let event_name = format!("round {round}");
        world.sockets.emit(&event_name, ()).unwrap();
        let (again, heard, is_same) = world.come_back(&memory);
        assert!(is_same);
        assert_eq!(names(&heard), [event_name]);
        memory.offset = event(&heard[0]).1;
        connection = again;
    }
}

#[test]
fn a_claim_is_good_once() {
    let world = World::new(Some(Recovery::default()));
    let (connection, memory) = world.newcomer();
    // Not while the client is still here.
    assert!(!world.come_back(&memory).2);
    world.lose(connection, CloseReason::TransportError);
    let (_first, _, is_same) = world.come_back(&memory);
    assert!(is_same);
    assert!(!world.come_back(&memory).2);
}

#[test]
fn who_left_or_was_sent_away_or_is_too_late_begins_anew() {
    let limits = Recovery {
        max_disconnection: Duration::from_secs(10),
        ..Recovery::default()
    };
    let mut world = World::new(Some(limits));
    for reason in [
        CloseReason::ServerDisconnected,
        CloseReason::ParseError,
        CloseReason::Overflow,
        CloseReason::SharedOverflow,
        CloseReason::HandlerPanicked,
    ] {
        let (connection, memory) = world.newcomer();
        world.lose(connection, reason);
        assert!(!world.come_back(&memory).2, "{reason}");
    }
    let (mut connection, memory) = world.newcomer();
    connection.says(world.now, "1");
    world.lose(connection, CloseReason::TransportClosed);
    assert!(!world.come_back(&memory).2, "it has left");

    let (connection, memory) = world.newcomer();
    let (punctual, its) = world.newcomer();
    world.lose(connection, CloseReason::TransportClosed);
    world.lose(punctual, CloseReason::TransportClosed);
    world.now += Duration::from_millis(9_999);
    assert!(world.come_back(&its).2);
    world.now += Duration::from_millis(1);
    assert!(!world.come_back(&memory).2, "it is late");
}

#[test]
fn what_is_kept_has_limits() {
    let limits = Recovery {
        max_packets: 3,
        max_bytes: 1000,
        max_away: 2,
        ..Recovery::default()
    };
    let mut world = World::new(Some(limits));
    let missing = |world: &World, count: usize, size: usize| {
        let (connection, memory) = world.newcomer();
        world.lose(connection, CloseReason::TransportClosed);
        for _ in 0..count {
            world.sockets.emit("x", ("y".repeat(size),)).unwrap();
        }
        let (connection, heard, is_same) = world.come_back(&memory);
        drop(connection);
        assert_eq!(heard.len(), if is_same { count } else { 1 });
        is_same
    };
    // The welcome is the first of the three.
    assert!(missing(&world, 2, 1));
    assert!(!missing(&world, 3, 1));
    assert!(missing(&world, 2, 400));
    assert!(!missing(&world, 2, 500));

    let away: Vec<Memory> = (0..3)
        .map(|_| {
            let (connection, memory) = world.newcomer();
            world.lose(connection, CloseReason::TransportClosed);
            world.now += Duration::from_secs(1);
            memory
        })
        .collect();
    let back: Vec<bool> = away
        .iter()
        .map(|memory| world.come_back(memory).2)
        .collect();
    assert_eq!(back, [false, true, true], "the first is forgotten");
}

/// What the program is shown of an auth payload.
fn shown(world: &World, payload: &str) -> Value {
    world.lobby.notes();
    let heard = world.connect(payload).hears();
    assert!(heard[0].starts_with("40{"), "{heard:?}");
    let notes = world.lobby.notes();
    let auth = notes[0].strip_prefix("in false ").unwrap();
    serde_json::from_str(auth).unwrap()
}

#[test]
fn nonsense_is_no_claim() {
    let world = World::new(Some(Recovery::default()));
    let (connection, memory) = world.newcomer();
    world.lose(connection, CloseReason::TransportClosed);
    let Memory { pid, offset, .. } = &memory;
    for payload in [
        json!({ "offset": offset }),
        json!({ "pid": [pid], "offset": offset }),
        json!({ "pid": "__proto__", "offset": offset }),
        json!({ "pid": "", "offset": "" }),
        json!({ "pid": null, "offset": null }),
        json!({ "pid": { "pid": pid } }),
    ] {
        let mut payload = payload;
        payload["name"] = json!("ann");
        let seen = shown(&world, &payload.to_string());
        assert_eq!(seen, json!({ "name": "ann" }), "{payload}");
    }
    // However it is spelled.
    let spelled = format!(r#"{{"p\u0069d":"{pid}x","pid":1,"of\u0066set":"{offset}"}}"#);
    assert_eq!(shown(&world, &spelled), json!({}));
    // A name that is no text hides nothing behind it.
    let heard = world
        .connect(&format!(r#"{{"\ud800":1,"pid":"{pid}"}}"#))
        .hears();
    assert!(heard[0].starts_with(r#"44{"message":"auth: "#), "{heard:?}");
    // It is still there for the one who knows.
    assert!(world.come_back(&memory).2);
}

#[test]
fn a_pid_that_was_shown_is_used_up() {
    let world = World::new(Some(Recovery::default()));
    // The first is what an official client says that has heard no event.
    for offset in [None, Some(json!("12345")), Some(json!("")), Some(json!(0))] {
        let (connection, memory) = world.newcomer();
        world.lose(connection, CloseReason::TransportClosed);
        let mut claim = json!({ "pid": memory.pid, "name": "ann" });
        if let Some(offset) = &offset {
            claim["offset"] = offset.clone();
        }
        let seen = shown(&world, &claim.to_string());
        assert_eq!(seen, json!({ "name": "ann" }), "not for the program");
        assert!(!world.come_back(&memory).2, "{offset:?}");
    }
}

#[test]
fn the_admission_is_asked_again() {
    let world = World::new(Some(Recovery::default()));
    let (connection, memory) = world.newcomer();
    world.lose(connection, CloseReason::TransportClosed);
    let claim = json!({ "pid": memory.pid, "offset": memory.offset, "banned": true });
    let heard = world.connect(&claim.to_string()).hears();
    assert_eq!(heard, [r#"44{"message":"banned"}"#]);
}

#[test]
fn without_it_there_is_no_pid_and_no_offset() {
    let world = World::new(None);
    let mut connection = world.connect(r#"{"pid":"a","offset":"b"}"#);
    let heard = connection.hears();
    assert!(!heard[0].contains("pid"));
    assert_eq!(heard[1], r#"42["welcome"]"#);
    assert_eq!(
        world.lobby.notes(),
        [r#"in false {"offset":"b","pid":"a"}"#]
    );
}

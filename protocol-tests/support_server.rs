//! The server that socket.io-client's own tests need: `cargo run --release --example support-server`.
//!
//! Listens on 127.0.0.1 at `PORT` (3210), with the namespaces, events and settings that those tests expect, for clients
//! of version 2 as well. [`ours`] has what our own tests want besides. With `RECOVERY=0` lost connections are not
//! recovered.

use bytes::Bytes;
use hyper::http::HeaderValue;
use rollcall::{
    server::{Cors, Endpoint, Engine, Handshake, Settings, bind},
    socketio::{self, Ack, Auth, DisconnectReason, Event, Namespace, Recovery, Refused, SocketIo},
};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    env,
    error::Error,
    future::pending,
    mem,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

#[path = "support_server/ours.rs"]
mod ours;

/// A namespace, by whom it lets in.
enum Suite {
    Anyone,
    /// Anyone, who is told its handshake, and nothing else unasked.
    Telling,
    /// Anyone, unless there is a `fail` in the query.
    Willing,
    Nobody,
    /// Who has the token in its auth payload; a client of version 2, in the query of the namespace.
    Token,
    /// Nobody ever learns whether it may.
    Silent,
}

/// What is kept for a socket.
struct Guest {
    handshake: Arc<Handshake>,
    auth: Box<RawValue>,
    /// The last event, with the number of its attachments: some have to come in order.
    last: Mutex<String>,
}

impl Guest {
    /// Gives what was noted before.
    fn note(&self, this: String) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut last, this)
    }
}

type Socket = socketio::Socket<Guest>;
type Outcome = Result<(), Box<dyn Error>>;

impl Namespace for Suite {
    type Handshake = Handshake;
    type Data = Guest;

    async fn admit(&self, handshake: &Arc<Handshake>, auth: Auth) -> Result<Guest, Refused> {
        let auth: Box<RawValue> = auth.get()?;
        match (self, handshake.query("fail")) {
            (Self::Willing, Some(why)) => {
                let refused = Refused::new("Auth failed (main namespace)");
                return Err(refused.with_data(&json!({ "why": why }))?);
            }
            (Self::Nobody, _) => return Err(Refused::new("Auth failed (custom namespace)")),
            (Self::Token, _) if !auth.get().contains(r#""token":"secret""#) => {
                return Err(Refused::new("Wrong token"));
            }
            (Self::Silent, _) => pending().await,
            _ => {}
        }
        Ok(Guest {
            handshake: Arc::clone(handshake),
            auth,
            last: Mutex::default(),
        })
    }

    fn on_connect(&self, socket: &Socket) {
        if let Self::Telling = self {
            report(socket.emit("handshake", (shown(socket.data()),)));
        }
    }

    fn on_event(&self, socket: &Socket, mut event: Event<'_>) {
        let ack = event.take_ack();
        report(answer(socket, &event, ack));
    }

    fn on_disconnect(&self, socket: &Socket, reason: DisconnectReason) {
        if !matches!(self, Self::Telling) {
            report(ours::tell_others(socket, reason));
        }
    }
}

fn report<E: ToString>(outcome: Result<(), E>) {
    if let Err(error) = outcome {
        eprintln!("{}", error.to_string());
    }
}

/// The moment in which JavaScript was made, as its dates are written.
const DATE: &str = "1995-12-04T00:00:00.000Z";
const TEXTS: &str = "てすと/Я Б Г Д Ж Й/Ä ä Ü ü ß/utf8 — string/utf8 — string";
const BYTES: (Bytes,) = (Bytes::from_static(b"asdfasdf"),);

fn answer(socket: &Socket, event: &Event<'_>, ack: Option<Ack>) -> Outcome {
    let bytes = event.arguments().attachments().len();
    let last = socket.data().note(format!("{} {bytes}", event.name()));
    match (event.name(), ack) {
        ("hi", _) => socket.emit("hi", ())?,
        ("echo", Some(ack)) => ack.send(event.arguments())?,
        ("ack", _) => ask(socket)?,
        ("getAckDate", Some(ack)) => ack.send((DATE,))?,
        ("getDate", _) => socket.emit("takeDate", (DATE,))?,
        ("getDateObj", _) => socket.emit("takeDateObj", (json!({ "date": DATE }),))?,
        ("getUtf8", _) => {
            for text in TEXTS.split('/') {
                socket.emit("takeUtf8", (text,))?;
            }
        }
        ("false", _) => socket.emit("false", (false,))?,
        ("doge", _) => socket.emit("doge", BYTES)?,
        ("getbin", _) => socket.emit("takebin", BYTES)?,
        ("getHandshake", Some(ack)) => ack.send((shown(socket.data()),))?,
        ("getId", Some(ack)) => ack.send((socket.id(),))?,
        ("buffa", _) if bytes == 1 => socket.emit("buffack", ())?,
        ("jsonbuff", _) if is_mixed(&event.get(0)?) => socket.emit("jsonbuff-ack", ())?,
        ("abuff2", _) if last == "abuff1 1" => socket.emit("abuff2-ack", ())?,
        ("blob", _) if bytes == 1 => socket.emit("back", ())?,
        ("jsonblob", _) if is_mixed(&event.get(0)?) => socket.emit("jsonblob-ack", ())?,
        ("blob3", _) if bytes == 1 && last == "blob2 0" => socket.emit("blob3-ack", ())?,
        (_, ack) => ours::answer(socket, event, ack)?,
    }
    Ok(())
}

fn is_mixed(value: &Value) -> bool {
    value["hello"] == "lol" && value["message"].is_array() && value["goodbye"] == "gotcha"
}

/// Asks the client, and tells it when the answer was right.
fn ask(socket: &Socket) -> Outcome {
    let reply = socket.emit_with_ack("ack", ())?;
    let socket = socket.clone();
    tokio::spawn(async move {
        let Ok(answer) = reply.await else { return };
        let found = (answer.get(0).ok(), answer.get(1).ok());
        if found == (Some(5), Some(json!({ "test": true }))) {
            report(socket.emit("got it", ()));
        }
    });
    Ok(())
}

/// As the JavaScript server shows it to its users.
fn shown(guest: &Guest) -> Value {
    let handshake = &guest.handshake;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = handshake
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), text(value)));
    let issued = handshake.time.duration_since(SystemTime::UNIX_EPOCH);
    json!({
        "headers": headers.collect::<BTreeMap<_, _>>(),
        "query": handshake.parameters().collect::<BTreeMap<_, _>>(),
        "url": handshake.uri.to_string(),
        "address": handshake.address.ip(),
        "time": humantime::format_rfc3339_millis(handshake.time).to_string(),
        "issued": issued.unwrap_or_default().as_millis() as u64,
        "xdomain": handshake.headers.contains_key("origin"),
        "secure": false,
        "auth": guest.auth,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let is_unwanted = env::var_os("RECOVERY").is_some_and(|value| value == "0");
    let mut io = SocketIo::builder(socketio::Settings {
        recovery: (!is_unwanted).then(Recovery::default),
        ..Default::default()
    });
    io.of("/", Suite::Willing);
    for name in ["/foo", "/asd", "/valid", "/timeout_socket"] {
        io.of(name, Suite::Anyone);
    }
    io.of("/abc", Suite::Telling);
    io.of("/no", Suite::Nobody);
    io.of("/token", Suite::Token);
    io.of("/timeout", Suite::Silent);
    let mut settings = Settings::default();
    settings.timing.ping_interval = Duration::from_secs(2);
    settings.allow_eio3 = true;
    let engine = Engine::new(io.build(), ours::Unhurried, settings);
    let endpoint = Endpoint::new(engine, "/socket.io/", Cors::Any);
    let port = env::var("PORT").map_or(Ok(3210), |port| port.parse())?;
    let listener = bind(Some(Ipv4Addr::LOCALHOST.into()), port)?;
    println!("listening on http://{}", listener.local_addr()?);
    endpoint.serve(listener, pending()).await;
    Ok(())
}

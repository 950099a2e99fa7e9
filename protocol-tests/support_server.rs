//! The server that tests of Socket.IO clients need: `cargo run --release --example support-server`.
//!
//! Listens on 127.0.0.1 at `PORT` (3210), for anyone, clients of version 2 included. Every namespace answers the same
//! events, those of [`answer`]; they differ in whom they let in. With `RECOVERY=1` lost connections are recovered.

use bytes::Bytes;
use rollcall::{
    server::{Anyone, Cors, Endpoint, Engine, Handshake, Settings, bind},
    socketio::{self, Ack, Auth, DisconnectReason, Event, Namespace, Recovery, Refused, SocketIo},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    env,
    error::Error,
    future::pending,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// A namespace, by whom it lets in.
enum Suite {
    Anyone,
    /// Anyone, unless there is a `fail` in the query.
    Willing,
    /// Who has the token in its auth payload; a client of version 2, in the query of the namespace.
    Token,
    Nobody,
    /// Nobody ever learns whether it may.
    Silent,
}

/// What is kept for a socket: how its client introduced itself.
struct Introduction {
    handshake: Arc<Handshake>,
    auth: Box<RawValue>,
}

type Socket = socketio::Socket<Introduction>;

impl Namespace for Suite {
    type Handshake = Handshake;
    type Data = Introduction;

    async fn admit(&self, handshake: &Arc<Handshake>, auth: Auth) -> Result<Introduction, Refused> {
        match (self, handshake.query("fail")) {
            (Self::Willing, Some(why)) => {
                return Err(Refused::new("Auth failed (main namespace)")
                    .with_data(&json!({ "why": why }))?);
            }
            (Self::Token, _) if auth.get::<Value>()?.get("token") != Some(&json!("secret")) => {
                return Err(Refused::new("Wrong token"));
            }
            (Self::Nobody, _) => return Err(Refused::new("Auth failed (custom namespace)")),
            (Self::Silent, _) => pending().await,
            _ => {}
        }
        Ok(Introduction {
            handshake: Arc::clone(handshake),
            auth: auth.get()?,
        })
    }

    fn on_event(&self, socket: &Socket, mut event: Event<'_>) {
        let ack = event.take_ack();
        if let Err(error) = answer(socket, &event, ack) {
            eprintln!("{}: {error}", event.name());
        }
    }

    fn on_disconnect(&self, socket: &Socket, reason: DisconnectReason) {
        let gone = (socket.id(), reason.to_string(), rooms(socket));
        if let Err(error) = socket.broadcast().emit("gone", gone) {
            eprintln!("gone: {error}");
        }
    }
}

fn rooms(socket: &Socket) -> Vec<String> {
    socket.rooms().iter().map(ToString::to_string).collect()
}

/// Attachments in every place.
#[derive(Serialize, Deserialize, PartialEq)]
struct Binaries {
    one: Bytes,
    list: Vec<Bytes>,
    nested: BTreeMap<String, Vec<Option<Bytes>>>,
    none: Option<Bytes>,
}

fn binaries() -> Binaries {
    Binaries {
        one: Bytes::from_static(b"\x00\x01\xfe\xff"),
        list: vec![Bytes::new(), Bytes::from(vec![7; 70_000])],
        nested: [(
            "deep".to_owned(),
            vec![None, Some(Bytes::from_static(b"\x04"))],
        )]
        .into(),
        none: None,
    }
}

/// Who is to be told something.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    to: Vec<String>,
    except: Vec<String>,
    /// The sender, too.
    everyone: bool,
    volatile: bool,
}

/// The moment in which JavaScript was made, as its dates are written.
const DATE: &str = "1995-12-04T00:00:00.000Z";

fn answer(socket: &Socket, event: &Event<'_>, ack: Option<Ack>) -> Result<(), Box<dyn Error>> {
    match (event.name(), ack) {
        ("echo", Some(ack)) => ack.send(event.arguments())?,
        ("echo", None) => socket.emit("echo", event.arguments())?,
        ("empty ack", Some(ack)) => ack.send(())?,
        ("getAckDate", Some(ack)) => ack.send((DATE,))?,
        ("getDate", _) => socket.emit("takeDate", (DATE,))?,
        ("getDateObj", _) => socket.emit("takeDateObj", (json!({ "date": DATE }),))?,
        ("getUtf8", _) => {
            for text in [
                "てすと",
                "Я Б Г Д Ж Й",
                "Ä ä Ü ü ß",
                "李O四",
                "utf8 — string 😀",
            ] {
                socket.emit("takeUtf8", (text,))?;
            }
        }
        ("getValues", _) => socket.emit(
            "takeValues",
            (false, (), 0, "", json!({ "a": [1, { "b": null }] })),
        )?,
        ("getAckBinary", Some(ack)) => ack.send((binaries(), 1, Bytes::from_static(b"last")))?,
        ("getBinary", _) => {
            socket.emit("takeBinary", (binaries(), 1, Bytes::from_static(b"last")))?
        }
        ("checkBinary", Some(ack)) => ack.send((event.get::<Binaries>(0)? == binaries(),))?,
        ("getHandshake", Some(ack)) => ack.send((handshake(socket.data()),))?,
        ("ask", _) => ask(socket, event.get(0)?)?,
        ("volatile", Some(ack)) => {
            socket.emit_volatile("fleeting", (event.raw(0), 1))?;
            socket.emit_volatile("fleeting", (event.raw(0), 2))?;
            ack.send(())?;
        }
        (change @ ("join" | "leave"), Some(ack)) => {
            let room: String = event.get(0)?;
            match change {
                "join" => socket.join(&room),
                _ => socket.leave(&room),
            }
            ack.send((rooms(socket),))?;
        }
        ("tell", Some(ack)) => {
            let choice: Choice = event.get(0)?;
            let others = match choice.everyone {
                true => socket.sockets().broadcast(),
                false => socket.broadcast(),
            };
            let chosen = choice
                .to
                .iter()
                .fold(others, |chosen, room| chosen.to(room));
            let chosen = choice
                .except
                .iter()
                .fold(chosen, |chosen, room| chosen.except(room));
            match choice.volatile {
                true => chosen.emit_volatile("told", (event.raw(1),))?,
                false => chosen.emit("told", (event.raw(1),))?,
            }
            ack.send((chosen.sockets().len(),))?;
        }
        ("requestDisconnect", _) => socket.disconnect(),
        ("requestClose", _) => {
            socket.emit("last word", ())?;
            socket.close();
        }
        _ => {}
    }
    Ok(())
}

/// Asks the client, waits for its answer for so many milliseconds, and tells it how that went.
fn ask(socket: &Socket, milliseconds: u64) -> Result<(), Box<dyn Error>> {
    let reply = socket.emit_with_ack("question", ("how are you?", Bytes::from_static(b"?")))?;
    let socket = socket.clone();
    tokio::spawn(async move {
        let told = match timeout(Duration::from_millis(milliseconds), reply).await {
            Ok(Ok(answer)) => socket.emit("answered", answer.arguments()),
            Ok(Err(gone)) => socket.sockets().emit("unanswered", (gone.to_string(),)),
            Err(late) => socket.emit("unanswered", (late.to_string(),)),
        };
        if let Err(error) = told {
            eprintln!("ask: {error}");
        }
    });
    Ok(())
}

/// As the JavaScript server shows it to its users.
fn handshake(Introduction { handshake, auth }: &Introduction) -> Value {
    let headers = handshake.headers.iter();
    let issued = handshake.time.duration_since(SystemTime::UNIX_EPOCH);
    json!({
        "headers": headers.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))).collect::<BTreeMap<_, _>>(),
        "query": handshake.parameters().collect::<BTreeMap<_, _>>(),
        "url": handshake.uri.to_string(),
        "address": handshake.address.ip(),
        "time": humantime::format_rfc3339_millis(handshake.time).to_string(),
        "issued": issued.unwrap_or_default().as_millis() as u64,
        "xdomain": handshake.headers.contains_key("origin"),
        "secure": false,
        "auth": auth,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let is_asked_for = env::var_os("RECOVERY").is_some_and(|value| value == "1");
    let mut io = SocketIo::builder(socketio::Settings {
        recovery: is_asked_for.then(Recovery::default),
        ..socketio::Settings::default()
    });
    io.of("/", Suite::Willing);
    for name in ["/foo", "/asd", "/abc", "/valid"] {
        io.of(name, Suite::Anyone);
    }
    io.of("/token", Suite::Token);
    io.of("/no", Suite::Nobody);
    io.of("/timeout", Suite::Silent);
    let settings = Settings {
        allow_eio3: true,
        ..Settings::default()
    };
    let endpoint = Endpoint::new(
        Engine::new(io.build(), Anyone, settings),
        "/socket.io/",
        Cors::Any,
    );
    let port = env::var("PORT").map_or(Ok(3210), |port| port.parse())?;
    let listener = bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)?;
    println!("listening on http://{}", listener.local_addr()?);
    endpoint.serve(listener, pending()).await;
    Ok(())
}

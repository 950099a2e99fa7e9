//! The program that the official protocol suites run against: `cargo run --release --example conformance`.
//!
//! Listens on 127.0.0.1 and ::1 at `PORT` (3000), for anyone. On `/engine.io/` it sends every message back as it came.
//! On `/socket.io/` there are two namespaces: `/`, which tells the auth payload, sends events back and answers acks,
//! and `/custom`, which tells the auth payload. On `/echo` there is a WebSocket by itself, which sends every message
//! back. The settings are what the suites expect, and can be changed by the environment: `PING_INTERVAL` (300),
//! `PING_TIMEOUT` (200), `UPGRADE_TIMEOUT` (1000), all in milliseconds, and `MAX_PAYLOAD` (1000000), in bytes. With `EIO3=1` clients of Engine.IO version 3 are served, too.

use hyper::{Request, body::Incoming};
use rollcall::{
    engineio::{
        Application, CloseReason, Frame, Message, Revision, SessionHandler, Timing,
        outbound::{Inbox, Order},
    },
    server::{
        Answer, Anyone, Bounds, Cors, Endpoint, Engine, Handler, Handshake, Limits, RawWebSocket,
        Settings, bind, serve,
    },
    socketio::{self, Auth, EncodeError, Event, Namespace, Refused, Socket, SocketIo},
};
use serde_json::value::RawValue;
use std::{
    convert::Infallible,
    env,
    error::Error,
    future::pending,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// Engine.IO alone: sends back what comes.
struct Echo;

/// One session's echo.
struct Echoer(Arc<Inbox>);

impl Application for Echo {
    type Identity = Handshake;
    type Handler = Echoer;

    fn open(
        &self,
        _now: Instant,
        _revision: Revision,
        _handshake: Arc<Handshake>,
        inbox: Arc<Inbox>,
    ) -> Echoer {
        Echoer(inbox)
    }
}

impl SessionHandler for Echoer {
    type Violation = Infallible;

    fn handle_message(&mut self, _now: Instant, message: Message<'_>) -> Result<(), Infallible> {
        self.0.push(Order::Send(match message {
            Message::Text(text) => Frame::message(text),
            Message::Binary(bytes) => Frame::Binary(bytes),
        }));
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) -> Option<CloseReason> {
        None
    }

    fn handle_close(&mut self, _now: Instant, _reason: CloseReason) -> Vec<Frame> {
        Vec::new()
    }
}

/// A namespace of the Socket.IO suite.
struct Suite {
    /// Whether it answers events.
    answers: bool,
}

/// How long the `auth` event is put off in Engine.IO 4. That suite listens for one frame at a time, and its WebSocket
/// hands over all frames of a TCP segment at once: of an event right behind the answer to its CONNECT it would hear
/// nothing. The suite for version 3 wants both together.
const PAUSE: Duration = Duration::from_millis(20);

struct Guest {
    auth: Box<RawValue>,
    pause: Option<Duration>,
}

impl Namespace for Suite {
    type Handshake = Handshake;
    type Data = Guest;

    async fn admit(&self, handshake: &Arc<Handshake>, auth: Auth) -> Result<Guest, Refused> {
        let is_v3 = handshake.query("EIO").is_some_and(|version| version == "3");
        Ok(Guest {
            auth: auth.get()?,
            pause: (!is_v3).then_some(PAUSE),
        })
    }

    fn on_connect(&self, socket: &Socket<Guest>) {
        let Some(pause) = socket.data().pause else {
            return welcome(socket);
        };
        let socket = socket.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            welcome(&socket);
        });
    }

    fn on_event(&self, socket: &Socket<Guest>, mut event: Event<'_>) {
        let ack = event.take_ack();
        match (event.name(), ack) {
            ("message", _) if self.answers => {
                report(socket.emit("message-back", event.arguments()));
            }
            ("message-with-ack", Some(ack)) if self.answers => report(ack.send(event.arguments())),
            _ => {}
        }
    }
}

fn welcome(socket: &Socket<Guest>) {
    report(socket.emit("auth", (&socket.data().auth,)));
}

fn report(outcome: Result<(), EncodeError>) {
    if let Err(error) = outcome {
        eprintln!("not sent: {error}");
    }
}

/// Neither: what the WebSocket suite speaks to.
async fn echo(mut websocket: RawWebSocket) {
    while let Some(message) = websocket.receive().await {
        if websocket.send(&message).await.is_err() {
            break;
        }
    }
    websocket.close().await;
}

/// All of them.
struct Endpoints {
    engine_io: Arc<Endpoint<Echo, Anyone>>,
    socket_io: Arc<Endpoint<SocketIo<Handshake>, Anyone>>,
    bounds: Arc<Bounds>,
}

impl Handler for Endpoints {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        if request.uri().path() == "/echo" {
            RawWebSocket::accept(request, Arc::clone(&self.bounds), echo)
        } else if self.engine_io.is_for(&request) {
            Arc::clone(&self.engine_io).handle(request, peer).await
        } else {
            Arc::clone(&self.socket_io).handle(request, peer).await
        }
    }
}

/// A number from the environment.
fn number<T: FromStr<Err: Error + 'static>>(name: &str, default: T) -> Result<T, Box<dyn Error>> {
    match env::var(name) {
        Ok(text) => Ok(text
            .parse()
            .map_err(|error| format!("{name}={text}: {error}"))?),
        Err(_) => Ok(default),
    }
}

/// How often to look for a port that is free on both addresses, when the kernel chooses.
const ATTEMPTS: usize = 100;

/// Both addresses, on one port; IPv4 alone on a machine without IPv6.
fn listeners(port: u16) -> io::Result<(TcpListener, Option<TcpListener>)> {
    let mut attempts = 0;
    loop {
        let v4 = bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)?;
        match bind(
            Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            v4.local_addr()?.port(),
        ) {
            Ok(v6) => return Ok((v4, Some(v6))),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                eprintln!("without IPv6: {error}");
                return Ok((v4, None));
            }
            Err(error) if port != 0 || attempts == ATTEMPTS => return Err(error),
            Err(_) => attempts += 1,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let milliseconds = |name, default| number(name, default).map(Duration::from_millis);
    let settings = Settings {
        timing: Timing {
            ping_interval: milliseconds("PING_INTERVAL", 300)?,
            ping_timeout: milliseconds("PING_TIMEOUT", 200)?,
            upgrade_timeout: milliseconds("UPGRADE_TIMEOUT", 1000)?,
            ..Timing::default()
        },
        limits: Limits {
            max_payload_bytes: number("MAX_PAYLOAD", 1_000_000)?,
            ..Limits::default()
        },
        allow_eio3: env::var_os("EIO3").is_some_and(|value| value == "1"),
    };
    let bounds = Arc::new(Bounds::new(settings.limits.clone()));
    let mut io = SocketIo::builder(socketio::Settings {
        connect_timeout: Duration::from_secs(1),
        ..socketio::Settings::default()
    });
    io.of("/", Suite { answers: true });
    io.of("/custom", Suite { answers: false });

    let engine_io = Engine::new(Echo, Anyone, settings.clone());
    let socket_io = Engine::new(io.build(), Anyone, settings);
    let endpoints = Arc::new(Endpoints {
        engine_io: Endpoint::new(engine_io, "/engine.io/", Cors::Any),
        socket_io: Endpoint::new(socket_io, "/socket.io/", Cors::Any),
        bounds: Arc::clone(&bounds),
    });
    let (v4, v6) = listeners(number("PORT", 3000)?)?;
    println!("listening on http://{}", v4.local_addr()?);
    let on_v4 = serve(v4, Arc::clone(&endpoints), &bounds, pending());
    match v6 {
        Some(v6) => {
            tokio::join!(on_v4, serve(v6, endpoints, &bounds, pending()));
        }
        None => on_v4.await,
    }
    Ok(())
}

//! The program that the official protocol suites run against: `cargo run --release --example conformance`.
//!
//! Listens on 127.0.0.1 and ::1 at `PORT` (3000) and sends every Engine.IO message on `/engine.io/` back as it
//! came, to anyone. Its settings are what the suites expect, and can be changed by the environment:
//! `PING_INTERVAL` (300), `PING_TIMEOUT` (200), `UPGRADE_TIMEOUT` (1000), all in milliseconds, and
//! `MAX_PAYLOAD` (1000000), in bytes. With `EIO3=1` clients of Engine.IO version 3 are served, too.

use hyper::{Request, StatusCode, body::Incoming, http::request::Parts};
use rollcall::{
    engineio::{
        Application, CloseReason, Frame, Message, Revision, SessionHandler, Timing,
        outbound::{Inbox, Order},
    },
    server::{
        Admission, Answer, Cors, Denied, Engine, Handler, Limits, Settings, bind, empty, serve,
    },
};
use std::{
    convert::Infallible,
    env,
    error::Error,
    future::pending,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Sends back what comes.
struct Echo;

/// One session's echo.
struct Echoer(Arc<Inbox>);

impl Application for Echo {
    type Identity = ();
    type Handler = Echoer;

    fn open(
        &self,
        _now: Instant,
        _revision: Revision,
        _identity: Arc<()>,
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

    fn handle_close(&mut self, _reason: CloseReason) -> Option<Frame> {
        None
    }
}

/// Lets everyone in.
struct Anyone;

impl Admission for Anyone {
    type Identity = ();

    fn still_admits(&self, _identity: &()) -> bool {
        true
    }

    fn is_same(&self, _identity: &(), _request: &Parts) -> bool {
        true
    }

    async fn admit(&self, _request: &Parts) -> Result<Arc<()>, Denied> {
        Ok(Arc::new(()))
    }
}

/// The one path that there is.
struct Endpoint(Arc<Engine<Echo, Anyone>>);

impl Handler for Endpoint {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let mut answer = match Cors::Any.preflight(&request) {
            Some(answer) => answer,
            None if request.uri().path() == "/engine.io/" => self.0.handle(request, peer).await,
            None => empty(StatusCode::NOT_FOUND),
        };
        Cors::Any.apply(None, &mut answer);
        answer
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let milliseconds = |name, default| number(name, default).map(Duration::from_millis);
    let timing = Timing {
        ping_interval: milliseconds("PING_INTERVAL", 300)?,
        ping_timeout: milliseconds("PING_TIMEOUT", 200)?,
        upgrade_timeout: milliseconds("UPGRADE_TIMEOUT", 1000)?,
        ..Timing::default()
    };
    let limits = Limits {
        max_payload_bytes: number("MAX_PAYLOAD", 1_000_000)?,
        ..Limits::default()
    };
    let endpoint = Arc::new(Endpoint(Engine::new(
        Echo,
        Anyone,
        Settings {
            timing,
            limits: limits.clone(),
            allow_eio3: env::var_os("EIO3").is_some_and(|value| value == "1"),
        },
    )));

    let port = number("PORT", 3000)?;
    let v4 = bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)?;
    let port = v4.local_addr()?.port();
    println!("listening on http://127.0.0.1:{port}");
    match bind(Some(IpAddr::V6(Ipv6Addr::LOCALHOST)), port) {
        Ok(v6) => {
            let second = Arc::clone(&endpoint);
            tokio::join!(
                serve(v4, endpoint, &limits, pending()),
                serve(v6, second, &limits, pending())
            );
        }
        Err(error) => {
            eprintln!("without IPv6: {error}");
            serve(v4, endpoint, &limits, pending()).await;
        }
    }
    Ok(())
}

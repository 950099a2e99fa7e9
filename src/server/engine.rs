//! The engine: the HTTP endpoint at which sessions are opened.

use super::{
    Admission, Answer, Denied, Limits, Sessions, answer,
    driver::{Driver, SessionName},
    link::{End, Link, PutAside},
    websocket::{self, HandshakeError},
};
use crate::engineio::{
    Application, CloseReason, Frame, Opening, Session, Sid, Timing,
    handshake::{Asked, Query, Refusal, Request},
    outbound::{Inbox, Order, Outbound},
};
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    http::request::Parts,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::{net::TcpStream, sync::watch};

/// What an engine promises its clients, and what it asks of them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The heartbeat.
    pub timing: Timing,
    /// What bounds everything else.
    pub limits: Limits,
}

/// The Engine.IO endpoint: judges requests, and turns those that pass into sessions of an application.
pub struct Engine<A: Application, D> {
    application: A,
    admission: D,
    timing: Timing,
    limits: Arc<Limits>,
    sessions: Arc<Sessions<A::Identity>>,
    /// The next session's name in the log.
    next_name: AtomicU64,
    /// Each session's task holds a receiver, so that the end of the last can be awaited.
    tasks: watch::Sender<()>,
}

impl<A, D> Engine<A, D>
where
    A: Application,
    D: Admission<Identity = A::Identity>,
{
    /// An engine whose sessions belong to `application`, and are opened to those whom `admission` lets in.
    pub fn new(application: A, admission: D, settings: Settings) -> Arc<Self> {
        let Settings { timing, limits } = settings;
        Arc::new(Self {
            application,
            admission,
            timing,
            limits: Arc::new(limits),
            sessions: Sessions::new(),
            next_name: AtomicU64::new(1),
            tasks: watch::Sender::new(()),
        })
    }

    /// The sessions that are alive.
    pub fn sessions(&self) -> &Arc<Sessions<A::Identity>> {
        &self.sessions
    }

    /// Answers a request to the endpoint. A 101 has started the session's task already.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the client has got no session.
    pub async fn handle(
        self: &Arc<Self>,
        mut request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> Answer {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, _body) = request.into_parts();
        let is_upgrade = websocket::is_upgrade(&parts);
        match self.open(&parts, is_upgrade, upgrade, peer).await {
            Ok(accepted) => accepted,
            Err(turned_away) => {
                let answer = turned_away.answer(is_upgrade);
                log::info!(
                    "{peer} gets no session: {} {turned_away}",
                    answer.status().as_u16()
                );
                answer
            }
        }
    }

    /// Protocol, "Handshake", with the checks in the reference's order, and all of them before the 101.
    async fn open(
        self: &Arc<Self>,
        parts: &Parts,
        is_upgrade: bool,
        upgrade: OnUpgrade,
        peer: SocketAddr,
    ) -> Result<Answer, TurnedAway> {
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let request = Request {
            query,
            is_get: parts.method == Method::GET,
            is_upgrade,
        };
        let is_session =
            |sid: &str| Sid::parse(sid).is_some_and(|sid| self.sessions.contains(&sid));
        if request.verify(is_session)? == Asked::Duplicate {
            let accepted = websocket::accept(&parts.headers)?;
            self.spawn(upgrade, Self::close_at_once);
            return Ok(accepted);
        }
        let identity = self.admission.admit(parts).await?;
        request.verify_version()?;
        let accepted = websocket::accept(&parts.headers)?;
        self.spawn(upgrade, move |engine, link, running| {
            engine.serve(link, identity, peer, running);
        });
        Ok(accepted)
    }

    /// Once the 101 is out, goes on with `next`.
    fn spawn(
        self: &Arc<Self>,
        upgrade: OnUpgrade,
        next: impl FnOnce(&Self, Link, watch::Receiver<()>) + Send + 'static,
    ) {
        let engine = Arc::clone(self);
        let running = self.tasks.subscribe();
        tokio::spawn(async move {
            match upgrade.await.map(Accepted::of) {
                Ok(Some(Accepted { stream, early })) => {
                    let link = Link::new(stream, early, &engine.limits).await;
                    next(&engine, link, running);
                }
                Ok(None) => {
                    log::error!("a connection that is not plain TCP cannot carry a WebSocket")
                }
                Err(error) => log::debug!("the connection broke during the handshake: {error}"),
            }
        });
    }

    /// Opens the session, and leaves it to a task of its own.
    fn serve(
        &self,
        mut link: Link,
        identity: Arc<A::Identity>,
        peer: SocketAddr,
        running: watch::Receiver<()>,
    ) {
        let name = SessionName(self.next_name.fetch_add(1, Ordering::Relaxed));
        let sid = match Sid::random() {
            Ok(sid) => sid,
            Err(error) => return log::error!("no session without random numbers: {error}"),
        };
        let opening = Opening {
            sid: &sid,
            upgrades: &[],
            timing: &self.timing,
            max_payload: self.limits.max_payload_bytes,
        };
        match Frame::json("0", &opening) {
            Ok(opening) => link.push(&opening),
            Err(error) => return log::error!("the open packet cannot be encoded: {error}"),
        }
        let now = Instant::now();
        log::info!("{name} opened on websocket for {peer}");
        let inbox = Arc::new(Inbox::new(self.limits.max_waiting_bytes));
        let registration = self
            .sessions
            .register(sid, Arc::clone(&identity), Arc::clone(&inbox));
        if !self.admission.still_admits(&identity) {
            inbox.push(Order::Close(CloseReason::ServerDisconnected));
        }
        let driver = Driver {
            link,
            put_aside: PutAside::default(),
            session: Session::open(now, self.timing.clone()),
            handler: self.application.open(now, identity, Arc::clone(&inbox)),
            outbound: Outbound::new(inbox),
            limits: Arc::clone(&self.limits),
            name,
            _registration: registration,
            running,
        };
        tokio::spawn(driver.run());
    }

    /// A second WebSocket for a session that has one is accepted, as the official suites expect, and harms
    /// nothing.
    fn close_at_once(&self, link: Link, running: watch::Receiver<()>) {
        tokio::spawn(link.close(End::Open, Arc::clone(&self.limits), running));
    }

    /// Ends all sessions, those to come as well, and waits for as long as there are any. How long that may
    /// be is the caller's to say.
    ///
    /// # Cancel safety
    /// Dropped early, the sessions still end.
    pub async fn shut_down(&self) {
        self.sessions.shut_down();
        self.tasks.closed().await;
    }
}

/// A connection that has left HTTP.
struct Accepted {
    stream: TcpStream,
    /// What the client sent right behind its request.
    early: bytes::Bytes,
}

impl Accepted {
    /// The TCP stream under hyper, if there is one.
    fn of(upgraded: Upgraded) -> Option<Self> {
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
        Some(Self {
            stream: parts.io.into_inner(),
            early: parts.read_buf,
        })
    }
}

/// Why a request gets no session.
enum TurnedAway {
    Refused(Refusal),
    Denied(Denied),
    NoWebSocket(HandshakeError),
}

/// The body of a refusal (protocol, "Error codes"). The code is a number.
#[derive(Serialize)]
struct RefusalBody {
    code: u8,
    message: &'static str,
}

impl TurnedAway {
    /// The answer. The reference says less to a WebSocket client, a plain message; a refused key is
    /// explained to everyone.
    fn answer(&self, is_upgrade: bool) -> Answer {
        match self {
            Self::Refused(refusal) if is_upgrade => {
                websocket::refuse(StatusCode::BAD_REQUEST, refusal.message())
            }
            Self::Refused(refusal) => {
                let body = RefusalBody {
                    code: refusal.code(),
                    message: refusal.message(),
                };
                answer::json(StatusCode::BAD_REQUEST, &body)
            }
            Self::Denied(denied) => {
                /// The protocol's code for a no from the program itself.
                const FORBIDDEN: u8 = 4;
                let mut answer = answer::json(
                    denied.status,
                    &RefusalBody {
                        code: FORBIDDEN,
                        message: denied.message,
                    },
                );
                if is_upgrade {
                    answer
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                answer
            }
            Self::NoWebSocket(error) => error.answer(),
        }
    }
}

impl fmt::Display for TurnedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Denied(denied) => f.write_str(denied.message),
            Self::NoWebSocket(error) => f.write_str(error.message()),
        }
    }
}

impl From<Refusal> for TurnedAway {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Denied> for TurnedAway {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<HandshakeError> for TurnedAway {
    fn from(error: HandshakeError) -> Self {
        Self::NoWebSocket(error)
    }
}

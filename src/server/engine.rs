//! The engine: the HTTP endpoint at which sessions are opened.

use super::{
    Admission, Answer, Bounds, Denied, Ledger, Limit, Limits, Network, Outcome, Sessions, TooMuch,
    answer,
    candidate::Candidate,
    census::Whose,
    compression::{Coding, compressed},
    door::{Door, Doorkeeper, Knock, Reply},
    driver::Driver,
    link::{End, Link, PutAside},
    pace::Pace,
    polling::{self, Polling, Post},
    proxies::Shown,
    session_name::SessionName,
    sessions::Place,
    transport::Transport,
    turned_away::TurnedAway,
    unsent::Unsent,
    websocket,
};
use crate::engineio::{
    Application, CloseReason, Dialect, Frame, Session, Sid, Timing,
    handshake::{Asked, Method, Query, Refusal, Request},
    open_packet,
    outbound::{Budget, Inbox, Order, Outbound},
};
use futures_util::future::BoxFuture;
use hyper::{
    StatusCode, body::Incoming, header::CONTENT_TYPE, http::request::Parts, upgrade::OnUpgrade,
};
use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{oneshot, watch};

/// What an engine promises its clients, and what it asks of them.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The heartbeat.
    pub timing: Timing,
    /// What bounds everything else.
    pub limits: Limits,
    /// Whether clients of Engine.IO version 3, such as socket.io-client 2, are served, too.
    pub allow_eio3: bool,
}

/// The Engine.IO endpoint: judges requests, and turns those that pass into sessions of an application.
pub struct Engine<A: Application, D> {
    application: A,
    admission: D,
    timing: Arc<Timing>,
    bounds: Arc<Bounds>,
    allow_eio3: bool,
    sessions: Arc<Sessions<A::Identity>>,
    /// The next session's name in the log.
    next_name: AtomicU64,
    /// What may wait for all clients together.
    budget: Arc<Budget>,
    /// How often each network has opened sessions.
    openings: Ledger,
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
        let Settings {
            timing,
            limits,
            allow_eio3,
        } = settings;
        Arc::new(Self {
            application,
            admission,
            timing: Arc::new(timing),
            sessions: Sessions::new(&limits),
            budget: Arc::new(Budget::new(limits.max_total_waiting_bytes)),
            openings: Ledger::new(limits.max_openings_per_minute, Duration::from_secs(60)),
            bounds: Arc::new(Bounds::new(limits)),
            allow_eio3,
            next_name: AtomicU64::new(1),
            tasks: watch::Sender::new(()),
        })
    }

    /// What bounds its clients.
    pub fn bounds(&self) -> &Arc<Bounds> {
        &self.bounds
    }

    /// What may wait for all of them together, and does.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The sessions that are alive.
    pub fn sessions(&self) -> &Arc<Sessions<A::Identity>> {
        &self.sessions
    }

    /// Answers a request to the endpoint. A GET on long-polling waits until there is something to answer.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the client has got no answer: a session on long-polling then ends, as the
    /// protocol wants it.
    pub fn handle(
        self: &Arc<Self>,
        mut request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Answer> + Send + use<A, D> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let is_upgrade = websocket::is_upgrade(&parts);
        let answering = self.answer(parts, body, is_upgrade.then_some(upgrade), peer);
        let sessions = Arc::clone(&self.sessions);
        let bounds = Arc::clone(&self.bounds);
        async move {
            let answered = match answering {
                Ok(Answering::Now(answer)) => Ok(answer),
                Ok(Answering::Asked(asked)) => asked.answer().await,
                Ok(Answering::Opening(opening)) => opening.await,
                Err(turned_away) => Err(turned_away),
            };
            answered.unwrap_or_else(|turned_away| {
                let answer = turned_away.answer(is_upgrade);
                let (client, status) = (Shown(peer), answer.status().as_u16());
                log::info!(address:% = client, status, reason:% = turned_away;
                    "{client} is turned away: {status} {turned_away}");
                sessions.meter().note(turned_away.outcome());
                turned_away
                    .limit()
                    .into_iter()
                    .for_each(|limit| bounds.note(limit));
                answer
            })
        }
    }

    /// Protocol, "Handshake", with the checks in the reference's order, and all of them before the 101.
    ///
    /// What a GET needs while it waits is all that is left of it: its headers lie in the buffer that they were read
    /// into, and hyper, which reads on to notice when the client goes, would get itself another for as long as they live.
    fn answer(
        self: &Arc<Self>,
        parts: Parts,
        body: Incoming,
        upgrade: Option<OnUpgrade>,
        peer: SocketAddr,
    ) -> Result<Answering, TurnedAway> {
        let request = self.request(&parts, upgrade.is_some());
        let mut found = None;
        let asked = request.verify(|sid| {
            found = self.sessions.find(sid);
            found.as_ref().map(|found| found.revision)
        })?;
        let base64_only = request.query.base64_only;
        let found = match (asked, found) {
            (Asked::OpenWebSocket | Asked::OpenPolling, _) => {
                let opening = Arc::clone(self).open(parts, upgrade, peer);
                return Ok(Answering::Opening(Box::pin(opening)));
            }
            (_, found) => found.ok_or(Refusal::SessionUnknown)?,
        };
        if !self.admission.is_same(&found.identity, &parts) {
            return Err(OTHER_KEY.into());
        }
        match (asked, upgrade) {
            (Asked::WebSocket, Some(upgrade)) => {
                let accepted = websocket::accept(&parts)?;
                let dialect = Dialect {
                    revision: found.revision,
                    base64_only,
                };
                self.bring_websocket(upgrade, dialect, found.door);
                Ok(Answering::Now(accepted))
            }
            (Asked::Post, _) => {
                let is_binary = parts
                    .headers
                    .get(CONTENT_TYPE)
                    .is_some_and(|kind| kind == BINARY);
                self.ask(found.door, None, |reply| {
                    Knock::Post(Post {
                        body,
                        is_binary,
                        reply,
                    })
                })
            }
            _ => {
                let coding = Coding::accepted(&parts.headers);
                self.ask(found.door, coding, Knock::Poll)
            }
        }
    }

    /// What a request asks for.
    fn request<'a>(&self, parts: &'a Parts, is_upgrade: bool) -> Request<'a> {
        Request {
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            method: match parts.method {
                hyper::Method::GET => Method::Get,
                hyper::Method::POST => Method::Post,
                _ => Method::Other,
            },
            is_upgrade,
            allow_eio3: self.allow_eio3,
        }
    }

    /// Opens a session, if its client is let in.
    async fn open(
        self: Arc<Self>,
        parts: Parts,
        upgrade: Option<OnUpgrade>,
        peer: SocketAddr,
    ) -> Result<Answer, TurnedAway> {
        let network = Network::of(peer);
        if let Some(network) = network {
            self.openings
                .note(Instant::now(), network)
                .map_err(|TooMuch| Limit::OpeningsPerMinute)?;
        }
        let identity = self.admission.admit(&parts, peer).await?;
        let owner = self.admission.owner(&identity);
        let whose = Whose { network, owner };
        let request = self.request(&parts, upgrade.is_some());
        let dialect = Dialect {
            revision: request.verify_version()?,
            base64_only: request.query.base64_only,
        };
        match upgrade {
            Some(upgrade) => {
                let mut accepted = websocket::accept(&parts)?;
                // By the open packet.
                accepted.extensions_mut().insert(answer::Followed);
                let place = self.sessions.reserve(whose)?;
                self.open_on_websocket(place, upgrade, dialect, identity, peer);
                Ok(accepted)
            }
            None => {
                let place = self.sessions.reserve(whose)?;
                self.open_on_polling(place, dialect, identity, peer)
            }
        }
    }

    /// Lets a session's task answer a request.
    fn ask(
        &self,
        door: Option<Arc<Door>>,
        coding: Option<Coding>,
        knock: impl FnOnce(Reply) -> Knock,
    ) -> Result<Answering, TurnedAway> {
        // Born on a WebSocket, it has no use for other requests.
        let door = door.ok_or(Refusal::BadRequest)?;
        let (reply, answer) = oneshot::channel();
        door.knock(knock(reply));
        Ok(Answering::Asked(Waiting {
            answer,
            coding,
            compress_from_bytes: self.bounds.compress_from_bytes,
        }))
    }

    /// Once the 101 is out, brings the WebSocket to its session, or closes it if the session has one.
    fn bring_websocket(&self, upgrade: OnUpgrade, dialect: Dialect, door: Option<Arc<Door>>) {
        match door {
            Some(door) => door.knock(Knock::WebSocket(upgrade, dialect)),
            None => {
                Candidate::new(upgrade, dialect, Arc::clone(&self.bounds)).close(
                    End::Open,
                    &self.bounds,
                    &self.tasks.subscribe(),
                );
            }
        }
    }

    /// Opens a session once the 101 is out.
    fn open_on_websocket(
        self: &Arc<Self>,
        place: Place,
        upgrade: OnUpgrade,
        dialect: Dialect,
        identity: Arc<A::Identity>,
        peer: SocketAddr,
    ) {
        let engine = Arc::clone(self);
        let running = self.tasks.subscribe();
        tokio::spawn(async move {
            let Some(mut link) = Link::open(upgrade, dialect, &engine.bounds).await else {
                return;
            };
            match engine.open_packet(&[]) {
                Ok((sid, packet)) => {
                    link.push(&packet);
                    let transport = Transport::WebSocket(link, None);
                    let session = Session::open(
                        Instant::now(),
                        dialect.revision,
                        Arc::clone(&engine.timing),
                        true,
                    );
                    engine.start(
                        place, transport, session, None, dialect, sid, identity, peer, running,
                    );
                }
                Err(error) => log::error!("{error}"),
            }
        });
    }

    /// Opens a session, and answers with its first packet.
    fn open_on_polling(
        &self,
        place: Place,
        dialect: Dialect,
        identity: Arc<A::Identity>,
        peer: SocketAddr,
    ) -> Result<Answer, TurnedAway> {
        let (sid, packet) = self.open_packet(&["websocket"]).map_err(|error| {
            log::error!("{error}");
            Refusal::BadRequest
        })?;
        let transport = Transport::Polling(Box::new(Polling::new(dialect)));
        let session = Session::open(
            Instant::now(),
            dialect.revision,
            Arc::clone(&self.timing),
            false,
        );
        let door = Arc::new(Door::default());
        self.start(
            place,
            transport,
            session,
            Some(door),
            dialect,
            sid,
            identity,
            peer,
            self.tasks.subscribe(),
        );
        Ok(polling::payload(dialect, &[packet]))
    }

    /// A new session id, and the packet that tells it to the client.
    fn open_packet(&self, upgrades: &[&'static str]) -> Result<(Sid, Frame), OpenError> {
        let sid = Sid::random().map_err(OpenError::Random)?;
        let max_payload = self.bounds.max_payload_bytes;
        let packet =
            open_packet(&sid, upgrades, &self.timing, max_payload).map_err(OpenError::Json)?;
        Ok((sid, packet))
    }

    /// Leaves a session to a task of its own.
    #[expect(
        clippy::too_many_arguments,
        reason = "all that a session is made of, once"
    )]
    fn start(
        &self,
        place: Place,
        transport: Transport,
        session: Session,
        door: Option<Arc<Door>>,
        dialect: Dialect,
        sid: Sid,
        identity: Arc<A::Identity>,
        peer: SocketAddr,
        running: watch::Receiver<()>,
    ) {
        let number = self.next_name.fetch_add(1, Ordering::Relaxed);
        let name = SessionName { number, peer };
        self.sessions.meter().note(Outcome::Opened);
        let inbox = Inbox::new(self.bounds.max_waiting_bytes);
        let inbox = Arc::new(inbox.with_budget(Arc::clone(&self.budget)));
        let registration = self.sessions.register(
            place,
            sid,
            dialect.revision,
            Arc::clone(&identity),
            Arc::clone(&inbox),
            door.clone(),
        );
        name.log_opening(&transport, dialect.revision, registration.owner());
        if !self.admission.still_admits(&identity) {
            inbox.push(Order::Close(CloseReason::ServerDisconnected));
        }
        let driver = Driver {
            transport,
            pace: Pace::new(Instant::now()),
            is_deaf: false,
            put_aside: PutAside::default(),
            candidate: None,
            door: door.map(Doorkeeper),
            dialect,
            session,
            handler: self.application.open(
                Instant::now(),
                dialect.revision,
                identity,
                Arc::clone(&inbox),
            ),
            outbound: Outbound::new(inbox),
            bounds: Arc::clone(&self.bounds),
            name,
            registration,
            running,
        };
        tokio::spawn(driver.run());
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

/// The content type of a POST that is not text.
const BINARY: &str = "application/octet-stream";

/// The answer to whoever speaks for a session with another user's key.
const OTHER_KEY: Denied = Denied {
    status: StatusCode::FORBIDDEN,
    message: "This session belongs to another API key.",
};

/// Why a session cannot be opened, although the client did nothing wrong.
#[derive(Debug)]
enum OpenError {
    Random(getrandom::Error),
    Json(serde_json::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(error) => write!(f, "no session without random numbers: {error}"),
            Self::Json(error) => write!(f, "the open packet cannot be encoded: {error}"),
        }
    }
}

/// How a request is answered.
enum Answering {
    Now(Answer),
    /// By a session's task.
    Asked(Waiting),
    /// As soon as its client is let in.
    Opening(BoxFuture<'static, Result<Answer, TurnedAway>>),
}

/// What is left of a request that a session's task has.
struct Waiting {
    answer: oneshot::Receiver<Answer>,
    coding: Option<Coding>,
    compress_from_bytes: Option<usize>,
}

impl Waiting {
    async fn answer(self) -> Result<Answer, TurnedAway> {
        let answer = self.answer.await.map_err(|_| Refusal::SessionUnknown)?;
        // Here, and not in the session's task, which has its heartbeat to look after.
        let answer = compressed(self.coding, self.compress_from_bytes, answer);
        Ok(Unsent::tie(answer))
    }
}

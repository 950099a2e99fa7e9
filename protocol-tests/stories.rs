//! The stories of `fixtures/engineio-stories.txt`, each told twice: to a session alone, in virtual time, where every
//! moment is exact; and to a server, over TCP, where a second of the story is a few milliseconds, and nothing may
//! come too early. Then the stories are falsified, and neither may believe them.

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
use hyper::{Request, body::Incoming, http::request::Parts};
use rollcall::{
    engineio::{
        Application, CloseReason, Dialect, Due, Frame, Input, Message, Packet, PayloadError, Phase,
        Probed, Revision, Session, SessionHandler, Timing,
        outbound::{Inbox, Order},
    },
    server::{self, Admission, Answer, Denied, Engine, Handler, Limits, Settings},
};
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    future::{Future, pending},
    mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use support::{
    BINARY, CLOSE, Client, FIN, Random, Seen, Setup, masked, milliseconds, text_frame, until,
    upgrade_request,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
    time::{sleep, sleep_until, timeout, timeout_at},
};

const STORIES: &str = include_str!("../fixtures/engineio-stories.txt");

// ---------------------------------------------------------------------------------------------------------
// A story.

#[derive(Clone)]
struct Story {
    title: String,
    revision: Revision,
    /// It needs exact moments, which there are only in virtual time.
    is_virtual: bool,
    lines: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    /// As it stands in the file.
    text: String,
    /// Seconds since the opening; absent: as the line before.
    at: Option<Duration>,
    what: What,
}

#[derive(Clone)]
enum What {
    /// Someone does something.
    Act(Act),
    /// Something comes of it: who gets it, and what.
    Effect(String),
}

/// The strings are the name of a request or WebSocket, such as `GET2`, and the packets on it.
#[derive(Clone)]
enum Act {
    Open {
        on_websocket: bool,
    },
    Get(String),
    AbortGet(String),
    Post(String, Vec<String>),
    BeginPost(String),
    EndPost(String, Vec<String>),
    AbortPost(String),
    OpenWebSocket(String),
    Send(String, String),
    SendBytes(String, Vec<u8>),
    CloseWebSocket(String),
    EndWebSocket(String),
    Say(String),
    /// With a last word, or without.
    Close(Option<String>),
}

/// Where a story goes wrong, and how.
struct Failure {
    /// The number of lines that were right.
    line: usize,
    what: String,
}

fn stories() -> Vec<Story> {
    let stories: Vec<Story> = STORIES
        .split("\n\n")
        .map(|story| Story::parse(story).unwrap_or_else(|what| panic!("{what}, in:\n{story}")))
        .collect();
    assert!(stories.len() > 50, "the stories are all there");
    stories
}

impl Story {
    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let title = lines.next().and_then(|title| title.strip_prefix("# "));
        let mut story = Self {
            title: title.ok_or("no title")?.to_owned(),
            revision: Revision::V4,
            is_virtual: false,
            lines: Vec::new(),
        };
        for line in lines {
            if line == "version 3" {
                story.revision = Revision::V3;
            } else if line.starts_with("only in virtual time: ") {
                story.is_virtual = true;
            } else {
                story.lines.push(Line::parse(line)?);
            }
        }
        let acts = |line: &Line| matches!(line.what, What::Act(Act::Open { .. }));
        if !story.lines.first().is_some_and(acts) {
            return Err("it does not begin with the opening".to_owned());
        }
        Ok(story)
    }

    /// The story with what is wrong with it.
    fn report(&self, told: &str, failure: &Failure) -> String {
        let mut report = format!("Told {told}, this story fails:\n\n    # {}\n", self.title);
        for (number, line) in self.lines.iter().enumerate() {
            let mark = if number == failure.line {
                ">>> "
            } else {
                "    "
            };
            report += &format!("{mark}{}\n", line.text);
        }
        let place = if failure.line < self.lines.len() {
            "there"
        } else {
            "at the end"
        };
        report + &format!("\n{place}: {}\n", failure.what)
    }
}

impl Line {
    fn parse(line: &str) -> Result<Self, String> {
        let text = line.trim();
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (at, what) = match first.parse() {
            Ok(seconds) => (Some(Duration::from_secs_f64(seconds)), rest.trim()),
            Err(_) => (None, text),
        };
        let what = if what.starts_with("app hears") || what.starts_with("closed: ") {
            What::Effect(what.to_owned())
        } else if let Some(effect) = what.strip_prefix("< ") {
            What::Effect(effect.to_owned())
        } else {
            What::Act(Act::parse(what).ok_or(format!("{what:?} says nothing"))?)
        };
        Ok(Self {
            text: line.to_owned(),
            at,
            what,
        })
    }
}

impl Act {
    fn parse(text: &str) -> Option<Self> {
        if let Some(words) = text.strip_prefix("app says ") {
            return Some(match words.strip_suffix(" and closes") {
                Some(words) => Self::Close(Some(words.to_owned())),
                None => Self::Say(words.to_owned()),
            });
        }
        match text {
            "open polling" => {
                return Some(Self::Open {
                    on_websocket: false,
                });
            }
            "open websocket" => return Some(Self::Open { on_websocket: true }),
            "app closes" => return Some(Self::Close(None)),
            _ => {}
        }
        let mut words = text.strip_prefix("> ")?.split(' ').map(str::to_owned);
        let name = words.next()?;
        let words: Vec<String> = words.collect();
        let first = words.first().map(String::as_str);
        Some(match (name.trim_end_matches('2'), first) {
            ("GET", None) => Self::Get(name),
            ("GET", Some("aborted")) => Self::AbortGet(name),
            ("POST", Some("head")) => Self::BeginPost(name),
            ("POST", Some("body")) => Self::EndPost(name, words[1..].to_vec()),
            ("POST", Some("aborted")) => Self::AbortPost(name),
            ("POST", _) => Self::Post(name, words),
            ("WS", Some("opens")) => Self::OpenWebSocket(name),
            ("WS", Some("closes")) => Self::CloseWebSocket(name),
            ("WS", Some("ends")) => Self::EndWebSocket(name),
            ("WS", Some("bytes")) => {
                Self::SendBytes(name, BASE64_STANDARD.decode(words.get(1)?).ok()?)
            }
            ("WS", packet) => Self::Send(name, packet.unwrap_or_default().to_owned()),
            _ => return None,
        })
    }
}

/// A message as the application hears it.
fn heard(message: &Message<'_>) -> String {
    let what = match message {
        Message::Text(text) => (*text).to_owned(),
        Message::Binary(bytes) => format!("bytes {}", BASE64_STANDARD.encode(bytes)),
    };
    format!("app hears {what}").trim_end().to_owned()
}

/// To whom an effect comes: a request or WebSocket by its name, or the application.
fn recipient(effect: &str) -> &str {
    match effect.split(' ').next() {
        Some("closed:") => "app",
        name => name.unwrap_or_default(),
    }
}

// ---------------------------------------------------------------------------------------------------------
// In virtual time.

/// A session, and a driver that does with it what the server's does.
struct Alone {
    opened: Instant,
    now: Duration,
    session: Session,
    dialect: Dialect,
    /// Has been said, and waits for a way to the client.
    waiting: VecDeque<Frame>,
    /// The session is over, and the next GETs are told so by these.
    goodbye: VecDeque<String>,
    /// The requests and WebSockets that are open, by their names.
    get: Option<String>,
    post: Option<String>,
    candidate: Option<String>,
    link: Option<String>,
    /// Packets on the WebSocket that wait for the end of a POST that was sent before them.
    late: Vec<Packed>,
    /// What has come of it all, and the story has not told yet.
    effects: Vec<String>,
}

/// Gets what a session does to a request or WebSocket that there is not: no story has it.
const NOBODY: &str = "nobody";

/// A packet as it comes on a WebSocket.
#[derive(Clone)]
enum Packed {
    Text(String),
    Bytes(Vec<u8>),
}

impl Packed {
    fn decode(&self, dialect: Dialect) -> Result<Packet<'_>, PayloadError> {
        match self {
            Self::Text(text) => dialect.decode_text(text),
            Self::Bytes(bytes) => dialect.decode_binary(bytes.clone().into()),
        }
    }
}

fn tell_alone(story: &Story) -> Result<(), Failure> {
    let mut alone = Alone::new(story.revision);
    for (line, Line { at, what, .. }) in story.lines.iter().enumerate() {
        // The opening is at 0, and takes no time.
        at.filter(|_| line > 0)
            .map_or(Ok(()), |at| alone.wait_until(at))
            .and_then(|()| match what {
                What::Act(act) => alone.act(act),
                What::Effect(effect) => alone.expect(effect),
            })
            .map_err(|what| Failure { line, what })?;
    }
    let end = match alone.is_over() {
        true => alone.expect_nothing(),
        false => Err("the session goes on".to_owned()),
    };
    end.map_err(|what| Failure {
        line: story.lines.len(),
        what,
    })
}

impl Alone {
    fn new(revision: Revision) -> Self {
        let opened = Instant::now();
        Self {
            opened,
            now: Duration::ZERO,
            session: Session::open(opened, revision, Arc::default(), false),
            dialect: Dialect {
                revision,
                base64_only: false,
            },
            waiting: VecDeque::new(),
            goodbye: VecDeque::new(),
            get: None,
            post: None,
            candidate: None,
            link: None,
            late: Vec::new(),
            effects: Vec::new(),
        }
    }

    fn at(&self) -> Instant {
        self.opened + self.now
    }

    fn is_over(&self) -> bool {
        self.session.phase() == Phase::Closed
    }

    // What the story says.

    /// Lets time pass, in which nothing may come; what falls due at its end may.
    fn wait_until(&mut self, at: Duration) -> Result<(), String> {
        if at <= self.now {
            return Err("time does not pass".to_owned());
        }
        self.expect_nothing()?;
        while !self.is_over() {
            let due = self.session.deadline() - self.opened;
            if due > at {
                break;
            }
            self.now = due;
            self.time_out();
            self.send();
            if due < at {
                self.expect_nothing()?;
            }
        }
        self.now = at;
        Ok(())
    }

    fn expect(&mut self, effect: &str) -> Result<(), String> {
        let came = |its: &String| recipient(its) == recipient(effect);
        match self.effects.iter().position(came) {
            Some(index) if self.effects[index] == effect => {
                self.effects.remove(index);
                Ok(())
            }
            Some(index) => Err(format!("instead came: {}", self.effects[index])),
            None => Err(format!("it did not come, but {:?}", self.effects)),
        }
    }

    fn expect_nothing(&self) -> Result<(), String> {
        match self.effects.as_slice() {
            [] => Ok(()),
            effects => Err(format!(
                "before that, at {:?}, came what is not in the story: {effects:?}",
                self.now
            )),
        }
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        self.expect_nothing()?;
        match act {
            Act::Get(name) if !self.goodbye.is_empty() => {
                let goodbye = self.goodbye.pop_front().unwrap_or_default();
                self.effects.push(format!("{name} {goodbye}"));
            }
            Act::Get(name) | Act::Post(name, _) | Act::OpenWebSocket(name) if self.is_over() => {
                self.refuse(name, " Session ID unknown");
            }
            Act::Get(name) | Act::Post(name, _) | Act::BeginPost(name) if self.link.is_some() => {
                self.refuse(name, " Bad request");
            }
            Act::Open { on_websocket: true } => {
                let timing = Arc::default();
                self.session = Session::open(self.opened, self.dialect.revision, timing, true);
                self.link = Some("WS".to_owned());
            }
            Act::Open { .. } => {}
            Act::Get(name) => match self.session.handle_poll() {
                Ok(()) => self.get = Some(name.clone()),
                Err(_) => {
                    self.refuse(name, "");
                    self.close(CloseReason::TransportError);
                }
            },
            Act::AbortGet(name) => {
                take(&mut self.get, name)?;
                self.close(CloseReason::TransportClosed);
            }
            Act::BeginPost(name) => self.begin_post(name),
            Act::EndPost(name, packets) => self.end_post(name, packets)?,
            Act::Post(name, packets) => {
                self.begin_post(name);
                if !self.is_over() {
                    self.end_post(name, packets)?;
                }
            }
            Act::AbortPost(name) => {
                take(&mut self.post, name)?;
                self.close(CloseReason::TransportClosed);
            }
            Act::OpenWebSocket(name) => {
                if self.session.handle_websocket(self.at()) {
                    self.candidate = Some(name.clone());
                } else {
                    self.effects.push(format!("{name} closed"));
                }
            }
            Act::Send(name, text) => self.receive(name, Packed::Text(text.clone()))?,
            Act::SendBytes(name, bytes) => self.receive(name, Packed::Bytes(bytes.clone()))?,
            Act::CloseWebSocket(name) => self.lose(name, "closed")?,
            Act::EndWebSocket(name) => self.lose(name, "ended")?,
            Act::Say(text) => self.waiting.push_back(Frame::message(text)),
            Act::Close(last) => {
                self.waiting.extend(last.as_deref().map(Frame::message));
                self.send();
                self.close(CloseReason::ServerDisconnected);
            }
        }
        self.send();
        Ok(())
    }

    fn refuse(&mut self, name: &str, why: &str) {
        self.effects.push(format!("{name} refused 400{why}"));
    }

    // What the driver does.

    fn begin_post(&mut self, name: &str) {
        match self.session.handle_post(self.at()) {
            Ok(()) => self.post = Some(name.to_owned()),
            Err(_) => {
                self.refuse(name, "");
                self.close(CloseReason::TransportError);
            }
        }
    }

    fn end_post(&mut self, name: &str, packets: &[String]) -> Result<(), String> {
        take(&mut self.post, name)?;
        self.session.handle_post_end();
        self.effects.push(format!("{name} ok"));
        let body = match packets {
            [] => vec![String::new()],
            packets => packets.to_vec(),
        };
        let body = body.into_iter().map(Packed::Text);
        let rest: Vec<Packed> = body.chain(std::mem::take(&mut self.late)).collect();
        for packet in rest {
            self.hear(&packet);
        }
        Ok(())
    }

    fn receive(&mut self, name: &str, packet: Packed) -> Result<(), String> {
        if self.link.as_deref() == Some(name) {
            if self.post.is_some() {
                self.late.push(packet);
            } else {
                self.hear(&packet);
            }
            return Ok(());
        }
        if self.candidate.as_deref() != Some(name) {
            return Err(format!("{name} is not open"));
        }
        let now = self.at();
        let probe = match &packet {
            Packed::Text(text) => self.dialect.decode_text(text).ok(),
            Packed::Bytes(_) => None,
        };
        let verdict = match probe {
            Some(packet) => self.session.handle_probe(now, &packet),
            None => {
                self.session.handle_websocket_lost(now);
                Probed::Reject
            }
        };
        match verdict {
            Probed::Answer(frame) => self.effects.push(format!("{name} {}", shown(&frame))),
            Probed::Switch => {
                self.link = self.candidate.take();
                if let Some(get) = self.get.take() {
                    self.effects.push(format!("{get} 6"));
                }
            }
            Probed::Reject => {
                self.candidate = None;
                self.effects.push(format!("{name} closed"));
            }
        }
        Ok(())
    }

    /// A packet of the client's, on the transport that is the session's.
    fn hear(&mut self, packet: &Packed) {
        if self.is_over() {
            return;
        }
        let now = self.at();
        let Ok(packet) = packet.decode(self.dialect) else {
            return self.close(CloseReason::ParseError);
        };
        match self.session.handle_packet(now, packet) {
            Ok(Input::Nothing) => {}
            Ok(Input::Message(message)) => self.effects.push(heard(&message)),
            Ok(Input::Close) => self.close(CloseReason::ClientClosed),
            Err(_) => self.close(CloseReason::ParseError),
        }
    }

    /// A WebSocket goes away.
    fn lose(&mut self, name: &str, how: &str) -> Result<(), String> {
        if self.link.as_deref() == Some(name) {
            self.link = None;
            self.close(CloseReason::TransportClosed);
        } else {
            take(&mut self.candidate, name)?;
            self.session.handle_websocket_lost(self.at());
        }
        self.effects.push(format!("{name} {how}"));
        Ok(())
    }

    fn time_out(&mut self) {
        loop {
            match self.session.handle_timeout(self.at()) {
                Due::Nothing => return,
                Due::Reject => {
                    let name = self.candidate.take().unwrap_or(NOBODY.to_owned());
                    self.effects.push(format!("{name} closed"));
                }
                Due::Close(reason) => return self.close(reason),
            }
        }
    }

    /// Sends what the client takes.
    fn send(&mut self) {
        if self.is_over() {
            return;
        }
        if let Some(name) = &self.link {
            while let Some(frame) = self.session.take_own().or_else(|| self.waiting.pop_front()) {
                self.effects.push(format!("{name} {}", shown(&frame)));
            }
            return;
        }
        let (now, waiting) = (self.at(), &mut self.waiting);
        if let Some(frames) = self.session.answer_poll(now, || waiting.pop_front()) {
            let name = self.get.take().unwrap_or(NOBODY.to_owned());
            let frames: Vec<String> = frames.iter().map(shown).collect();
            self.effects.push(format!("{name} {}", frames.join(" ")));
        }
    }

    fn close(&mut self, reason: CloseReason) {
        let goodbye = shown(&self.session.handle_close(reason));
        if let Some(name) = self.get.take() {
            self.effects.push(format!("{name} {goodbye}"));
        } else if reason == CloseReason::ServerDisconnected && self.link.is_none() {
            let waiting = mem::take(&mut self.waiting);
            if !waiting.is_empty() {
                let said: Vec<String> = waiting.iter().map(shown).collect();
                self.goodbye.push_back(said.join(" "));
            }
            self.goodbye.push_back(goodbye);
        }
        if let Some(name) = self.post.take() {
            self.refuse(&name, " Session ID unknown");
        }
        for name in [self.candidate.take(), self.link.take()]
            .into_iter()
            .flatten()
        {
            self.effects.push(format!("{name} closed"));
        }
        self.effects.push(format!("closed: {reason}"));
    }
}

/// Takes what has this name away.
fn take(place: &mut Option<String>, name: &str) -> Result<(), String> {
    match place.take_if(|its| its == name) {
        Some(_) => Ok(()),
        None => Err(format!("there is no {name} under way")),
    }
}

fn shown(frame: &Frame) -> String {
    String::from_utf8(frame.bytes().to_vec()).expect("the stories say no bytes")
}

// ---------------------------------------------------------------------------------------------------------
// Over TCP.

/// What came, and when.
type Event = (Instant, String);

/// An application that does as the story says, and tells what it hears.
struct App {
    told: UnboundedSender<Event>,
    /// The one session's.
    inbox: Arc<OnceLock<Arc<Inbox>>>,
}

struct Listener(UnboundedSender<Event>);

impl Application for App {
    type Identity = ();
    type Handler = Listener;

    fn open(
        &self,
        _now: Instant,
        _revision: Revision,
        _identity: Arc<()>,
        inbox: Arc<Inbox>,
    ) -> Listener {
        assert!(self.inbox.set(inbox).is_ok(), "a story has one session");
        Listener(self.told.clone())
    }
}

impl Listener {
    fn tell(&self, what: String) {
        // The story may have failed already.
        let _nobody_listens = self.0.send((Instant::now(), what));
    }
}

impl SessionHandler for Listener {
    type Violation = Infallible;

    fn handle_message(&mut self, _now: Instant, message: Message<'_>) -> Result<(), Infallible> {
        self.tell(heard(&message));
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) -> Option<CloseReason> {
        None
    }

    fn handle_close(&mut self, _now: Instant, reason: CloseReason) -> Vec<Frame> {
        self.tell(format!("closed: {reason}"));
        Vec::new()
    }
}

struct Anyone;

impl Admission for Anyone {
    type Identity = ();

    fn still_admits(&self, _identity: &()) -> bool {
        true
    }

    fn is_same(&self, _identity: &(), _request: &Parts) -> bool {
        true
    }

    async fn admit(&self, _request: &Parts, _peer: SocketAddr) -> Result<Arc<()>, Denied> {
        Ok(Arc::new(()))
    }
}

/// Tells the test when a request is where it has to be: the session knows of it, or it is answered. Without that
/// nobody could say of two requests which came first.
struct Endpoint {
    engine: Arc<Engine<App, Anyone>>,
    arrived: UnboundedSender<()>,
}

impl Handler for Endpoint {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let mut answer = pin!(self.engine.handle(request, peer));
        let mut has_arrived = false;
        std::future::poll_fn(|context| {
            let polled = answer.as_mut().poll(context);
            if !has_arrived {
                has_arrived = true;
                let _nobody_listens = self.arrived.send(());
            }
            polled
        })
        .await
    }
}

/// A server, and a client that does as the story says.
struct Stage {
    address: SocketAddr,
    engine: Arc<Engine<App, Anyone>>,
    inbox: Arc<OnceLock<Arc<Inbox>>>,
    /// What the application tells.
    app: UnboundedReceiver<Event>,
    arrived: UnboundedReceiver<()>,
    /// How long a second of the story takes.
    second: Duration,
    opened: Instant,
    revision: Revision,
    /// Once it is known.
    sid: Option<String>,
    peers: HashMap<String, Peer>,
}

/// A request or a WebSocket of the client's.
struct Peer {
    events: UnboundedReceiver<Event>,
    write: TcpStream,
    reader: JoinHandle<()>,
}

/// How long what has to come may take beyond its time.
const PATIENCE: Duration = Duration::from_secs(10);

async fn tell_server(story: &Story, second: Duration) -> Result<(), Failure> {
    let mut stage = Stage::new(story.revision, second);
    let mut now = Duration::ZERO;
    for (line, Line { at, what, .. }) in story.lines.iter().enumerate() {
        now = at.unwrap_or(now);
        let told = async {
            match what {
                What::Act(act) => {
                    sleep_until(stage.due(now).into()).await;
                    timeout(PATIENCE, stage.act(act))
                        .await
                        .unwrap_or_else(|_| Err("it takes for ever".to_owned()))
                }
                What::Effect(effect) => stage.expect(now, effect).await,
            }
        };
        told.await.map_err(|what| Failure { line, what })?;
    }
    stage.end().await.map_err(|what| Failure {
        line: story.lines.len(),
        what,
    })
}

impl Stage {
    fn new(revision: Revision, second: Duration) -> Self {
        let (told, app) = mpsc::unbounded_channel();
        let (arrives, arrived) = mpsc::unbounded_channel();
        let inbox = Arc::new(OnceLock::new());
        let Timing {
            ping_interval,
            ping_timeout,
            upgrade_timeout,
            poll_timeout,
            post_timeout,
        } = Timing::default();
        let scaled = |time: Duration| second.mul_f64(time.as_secs_f64());
        let limits: Limits = Setup::default().limits;
        let engine = Engine::new(
            App {
                told,
                inbox: Arc::clone(&inbox),
            },
            Anyone,
            Settings {
                timing: Timing {
                    ping_interval: scaled(ping_interval),
                    ping_timeout: scaled(ping_timeout),
                    upgrade_timeout: scaled(upgrade_timeout),
                    poll_timeout: scaled(poll_timeout),
                    post_timeout: scaled(post_timeout),
                },
                limits: limits.clone(),
                allow_eio3: true,
            },
        );
        let listener = server::bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0).expect("a port");
        let address = listener.local_addr().expect("its address");
        let endpoint = Arc::new(Endpoint {
            engine: Arc::clone(&engine),
            arrived: arrives,
        });
        let bounds = Arc::clone(engine.bounds());
        tokio::spawn(async move { server::serve(listener, endpoint, &bounds, pending()).await });
        Self {
            address,
            engine,
            inbox,
            app,
            arrived,
            second,
            opened: Instant::now(),
            revision,
            sid: None,
            peers: HashMap::new(),
        }
    }

    /// The earliest moment for what the story has at `at`. The client is never early, nor is its clock ahead of the
    /// server's, so the server is not early either.
    fn due(&self, at: Duration) -> Instant {
        self.opened + self.second.mul_f64(at.as_secs_f64())
    }

    async fn expect(&mut self, at: Duration, effect: &str) -> Result<(), String> {
        let due = self.due(at);
        let events = match recipient(effect) {
            "app" => &mut self.app,
            name => &mut self.peers.get_mut(name).ok_or("there is none")?.events,
        };
        let deadline = due.max(Instant::now()) + PATIENCE;
        match timeout_at(deadline.into(), events.recv()).await {
            Ok(Some((when, what))) if what == effect => match due.checked_duration_since(when) {
                Some(early) if !early.is_zero() => Err(format!("it came {early:?} too early")),
                _ => Ok(()),
            },
            Ok(Some((_, what))) => Err(format!("instead came: {what}")),
            Ok(None) => Err("the connection is gone".to_owned()),
            Err(_) => Err("it did not come".to_owned()),
        }
    }

    async fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Open { on_websocket } => {
                self.opened = Instant::now();
                let (name, request) = match on_websocket {
                    true => ("WS", self.upgrade()),
                    false => ("GET", self.request("GET", "", "")),
                };
                self.ask(name, &request).await?;
                let peer = self.peers.get_mut(name).expect("it has asked");
                let (_, opening) = peer.events.recv().await.ok_or("no answer")?;
                let opening = opening.split_once(" 0").ok_or(opening.clone())?.1;
                let opening: Value = serde_json::from_str(opening).expect("JSON");
                self.sid = Some(opening["sid"].as_str().expect("an id").to_owned());
            }
            Act::Get(name) => self.ask(name, &self.request("GET", "", "")).await?,
            Act::Post(name, packets) => {
                let body = self.payload(packets);
                let length = format!("Content-Length: {}\r\n", body.len());
                let request = self.request("POST", &length, &body);
                self.ask(name, &request).await?;
            }
            Act::BeginPost(name) => {
                let head = self.request("POST", "Transfer-Encoding: chunked\r\n", "");
                self.ask(name, &head).await?;
            }
            Act::EndPost(name, packets) => {
                let body = self.payload(packets);
                let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
                self.write(name, chunks.as_bytes()).await?;
            }
            Act::AbortGet(name) | Act::AbortPost(name) => {
                let peer = self.peers.remove(name).ok_or("there is none")?;
                peer.reader.abort();
                let _aborted = peer.reader.await;
            }
            Act::OpenWebSocket(name) => self.ask(name, &self.upgrade()).await?,
            Act::Send(name, text) => self.write(name, &text_frame(text)).await?,
            Act::SendBytes(name, bytes) => self.write(name, &masked(FIN | BINARY, bytes)).await?,
            Act::CloseWebSocket(name) => self.write(name, &masked(FIN | CLOSE, &[])).await?,
            Act::EndWebSocket(name) => {
                let peer = self.peers.get_mut(name).ok_or("there is none")?;
                let ended = peer.write.shutdown().await;
                ended.map_err(|error| error.to_string())?;
            }
            Act::Say(text) => self.order(Order::Send(Frame::message(text))),
            Act::Close(last) => {
                if let Some(last) = last {
                    self.order(Order::Send(Frame::message(last)));
                }
                self.order(Order::Close(CloseReason::ServerDisconnected));
            }
        }
        Ok(())
    }

    /// All is told, and nothing may be left.
    async fn end(mut self) -> Result<(), String> {
        let gone = until(|| self.engine.sessions().count() == 0);
        let gone = timeout(PATIENCE, gone).await;
        gone.map_err(|_| "the session goes on")?;
        for (_, peer) in self.peers {
            peer.end().await?;
        }
        match self.app.try_recv() {
            Ok((_, what)) => Err(format!("that is not all that came: {what}")),
            Err(_) => Ok(()),
        }
    }

    fn order(&self, order: Order) {
        self.inbox.get().expect("a session").push(order);
    }

    // What the client sends.

    /// The query of a request; without a session it asks for one.
    fn query(&self, transport: &str) -> String {
        let revision = match self.revision {
            Revision::V3 => 3,
            Revision::V4 => 4,
        };
        let sid = self.sid.as_ref().map(|sid| format!("&sid={sid}"));
        format!(
            "EIO={revision}&transport={transport}{}",
            sid.unwrap_or_default()
        )
    }

    /// A request of long-polling, with `more` lines in its head.
    fn request(&self, method: &str, more: &str, body: &str) -> String {
        let query = self.query("polling");
        format!("{method} /engine.io/?{query} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n{body}")
    }

    fn upgrade(&self) -> String {
        upgrade_request("anyone", &self.query("websocket"), "")
    }

    fn payload(&self, packets: &[String]) -> String {
        match self.revision {
            Revision::V3 => {
                let counted =
                    |packet: &String| format!("{}:{packet}", packet.encode_utf16().count());
                packets.iter().map(counted).collect()
            }
            Revision::V4 => packets.join("\x1e"),
        }
    }

    /// Sends a request on a connection of its own, up to where the server knows of it. All that comes back will be
    /// events of this name. Whatever had the name before must have come to its end.
    async fn ask(&mut self, name: &str, request: &str) -> Result<(), String> {
        let mut client = Client::dial(self.address).await;
        let write = client.second_handle();
        client.write(request.as_bytes()).await;
        let (sender, events) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read(name.to_owned(), self.revision, client, sender));
        let peer = Peer {
            events,
            write,
            reader,
        };
        if let Some(before) = self.peers.insert(name.to_owned(), peer) {
            before.end().await?;
        }
        self.arrived.recv().await.ok_or("the server is gone")?;
        Ok(())
    }

    async fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let peer = self.peers.get_mut(name).ok_or("there is none")?;
        let written = peer.write.write_all(bytes).await;
        written.map_err(|error| error.to_string())
    }
}

impl Peer {
    async fn end(mut self) -> Result<(), String> {
        match timeout(PATIENCE, self.events.recv()).await {
            Ok(None) => Ok(()),
            Ok(Some((_, what))) => Err(format!("that is not all that came: {what}")),
            Err(_) => Err("a request or WebSocket before it is still open".to_owned()),
        }
    }
}

/// Tells what comes back for a request, on a WebSocket to its end.
async fn read(
    name: String,
    revision: Revision,
    mut client: Client,
    events: UnboundedSender<Event>,
) {
    let tell = |what: String| {
        // The story may have failed already.
        let _nobody_listens = events.send((Instant::now(), format!("{name} {what}")));
    };
    let (head, body) = client.response().await;
    match head.status {
        101 => loop {
            match client.see().await {
                Seen::Text(text) => tell(text),
                Seen::Close(None) => match client.see().await {
                    Seen::End => return tell("closed".to_owned()),
                    other => return tell(format!("closed, and then {other:?}")),
                },
                Seen::End => return tell("ended".to_owned()),
                other => return tell(format!("{other:?}")),
            }
        },
        200 if body == "ok" => tell(body),
        200 => tell(packets(revision, &body).join(" ")),
        // A WebSocket client gets the message without JSON around it.
        status => {
            let json: Option<Value> = serde_json::from_str(&body).ok();
            let message = json.as_ref().and_then(|json| json["message"].as_str());
            let refused = format!("refused {status} {}", message.unwrap_or(&body));
            tell(refused.trim_end().to_owned());
        }
    }
}

/// The packets of a payload. The server says nothing in these stories that is not ASCII.
fn packets(revision: Revision, body: &str) -> Vec<&str> {
    if revision == Revision::V4 {
        return body.split('\x1e').collect();
    }
    let (mut packets, mut rest) = (Vec::new(), body);
    while let Some((length, behind)) = rest.split_once(':') {
        let (packet, behind) = behind.split_at(length.parse().expect("a length"));
        packets.push(packet);
        rest = behind;
    }
    packets
}

/// Notes the longest time for which this thread did not come to do what was due.
async fn watch(longest: &mut Duration) -> Infallible {
    const TICK: Duration = Duration::from_millis(2);
    loop {
        let before = Instant::now();
        sleep(TICK).await;
        *longest = before.elapsed().saturating_sub(TICK).max(*longest);
    }
}

/// Tells a story to a server, both on this thread. Also says for how long the machine left the two without time.
fn tell_over_tcp(story: &Story, second: Duration) -> (Result<(), Failure>, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut longest = Duration::ZERO;
    let told = runtime.block_on(async {
        tokio::select! {
            told = tell_server(story, second) => told,
            never = watch(&mut longest) => match never {},
        }
    });
    (told, longest)
}

/// Does `work` for each story, several at a time, since most of it is waiting.
fn for_each(stories: &[Story], work: impl Fn(usize, &Story) -> Result<(), String> + Sync) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let index = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(story) = stories.get(index)
                {
                    if let Err(failure) = work(index, story) {
                        failures.lock().expect("it is whole").push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("it is whole");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn stories_for_tcp() -> Vec<Story> {
    let mut stories = stories();
    stories.retain(|story| !story.is_virtual);
    stories
}

/// How long a second of a story takes. What happens in the same second of a story has to be done within a few of them.
const SECOND: Duration = Duration::from_millis(10);

// ---------------------------------------------------------------------------------------------------------

#[test]
fn the_stories_hold_in_virtual_time() {
    for story in stories() {
        if let Err(failure) = tell_alone(&story) {
            panic!("{}", story.report("in virtual time", &failure));
        }
    }
}

/// On a machine that is busy with other things a client may come too late for its own story. Such a failure says
/// nothing, and the story is told again, slower.
#[test]
fn the_stories_hold_over_tcp() {
    for_each(&stories_for_tcp(), |_, story| {
        let mut second = SECOND;
        loop {
            let (told, longest) = tell_over_tcp(story, second);
            let Err(failure) = told else {
                return Ok(());
            };
            let was_late = longest > second;
            if !was_late || second >= 16 * SECOND {
                return Err(story.report(&format!("over TCP, {second:?} a second"), &failure));
            }
            second *= 4;
        }
    });
}

/// Every story with each of its effects left out, changed, too early, or too late.
#[test]
fn a_false_story_is_not_believed_in_virtual_time() {
    for story in stories() {
        for (index, line) in story.lines.iter().enumerate() {
            let What::Effect(effect) = &line.what else {
                continue;
            };
            let mut left_out = story.clone();
            let gone = left_out.lines.remove(index);
            if let Some(next) = left_out.lines.get_mut(index) {
                next.at = next.at.or(gone.at);
            }
            let mut false_stories = vec![left_out];
            let mut changed = story.clone();
            changed.lines[index].what = What::Effect(format!("{effect}x"));
            false_stories.push(changed);
            if let Some(at) = line.at {
                for at in [at - milliseconds(1), at + milliseconds(1)] {
                    let mut shifted = story.clone();
                    shifted.lines[index].at = Some(at);
                    false_stories.push(shifted);
                }
            }
            for story in false_stories {
                assert!(
                    tell_alone(&story).is_err(),
                    "{}: {}",
                    story.title,
                    line.text
                );
            }
        }
    }
}

/// Every story with one of its effects left out, changed, or come too early.
#[test]
fn a_false_story_is_not_believed_over_tcp() {
    for_each(&stories_for_tcp(), |seed, story| {
        let mut random = Random::new(seed as u64);
        let effects: Vec<usize> = (0..story.lines.len())
            .filter(|line| matches!(story.lines[*line].what, What::Effect(_)))
            .collect();
        let index = effects[random.below(effects.len() as u64) as usize];
        let mut false_story = story.clone();
        let line = &mut false_story.lines[index];
        match (&mut line.what, &mut line.at) {
            (What::Effect(effect), _) if random.chance(50) => effect.push('x'),
            // Not left out: what comes by the clock may come too late for the line that follows.
            (_, Some(at)) => *at += Duration::from_secs(1_000),
            (_, None) => drop(false_story.lines.remove(index)),
        }
        match tell_over_tcp(&false_story, SECOND) {
            (Err(_), _) => Ok(()),
            (Ok(()), _) => Err(format!("{}: {}", story.title, story.lines[index].text)),
        }
    });
}

#[test]
fn a_failure_shows_the_line_and_what_came_instead() {
    let story = "# The pong is lost\n   0  open websocket\n  25  < WS 2\n  45  < WS 1\n      closed: ping timeout";
    let story = Story::parse(story).expect("a story");
    for (told, result) in [
        ("in virtual time", tell_alone(&story)),
        ("over TCP", tell_over_tcp(&story, SECOND).0),
    ] {
        let failure = result.expect_err("a false story");
        let report = format!(
            "Told {told}, this story fails:\n\n    # The pong is lost\n       0  open websocket\n      25  < WS 2\n\
             >>>   45  < WS 1\n          closed: ping timeout\n\nthere: instead came: WS closed\n"
        );
        assert_eq!(story.report(told, &failure), report);
    }
}

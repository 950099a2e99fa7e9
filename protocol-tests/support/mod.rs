//! What several of the Rust tests use: numbers that look random, a server in this process, and a WebSocket client
//! that does what it is told, however rude.

// Each test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

use hyper::{Request, StatusCode, body::Incoming, http::request::Parts};
use rollcall::{
    engineio::{CloseReason, Frame, Timing},
    server::{self, Admission, Answer, Denied, Engine, Handler, Limit, Limits, Settings},
    socketio::{self, Auth, DisconnectReason, Event, Namespace, Refused, Socket, SocketIo},
};
use std::{
    fmt,
    future::{Future, pending},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Builder,
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

// ---------------------------------------------------------------------------------------------------------
// Numbers.

/// Numbers that look random and are the same every time (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike, and zero would stay zero.
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 up to but not including `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // The lowest bits of this generator are its weakest.
        (self.next() >> 16) % end
    }

    /// Whether something happens that happens `percent` times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

// ---------------------------------------------------------------------------------------------------------
// Time.

/// How long a test may take before it counts as hanging.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a test on two threads, as the daemon has at least.
pub fn run(test: impl Future<Output = ()>) {
    run_on(Builder::new_multi_thread().worker_threads(2), test);
}

/// Runs a test on one thread, where tasks take turns in the order in which they were woken.
pub fn run_on_one_thread(test: impl Future<Output = ()>) {
    run_on(&mut Builder::new_current_thread(), test);
}

fn run_on(runtime: &mut Builder, test: impl Future<Output = ()>) {
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        timeout(TEST_TIMEOUT, test).await.expect("the test hangs");
    });
    runtime.shutdown_background();
}

/// Waits for something of which there is no event.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    let mut again = tokio::time::interval(Duration::from_millis(2));
    while !is_so() {
        again.tick().await;
    }
}

pub fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

// ---------------------------------------------------------------------------------------------------------
// A server.

/// Finds out who it is by a header that says so.
pub struct ByName<I> {
    identify: fn(&str) -> I,
    welcome: Arc<AtomicBool>,
    late: Arc<Notify>,
}

impl<I: Send + Sync + 'static> Admission for ByName<I> {
    type Identity = I;

    fn is_same(&self, _identity: &I, _request: &Parts) -> bool {
        true
    }

    fn still_admits(&self, _identity: &I) -> bool {
        self.welcome.load(Ordering::SeqCst)
    }

    async fn admit(&self, request: &Parts, _peer: SocketAddr) -> Result<Arc<I>, Denied> {
        let name = request.headers.get("x-name");
        match name.and_then(|name| name.to_str().ok()) {
            None => Err(Denied {
                status: StatusCode::UNAUTHORIZED,
                message: "say who you are",
            }),
            Some("nobody") => Err(Denied {
                status: StatusCode::FORBIDDEN,
                message: "not you",
            }),
            // Still being looked up, for ever or until the test says so.
            Some("undecided") => pending().await,
            Some(name @ "late") => {
                self.late.notified().await;
                Ok(Arc::new((self.identify)(name)))
            }
            Some(name) => Ok(Arc::new((self.identify)(name))),
        }
    }
}

pub type TestEngine<N> =
    Engine<SocketIo<<N as Namespace>::Handshake>, ByName<<N as Namespace>::Handshake>>;

/// Passes every request to the engine, whatever its path.
struct Everything<N: Namespace>(Arc<TestEngine<N>>);

impl<N: Namespace> Handler for Everything<N> {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        self.0.handle(request, peer).await
    }
}

/// What a test may want otherwise: by default nothing times out while a test runs.
pub struct Setup {
    pub timing: Timing,
    pub io: socketio::Settings,
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        let long = Duration::from_secs(600);
        Self {
            timing: Timing {
                ping_interval: long,
                ping_timeout: long,
                ..Timing::default()
            },
            io: socketio::Settings {
                connect_timeout: long,
                attachment_timeout: long,
                ..socketio::Settings::default()
            },
            limits: Limits {
                write_timeout: long,
                header_timeout: long,
                linger_timeout: Duration::from_secs(5),
                shutdown_timeout: Duration::from_secs(5),
                ..Limits::default()
            },
        }
    }
}

/// Room for [`MANY`] times [`LARGE`].
pub fn roomy_with_write_timeout(write_timeout: Duration) -> Setup {
    Setup {
        limits: Limits {
            max_waiting_bytes: 256 << 20,
            write_timeout,
            ..Setup::default().limits
        },
        ..Setup::default()
    }
}

/// More than any kernel keeps for one connection.
pub const MANY: usize = 128;
pub const LARGE: usize = 256 << 10;

/// An event that carries `length` bytes or a little more.
pub fn large(length: usize) -> Frame {
    Frame::text(format!("42[\"large\",\"{}\"]", "x".repeat(length)))
}

pub fn closed(reason: CloseReason) -> DisconnectReason {
    DisconnectReason::SessionClosed(reason)
}

/// A server on a port of the kernel's choice.
pub struct Server<N: Namespace> {
    pub address: SocketAddr,
    pub engine: Arc<TestEngine<N>>,
    /// Whether those who were admitted are still welcome a moment later.
    pub welcome: Arc<AtomicBool>,
    /// Lets in whoever is called `late`.
    pub late: Arc<Notify>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl<N: Namespace> Server<N> {
    pub fn start(namespace: Arc<N>, identify: fn(&str) -> N::Handshake, setup: Setup) -> Self {
        let listener = server::bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0).expect("a port");
        let address = listener.local_addr().expect("its address");
        let Setup { timing, io, limits } = setup;
        let welcome = Arc::new(AtomicBool::new(true));
        let late = Arc::new(Notify::new());
        let mut io = SocketIo::builder(io);
        io.of("/", namespace);
        let engine = Engine::new(
            io.build(),
            ByName {
                identify,
                welcome: Arc::clone(&welcome),
                late: Arc::clone(&late),
            },
            Settings {
                timing,
                limits: limits.clone(),
                ..Settings::default()
            },
        );
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(run_until::<N>(stopped, listener, Arc::clone(&engine)));
        Self {
            address,
            engine,
            welcome,
            late,
            stop,
            running,
        }
    }

    pub fn sessions(&self) -> usize {
        self.engine.sessions().count()
    }

    /// The reasons for which sessions have ended, each as often as that.
    pub fn ended(&self) -> Vec<(CloseReason, u64)> {
        let ended = self.engine.sessions().ended();
        ended.filter(|(_, count)| *count > 0).collect()
    }

    /// How often clients have reached a limit.
    pub fn reached(&self, limit: Limit) -> u64 {
        let mut all = self.engine.bounds().reached();
        all.find(|(its, _)| *its == limit).expect("all are there").1
    }

    /// Shuts the server down, and tells how long that took.
    pub async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.send(true).expect("it is running");
        self.running.await.expect("it ends in order");
        begun.elapsed()
    }
}

/// Serves until it is told to stop, and ends as the daemon does.
async fn run_until<N: Namespace>(
    stopped: watch::Receiver<bool>,
    listener: TcpListener,
    engine: Arc<TestEngine<N>>,
) {
    let stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // A server that is dropped without being told to stop goes on until the test ends.
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                pending().await
            }
        }
    };
    let handler = Arc::new(Everything::<N>(Arc::clone(&engine)));
    let served = async {
        let sessions = async {
            stopped().await;
            engine.shut_down().await;
        };
        tokio::join!(
            server::serve(listener, handler, engine.bounds(), stopped()),
            sessions
        );
        // The last requests may have opened sessions.
        engine.shut_down().await;
    };
    let out_of_time = async {
        stopped().await;
        tokio::time::sleep(engine.bounds().shutdown_timeout).await;
    };
    tokio::select! {
        () = served => {}
        () = out_of_time => {}
    }
}

/// What a [`Recorder`] was told.
pub enum Happened {
    Connected(Socket<String>),
    Event(String),
    Disconnected(String, DisconnectReason),
}

/// A namespace that tells the test all that happens. It answers `echo`, and panics over `panic`.
pub struct Recorder(mpsc::UnboundedSender<Happened>);

/// The test's end of a [`Recorder`].
pub struct Recording(mpsc::UnboundedReceiver<Happened>);

impl Recorder {
    pub fn server(setup: Setup) -> (Server<Self>, Recording) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let recorder = Arc::new(Self(sender));
        let server = Server::start(recorder, str::to_owned, setup);
        (server, Recording(receiver))
    }

    fn tell(&self, happened: Happened) {
        // The test may have seen enough.
        let _nobody_listens = self.0.send(happened);
    }
}

impl Namespace for Recorder {
    type Handshake = String;
    type Data = String;

    async fn admit(&self, name: &Arc<String>, _auth: Auth) -> Result<String, Refused> {
        Ok(String::clone(name))
    }

    fn on_connect(&self, socket: &Socket<String>) {
        self.tell(Happened::Connected(socket.clone()));
    }

    fn on_event(&self, socket: &Socket<String>, mut event: Event<'_>) {
        let argument = event.raw(0);
        let shown = argument.map(|argument| argument.get()).unwrap_or_default();
        self.tell(Happened::Event(format!(
            "{} {} {shown}",
            socket.data(),
            event.name()
        )));
        match event.name() {
            "echo" => socket.emit("echo", (argument,)).expect("JSON"),
            "panic" => panic!("as the test asked"),
            _ => {}
        }
        if let Some(ack) = event.take_ack() {
            ack.send((argument,)).expect("JSON");
        }
    }

    fn on_disconnect(&self, socket: &Socket<String>, reason: DisconnectReason) {
        self.tell(Happened::Disconnected(socket.data().clone(), reason));
    }
}

impl Recording {
    /// What happens next; none when the server and all its sessions are gone.
    pub async fn next(&mut self) -> Option<Happened> {
        self.0.recv().await
    }

    /// The next, which has to be a socket.
    pub async fn connected(&mut self) -> Socket<String> {
        match self.next().await {
            Some(Happened::Connected(socket)) => socket,
            other => panic!("not a socket, but {other:?}"),
        }
    }

    /// Passes over all else until a socket is gone.
    pub async fn disconnected(&mut self) -> (String, DisconnectReason) {
        loop {
            match self.next().await {
                Some(Happened::Disconnected(name, reason)) => return (name, reason),
                Some(_) => {}
                None => panic!("the server is gone"),
            }
        }
    }

    /// All that happened, once the server has stopped.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(happened) = self.next().await {
            rest.push(format!("{happened:?}"));
        }
        rest
    }
}

impl fmt::Debug for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(socket) => write!(f, "{} connected", socket.data()),
            Self::Event(event) => f.write_str(event),
            Self::Disconnected(name, reason) => write!(f, "{name} disconnected: {reason}"),
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// A client.

/// A client's end of a connection, on which it may speak HTTP or WebSocket, rightly or wrongly.
pub struct Client<S = TcpStream> {
    pub stream: S,
    /// What has arrived and is not looked at yet.
    buffer: Vec<u8>,
}

/// What a client gets to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame, with its status if it has one.
    Close(Option<u16>),
    /// The end of the stream, between two frames.
    End,
    /// The end of the stream, in the middle of a frame.
    CutOff,
    /// The connection was reset.
    Reset,
}

/// The head of an HTTP response.
pub struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// All values of a header, in one line each.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(its, _)| its.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A WebSocket frame as a client sends it, masked. `first` is its first byte.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = head(first, 0x80, payload.len() as u64);
    frame.extend(KEY);
    frame.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// The head of a frame, up to where the key would be.
pub fn head(first: u8, mask_bit: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..=125 => head.push(mask_bit | length as u8),
        126..=0xffff => {
            head.push(mask_bit | 126);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(mask_bit | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head
}

pub fn text_frame(text: &str) -> Vec<u8> {
    masked(FIN | TEXT, text.as_bytes())
}

/// RFC 6455's own example of a key, and what has to be answered to it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request to open a session, or whatever else `query` asks for, with `more` lines in its head.
pub fn upgrade_request(name: &str, query: &str, more: &str) -> String {
    format!(
        "GET /socket.io/?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nX-Name: {name}\r\n{more}\r\n"
    )
}

pub const OPEN: &str = "EIO=4&transport=websocket";

impl Client {
    pub async fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self::on(stream)
    }

    /// A client that can take little at once: not so little that the kernel waits for more room each time.
    pub async fn dial_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(256 << 10).expect("a socket");
        let stream = socket.connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self::on(stream)
    }

    /// One that has this of the machine's own addresses.
    pub async fn dial_from(from: Ipv4Addr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::new(from.into(), 0))
            .expect("an address");
        Self::on(socket.connect(address).await.expect("a connection"))
    }

    /// Opens a session; also tells what the open packet says.
    pub async fn open(address: SocketAddr, name: &str) -> (Self, serde_json::Value) {
        let mut client = Self::dial(address).await;
        let opening = client.shake_hands(name).await;
        (client, opening)
    }

    /// Opens a session and joins the namespace.
    pub async fn join(address: SocketAddr, name: &str) -> Self {
        let (mut client, _) = Self::open(address, name).await;
        client.connect().await;
        client
    }

    /// The same connection once more, to write on it while something is read.
    pub fn second_handle(&self) -> TcpStream {
        let socket = socket2::SockRef::from(&self.stream)
            .try_clone()
            .expect("a handle");
        TcpStream::from_std(socket.into()).expect("a socket")
    }

    /// Waits until the server has reset the connection, without reading.
    pub async fn is_reset(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        until(|| {
            let error = socket.take_error().expect("a socket");
            error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        })
        .await;
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket");
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client's end that is there already.
    pub fn on(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Asks for a session on a connection that is there.
    pub async fn shake_hands(&mut self, name: &str) -> serde_json::Value {
        self.write(upgrade_request(name, OPEN, "").as_bytes()).await;
        assert_eq!(self.head().await.status, 101);
        let opening = self.text().await;
        let opening = opening.strip_prefix('0').expect("an open packet");
        serde_json::from_str(opening).expect("JSON")
    }

    /// Joins the namespace of a session that is open.
    pub async fn connect(&mut self) {
        self.send("40").await;
        let answer = self.text().await;
        assert!(answer.starts_with("40{\"sid\":\""), "{answer}");
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("a connection that takes it");
    }

    /// Sends a text message.
    pub async fn send(&mut self, text: &str) {
        self.write(&text_frame(text)).await;
    }

    /// Asserts that the session is alive, by way of the `echo` of the [`Recorder`].
    pub async fn echo(&mut self, word: &str) {
        self.send(&format!("42[\"echo\",\"{word}\"]")).await;
        assert_eq!(self.text().await, format!("42[\"echo\",\"{word}\"]"));
    }

    /// The next text message, which has to be what comes next.
    pub async fn text(&mut self) -> String {
        match self.see().await {
            Seen::Text(text) => text,
            other => panic!("not a text, but {other:?}"),
        }
    }

    /// Passes over all texts.
    pub async fn after_texts(&mut self) -> Seen {
        loop {
            match self.see().await {
                Seen::Text(_) => {}
                other => return other,
            }
        }
    }

    /// Asserts that the server says goodbye with this status, and ends.
    pub async fn is_closed_with(&mut self, status: Option<u16>) {
        assert_eq!(self.see().await, Seen::Close(status));
        assert_eq!(self.see().await, Seen::End);
    }

    /// The next frame, or the end. Every frame must be one that a server may send: whole and unmasked.
    pub async fn see(&mut self) -> Seen {
        loop {
            if let Some((seen, length)) = parse(&self.buffer) {
                self.buffer.drain(..length);
                return seen;
            }
            match self.read().await {
                Ok(0) if self.buffer.is_empty() => return Seen::End,
                Ok(0) => return Seen::CutOff,
                Ok(_) => {}
                Err(_reset) => return Seen::Reset,
            }
        }
    }

    /// Reads what there is, waiting for some; how much it was.
    pub async fn read(&mut self) -> io::Result<usize> {
        self.buffer.reserve(64 << 10);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// The next HTTP response's head.
    pub async fn head(&mut self) -> Head {
        let end = loop {
            if let Some(end) = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break end;
            }
            let length = self.read().await.expect("a response");
            assert!(
                length > 0,
                "the connection ended before the response: {:?}",
                self.buffer
            );
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).expect("ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().expect("a status line");
        let status = status.strip_prefix("HTTP/1.1 ").expect("HTTP/1.1");
        Head {
            status: status[..3].parse().expect("a status"),
            headers: lines
                .map(|line| line.split_once(": ").expect("a header"))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// The next HTTP response, with its body.
    /// Reads at most 64 KiB, so many times.
    pub async fn read_now_and_then(&mut self, times: usize, pace: Duration) {
        let mut tick = tokio::time::interval(pace);
        let mut piece = vec![0; 64 << 10];
        for _ in 0..times {
            tick.tick().await;
            let length = self.stream.read(&mut piece).await.expect("more");
            assert!(length > 0, "the end");
            self.buffer.extend_from_slice(&piece[..length]);
        }
    }

    pub async fn response(&mut self) -> (Head, String) {
        let head = self.head().await;
        let length: usize = match head.get("content-length") {
            Some(length) => length.parse().expect("a length"),
            None => 0,
        };
        while self.buffer.len() < length {
            assert!(
                self.read().await.expect("a body") > 0,
                "the body is cut off"
            );
        }
        let body = String::from_utf8(self.buffer.drain(..length).collect()).expect("UTF-8");
        (head, body)
    }
}

/// A request without an upgrade, up to its body.
pub fn plain_request(method: &str, name: &str, query: &str, length: usize) -> String {
    format!(
        "{method} /socket.io/?{query} HTTP/1.1\r\nHost: localhost\r\nX-Name: {name}\r\nContent-Length: {length}\r\n\r\n"
    )
}

pub const OPEN_POLLING: &str = "EIO=4&transport=polling";

/// A client on long-polling.
pub struct Poller {
    address: SocketAddr,
    name: String,
    /// What names its session in the query.
    pub query: String,
    /// The connection for its GETs; each POST has its own.
    pub client: Client,
}

impl Poller {
    /// Opens a session.
    pub async fn open(address: SocketAddr, name: &str) -> Self {
        let mut client = Client::dial(address).await;
        client
            .write(plain_request("GET", name, OPEN_POLLING, 0).as_bytes())
            .await;
        let (head, opening) = client.response().await;
        assert_eq!(head.status, 200, "{opening}");
        let opening = opening.strip_prefix('0').expect("an open packet");
        let opening: serde_json::Value = serde_json::from_str(opening).expect("JSON");
        let sid = opening["sid"].as_str().expect("a sid");
        Self {
            address,
            name: name.to_owned(),
            query: format!("{OPEN_POLLING}&sid={sid}"),
            client,
        }
    }

    /// Opens a session and joins the namespace.
    pub async fn join(address: SocketAddr, name: &str) -> Self {
        let mut poller = Self::open(address, name).await;
        assert_eq!(poller.post("40").await, (200, "ok".to_owned()));
        let (status, answer) = poller.poll().await;
        assert!(status == 200 && answer.starts_with("40{"), "{answer}");
        poller
    }

    /// Sends a GET; its answer is [`Poller::polled`].
    pub async fn ask(&mut self) {
        let request = plain_request("GET", &self.name, &self.query, 0);
        self.client.write(request.as_bytes()).await;
    }

    pub async fn polled(&mut self) -> (u16, String) {
        let (head, body) = self.client.response().await;
        (head.status, body)
    }

    pub async fn poll(&mut self) -> (u16, String) {
        self.ask().await;
        self.polled().await
    }

    /// A POST of which `length` bytes are still to be written.
    pub async fn begin_post(&self, length: usize) -> Client {
        let mut client = Client::dial(self.address).await;
        let request = plain_request("POST", &self.name, &self.query, length);
        client.write(request.as_bytes()).await;
        client
    }

    pub async fn post(&self, body: &str) -> (u16, String) {
        let mut client = self.begin_post(body.len()).await;
        client.write(body.as_bytes()).await;
        let (head, body) = client.response().await;
        (head.status, body)
    }
}

/// The first frame in `bytes`, if it is all there, and its length.
fn parse(bytes: &[u8]) -> Option<(Seen, usize)> {
    let [first, second, ..] = *bytes else {
        return None;
    };
    assert_eq!(second & 0x80, 0, "a server masks nothing");
    let (length, start) = match second {
        126 => (
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    assert!(length < 1 << 30, "no frame of ours is so long: {length}");
    let end = start + length as usize;
    let payload = bytes.get(start..end)?.to_vec();
    let seen = match first {
        0x81 => Seen::Text(String::from_utf8(payload).expect("UTF-8")),
        0x82 => Seen::Binary(payload),
        0x88 if payload.is_empty() => Seen::Close(None),
        0x88 => Seen::Close(Some(u16::from_be_bytes([payload[0], payload[1]]))),
        0x89 => Seen::Ping(payload),
        0x8a => Seen::Pong(payload),
        other => panic!("a frame that begins with {other:#x}"),
    };
    Some((seen, end))
}

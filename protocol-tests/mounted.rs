//! The endpoint in a program's own hyper server, on connections of its own choice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rollcall::{
    engineio::CloseReason,
    server::{Body, ClientBundle, Cors, Endpoint, Handler, Limits},
    socketio::SocketIo,
};
use std::{
    convert::Infallible,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};
use support::{
    ByName, Client, FIN, MANY, OPEN, OPEN_POLLING, PING, Recorder, Recording, Seen, Server, Setup,
    TEXT, closed, large, masked, milliseconds, plain_request, roomy_with_write_timeout, run,
    text_frame, until, upgrade_request,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, duplex},
    net::{TcpListener, TcpStream, UnixStream},
    sync::Mutex,
    task::JoinSet,
};

/// What a program may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tcp,
    /// TCP behind a type that hyper knows nothing of.
    Held,
    Unix,
    Memory,
}

const WAYS: [Way; 4] = [Way::Tcp, Way::Held, Way::Unix, Way::Memory];

/// How much a connection in memory takes unread: less than one large frame.
const MEMORY_BYTES: usize = 16 << 10;

/// What a [`Held`] keeps before it has to write.
const HELD_BYTES: usize = 16 << 10;

/// TCP as TLS makes it: it takes one slice at a time, and sends nothing before it is flushed or full.
struct Held {
    stream: TcpStream,
    held: Vec<u8>,
    writes: Arc<AtomicUsize>,
}

impl Held {
    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held))?;
            self.held.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.held.len() >= HELD_BYTES {
            ready!(self.poll_release(context))?;
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        let room = HELD_BYTES - self.held.len();
        let taken = bytes.len().min(room);
        self.held.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_release(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_release(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Dialled = Client<Box<dyn Stream>>;

/// A program with pages of its own, and Socket.IO beside them.
struct Program {
    way: Way,
    endpoint: Arc<Endpoint<SocketIo<String>, ByName<String>>>,
    listener: TcpListener,
    /// How often a [`Held`] was written to.
    writes: Arc<AtomicUsize>,
    connections: Mutex<JoinSet<()>>,
    server: Server<Recorder>,
}

impl Program {
    async fn start(way: Way, setup: Setup) -> (Self, Recording) {
        let (server, recording) = Recorder::server(setup);
        let endpoint = Endpoint::new(Arc::clone(&server.engine), "/socket.io/", Cors::Any);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let program = Self {
            way,
            endpoint,
            listener: listener.expect("a port"),
            writes: Arc::default(),
            connections: Mutex::default(),
            server,
        };
        (program, recording)
    }

    /// A new connection, and its other end served.
    async fn dial(&self) -> Dialled {
        match self.way {
            Way::Tcp | Way::Held => {
                let address = self.listener.local_addr().expect("an address");
                let (client, accepted) =
                    tokio::join!(Client::dial(address), self.listener.accept());
                let (stream, _) = accepted.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                if self.way == Way::Tcp {
                    self.serve(stream).await;
                } else {
                    let held = Held {
                        stream,
                        held: Vec::new(),
                        writes: Arc::clone(&self.writes),
                    };
                    self.serve(held).await;
                }
                Client::on(Box::new(client.stream))
            }
            Way::Unix => {
                let (client, stream) = UnixStream::pair().expect("sockets");
                self.serve(stream).await;
                Client::on(Box::new(client))
            }
            Way::Memory => {
                let (client, stream) = duplex(MEMORY_BYTES);
                self.serve(stream).await;
                Client::on(Box::new(client))
            }
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let endpoint = Arc::clone(&self.endpoint);
        let service = service_fn(move |request: Request<Incoming>| {
            let endpoint = Arc::clone(&endpoint);
            async move {
                Ok::<_, Infallible>(if endpoint.is_for(&request) {
                    // Not every connection has an address.
                    let peer = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                    endpoint.handle(request, peer).await
                } else {
                    Response::new(Body::from("a page of the program's own"))
                })
            }
        });
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        self.connections.lock().await.spawn(async {
            // A client that goes is no error of the program's.
            let _gone = connection.await;
        });
    }

    async fn join(&self, name: &str) -> Dialled {
        let mut client = self.dial().await;
        client.shake_hands(name).await;
        client.connect().await;
        client
    }
}

/// Runs a test on every kind of connection.
fn on_every_way(test: impl AsyncFn(Way)) {
    run(async {
        for way in WAYS {
            println!("{way:?}");
            test(way).await;
        }
    });
}

/// The answer to a GET, which leaves the connection open.
async fn get(client: &mut Dialled, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.write(request.as_bytes()).await;
    let (head, body) = client.response().await;
    (head.status, body)
}

#[test]
fn a_websocket_beside_pages_of_the_programs_own() {
    on_every_way(async |way| {
        let (program, mut recording) = Program::start(way, Setup::default()).await;
        let mut client = program.dial().await;
        let page = (200, String::from("a page of the program's own"));
        for path in ["/", "/socket.io", "/socket.io/socket.io.js"] {
            assert_eq!(get(&mut client, path).await, page, "{path}");
        }
        assert_eq!(get(&mut client, "/socket.io/").await.0, 400);
        client.shake_hands("alice").await;
        client.connect().await;
        assert_eq!(recording.connected().await.data(), "alice");
        client.echo("é€😀").await;
        client.write(&masked(FIN | PING, b"are you there?")).await;
        assert_eq!(client.see().await, Seen::Pong(b"are you there?".into()));
        // Its own connections go on.
        assert_eq!(get(&mut program.dial().await, "/").await, page);
        client.echo("again").await;
    });
}

#[test]
fn what_comes_right_behind_the_request_is_processed() {
    on_every_way(async |way| {
        let (program, _recording) = Program::start(way, Setup::default()).await;
        let mut client = program.dial().await;
        let long = "x".repeat(3000);
        let mut bytes = upgrade_request("alice", OPEN, "").into_bytes();
        bytes.extend(text_frame("40"));
        bytes.extend(text_frame(&format!("42[\"echo\",\"{long}\"]")));
        // The rest of a frame comes later.
        let last = text_frame("42[\"echo\",\"last\"]");
        bytes.extend(&last[..9]);
        client.write(&bytes).await;
        assert_eq!(client.head().await.status, 101);
        assert!(client.text().await.starts_with("0{"));
        assert!(client.text().await.starts_with("40{"));
        assert_eq!(client.text().await, format!("42[\"echo\",\"{long}\"]"));
        client.write(&last[9..]).await;
        assert_eq!(client.text().await, "42[\"echo\",\"last\"]");
    });
}

#[test]
fn a_message_of_a_megabyte_goes_both_ways() {
    on_every_way(async |way| {
        let (program, _recording) = Program::start(way, Setup::default()).await;
        let mut client = program.join("alice").await;
        // As large as the limit, with its frame between small ones.
        let overhead = "42[\"echo\",\"\"]".len();
        let text = format!("42[\"echo\",\"{}\"]", "x".repeat(1_000_000 - overhead));
        for _ in 0..3 {
            client.echo("before").await;
            client.send(&text).await;
            assert!(client.text().await == text, "it is not what was sent");
            client.echo("after").await;
        }
    });
}

#[test]
fn small_frames_travel_together_and_in_order() {
    on_every_way(async |way| {
        const FRAMES: usize = 300;
        let (program, mut recording) = Program::start(way, Setup::default()).await;
        let mut client = program.join("alice").await;
        let socket = recording.connected().await;
        let before = program.writes.load(Ordering::SeqCst);
        // In one message more than one gathering takes, and larger ones between: no boundary falls together.
        for number in 0..FRAMES {
            let filling = if number % 50 == 7 {
                5000 + number
            } else {
                number % 7
            };
            socket
                .emit("n", (number, "x".repeat(filling)))
                .expect("JSON");
        }
        for number in 0..FRAMES {
            let text = client.text().await;
            let start = format!("42[\"n\",{number},\"x");
            let empty = format!("42[\"n\",{number},\"\"]");
            assert!(text.starts_with(&start) || text == empty, "{text}");
        }
        if way == Way::Held {
            let writes = program.writes.load(Ordering::SeqCst) - before;
            // One a frame at most, and a few more for those that are cut.
            assert!((1..=FRAMES + 50).contains(&writes), "{writes} writes");
        }
    });
}

#[test]
fn a_session_moves_from_long_polling() {
    on_every_way(async |way| {
        let (program, mut recording) = Program::start(way, Setup::default()).await;
        let mut polling = program.dial().await;
        polling
            .write(plain_request("GET", "alice", OPEN_POLLING, 0).as_bytes())
            .await;
        let (head, opening) = polling.response().await;
        assert_eq!(head.status, 200, "{opening}");
        let opening: serde_json::Value = serde_json::from_str(&opening[1..]).expect("JSON");
        let sid = opening["sid"].as_str().expect("a sid");
        let query = format!("sid={sid}&{OPEN_POLLING}");
        let join = plain_request("POST", "alice", &query, 2) + "40";
        polling.write(join.as_bytes()).await;
        assert_eq!(polling.response().await.1, "ok");
        recording.connected().await;

        let mut websocket = program.dial().await;
        let upgrade = upgrade_request("alice", &format!("{OPEN}&sid={sid}"), "");
        websocket.write(upgrade.as_bytes()).await;
        assert_eq!(websocket.head().await.status, 101);
        websocket.send("2probe").await;
        assert_eq!(websocket.text().await, "3probe");
        polling
            .write(plain_request("GET", "alice", &query, 0).as_bytes())
            .await;
        assert!(polling.response().await.1.starts_with("40{"));
        websocket.send("5").await;
        websocket.echo("moved").await;
        assert_eq!(program.server.sessions(), 1);
    });
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    on_every_way(async |way| {
        let setup = roomy_with_write_timeout(milliseconds(300));
        let (program, mut recording) = Program::start(way, setup).await;
        let mut stuck = program.join("stuck").await;
        let socket = recording.connected().await;
        let frame = large(support::LARGE);
        for _ in 0..MANY {
            socket.send(frame.clone());
        }
        drop(socket);
        let (_, reason) = recording.disconnected().await;
        assert_eq!(reason, closed(CloseReason::WriteStalled));
        until(|| frame.bytes().is_unique()).await;
        let end = stuck.after_texts().await;
        assert!(
            matches!(end, Seen::CutOff | Seen::End | Seen::Reset),
            "{end:?}"
        );
    });
}

#[test]
fn a_client_that_breaks_the_rules_is_told_so() {
    on_every_way(async |way| {
        let (program, mut recording) = Program::start(way, Setup::default()).await;
        let mut client = program.join("alice").await;
        // Unmasked.
        client.write(&[FIN | TEXT, 1, b'3']).await;
        client.is_closed_with(Some(1002)).await;
        recording.disconnected().await;
    });
}

#[test]
fn shutdown_says_goodbye_to_everyone() {
    on_every_way(async |way| {
        let setup = Setup {
            limits: Limits {
                linger_timeout: milliseconds(200),
                ..Setup::default().limits
            },
            ..Setup::default()
        };
        let (program, _recording) = Program::start(way, setup).await;
        let mut clients = Vec::new();
        for name in ["alice", "bob"] {
            clients.push(program.join(name).await);
        }
        let Program {
            endpoint,
            connections,
            server,
            ..
        } = program;
        let saying = async {
            for client in &mut clients {
                client.is_closed_with(None).await;
            }
        };
        tokio::join!(server.engine.shut_down(), saying);
        assert_eq!(server.sessions(), 0);
        // Their connections were given away at the 101, so that nothing of the program waits for them.
        while let Some(ended) = connections.lock().await.join_next().await {
            ended.expect("no panic");
        }
        server.stop().await;
        drop(endpoint);
    });
}

#[test]
fn the_client_bundle_has_its_place_beside_the_endpoint() {
    run(async {
        let folder = std::env::temp_dir().join(format!("rollcall-bundle-{}", process::id()));
        fs::create_dir_all(folder.join("dist")).expect("a folder");
        fs::write(folder.join("package.json"), r#"{"version":"1.2.3"}"#).expect("a file");
        fs::write(folder.join("dist/socket.io.min.js"), "// the client").expect("a file");
        let bundle = ClientBundle::read(&folder.join("dist")).expect("a bundle");
        fs::remove_dir_all(&folder).expect("a folder");
        assert_eq!(bundle.version(), "1.2.3");
        assert_eq!(bundle.names().collect::<Vec<_>>(), ["socket.io.min.js"]);

        let (mut program, _recording) = Program::start(Way::Memory, Setup::default()).await;
        let engine = Arc::clone(&program.server.engine);
        program.endpoint = Endpoint::with_client_bundle(engine, "/socket.io/", Cors::Any, bundle);
        let mut client = program.dial().await;
        let file = get(&mut client, "/socket.io/socket.io.min.js").await;
        assert_eq!(file, (200, "// the client".into()));
        let page = (200, String::from("a page of the program's own"));
        for path in ["/socket.io/socket.io.js", "/socket.io.min.js", "/"] {
            assert_eq!(get(&mut client, path).await, page, "{path}");
        }
        client.shake_hands("alice").await;
    });
}

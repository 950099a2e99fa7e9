//! The small blocks of docs/library.md, in one program that a test runs.

use bytes::Bytes;
use rollcall::engineio::{CloseReason, Timing};
use rollcall::server::{self, Anyone, Cors, Endpoint, Engine, Handshake, Limits, Proxies};
use rollcall::socketio::{self, Arguments, Auth, DisconnectReason, EncodeError, Event};
use rollcall::socketio::{Namespace, Refused, Socket, SocketId, SocketIo, Sockets};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::{env, error::Error, time::Duration};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout, timeout_at};

// Namespaces and admission.

struct Admin {
    /// Those of the main namespace.
    guests: Arc<Sockets<()>>,
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

struct User {
    language: String,
    address: String,
}

impl Namespace for Admin {
    type Handshake = Handshake;
    type Data = User;

    async fn admit(&self, handshake: &Arc<Handshake>, auth: Auth) -> Result<User, Refused> {
        let login: Login = auth.get()?;
        if login.token != "secret" {
            let refused = Refused::new("not authorized");
            return Err(refused.with_data(&["ask an admin for a token"])?);
        }
        Ok(User {
            language: handshake.query("lang").unwrap_or("en".to_owned()),
            address: address_of(handshake),
        })
    }

    fn on_connect(&self, socket: &Socket<User>) {
        let User { language, address } = socket.data();
        report(socket.emit("welcome", (language, address)));
    }

    fn on_event(&self, _: &Socket<User>, event: Event<'_>) {
        if event.name() == "announce" {
            let announced = self.guests.emit("announcement", event.arguments());
            report(announced);
        }
    }
}

// Behind a proxy.

fn address_of(handshake: &Handshake) -> String {
    let own = IpAddr::from([127, 0, 0, 1]);
    let proxies = Proxies::new(vec![own.into()]);
    let client = proxies.client(handshake.address, &handshake.headers);
    client.ip().to_string()
}

// Events and acks.

/// How a handler answers: it goes through, or the log says why not.
type Outcome = Result<(), Box<dyn Error>>;

#[derive(Default)]
struct Tour {
    /// Those of the other namespace, which is there when this one is already.
    admins: OnceLock<Arc<Sockets<User>>>,
}

impl Namespace for Tour {
    type Handshake = Handshake;
    type Data = ();

    async fn admit(&self, _: &Arc<Handshake>, _: Auth) -> Result<(), Refused> {
        Ok(())
    }

    fn on_event(&self, socket: &Socket<()>, mut event: Event<'_>) {
        let outcome = match event.name() {
            "sum" => on_sum(&mut event),
            "ask" => on_ask(socket),
            "upload" => on_upload(socket, &event),
            "order" => on_order(socket, &event),
            "forward" => on_forward(socket, event.arguments()),
            "join" => on_join(socket, &event),
            "tell" => on_tell(socket, &event),
            "position" => on_position(socket, event.arguments()),
            "kick" => on_kick(socket, &event),
            "vote" => on_vote(socket, &event),
            "whisper" => on_whisper(socket, &event),
            "call" => self.on_call(socket),
            other => Err(format!("there is no event {other}").into()),
        };
        if let Err(error) = outcome {
            report(socket.emit("failed", (error.to_string(),)));
        }
    }

    fn on_disconnect(&self, socket: &Socket<()>, reason: DisconnectReason) {
        let was_lost = match reason {
            DisconnectReason::ClientLeft | DisconnectReason::ServerLeft => false,
            DisconnectReason::SessionClosed(reason) => reason != CloseReason::ServerShutdown,
        };
        for room in socket.rooms() {
            let event = (socket.id(), was_lost, reason.to_string());
            report(socket.to(&room).emit("gone", event));
        }
    }
}

fn on_sum(event: &mut Event<'_>) -> Outcome {
    let (left, right): (i64, i64) = (event.get(0)?, event.get(1)?);
    if let Some(ack) = event.take_ack() {
        ack.send((left + right,))?;
    }
    Ok(())
}

fn on_ask(socket: &Socket<()>) -> Outcome {
    let reply = socket.emit_with_ack("question", ("What is your name?",))?;
    let socket = socket.clone();
    tokio::spawn(async move {
        let told = match timeout(Duration::from_secs(10), reply).await {
            Ok(Ok(answer)) => answer.get::<String>(0).unwrap_or("no text".to_owned()),
            Ok(Err(_disconnected)) => return,
            Err(_elapsed) => "no answer".to_owned(),
        };
        report(socket.emit("answer", (told,)));
    });
    Ok(())
}

fn on_vote(socket: &Socket<()>, event: &Event<'_>) -> Outcome {
    let (room, question): (String, String) = (event.get(0)?, event.get(1)?);
    let asked = socket.to(&room);
    let mut replies = asked.emit_with_ack("vote", (question,))?;
    let socket = socket.clone();
    tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut votes = Vec::new();
        while let Ok(Some((_, answer))) = timeout_at(deadline, replies.next()).await {
            votes.extend(answer.ok().and_then(|vote| vote.get::<String>(0).ok()));
        }
        votes.sort();
        report(socket.emit("votes", (votes, replies.missing())));
    });
    Ok(())
}

// Binary.

#[derive(Serialize, Deserialize)]
struct Picture {
    name: String,
    pixels: Bytes,
}

fn on_upload(socket: &Socket<()>, event: &Event<'_>) -> Outcome {
    let Picture { name, pixels } = event.get(0)?;
    let smaller = pixels.slice(..pixels.len() / 2);
    let preview = Picture {
        name,
        pixels: smaller,
    };
    socket.emit("preview", (preview,))?;
    Ok(())
}

// Arguments.

#[derive(Deserialize)]
struct Order {
    item: String,
    count: Option<u32>,
}

fn on_order(socket: &Socket<()>, event: &Event<'_>) -> Outcome {
    let Order { item, count } = event.get(0)?;
    let note: Option<String> = event.get(1)?;
    socket.emit("ordered", (item, count.unwrap_or(1), note))?;
    Ok(())
}

fn on_forward(socket: &Socket<()>, arguments: &Arguments<'_>) -> Outcome {
    let first = arguments.raw(0).map(|json| json.get());
    socket.emit("arguments", (arguments.len(), first))?;
    socket.emit("forwarded", arguments)?;
    Ok(())
}

// Rooms and broadcasts.

fn on_join(socket: &Socket<()>, event: &Event<'_>) -> Outcome {
    let room: String = event.get(0)?;
    socket.join(&room);
    socket.to(&room).emit("joined", (&room, socket.id()))?;
    Ok(())
}

fn on_tell(socket: &Socket<()>, event: &Event<'_>) -> Outcome {
    let news: String = event.get(0)?;
    let everyone = socket.sockets();
    everyone.emit("news", ("all", &news))?;
    everyone.to("red").emit("news", ("a room", &news))?;
    everyone.to("red").to("blue").emit("news", ("two", &news))?;
    everyone.except("red").emit("news", ("all but", &news))?;
    socket.broadcast().emit("news", ("the others", &news))?;
    let others = socket.to("red").except("blue");
    others.emit("news", ("others in a room", &news))?;
    Ok(())
}

fn on_whisper(socket: &Socket<()>, event: &Event<'_>) -> Outcome {
    let (to, text): (SocketId, String) = (event.get(0)?, event.get(1)?);
    let other = socket.sockets().get(to).ok_or("nobody is there")?;
    other.emit("whispered", (socket.id(), text))?;
    Ok(())
}

// Two namespaces.

impl Tour {
    fn on_call(&self, socket: &Socket<()>) -> Outcome {
        let admins = self.admins.get().ok_or("there are no admins")?;
        admins.emit("called", (socket.id(),))?;
        Ok(())
    }
}

// Volatile.

fn on_position(socket: &Socket<()>, arguments: &Arguments<'_>) -> Outcome {
    let others = socket.broadcast();
    others.emit_volatile("position", arguments)?;
    Ok(())
}

// Disconnects.

fn on_kick(socket: &Socket<()>, event: &Event<'_>) -> Outcome {
    match event.get::<Option<String>>(0)? {
        None => socket.disconnect(),
        Some(everything) if everything == "session" => socket.close(),
        Some(room) => socket.to(&room).disconnect(),
    }
    Ok(())
}

// From outside of a handler.

async fn tick(sockets: Arc<Sockets<()>>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let count = (sockets.len(),);
        report(sockets.broadcast().emit_volatile("tick", count));
    }
}

fn report(outcome: Result<(), EncodeError>) {
    if let Err(error) = outcome {
        eprintln!("not sent: {error}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Settings and limits.
    let io_settings = socketio::Settings {
        connect_timeout: Duration::from_secs(10),
        max_attachments: 3,
        max_attachment_bytes: 1_000_000,
        ..socketio::Settings::default()
    };
    let settings = server::Settings {
        timing: Timing {
            ping_interval: Duration::from_secs(10),
            ..Timing::default()
        },
        limits: Limits {
            max_sessions: 500,
            max_payload_bytes: 100_000,
            ..Limits::default()
        },
        allow_eio3: true,
    };

    // Namespaces and admission.
    let mut io = SocketIo::builder(io_settings);
    let tour = Arc::new(Tour::default());
    let sockets = io.of("/", Arc::clone(&tour));
    let guests = Arc::clone(&sockets);
    let admins = io.of("/admin", Admin { guests });

    // Two namespaces.
    tour.admins.get_or_init(|| admins);

    tokio::spawn(tick(sockets));
    let engine = Engine::new(io.build(), Anyone, settings);
    let endpoint = Endpoint::new(engine, "/socket.io/", Cors::Any);
    let address = env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);

    // Shutdown.
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    endpoint.serve(listener, interrupted).await;
    Ok(())
}

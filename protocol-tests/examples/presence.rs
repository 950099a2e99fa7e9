//! Presence: who is here, and what they do. A client says its name as it connects, and later its `status`.

use rollcall::server::{self, Anyone, Cors, Endpoint, Engine, Handshake};
use rollcall::socketio::{Auth, DisconnectReason, Event, Namespace, Refused, Settings};
use rollcall::socketio::{Socket, SocketId, SocketIo};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, error::Error, future::pending};
use tokio::net::TcpListener;

struct Presence(Mutex<BTreeMap<SocketId, (String, String)>>);

impl Presence {
    /// Under one lock, so that everyone is told of all changes in one order.
    fn set(&self, socket: &Socket<String>, status: Option<String>) {
        let mut players = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let player = status.map(|status| (socket.data().clone(), status));
        players.remove(&socket.id());
        players.extend(player.map(|player| (socket.id(), player)));
        let told = socket.sockets().emit("players", (&*players,));
        told.unwrap_or_else(|error| eprintln!("nobody was told: {error}"));
    }
}

impl Namespace for Presence {
    type Handshake = Handshake;
    type Data = String;

    async fn admit(&self, _: &Arc<Handshake>, auth: Auth) -> Result<String, Refused> {
        let mut auth: HashMap<String, String> = auth.get()?;
        auth.remove("name").ok_or(Refused::new("say your name"))
    }

    fn on_connect(&self, socket: &Socket<String>) {
        self.set(socket, Some("online".to_owned()));
    }

    fn on_event(&self, socket: &Socket<String>, event: Event<'_>) {
        if let ("status", Ok(status)) = (event.name(), event.get(0)) {
            self.set(socket, Some(status));
        }
    }

    fn on_disconnect(&self, socket: &Socket<String>, _: DisconnectReason) {
        self.set(socket, None);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut io = SocketIo::builder(Settings::default());
    io.of("/", Presence(Mutex::default()));
    let engine = Engine::new(io.build(), Anyone, server::Settings::default());
    let endpoint = Endpoint::new(engine, "/socket.io/", Cors::Any);

    let address = env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    endpoint.serve(listener, pending()).await;
    Ok(())
}

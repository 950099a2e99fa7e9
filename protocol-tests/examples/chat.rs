//! A chat with rooms: `join` one, `leave` it, say a `message` to all who are in it.

use rollcall::server::{self, Anyone, Cors, Endpoint, Engine, Handshake};
use rollcall::socketio::{Auth, Event, Namespace, Refused, Settings, Socket, SocketIo};
use std::{collections::HashMap, env, error::Error, future::pending, sync::Arc};
use tokio::net::TcpListener;

struct Chat;

impl Namespace for Chat {
    type Handshake = Handshake;
    type Data = String;

    async fn admit(&self, _: &Arc<Handshake>, auth: Auth) -> Result<String, Refused> {
        let mut auth: HashMap<String, String> = auth.get()?;
        auth.remove("name").ok_or(Refused::new("say your name"))
    }

    fn on_event(&self, socket: &Socket<String>, event: Event<'_>) {
        if let Err(error) = hear(socket, &event) {
            eprintln!("{} from {}: {error}", event.name(), socket.data());
        }
    }
}

fn hear(socket: &Socket<String>, event: &Event<'_>) -> Result<(), Box<dyn Error>> {
    let (name, room) = (socket.data(), event.get::<String>(0)?);
    match event.name() {
        "join" => socket.join(&room),
        "leave" => socket.leave(&room),
        "message" => {
            let text: String = event.get(1)?;
            let members = socket.sockets().to(&room);
            members.emit("message", (&room, name, text))?;
        }
        _ => {}
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut io = SocketIo::builder(Settings::default());
    io.of("/", Chat);
    let engine = Engine::new(io.build(), Anyone, server::Settings::default());
    let endpoint = Endpoint::new(engine, "/socket.io/", Cors::Any);

    let address = env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    endpoint.serve(listener, pending()).await;
    Ok(())
}

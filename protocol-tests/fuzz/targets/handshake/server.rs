//! The server: a fresh one for each input.

use hyper::{StatusCode, http::request::Parts};
use rollcall::{
    server::{Admission, ClientBundle, Cors, Denied, Endpoint, Engine, Settings},
    socketio::{self, Auth, Event, Namespace, Refused, Socket, SocketIo},
};
use std::{
    env, fs,
    net::SocketAddr,
    path::PathBuf,
    process,
    sync::{Arc, OnceLock},
};

/// Lets in whoever says a name, but for `nobody`.
pub struct Named;

impl Admission for Named {
    type Identity = ();

    async fn admit(&self, request: &Parts, _peer: SocketAddr) -> Result<Arc<()>, Denied> {
        let (status, message) = match request.headers.get("x-name") {
            None => (StatusCode::UNAUTHORIZED, "who?"),
            Some(name) if name == "nobody" => (StatusCode::FORBIDDEN, "not you"),
            Some(_) => return Ok(Arc::new(())),
        };
        Err(Denied { status, message })
    }
}

/// Sends every event back.
pub struct Echo;

impl Namespace for Echo {
    type Handshake = ();
    type Data = ();

    async fn admit(&self, _: &Arc<()>, _: Auth) -> Result<(), Refused> {
        Ok(())
    }

    fn on_event(&self, socket: &Socket<()>, event: Event<'_>) {
        socket
            .emit(event.name(), event.arguments())
            .expect("what came can go");
    }
}

pub const BUNDLED: &str = "a client, and a client, and a client, ";

/// A fresh server. The client bundle is read from a file, so it is there only for those who ask.
pub fn endpoint(has_bundle: bool) -> Arc<Endpoint<SocketIo<()>, Named>> {
    let mut io = SocketIo::builder(socketio::Settings::default());
    io.of("/", Echo);
    let settings = Settings {
        allow_eio3: true,
        ..Settings::default()
    };
    let engine = Engine::new(io.build(), Named, settings);
    if !has_bundle {
        return Endpoint::new(engine, "/socket.io/", Cors::Any);
    }
    let bundle = ClientBundle::read(&bundle().join("dist")).expect("a bundle");
    Endpoint::with_client_bundle(engine, "/socket.io/", Cors::Any, bundle)
}

/// A client bundle in a folder of its own.
fn bundle() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = env::temp_dir().join(format!("rollcall-fuzz-bundle-{}", process::id()));
        fs::create_dir_all(folder.join("dist")).expect("a folder");
        fs::write(folder.join("package.json"), "{\"version\":\"1\"}").expect("a file");
        fs::write(folder.join("dist/socket.io.js"), BUNDLED.repeat(50)).expect("a file");
        folder
    })
}

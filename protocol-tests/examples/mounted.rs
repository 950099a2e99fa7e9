//! Socket.IO in a hyper server of one's own, which has other pages as well: here `/`, which counts the sockets.

use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rollcall::server::{self, Anyone, Cors, Endpoint, Engine, Handler, Handshake};
use rollcall::socketio::{Auth, Event, Namespace, Refused, Settings, Socket, SocketIo};
use std::{convert::Infallible, env, error::Error, sync::Arc};
use tokio::net::TcpListener;

struct Lobby;

impl Namespace for Lobby {
    type Handshake = Handshake;
    type Data = ();

    async fn admit(&self, _: &Arc<Handshake>, _: Auth) -> Result<(), Refused> {
        Ok(())
    }

    fn on_event(&self, _: &Socket<()>, mut event: Event<'_>) {
        if let Some(ack) = event.take_ack()
            && let Err(error) = ack.send(event.arguments())
        {
            eprintln!("not answered: {error}");
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut io = SocketIo::builder(Settings::default());
    let sockets = io.of("/", Lobby);
    let engine = Engine::new(io.build(), Anyone, server::Settings::default());
    let endpoint = Endpoint::new(engine, "/socket.io/", Cors::Any);

    let address = env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let (endpoint, sockets) = (Arc::clone(&endpoint), Arc::clone(&sockets));
        let service = service_fn(move |request| {
            let (endpoint, sockets) = (Arc::clone(&endpoint), Arc::clone(&sockets));
            async move {
                Ok::<_, Infallible>(if endpoint.is_for(&request) {
                    endpoint.handle(request, peer).await
                } else {
                    let page = format!("{} sockets\n", sockets.len());
                    Response::new(page.into())
                })
            }
        });
        // Without `with_upgrades` there are no WebSockets.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

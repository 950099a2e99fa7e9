//! The endpoint: an engine as all that a server has.

use super::{Admission, Answer, ClientBundle, Cors, Engine, Handler, empty, serve};
use crate::engineio::Application;
use futures_util::{FutureExt, future::Either};
use hyper::{Request, StatusCode, body::Incoming};
use std::{
    future::{Future, ready},
    net::SocketAddr,
    sync::Arc,
};
use tokio::{net::TcpListener, select, sync::watch, time::sleep};

/// An engine at its path, with the headers that web pages need.
///
/// A program with a hyper server of its own asks it, or the engine, about those of its requests that are for Socket.IO.
/// Its connections may be TCP, TLS or whatever hyper can serve, but have to be served `with_upgrades`; and on TCP, small
/// packets are late without `set_nodelay`.
///
/// ```
/// # use rollcall::server::Handshake;
/// # use rollcall::socketio::{Auth, Event, Namespace, Refused, Socket};
/// # use std::sync::Arc;
/// # struct Chat;
/// # impl Namespace for Chat {
/// #     type Handshake = Handshake;
/// #     type Data = ();
/// #     async fn admit(&self, _: &Arc<Handshake>, _: Auth) -> Result<(), Refused> { Ok(()) }
/// #     fn on_event(&self, _: &Socket<()>, _: Event<'_>) {}
/// # }
/// use rollcall::server::{Anyone, Cors, Endpoint, Engine, Settings, bind};
/// use rollcall::socketio::{self, SocketIo};
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let mut io = SocketIo::builder(socketio::Settings::default());
/// io.of("/", Chat);
/// let engine = Engine::new(io.build(), Anyone, Settings::default());
/// let endpoint = Endpoint::new(engine, "/socket.io/", Cors::Any);
/// // Port 0: one that is free. And until when? Here until now.
/// let listener = bind(None, 0)?;
/// endpoint.serve(listener, async {}).await;
/// # Ok(())
/// # }
/// ```
pub struct Endpoint<A: Application, D> {
    engine: Arc<Engine<A, D>>,
    path: &'static str,
    cors: Cors,
    client_bundle: Option<ClientBundle>,
}

impl<A, D> Endpoint<A, D>
where
    A: Application,
    D: Admission<Identity = A::Identity>,
{
    /// `engine` at `path`, which is `/socket.io/` unless the clients are told otherwise.
    pub fn new(engine: Arc<Engine<A, D>>, path: &'static str, cors: Cors) -> Arc<Self> {
        Arc::new(Self {
            engine,
            path,
            cors,
            client_bundle: None,
        })
    }

    /// The same, and below the path, as in `/socket.io/socket.io.js`, the client for web pages.
    pub fn with_client_bundle(
        engine: Arc<Engine<A, D>>,
        path: &'static str,
        cors: Cors,
        client_bundle: ClientBundle,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            path,
            cors,
            client_bundle: Some(client_bundle),
        })
    }

    /// Whether a request is for this endpoint, or for a file of its client bundle.
    pub fn is_for<B>(&self, request: &Request<B>) -> bool {
        let file = request.uri().path().strip_prefix(self.path);
        file.is_some_and(|file| file.is_empty() || self.has_file(file))
    }

    fn has_file(&self, name: &str) -> bool {
        let mut names = self.client_bundle.iter().flat_map(ClientBundle::names);
        names.any(|its| its == name)
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Answer> + Send + use<A, D> {
        if let Some(answer) = self.cors.preflight(&request) {
            return Either::Left(ready(answer));
        }
        let file = request.uri().path().strip_prefix(self.path);
        let answer = match (file, &self.client_bundle) {
            (Some(""), _) => return Either::Right(self.engine.handle(request, peer)),
            (Some(file), Some(bundle)) => bundle.answer(file, &request, self.engine.bounds()),
            _ => None,
        };
        Either::Left(ready(
            answer.unwrap_or_else(|| empty(StatusCode::NOT_FOUND)),
        ))
    }

    /// Serves `listener` with nothing but this until `shutdown` is ready. Then ends all sessions, and returns when
    /// they have ended and the requests under way are answered, or
    /// [`Limits::shutdown_timeout`](super::Limits::shutdown_timeout) later.
    ///
    /// # Cancel safety
    /// Dropped early, sessions and requests under way go on as long as the runtime lives.
    pub async fn serve(
        self: &Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) {
        let stop = watch::Sender::new(false);
        let stopped = || {
            let mut stop = stop.subscribe();
            // An error says that nobody can stop us any more, and that is a reason to stop.
            async move { stop.wait_for(|stop| *stop).await.map_or((), drop) }
        };
        let serving = serve(listener, Arc::clone(self), self.engine.bounds(), stopped());
        let ended = async {
            let sessions = async {
                stopped().await;
                self.engine.shut_down().await;
            };
            tokio::join!(serving, sessions);
            // The last requests may have opened sessions.
            self.engine.shut_down().await;
        };
        let out_of_time = async {
            shutdown.await;
            stop.send_replace(true);
            sleep(self.engine.bounds().shutdown_timeout).await;
        };
        select! {
            () = ended => {}
            () = out_of_time => log::warn!("not everyone said goodbye in time"),
        }
    }
}

impl<A, D> Handler for Endpoint<A, D>
where
    A: Application,
    D: Admission<Identity = A::Identity>,
{
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Answer> + Send {
        let permit = self.cors.permit(request.headers());
        let answer = self.answer(request, peer);
        answer.map(|answer| permit.apply(answer))
    }
}

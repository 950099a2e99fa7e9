//! The endpoint: an engine as all that a server has.

use super::{Admission, Answer, Cors, Engine, Handler, empty, serve};
use crate::engineio::Application;
use hyper::{Request, StatusCode, body::Incoming, header::ORIGIN};
use std::{future::Future, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::watch};

/// An engine at its path, with the headers that web pages need.
///
/// A program with a hyper server of its own asks it, or the engine, about those of its requests that are for Socket.IO.
/// Its connections have to be served `with_upgrades`.
pub struct Endpoint<A: Application, D> {
    engine: Arc<Engine<A, D>>,
    path: &'static str,
    cors: Cors,
}

impl<A, D> Endpoint<A, D>
where
    A: Application,
    D: Admission<Identity = A::Identity>,
{
    /// `engine` at `path`, which is `/socket.io/` unless the clients are told otherwise.
    pub fn new(engine: Arc<Engine<A, D>>, path: &'static str, cors: Cors) -> Arc<Self> {
        Arc::new(Self { engine, path, cors })
    }

    /// Whether a request is for this endpoint.
    pub fn is_for<B>(&self, request: &Request<B>) -> bool {
        request.uri().path() == self.path
    }

    /// Serves `listener` with nothing but this until `shutdown` is ready. Then ends all sessions, and returns when
    /// they have ended and the requests under way are answered. How long that may be is the caller's to say.
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
        let serving = serve(listener, Arc::clone(self), self.engine.limits(), stopped());
        let sessions = async {
            shutdown.await;
            stop.send_replace(true);
            self.engine.shut_down().await;
        };
        tokio::join!(serving, sessions);
        // The last requests may have opened sessions.
        self.engine.shut_down().await;
    }
}

impl<A, D> Handler for Endpoint<A, D>
where
    A: Application,
    D: Admission<Identity = A::Identity>,
{
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let origin = request.headers().get(ORIGIN).cloned();
        let mut answer = match self.cors.preflight(&request) {
            Some(answer) => answer,
            None if self.is_for(&request) => self.engine.handle(request, peer).await,
            None => empty(StatusCode::NOT_FOUND),
        };
        self.cors.apply(origin, &mut answer);
        answer
    }
}

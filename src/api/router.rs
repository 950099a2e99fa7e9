//! Every path, and who answers it.

use super::{Authenticator, error, status, users};
use crate::{
    server::{Answer, ClientBundle, Cors, Engine, Handler, empty},
    socketio::SocketIo,
    users::{Directory, User},
};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{ALLOW, HeaderValue, LOCATION, ORIGIN},
    http::request::Parts,
};
use std::{net::SocketAddr, sync::Arc, time::Instant};

/// The engine behind the Socket.IO endpoint.
pub type SocketIoEngine = Engine<SocketIo<Option<Arc<User>>>, Authenticator>;

/// All that the daemon answers over HTTP.
pub struct Api {
    /// None: the operator wants no activities, so there is no such endpoint.
    engine: Option<Arc<SocketIoEngine>>,
    /// For web pages; beside the endpoint, if there is one.
    client_bundle: Option<ClientBundle>,
    authenticator: Authenticator,
    directory: Arc<dyn Directory>,
    cors: Cors,
    started: Instant,
}

impl Api {
    /// Answers about the users of `directory`, passes Socket.IO on to `engine`, and has `client_bundle` for web pages.
    pub fn new(
        engine: Option<Arc<SocketIoEngine>>,
        client_bundle: Option<ClientBundle>,
        directory: Arc<dyn Directory>,
        cors: Cors,
    ) -> Self {
        let authenticator = Authenticator::new(Arc::clone(&directory));
        Self {
            engine,
            client_bundle,
            authenticator,
            directory,
            cors,
            started: Instant::now(),
        }
    }

    async fn route(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let file = request.uri().path().strip_prefix("/socket.io/");
        if let (Some(engine), Some(file)) = (&self.engine, file) {
            if file.is_empty() {
                return engine.handle(request, peer).await;
            }
            if let Some(bundle) = &self.client_bundle
                && let Some(answer) = bundle.answer(file, &request, engine.limits())
            {
                return answer;
            }
        }
        let (parts, _body) = request.into_parts();
        match parts.uri.path() {
            "/api/users/me" => self.read(&parts, self.me(&parts)).await,
            "/api/users" => self.read(&parts, self.users(&parts)).await,
            "/api/status" => self.read(&parts, self.status(&parts)).await,
            "/api/health" => moved("/api/status"),
            _ => error::error(StatusCode::NOT_FOUND, "There is nothing at this path."),
        }
    }

    /// Lets only reading methods through. hyper leaves the body out of an answer to HEAD.
    async fn read(
        &self,
        request: &Parts,
        answer: impl Future<Output = Result<Answer, Answer>>,
    ) -> Answer {
        if request.method == Method::GET || request.method == Method::HEAD {
            return answer.await.unwrap_or_else(|error| error);
        }
        let mut answer = error::error(
            StatusCode::METHOD_NOT_ALLOWED,
            "This path only answers GET.",
        );
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        answer
    }

    async fn me(&self, request: &Parts) -> Result<Answer, Answer> {
        let user = self
            .authenticator
            .by_key_or_password(&request.headers)
            .await
            .map_err(error::denied)?;
        users::me(&*self.directory, &user).await
    }

    async fn users(&self, request: &Parts) -> Result<Answer, Answer> {
        let user = self
            .authenticator
            .by_key_or_password(&request.headers)
            .await
            .map_err(error::denied)?;
        users::list(&*self.directory, &user).await
    }

    /// Open to all; who says who they are may learn more.
    async fn status(&self, request: &Parts) -> Result<Answer, Answer> {
        let user = self
            .authenticator
            .by_key_or_password(&request.headers)
            .await
            .ok();
        Ok(status::status(user.as_deref(), self.started.elapsed()))
    }
}

impl Handler for Api {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let origin = request.headers().get(ORIGIN).cloned();
        let mut answer = match self.cors.preflight(&request) {
            Some(answer) => answer,
            None => self.route(request, peer).await,
        };
        self.cors.apply(origin, &mut answer);
        answer
    }
}

fn moved(to: &'static str) -> Answer {
    let mut answer = empty(StatusCode::PERMANENT_REDIRECT);
    answer
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static(to));
    answer
}

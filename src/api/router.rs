//! Every path, and who answers it.

use super::{
    Activities, Authenticator, Connected, Monitoring, documents::Documents, error, page::Page,
    route::Route, status, users,
};
use crate::{
    presence::{Hub, Visitor},
    server::{Answer, ClientBundle, Cors, Engine, Handler, Network, Proxies, empty},
    socketio::SocketIo,
    users::{Directory, Role, User},
};
use futures_util::{FutureExt, future::Either};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{ALLOW, HeaderValue, LOCATION, VARY},
    http::request::Parts,
};
use std::{
    future::{Future, ready},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

/// The engine behind the Socket.IO endpoint.
pub type SocketIoEngine = Engine<SocketIo<Visitor>, Authenticator>;

/// All that the daemon answers over HTTP.
pub struct Api {
    /// None: the operator wants no activities, so there is no such endpoint.
    connected: Option<Connected>,
    /// For web pages; beside the endpoint, if there is one.
    client_bundle: Option<ClientBundle>,
    page: Page,
    /// Where the page is as well, with whatever it asks for: the path between the slashes, `/activities` or nothing.
    base_path: String,
    /// None: as above.
    activities: Option<Activities>,
    /// Knows when users were seen last, where there are no activities, too.
    hub: Arc<Hub>,
    authenticator: Authenticator,
    directory: Arc<dyn Directory>,
    monitoring: Arc<Monitoring>,
    documents: Documents,
    cors: Cors,
    proxies: Proxies,
    started: Instant,
}

impl Api {
    /// Answers about the users of `directory` and their `activities`, passes Socket.IO on to those who are `connected`, and has
    /// `client_bundle` for web pages.
    pub fn new(
        connected: Option<Connected>,
        client_bundle: Option<ClientBundle>,
        activities: Option<Activities>,
        hub: Arc<Hub>,
        directory: Arc<dyn Directory>,
        authenticator: Authenticator,
        monitoring: Arc<Monitoring>,
    ) -> Self {
        Self {
            connected,
            client_bundle,
            page: Page::new(),
            base_path: String::new(),
            activities,
            hub,
            authenticator,
            directory,
            monitoring,
            documents: Documents::default(),
            cors: Cors::default(),
            proxies: Proxies::default(),
            started: Instant::now(),
        }
    }

    /// The same for the pages that `cors` lets read its answers, which are all otherwise.
    pub fn for_pages(self, cors: Cors) -> Self {
        Self { cors, ..self }
    }

    /// The same behind `proxies`, whose word is taken for where a request comes from.
    pub fn behind(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// The same below a path as well, such as `/activities/`, for a page beside what else is at this host.
    pub fn below(self, base_path: &str) -> Self {
        let base_path = base_path.trim_end_matches('/').to_owned();
        Self { base_path, ..self }
    }

    /// What is asked for, wherever the page is. What watches over the server is not for those who see the page.
    fn path<'a, B>(&self, request: &'a Request<B>) -> &'a str {
        let path = request.uri().path();
        let below = path.strip_prefix(&*self.base_path);
        let is_asked_for = |below: &&str| {
            let mut folders = ["/page/", "/api/", "/socket.io/"].iter();
            *below == "/" || folders.any(|folder| below.starts_with(folder))
        };
        below.filter(is_asked_for).unwrap_or(path)
    }

    fn route(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: SocketAddr,
    ) -> impl Future<Output = Answer> + Send {
        let path = self.path(&request);
        let file = path.strip_prefix("/socket.io/");
        if let (Some(Connected { engine, .. }), Some(file)) = (&self.connected, file) {
            if file.is_empty() {
                return Either::Left(engine.handle(request, client));
            }
            if let Some(bundle) = &self.client_bundle
                && let Some(answer) = bundle.answer(file, &request, engine.bounds())
            {
                return Either::Right(ready(answer).boxed());
            }
        }
        let bounds = self.connected.as_ref().map(|those| those.engine.bounds());
        let compress_from_bytes = bounds.and_then(|bounds| bounds.compress_from_bytes);
        if let Some(answer) = self.page.answer(path, &request, compress_from_bytes) {
            return Either::Right(ready(answer).boxed());
        }
        // Boxed: a GET that waits at the engine should need no room for this.
        Either::Right(async move { self.rest(request, client).await }.boxed())
    }

    /// All that is not Socket.IO.
    async fn rest(&self, request: Request<Incoming>, client: SocketAddr) -> Answer {
        let path = self.path(&request);
        if path == self.base_path && !path.is_empty() {
            return moved(&format!("{path}/"));
        }
        let route = Route::of(path)
            .filter(|route| self.activities.is_some() || !route.is_about_activities());
        let Some(route) = route else {
            return nothing_here();
        };
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(client);
        let methods = route.methods();
        let mut answered = methods.split(", ");
        if !answered.any(|method| method == parts.method.as_str()) {
            return not_allowed(methods);
        }
        let answer = self.answer(route, &parts, body).await;
        let mut answer = answer.unwrap_or_else(|error| error);
        // Who signs in after another in the same browser must not get from its cache what was the other's.
        if route.depends_on_asker() {
            let by_asker = HeaderValue::from_static(Authenticator::ASKED_BY);
            answer.headers_mut().append(VARY, by_asker);
        }
        answer
    }

    /// hyper leaves the body out of an answer to HEAD.
    async fn answer(&self, route: Route, parts: &Parts, body: Incoming) -> Result<Answer, Answer> {
        let directory = &*self.directory;
        match (route, &self.activities) {
            (Route::Me, _) => users::me(directory, &*self.asker(parts).await?).await,
            (Route::Users, _) => {
                let asker = self.asker(parts).await?;
                users::list(directory, &asker, &self.hub.last_seen()).await
            }
            (Route::User(id), _) => {
                let asker = self.asker(parts).await?;
                users::one(directory, &asker, id, self.hub.last_seen_of(id)).await
            }
            (Route::Health, _) => Ok(moved("/api/status")),
            (Route::Document(document), _) => Ok(self.documents.answer(document, parts)),
            (Route::Sessions, _) => {
                self.admin(parts).await?;
                let connected = self.connected.as_ref();
                Ok(connected.map_or_else(nothing_here, Connected::summary))
            }
            (Route::SessionsOf(id), _) => {
                let admin = self.admin(parts).await?;
                users::shown(directory, Some(&admin), id).await?;
                let connected = self.connected.as_ref();
                Ok(connected.map_or_else(nothing_here, |those| those.disconnect(id)))
            }
            (Route::Activities, Some(activities)) => {
                self.reader(activities, parts).await?;
                Ok(activities.all(parts))
            }
            (Route::Stream, Some(activities)) => {
                let user = self.reader(activities, parts).await?;
                Ok(activities.streams.open(parts, user))
            }
            (Route::Activity(id), Some(activities)) => {
                let asker = match activities.public_read {
                    true => self.asker(parts).await.ok(),
                    false => Some(self.asker(parts).await?),
                };
                // What everyone is told is no secret; of the others nobody may learn that they are there.
                if !activities.is_told_of(id) {
                    users::shown(directory, asker.as_deref(), id).await?;
                }
                Ok(activities.one(parts, id))
            }
            (Route::MyActivity, Some(activities)) => {
                let user = self.asker(parts).await?;
                match parts.method {
                    Method::PUT => {
                        let lease = activities.read(body).await?;
                        // While the body came, the key may have been changed.
                        let user = match directory.is_current(&user) {
                            true => user,
                            false => self.asker(parts).await?,
                        };
                        Ok(activities.put(&user, lease))
                    }
                    Method::DELETE => Ok(activities.delete(&user)),
                    _ => Ok(activities.one(parts, user.id)),
                }
            }
            // Open to all; who says who they are may learn more.
            (Route::Status, _) => {
                let asker = self.asker(parts).await.ok();
                Ok(status::status(asker.as_deref(), self.started.elapsed()))
            }
            (Route::Monitoring(probe), _) => {
                let answer = self.monitoring.answer(probe);
                Ok(answer.unwrap_or_else(nothing_here))
            }
            // Not routed to.
            (_, None) => Err(empty(StatusCode::NOT_FOUND)),
        }
    }

    /// Who asks.
    async fn asker(&self, request: &Parts) -> Result<Arc<User>, Answer> {
        let client = request.extensions.get().copied();
        // Not known: like a proxy that nobody has declared.
        let client = client.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let asker = self.authenticator.by_anything(&request.headers, client);
        asker.await.map_err(|denied| {
            // Who shows nothing has tried nothing.
            if Authenticator::is_shown_something(&request.headers) {
                error::log_denied(client, &denied);
            }
            error::denied(denied)
        })
    }

    /// Who asks, if it is an admin.
    async fn admin(&self, request: &Parts) -> Result<Arc<User>, Answer> {
        let asker = self.asker(request).await?;
        match asker.role {
            Role::Admin => Ok(asker),
            _ => Err(error::error(
                StatusCode::FORBIDDEN,
                "Only an admin may do this.",
            )),
        }
    }

    /// Who wants to read activities; none: anyone may.
    async fn reader(
        &self,
        activities: &Activities,
        request: &Parts,
    ) -> Result<Option<Arc<User>>, Answer> {
        if activities.public_read {
            return Ok(None);
        }
        self.asker(request).await.map(Some)
    }
}

impl Handler for Api {
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Answer> + Send {
        let permit = self.cors.permit(request.headers());
        let client = self.proxies.client(peer, request.headers());
        let answer = match self.cors.preflight(&request) {
            Some(answer) => Either::Left(ready(answer)),
            None => Either::Right(self.route(request, client)),
        };
        answer.map(|answer| permit.apply(answer))
    }

    fn network(&self, peer: SocketAddr) -> Option<Network> {
        Network::of(peer).filter(|_| !self.proxies.trusts(peer.ip()))
    }
}

fn nothing_here() -> Answer {
    error::error(StatusCode::NOT_FOUND, "There is nothing at this path.")
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = error::error(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("This path only answers {methods}."),
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn moved(to: &str) -> Answer {
    let mut answer = empty(StatusCode::PERMANENT_REDIRECT);
    // What is in a path may be in a header.
    if let Ok(to) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(LOCATION, to);
    }
    answer
}

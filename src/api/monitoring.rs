//! Monitoring: `GET /metrics`, `/healthz` and `/readyz`, on the main port, on one of their own, or both.

use super::{Metrics, error};
use crate::{
    server::{Answer, Handler, empty, json},
    users::{Directory, Readiness},
};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{ALLOW, HeaderValue},
};
use serde::Serialize;
use std::{
    future::{Future, ready},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What watches over the server.
pub struct Monitoring {
    metrics: Metrics,
    directory: Arc<dyn Directory>,
    /// The metrics are read elsewhere, or nowhere.
    are_metrics_apart: bool,
    is_stopping: AtomicBool,
}

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Metrics,
    /// Whether the server is there.
    Alive,
    /// Whether clients should come to it.
    Ready,
}

/// What a probe is answered.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Monitoring {
    /// Shows `metrics`, unless they `are_apart`, and whether `directory` can be asked.
    pub fn new(metrics: Metrics, directory: Arc<dyn Directory>, are_metrics_apart: bool) -> Self {
        Self {
            metrics,
            directory,
            are_metrics_apart,
            is_stopping: AtomicBool::new(false),
        }
    }

    /// From now on clients should go elsewhere.
    pub fn note_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// The answer on the main port; none: it is given elsewhere.
    pub(super) fn answer(&self, probe: Probe) -> Option<Answer> {
        let is_here = probe != Probe::Metrics || !self.are_metrics_apart;
        is_here.then(|| self.answer_here(probe))
    }

    fn answer_here(&self, probe: Probe) -> Answer {
        match probe {
            Probe::Metrics => self.metrics.answer(),
            Probe::Alive => health(None),
            Probe::Ready if self.is_stopping.load(Ordering::Relaxed) => health(Some(GOING_DOWN)),
            Probe::Ready => health(match self.directory.readiness() {
                Readiness::Ready => None,
                // Why is for the log: anyone may ask here.
                Readiness::Away { .. } => Some("The database with the users cannot be asked."),
            }),
        }
    }
}

/// A listener of its own has nothing but this, and no need to say much.
impl Handler for Monitoring {
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        _: SocketAddr,
    ) -> impl Future<Output = Answer> + Send {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        ready(match Probe::of(request.uri().path()) {
            Some(probe) if is_read => self.answer_here(probe),
            Some(_) => {
                let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
                let methods = HeaderValue::from_static("GET, HEAD");
                answer.headers_mut().insert(ALLOW, methods);
                answer
            }
            None => error::error(
                StatusCode::NOT_FOUND,
                "There is nothing at this path: only /metrics, /healthz and /readyz are here.",
            ),
        })
    }
}

impl Probe {
    pub(super) const ALL: [Self; 3] = [Self::Metrics, Self::Alive, Self::Ready];

    /// Where it is.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/metrics",
            Self::Alive => "/healthz",
            Self::Ready => "/readyz",
        }
    }

    /// What is at this path.
    pub(super) fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|probe| probe.path() == path)
    }
}

/// Why clients should not come any more.
pub(super) const GOING_DOWN: &str = "The server is going down.";

impl Health {
    /// That all is well, or what is not.
    pub(super) fn new(reason: Option<&'static str>) -> Self {
        let status = match reason {
            None => "ok",
            Some(_) => "unavailable",
        };
        Self { status, reason }
    }
}

fn health(reason: Option<&'static str>) -> Answer {
    let code = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(code, &Health::new(reason))
}

//! The candidate: a WebSocket that is to take over a session from long-polling.

use super::{
    Bounds,
    link::{End, Link, Reading, Received},
};
use crate::engineio::{Dialect, Frame};
use hyper::upgrade::OnUpgrade;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::watch;

/// A WebSocket on probation.
pub(super) enum Candidate {
    /// Its 101 is not out yet.
    Opening(Pin<Box<dyn Future<Output = Option<Link>> + Send>>),
    /// It is open.
    Open(Link),
}

impl Candidate {
    pub(super) fn new(upgrade: OnUpgrade, dialect: Dialect, bounds: Arc<Bounds>) -> Self {
        Self::Opening(Box::pin(async move {
            Link::open(upgrade, dialect, &bounds).await
        }))
    }

    /// What the client says on it. After [`Received::End`] it is of no more use.
    pub(super) fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        if let Self::Opening(opening) = self {
            match ready!(opening.as_mut().poll(context)) {
                Some(link) => *self = Self::Open(link),
                None => return Poll::Ready(Received::End(End::Broken)),
            }
        }
        let Self::Open(link) = self else {
            return Poll::Pending;
        };
        // A peer that does not take the answers to its probes gets no more of them.
        if ready!(link.poll_flush(context)).is_err() {
            return Poll::Ready(Received::End(End::Broken));
        }
        link.poll_receive(&mut Reading::default(), context)
    }

    /// Answers a probe.
    pub(super) fn push(&mut self, frame: &Frame) {
        if let Self::Open(link) = self {
            link.push(frame);
        }
    }

    /// The WebSocket, to become the session's.
    pub(super) fn into_link(self) -> Option<Link> {
        match self {
            Self::Open(link) => Some(link),
            Self::Opening(_) => None,
        }
    }

    /// Closes it in good order, in a task of its own; one that is broken is just dropped.
    pub(super) fn close(self, end: End, bounds: &Arc<Bounds>, running: &watch::Receiver<()>) {
        if end == End::Broken {
            return;
        }
        let (bounds, running) = (Arc::clone(bounds), running.clone());
        tokio::spawn(async move {
            let link = match self {
                Self::Open(link) => Some(link),
                Self::Opening(opening) => opening.await,
            };
            if let Some(link) = link {
                link.close(end, bounds, running).await;
            }
        });
    }
}

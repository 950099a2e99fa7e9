//! The admission: who may open a session.

use super::Owner;
use hyper::{StatusCode, http::request::Parts};
use std::{future::Future, net::SocketAddr, sync::Arc};

/// Decides who may open a session, from the request that wants to open one.
///
/// What it answers is the session's identity for life.
pub trait Admission: Send + Sync + 'static {
    /// Who was found. `Option<User>` is an identity, too, for a program that lets strangers in.
    type Identity: Send + Sync + 'static;

    /// Whether someone who was admitted a moment ago still would be. Asked when the session is findable by
    /// [`Sessions::disconnect`](super::Sessions::disconnect): whoever was turned out in between must not slip
    /// through. It must not wait.
    fn still_admits(&self, identity: &Self::Identity) -> bool {
        let _ = identity;
        true
    }

    /// Whose the session is, where that is to be counted: see
    /// [`Limits::max_sessions_per_owner`](super::Limits::max_sessions_per_owner). It must not wait.
    fn owner(&self, identity: &Self::Identity) -> Option<Owner> {
        let _ = identity;
        None
    }

    /// Whether a later request of a session may be its owner's. One without a key may, since browsers cannot
    /// send one with a WebSocket; one with the key of somebody else may not. It must not wait.
    fn is_same(&self, identity: &Self::Identity, request: &Parts) -> bool {
        let _ = (identity, request);
        true
    }

    /// Looks at the request's headers and query, and at where it comes from: the other end of its TCP connection, or,
    /// with the port 0, what a trusted proxy says.
    ///
    /// # Cancel safety
    /// The future is dropped when the client goes away: it must leave nothing half done.
    fn admit(
        &self,
        request: &Parts,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Arc<Self::Identity>, Denied>> + Send;
}

/// A no, as the client is told it: Engine.IO's code 4, with a status that says more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// 401: who are you? 403: not you. 429: too often. 503: cannot tell now. After 429 and 503 the client is told when to try again.
    pub status: StatusCode,
    /// What is wrong, and what to do about it.
    pub message: &'static str,
}

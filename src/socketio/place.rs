//! A place: where a client is, or is about to be. Here the types of the program's namespaces end.

use super::{
    Auth, DisconnectReason, Event, Namespace, Refused, Socket, SocketId, Sockets, encode,
    membership::Membership,
    recovery::{Claim, Log, is_loss},
};
use crate::engineio::{Revision, Sid, outbound::Order};
use serde::Serialize;
use std::{future::Future, pin::Pin, sync::Arc, time::Instant};

/// One namespace as a client is in it, wants to be, or was.
pub(super) struct Place {
    pub(super) name: Arc<str>,
    pub(super) state: State,
}

pub(super) enum State {
    /// The namespace has not yet said whether the client may join.
    Admitting(Admission),
    Inside(Box<dyn AnySocket>),
    /// The program has ended it. What the client sent before it knew is dropped, until it comes back.
    Expelled,
}

/// On the way to a yes or a no.
pub(super) type Admission =
    Pin<Box<dyn Future<Output = Result<Box<dyn AnySocket>, Refused>> + Send>>;

/// A [`Namespace`] of whatever type, with its sockets.
pub(super) trait AnyNamespace<H>: Send + Sync {
    /// Asks whether a client may join.
    fn admit(self: Arc<Self>, handshake: Arc<H>, request: Request) -> Admission;
}

/// A CONNECT, and what a yes to it needs.
pub(super) struct Request {
    pub(super) now: Instant,
    pub(super) revision: Revision,
    pub(super) auth: Auth,
    /// The id of the new socket, and what lets its client come back as the same.
    pub(super) id: SocketId,
    pub(super) pid: Option<Sid>,
    pub(super) membership: Membership,
}

/// A [`Socket`] of whatever type, with its namespace.
pub(super) trait AnySocket: Send {
    fn membership(&self) -> &Arc<Membership>;
    /// The client has been told that it is inside.
    fn joined(&self);
    fn event(&self, event: Event<'_>);
    /// The client is outside since `now`, for this reason.
    fn left(self: Box<Self>, now: Instant, reason: DisconnectReason);
}

/// A namespace of the program's.
pub(super) struct Served<N: Namespace> {
    namespace: N,
    sockets: Arc<Sockets<N::Data>>,
}

impl<N: Namespace> Served<N> {
    pub(super) fn new(namespace: N, sockets: Arc<Sockets<N::Data>>) -> Self {
        Self { namespace, sockets }
    }
}

impl<N: Namespace> AnyNamespace<N::Handshake> for Served<N> {
    fn admit(self: Arc<Self>, handshake: Arc<N::Handshake>, mut request: Request) -> Admission {
        Box::pin(async move {
            let said = match self.sockets.recovery() {
                Some(_) => request.auth.take_claim()?,
                None => None,
            };
            let now = request.now;
            let claim = said.map(|(pid, offset)| Claim { pid, offset, now });
            // Also of one who comes back: it may have lost the right to.
            let auth = std::mem::take(&mut request.auth);
            let data = self.namespace.admit(&handshake, auth).await?;
            let socket = self.enter(request, claim, data);
            let joined = Joined {
                served: self,
                socket,
            };
            Ok(Box::new(joined) as Box<dyn AnySocket>)
        })
    }
}

impl<N: Namespace> Served<N> {
    /// Makes the socket, and answers the CONNECT. Whatever the program sends on connect comes behind the answer; what
    /// a client missed that comes back, before it.
    fn enter(&self, request: Request, claim: Option<Claim>, data: N::Data) -> Socket<N::Data> {
        let Request {
            revision,
            id,
            pid,
            membership,
            ..
        } = request;
        let membership = Arc::new(membership);
        let make = |id, kept: Option<(Log, String)>| {
            let recovered = kept.is_some();
            let log = match kept {
                Some((log, offset)) => {
                    for missed in log.after(&offset).into_iter().flatten() {
                        membership.push(missed.clone().into_order());
                    }
                    Some(log)
                }
                None => pid
                    .zip(self.sockets.recovery())
                    .map(|(pid, recovery)| Log::new(pid, Arc::clone(recovery))),
            };
            let connected = Connected {
                sid: id,
                pid: log.as_ref().map(|log| log.pid.reveal()),
            };
            membership.keep(log);
            match encode::connected(revision, membership.namespace(), &connected) {
                Ok(connected) => membership.push(Order::Send(connected)),
                Err(error) => log::error!("an answer of our own cannot be encoded: {error}"),
            }
            let sockets = Arc::clone(&self.sockets);
            Socket::new(id, recovered, data, sockets, Arc::clone(&membership))
        };
        self.sockets.enter(id, claim, make)
    }
}

/// What the server says to a client that has joined.
#[derive(Serialize)]
struct Connected {
    sid: SocketId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<String>,
}

/// A socket in its namespace.
struct Joined<N: Namespace> {
    served: Arc<Served<N>>,
    socket: Socket<N::Data>,
}

impl<N: Namespace> AnySocket for Joined<N> {
    fn membership(&self) -> &Arc<Membership> {
        self.socket.membership()
    }

    fn joined(&self) {
        self.served.namespace.on_connect(&self.socket);
    }

    fn event(&self, event: Event<'_>) {
        self.served.namespace.on_event(&self.socket, event);
    }

    fn left(self: Box<Self>, now: Instant, reason: DisconnectReason) {
        self.socket.membership().end();
        self.served.namespace.on_disconnect(&self.socket, reason);
        let is_loss = matches!(reason, DisconnectReason::SessionClosed(reason) if is_loss(reason));
        if let Some(recovery) = self.served.sockets.recovery().filter(|_| is_loss) {
            self.served.sockets.lose(&self.socket, now, recovery);
        }
    }
}

/// However it ends, also by a panic of the program's, its place among the others ends with it.
impl<N: Namespace> Drop for Joined<N> {
    fn drop(&mut self) {
        let membership = self.socket.membership();
        membership.end();
        membership.keep(None);
        self.served.sockets.remove(&self.socket);
    }
}

//! A place: where a client is, or is about to be. Here the types of the program's namespaces end.

use super::{
    Auth, DisconnectReason, Event, Namespace, Refused, Socket, SocketId, Sockets,
    membership::Membership,
};
use std::{future::Future, pin::Pin, sync::Arc};

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
    fn admit(
        self: Arc<Self>,
        handshake: Arc<H>,
        auth: Auth,
        id: SocketId,
        membership: Membership,
    ) -> Admission;
}

/// A [`Socket`] of whatever type, with its namespace.
pub(super) trait AnySocket: Send {
    fn id(&self) -> SocketId;
    fn membership(&self) -> &Arc<Membership>;
    /// The client has been told that it is inside.
    fn joined(&self);
    fn event(&self, event: Event<'_>);
    /// The client is outside, for this reason.
    fn left(self: Box<Self>, reason: DisconnectReason);
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
    fn admit(
        self: Arc<Self>,
        handshake: Arc<N::Handshake>,
        auth: Auth,
        id: SocketId,
        membership: Membership,
    ) -> Admission {
        Box::pin(async move {
            let data = self.namespace.admit(&handshake, auth).await?;
            let sockets = Arc::clone(&self.sockets);
            let socket = Socket::new(id, data, sockets, Arc::new(membership));
            let joined = Joined {
                served: self,
                socket,
            };
            Ok(Box::new(joined) as Box<dyn AnySocket>)
        })
    }
}

/// A socket in its namespace. However it ends, its place among the others ends with it.
struct Joined<N: Namespace> {
    served: Arc<Served<N>>,
    socket: Socket<N::Data>,
}

impl<N: Namespace> AnySocket for Joined<N> {
    fn id(&self) -> SocketId {
        self.socket.id()
    }

    fn membership(&self) -> &Arc<Membership> {
        self.socket.membership()
    }

    fn joined(&self) {
        self.served.sockets.add(self.socket.clone());
        self.served.namespace.on_connect(&self.socket);
    }

    fn event(&self, event: Event<'_>) {
        self.served.namespace.on_event(&self.socket, event);
    }

    fn left(self: Box<Self>, reason: DisconnectReason) {
        self.socket.membership().end();
        self.served.namespace.on_disconnect(&self.socket, reason);
    }
}

impl<N: Namespace> Drop for Joined<N> {
    fn drop(&mut self) {
        self.socket.membership().end();
        self.served.sockets.remove(self.socket.id());
    }
}

//! A socket: one client in one namespace, as a program holds it.

use super::{EncodeError, encode, packet::AckId};
use crate::engineio::{
    CloseReason, Frame,
    outbound::{Inbox, Order, Subscription},
};
use base64::{display::Base64Display, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The public id of a socket: random, new with every CONNECT, and no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId([u8; SocketId::BYTES]);

impl SocketId {
    /// A multiple of three, so that base64 needs no padding: 20 characters.
    const BYTES: usize = 15;

    /// A new random id.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; Self::BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(&self.0, &BASE64_URL_SAFE_NO_PAD).fmt(f)
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketId({self})")
    }
}

impl Serialize for SocketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One client in one namespace. A clone is the same socket, and may outlive it: what is then sent goes nowhere.
pub struct Socket<I> {
    id: SocketId,
    identity: Arc<I>,
    membership: Arc<Membership>,
}

impl<I> Socket<I> {
    pub(super) fn new(id: SocketId, identity: Arc<I>, inbox: Arc<Inbox>) -> Self {
        let membership = Arc::new(Membership {
            inbox,
            is_over: Mutex::new(false),
        });
        Self {
            id,
            identity,
            membership,
        }
    }

    /// The socket's id.
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// Whom the admission found at the other end.
    pub fn identity(&self) -> &I {
        &self.identity
    }

    /// Sends an event to this client alone.
    ///
    /// # Errors
    /// Nothing was sent: see [`encode::event`].
    pub fn emit(&self, event: &str, argument: &impl Serialize) -> Result<(), EncodeError> {
        self.send(encode::event(event, argument)?);
        Ok(())
    }

    /// Sends what is encoded already, and perhaps shared with others.
    pub fn send(&self, frame: Frame) {
        self.membership.push(Order::Send(frame));
    }

    /// From now on sends what `subscription` brings, for as long as the client is in the namespace.
    pub fn follow(&self, subscription: Subscription) {
        self.membership.push(Order::Follow(Box::new(subscription)));
    }

    /// Sends DISCONNECT and ends the session. Official clients do not come back after that by themselves.
    pub fn disconnect(&self) {
        self.membership
            .push(Order::Close(CloseReason::ServerDisconnected));
    }

    /// The way to answer the event with this id.
    pub(super) fn ack(&self, id: AckId) -> Ack {
        Ack {
            id,
            membership: Arc::clone(&self.membership),
        }
    }

    /// The client has left: this socket, its clones and its acks say nothing from now on.
    pub(super) fn end(&self) {
        let mut is_over = self.membership.lock();
        self.membership.inbox.push(Order::Unfollow);
        *is_over = true;
    }
}

impl<I> Clone for Socket<I> {
    fn clone(&self) -> Self {
        let (identity, membership) = (Arc::clone(&self.identity), Arc::clone(&self.membership));
        Self {
            id: self.id,
            identity,
            membership,
        }
    }
}

/// The answer that a client waits for. Dropped unsent, the client gets none.
pub struct Ack {
    id: AckId,
    membership: Arc<Membership>,
}

impl Ack {
    /// Answers with one argument.
    ///
    /// # Errors
    /// Nothing was sent: the argument has no form in JSON.
    pub fn send(self, argument: &impl Serialize) -> Result<(), EncodeError> {
        self.membership
            .push(Order::Send(encode::ack(self.id, argument)?));
        Ok(())
    }
}

/// From one CONNECT to the DISCONNECT. A client may join again in the same session, and must not hear then
/// what was meant for the socket that it was before.
struct Membership {
    inbox: Arc<Inbox>,
    /// Set once, by [`Socket::end`]. Held while an order is given, so that none slips in behind the end.
    is_over: Mutex<bool>,
}

impl Membership {
    fn push(&self, order: Order) {
        let is_over = self.lock();
        if !*is_over {
            self.inbox.push(order);
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // Nothing panics while the lock is held, and a flag is never half set.
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

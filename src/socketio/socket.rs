//! A socket: one client in one namespace, as a program holds it.

use super::{
    Args, Broadcast, EncodeError, Encoded, Reply, Sockets, encode, membership::Membership,
    recovery::Offset,
};
use crate::engineio::{
    CloseReason,
    outbound::{Order, Subscription},
};
use base64::{Engine as _, display::Base64Display, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{borrow::Cow, fmt, sync::Arc};

/// The public id of a socket: random, new with every CONNECT, and no secret.
///
/// As JSON it is the text that clients know it by, in both directions:
///
/// ```
/// use rollcall::socketio::{Event, Socket};
/// use std::error::Error;
///
/// /// `socket.emit("whisper", id, "hello")`
/// fn whisper(socket: &Socket<String>, event: &Event<'_>) -> Result<(), Box<dyn Error>> {
///     if let Some(other) = socket.sockets().get(event.get(0)?) {
///         other.emit("whispered", (socket.id(), event.raw(1)))?;
///     }
///     Ok(())
/// }
/// ```
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

    /// Reads what [`SocketId`]'s `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(Self::BYTES) => Some(Self(bytes)),
            Ok(_) | Err(_) => None,
        }
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

impl<'de> Deserialize<'de> for SocketId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not the id of a socket"))
    }
}

/// One client in one namespace. A clone is the same socket, and may outlive it: what is then sent goes nowhere.
///
/// What is emitted is kept until the client takes it. A client that takes nothing costs at most the limit of its
/// session's inbox; over it, the session is closed with [`CloseReason::Overflow`].
pub struct Socket<D>(Arc<Shared<D>>);

struct Shared<D> {
    id: SocketId,
    data: D,
    recovered: bool,
    sockets: Arc<Sockets<D>>,
    membership: Arc<Membership>,
}

impl<D> Socket<D> {
    /// `recovered` says that the client has been away and has got its id back.
    pub(super) fn new(
        id: SocketId,
        recovered: bool,
        data: D,
        sockets: Arc<Sockets<D>>,
        membership: Arc<Membership>,
    ) -> Self {
        Self(Arc::new(Shared {
            id,
            data,
            recovered,
            sockets,
            membership,
        }))
    }

    /// The socket's id.
    pub fn id(&self) -> SocketId {
        self.0.id
    }

    /// Whether the client has been away, and has come back with its id, its rooms and what it missed: see
    /// [`Recovery`](super::Recovery).
    pub fn recovered(&self) -> bool {
        self.0.recovered
    }

    /// What the program keeps for it.
    pub fn data(&self) -> &D {
        &self.0.data
    }

    /// All sockets of the namespace, this one included.
    pub fn sockets(&self) -> &Arc<Sockets<D>> {
        &self.0.sockets
    }

    /// Sends an event to this client alone (protocol, "Sending and receiving data").
    ///
    /// It never waits. `Ok` says that the event is in the session's inbox, from where it goes in order as the client
    /// takes it, or that the socket is gone, and nobody is there to be told.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use rollcall::socketio::{EncodeError, Socket};
    ///
    /// fn greet(socket: &Socket<String>, picture: Bytes) -> Result<(), EncodeError> {
    ///     socket.emit("hello", (socket.data(), 42, Some(picture)))?;
    ///     socket.emit("nothing to add", ())
    /// }
    /// ```
    ///
    /// # Errors
    /// Nothing was sent: see [`encode::event`].
    pub fn emit(&self, event: &str, args: impl Args) -> Result<(), EncodeError> {
        let (encoded, offset) = self.0.sockets.encode(event, args)?;
        self.push_event(encoded, offset);
        Ok(())
    }

    /// Sends an event only if the client takes it at once: it has taken all that it was sent before, and its
    /// connection is ready. On long-polling that is while a GET waits.
    ///
    /// # Errors
    /// As [`Socket::emit`]; that it was dropped is none.
    pub fn emit_volatile(&self, event: &str, args: impl Args) -> Result<(), EncodeError> {
        let encoded = encode::event(self.0.membership.namespace(), event, args)?;
        self.0.membership.push_if_idle(encoded.into_order());
        Ok(())
    }

    /// Sends an event and asks for an answer (protocol, "Acknowledgement").
    ///
    /// ```
    /// use rollcall::socketio::Socket;
    /// use std::{error::Error, time::Duration};
    /// use tokio::time::timeout;
    ///
    /// async fn ask(socket: Socket<String>) -> Result<bool, Box<dyn Error + Send + Sync>> {
    ///     let reply = socket.emit_with_ack("shall we?", ("dance",))?;
    ///     let answer = timeout(Duration::from_secs(5), reply).await??;
    ///     Ok(answer.get(0)?)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit_with_ack(&self, event: &str, args: impl Args) -> Result<Reply, EncodeError> {
        let membership = &self.0.membership;
        let id = membership.ask();
        let reply = Reply::new(id, Arc::clone(membership));
        let encoded = encode::event_with(membership.namespace(), Some(id), event, args, None)?;
        self.send(encoded);
        Ok(reply)
    }

    /// Sends what is encoded already, and perhaps shared with others. It has no part in connection state recovery.
    pub fn send(&self, encoded: impl Into<Encoded>) {
        self.0.membership.push(encoded.into().into_order());
    }

    pub(super) fn push_event(&self, encoded: Encoded, offset: Option<Offset>) {
        self.0.membership.push_event(encoded, offset);
    }

    pub(super) fn send_if_idle(&self, encoded: Encoded) {
        self.0.membership.push_if_idle(encoded.into_order());
    }

    /// From now on sends what `subscription` brings, for as long as the client is in the namespace.
    pub fn follow(&self, subscription: Subscription) {
        let membership = &self.0.membership;
        let subscription = subscription.owned_by(membership.owner());
        membership.push(Order::Follow(Box::new(subscription)));
    }

    /// Follows nothing any more. What the subscriptions brought before is sent first.
    pub fn unfollow(&self) {
        let membership = &self.0.membership;
        membership.push(Order::Unfollow(membership.owner()));
    }

    /// Puts the socket into a room. There is no more to a room than its sockets: the first makes it.
    pub fn join(&self, room: &str) {
        self.0.sockets.join(self.id(), room);
    }

    /// Takes the socket out of a room.
    pub fn leave(&self, room: &str) {
        self.0.sockets.leave(self.id(), room);
    }

    /// The rooms that it is in, by name.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.sockets.rooms_of(self.id())
    }

    /// The other sockets of a room.
    pub fn to(&self, room: &str) -> Broadcast<'_, D> {
        self.broadcast().to(room)
    }

    /// All other sockets of the namespace.
    pub fn broadcast(&self) -> Broadcast<'_, D> {
        Broadcast::new(&self.0.sockets).without(self.id())
    }

    /// Sends DISCONNECT: the client is out of the namespace, and the session goes on. Official clients do not come
    /// back after that by themselves. What was emitted before still arrives, and nothing after.
    ///
    /// [`Namespace::on_disconnect`](super::Namespace::on_disconnect) follows soon, from the session's task.
    pub fn disconnect(&self) {
        let membership = &self.0.membership;
        membership.expel(encode::disconnect(membership.namespace()).into());
    }

    /// Sends DISCONNECT for every namespace that the client is in, and ends the session.
    pub fn close(&self) {
        self.0
            .membership
            .push(Order::Close(CloseReason::ServerDisconnected));
    }

    /// Whether both are one, and not just of one id.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn membership(&self) -> &Arc<Membership> {
        &self.0.membership
    }
}

impl<D> Clone for Socket<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

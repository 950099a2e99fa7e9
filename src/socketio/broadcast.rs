//! A broadcast: some of the sockets of a namespace, and something to do with all of them.

use super::{Args, EncodeError, Replies, Socket, SocketId, Sockets, encode};

/// A choice of sockets, made by [`Sockets::to`], [`Socket::to`] and the like.
///
/// Each socket is meant once, in however many of the rooms it is. Who they are is looked up when something is done with
/// them, not before.
///
/// ```
/// use rollcall::socketio::{EncodeError, Sockets};
///
/// fn tell(sockets: &Sockets<String>) -> Result<(), EncodeError> {
///     sockets.to("red").to("blue").except("muted").emit("news", (1, 2))?;
///     let names: Vec<String> = sockets.to("red").sockets().iter().map(|socket| socket.data().clone()).collect();
///     sockets.except("red").emit("red is", (names,))?;
///     sockets.to("blue").join("red");
///     Ok(())
/// }
/// ```
#[must_use = "it only chooses; what to do comes next"]
pub struct Broadcast<'a, D> {
    sockets: &'a Sockets<D>,
    choice: Choice,
}

/// Which sockets are meant.
#[derive(Default)]
pub(super) struct Choice {
    /// Those in one of these; in none given: all.
    pub(super) rooms: Vec<String>,
    /// But not those in one of these.
    pub(super) except: Vec<String>,
    /// Nor this one.
    pub(super) without: Option<SocketId>,
}

impl<'a, D> Broadcast<'a, D> {
    pub(super) fn new(sockets: &'a Sockets<D>) -> Self {
        Self {
            sockets,
            choice: Choice::default(),
        }
    }

    pub(super) fn without(mut self, id: SocketId) -> Self {
        self.choice.without = Some(id);
        self
    }

    /// Those in this room, too.
    pub fn to(mut self, room: &str) -> Self {
        self.choice.rooms.push(room.to_owned());
        self
    }

    /// But not those in this room.
    pub fn except(mut self, room: &str) -> Self {
        self.choice.except.push(room.to_owned());
        self
    }

    /// Sends them an event, which is encoded once.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit(&self, event: &str, args: impl Args) -> Result<(), EncodeError> {
        let (encoded, offset) = self.sockets.encode(event, args)?;
        self.sockets.deliver(&self.choice, &encoded, offset);
        Ok(())
    }

    /// Sends an event to those of them who take it at once: see [`Socket::emit_volatile`].
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit_volatile(&self, event: &str, args: impl Args) -> Result<(), EncodeError> {
        let encoded = encode::event(self.sockets.namespace(), event, args)?;
        self.for_each(|socket| socket.send_if_idle(encoded.clone()));
        Ok(())
    }

    /// Sends them an event, and asks each for an answer.
    ///
    /// ```
    /// use rollcall::socketio::{EncodeError, Sockets};
    /// use std::time::Duration;
    /// use tokio::time::{Instant, timeout_at};
    ///
    /// /// How many of the red ones say yes within ten seconds.
    /// async fn vote(sockets: &Sockets<String>) -> Result<usize, EncodeError> {
    ///     let mut replies = sockets.to("red").emit_with_ack("shall we?", ("dance",))?;
    ///     let deadline = Instant::now() + Duration::from_secs(10);
    ///     let mut count = 0;
    ///     while let Ok(Some((_socket, answer))) = timeout_at(deadline, replies.next()).await {
    ///         let is_yes = answer.is_ok_and(|answer| answer.get(0).unwrap_or(false));
    ///         count += usize::from(is_yes);
    ///     }
    ///     Ok(count)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Socket::emit`]: then nobody is asked.
    pub fn emit_with_ack(&self, event: &str, args: impl Args) -> Result<Replies<D>, EncodeError> {
        // Each gets a packet of its own, with its own number. What cannot be sent is to reach nobody, even so.
        encode::event(self.sockets.namespace(), event, &args)?;
        let ask = |socket: Socket<D>| {
            let reply = socket.emit_with_ack(event, &args)?;
            Ok((socket, reply))
        };
        let asked: Result<Vec<_>, EncodeError> = self.sockets().into_iter().map(ask).collect();
        Ok(Replies::new(asked?))
    }

    /// Who they are now.
    pub fn sockets(&self) -> Vec<Socket<D>> {
        let mut all = Vec::new();
        self.for_each(|socket| all.push(socket.clone()));
        all
    }

    /// Puts them into a room.
    pub fn join(&self, room: &str) {
        self.sockets().iter().for_each(|socket| socket.join(room));
    }

    /// Takes them out of a room.
    pub fn leave(&self, room: &str) {
        self.sockets().iter().for_each(|socket| socket.leave(room));
    }

    /// Ends them: see [`Socket::disconnect`].
    pub fn disconnect(&self) {
        self.sockets().iter().for_each(Socket::disconnect);
    }

    fn for_each(&self, act: impl FnMut(&Socket<D>)) {
        self.sockets.for_each(&self.choice, act);
    }
}

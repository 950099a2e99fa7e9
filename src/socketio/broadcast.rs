//! A broadcast: some of the sockets of a namespace, and something to do with all of them.

use super::{Args, EncodeError, Socket, SocketId, Sockets, encode};

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

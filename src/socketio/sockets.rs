//! The sockets of a namespace, and their rooms.

use super::{Args, Broadcast, EncodeError, Socket, SocketId};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The sockets of a namespace: what [`Builder::of`](super::Builder::of) answers, for whoever wants to send to them
/// from outside of a handler.
pub struct Sockets<D> {
    namespace: Arc<str>,
    state: Mutex<State<D>>,
}

struct State<D> {
    /// Written when a client joins or leaves.
    sockets: HashMap<SocketId, Entry<D>>,
    /// Who is in which room; none is empty.
    rooms: HashMap<Arc<str>, HashSet<SocketId>>,
}

struct Entry<D> {
    socket: Socket<D>,
    /// The rooms that have this socket.
    rooms: Vec<Arc<str>>,
}

impl<D> Sockets<D> {
    pub(super) fn new(namespace: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            namespace,
            state: Mutex::new(State {
                sockets: HashMap::new(),
                rooms: HashMap::new(),
            }),
        })
    }

    /// The name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().sockets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The socket with this id.
    pub fn get(&self, id: SocketId) -> Option<Socket<D>> {
        let state = self.lock();
        state.sockets.get(&id).map(|entry| entry.socket.clone())
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Socket<D>> {
        Broadcast::new(self).sockets()
    }

    /// Sends an event to all.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit(&self, event: &str, args: impl Args) -> Result<(), EncodeError> {
        Broadcast::new(self).emit(event, args)
    }

    /// Those in a room. The id of a socket is a room as well, with that socket alone in it.
    pub fn to(&self, room: &str) -> Broadcast<'_, D> {
        Broadcast::new(self).to(room)
    }

    /// Those who are not in a room.
    pub fn except(&self, room: &str) -> Broadcast<'_, D> {
        Broadcast::new(self).except(room)
    }

    pub(super) fn add(&self, socket: Socket<D>) {
        let rooms = Vec::new();
        self.lock()
            .sockets
            .insert(socket.id(), Entry { socket, rooms });
    }

    pub(super) fn remove(&self, id: SocketId) {
        // Let go of when the lock is free again: the program's data may do anything when it is dropped.
        let _entry = {
            let mut state = self.lock();
            let entry = state.sockets.remove(&id);
            for room in entry.iter().flat_map(|entry| &entry.rooms) {
                state.take_out(id, room);
            }
            entry
        };
    }

    pub(super) fn join(&self, id: SocketId, room: &str) {
        let mut state = self.lock();
        let State { sockets, rooms } = &mut *state;
        let Some(entry) = sockets.get_mut(&id) else {
            return;
        };
        if entry.rooms.iter().any(|known| **known == *room) {
            return;
        }
        let room = match rooms.get_key_value(room) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(room),
        };
        entry.rooms.push(Arc::clone(&room));
        rooms.entry(room).or_default().insert(id);
    }

    pub(super) fn leave(&self, id: SocketId, room: &str) {
        let mut state = self.lock();
        if let Some(entry) = state.sockets.get_mut(&id) {
            entry.rooms.retain(|known| **known != *room);
            state.take_out(id, room);
        }
    }

    pub(super) fn rooms_of(&self, id: SocketId) -> Vec<Arc<str>> {
        let state = self.lock();
        state
            .sockets
            .get(&id)
            .map_or_else(Vec::new, |entry| entry.rooms.clone())
    }

    /// Does something with each socket that is in one of `rooms`, or with all if there are none, but for those
    /// `without` and those in one of the rooms `except`; once with each.
    pub(super) fn for_each(
        &self,
        rooms: &[String],
        except: &[String],
        without: Option<SocketId>,
        mut act: impl FnMut(&Socket<D>),
    ) {
        let state = self.lock();
        let is_meant = |id: &SocketId| {
            Some(*id) != without && !except.iter().any(|room| state.is_in(*id, room))
        };
        match rooms {
            [] => {
                for (id, entry) in &state.sockets {
                    if is_meant(id) {
                        act(&entry.socket);
                    }
                }
            }
            rooms => {
                let mut done = HashSet::new();
                for id in rooms.iter().flat_map(|room| state.members(room)) {
                    if is_meant(&id)
                        && (rooms.len() == 1 || done.insert(id))
                        && let Some(entry) = state.sockets.get(&id)
                    {
                        act(&entry.socket);
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        // What runs under the lock is ours, and a panic in it would leave both maps whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> State<D> {
    fn take_out(&mut self, id: SocketId, room: &str) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(&id);
            if members.is_empty() {
                self.rooms.remove(room);
            }
        }
    }

    /// Those in a room: those who have joined it, and the one whose id it is.
    fn members(&self, room: &str) -> impl Iterator<Item = SocketId> {
        let joined = self.rooms.get(room).into_iter().flatten().copied();
        let own = SocketId::parse(room).filter(|id| self.sockets.contains_key(id));
        joined.chain(own)
    }

    fn is_in(&self, id: SocketId, room: &str) -> bool {
        let joined = self.rooms.get(room);
        joined.is_some_and(|members| members.contains(&id)) || SocketId::parse(room) == Some(id)
    }
}

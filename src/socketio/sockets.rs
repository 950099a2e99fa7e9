//! The sockets of a namespace, and their rooms.

use super::{
    Args, Broadcast, EncodeError, Encoded, Recovery, Socket, SocketId,
    broadcast::Choice,
    encode,
    recovery::{Away, Claim, Log, Offset},
};
use crate::engineio::Sid;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// The sockets of a namespace: what [`Builder::of`](super::Builder::of) answers, for whoever wants to send to them
/// from outside of a handler.
pub struct Sockets<D> {
    namespace: Arc<str>,
    /// How clients that lost their connection come back, if they do.
    recovery: Option<Arc<Recovery>>,
    /// The offset of the next event, where there are any.
    next_offset: AtomicU64,
    state: Mutex<State<D>>,
}

struct State<D> {
    /// Written when a client joins or leaves.
    sockets: HashMap<SocketId, Entry<D>>,
    /// Who is in which room; none is empty.
    rooms: HashMap<Arc<str>, HashSet<SocketId>>,
    /// Those who may come back.
    away: HashMap<Sid, Away>,
}

struct Entry<D> {
    socket: Socket<D>,
    rooms: Rooms,
}

/// The rooms that have a socket. Many programs have no rooms, and then it has no heap; there may be many, if clients may
/// choose.
#[derive(Default)]
#[expect(
    clippy::box_collection,
    reason = "a set alone takes six words when empty, too"
)]
struct Rooms(Option<Box<HashSet<Arc<str>>>>);

impl Rooms {
    fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().flat_map(|rooms| rooms.iter())
    }

    fn insert(&mut self, room: Arc<str>) {
        self.0.get_or_insert_default().insert(room);
    }

    fn remove(&mut self, room: &str) {
        if let Some(rooms) = &mut self.0 {
            rooms.remove(room);
        }
        self.0.take_if(|rooms| rooms.is_empty());
    }
}

impl FromIterator<Arc<str>> for Rooms {
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(rooms: I) -> Self {
        let rooms: HashSet<_> = rooms.into_iter().collect();
        Self((!rooms.is_empty()).then(|| Box::new(rooms)))
    }
}

impl<D> Sockets<D> {
    pub(super) fn new(namespace: Arc<str>, recovery: Option<Arc<Recovery>>) -> Arc<Self> {
        Arc::new(Self {
            namespace,
            recovery,
            next_offset: AtomicU64::new(0),
            state: Mutex::new(State {
                sockets: HashMap::new(),
                rooms: HashMap::new(),
                away: HashMap::new(),
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
        self.broadcast().sockets()
    }

    /// Sends an event to all.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit(&self, event: &str, args: impl Args) -> Result<(), EncodeError> {
        self.broadcast().emit(event, args)
    }

    /// All of them, for what is more than an [`emit`](Sockets::emit).
    pub fn broadcast(&self) -> Broadcast<'_, D> {
        Broadcast::new(self)
    }

    /// Those in a room. The id of a socket is a room as well, with that socket alone in it.
    pub fn to(&self, room: &str) -> Broadcast<'_, D> {
        self.broadcast().to(room)
    }

    /// Those who are not in a room.
    pub fn except(&self, room: &str) -> Broadcast<'_, D> {
        self.broadcast().except(room)
    }

    /// An event of this namespace, with its offset where clients may come back for it.
    pub(super) fn encode(
        &self,
        event: &str,
        args: impl Args,
    ) -> Result<(Encoded, Option<Offset>), EncodeError> {
        let offset = self
            .recovery
            .is_some()
            .then(|| Offset(self.next_offset.fetch_add(1, Ordering::Relaxed)));
        let encoded = encode::event_with(&self.namespace, None, event, args, offset)?;
        Ok((encoded, offset))
    }

    /// Sends an event to those who are meant, and keeps it for those of them who are away.
    pub(super) fn deliver(&self, choice: &Choice, event: &Encoded, offset: Option<Offset>) {
        let mut state = self.lock();
        state.for_each(choice, |socket| socket.push_event(event.clone(), offset));
        if let Some(offset) = offset {
            for away in state.away.values_mut() {
                if choice.means(away.id, |room| away.is_in(room)) {
                    away.log.push(offset, event.clone());
                }
            }
        }
    }

    /// Does something with each socket that is meant, once.
    pub(super) fn for_each(&self, choice: &Choice, act: impl FnMut(&Socket<D>)) {
        self.lock().for_each(choice, act);
    }

    // -----------------------------------------------------------------------------------------------------
    // Coming and going

    /// How clients come back, if they do.
    pub(super) fn recovery(&self) -> Option<&Arc<Recovery>> {
        self.recovery.as_ref()
    }

    /// Lets a client in: as the socket that it was, if it claims one and that is still kept, or else as a new one with
    /// this id. `make` gets the id, and what was kept.
    ///
    /// All in one: what is emitted to the socket goes to the one that is away until then, and to the new one from then
    /// on.
    pub(super) fn enter(
        &self,
        id: SocketId,
        claim: Option<Claim>,
        make: impl FnOnce(SocketId, Option<(Log, String)>) -> Socket<D>,
    ) -> Socket<D> {
        let mut state = self.lock();
        let back = claim.and_then(|claim| state.take_back(claim));
        let (id, rooms, kept) = match back {
            Some((away, offset)) => (away.id, away.rooms, Some((away.log, offset))),
            None => (id, HashSet::new(), None),
        };
        let socket = make(id, kept);
        for room in &rooms {
            state.rooms.entry(Arc::clone(room)).or_default().insert(id);
        }
        let entry = Entry {
            socket: socket.clone(),
            rooms: rooms.into_iter().collect(),
        };
        state.sockets.insert(id, entry);
        socket
    }

    /// A socket is gone, and its client may come back.
    pub(super) fn lose(&self, socket: &Socket<D>, now: Instant, recovery: &Recovery) {
        // Let go of when the lock is free again: the program's data may do anything when it is dropped.
        let _entry = {
            let mut state = self.lock();
            let entry = state.remove(socket);
            let log = socket.membership().take_log();
            if let (Some(entry), Some(log)) = (&entry, log) {
                let away = Away {
                    id: socket.id(),
                    rooms: entry.rooms.iter().cloned().collect(),
                    log,
                    until: now + recovery.max_disconnection,
                };
                state.send_away(away, now, recovery.max_away);
            }
            entry
        };
    }

    /// A socket is gone, for good.
    pub(super) fn remove(&self, socket: &Socket<D>) {
        let _entry = self.lock().remove(socket);
    }

    pub(super) fn join(&self, id: SocketId, room: &str) {
        let mut state = self.lock();
        let State { sockets, rooms, .. } = &mut *state;
        let Some(entry) = sockets.get_mut(&id) else {
            return;
        };
        let room = match rooms.get_key_value(room) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(room),
        };
        entry.rooms.insert(Arc::clone(&room));
        rooms.entry(room).or_default().insert(id);
    }

    pub(super) fn leave(&self, id: SocketId, room: &str) {
        let mut state = self.lock();
        if let Some(entry) = state.sockets.get_mut(&id) {
            entry.rooms.remove(room);
            state.take_out(id, room);
        }
    }

    pub(super) fn rooms_of(&self, id: SocketId) -> Vec<Arc<str>> {
        let state = self.lock();
        let entry = state.sockets.get(&id);
        let rooms = entry.into_iter().flat_map(|entry| entry.rooms.iter());
        let mut rooms: Vec<_> = rooms.cloned().collect();
        rooms.sort_unstable();
        rooms
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        // What runs under the lock is ours, and a panic in it would leave the maps whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> State<D> {
    fn for_each(&self, choice: &Choice, mut act: impl FnMut(&Socket<D>)) {
        let is_meant = |id: &SocketId| choice.is_not_left_out(*id, |room| self.is_in(*id, room));
        if choice.rooms.is_empty() {
            for (id, entry) in &self.sockets {
                if is_meant(id) {
                    act(&entry.socket);
                }
            }
            return;
        }
        let mut done = HashSet::new();
        for id in choice.rooms.iter().flat_map(|room| self.members(room)) {
            if is_meant(&id)
                && (choice.rooms.len() == 1 || done.insert(id))
                && let Some(entry) = self.sockets.get(&id)
            {
                act(&entry.socket);
            }
        }
    }

    /// Takes a socket out of everything. It may be gone already, and its id be another's who has come back.
    fn remove(&mut self, socket: &Socket<D>) -> Option<Entry<D>> {
        let id = socket.id();
        let known = self.sockets.get(&id)?;
        if !known.socket.is_same(socket) {
            return None;
        }
        let entry = self.sockets.remove(&id)?;
        // After a flood, or the table would be as large as it was then for ever.
        let count = self.sockets.len();
        if count < self.sockets.capacity() / 8 {
            self.sockets.shrink_to(2 * count);
        }
        for room in entry.rooms.iter() {
            self.take_out(id, room);
        }
        Some(entry)
    }

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
        let joined = self.rooms.get(room);
        // One that has joined the room of its own id is in it once.
        let is_new = |id: &SocketId| !joined.is_some_and(|members| members.contains(id));
        let own = SocketId::parse(room).filter(|id| self.sockets.contains_key(id) && is_new(id));
        joined.into_iter().flatten().copied().chain(own)
    }

    fn is_in(&self, id: SocketId, room: &str) -> bool {
        let joined = self.rooms.get(room);
        joined.is_some_and(|members| members.contains(&id)) || SocketId::parse(room) == Some(id)
    }

    /// Takes what is kept for a client that claims it. Each claim is good once, also one that does not say from where
    /// to go on: its pid has been shown.
    fn take_back(&mut self, claim: Claim) -> Option<(Away, String)> {
        self.forget_late(claim.now);
        let away = self.away.remove(&claim.pid)?;
        let is_known = |offset: &String| away.log.after(offset).is_some();
        let offset = claim.offset.filter(is_known)?;
        Some((away, offset))
    }

    /// Keeps what a client needs to come back; of too many, those who were away for the longest are forgotten.
    fn send_away(&mut self, away: Away, now: Instant, max_away: usize) {
        self.forget_late(now);
        self.away.insert(away.log.pid, away);
        if self.away.len() > max_away
            && let Some((first, _)) = self.away.iter().min_by_key(|(_, away)| away.until)
        {
            let first = *first;
            self.away.remove(&first);
        }
    }

    fn forget_late(&mut self, now: Instant) {
        self.away.retain(|_, away| away.until > now);
    }
}

impl Choice {
    /// Whether a socket is meant that is in those rooms which `is_in` says.
    fn means(&self, id: SocketId, is_in: impl Fn(&str) -> bool) -> bool {
        let is_chosen = self.rooms.is_empty() || self.rooms.iter().any(|room| is_in(room));
        is_chosen && self.is_not_left_out(id, is_in)
    }

    fn is_not_left_out(&self, id: SocketId, is_in: impl Fn(&str) -> bool) -> bool {
        self.without != Some(id) && !self.except.iter().any(|room| is_in(room))
    }
}

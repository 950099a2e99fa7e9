//! The sessions that are alive, for whoever has to find or end them.

use super::door::Door;
use crate::engineio::{
    CloseReason, Revision, Sid,
    outbound::{Inbox, Order},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The sessions that are alive.
pub struct Sessions<I> {
    state: Mutex<State<I>>,
    /// A permit for each session there may be.
    places: Arc<Semaphore>,
}

struct State<I> {
    /// By session id. Written by [`Sessions::register`] and by the drop of what that returns.
    alive: HashMap<Sid, Entry<I>>,
    /// Set once, when the server goes down: whoever comes after that goes at once.
    closing: Option<CloseReason>,
    /// How many have ended, by reason.
    ended: HashMap<CloseReason, u64>,
}

struct Entry<I> {
    identity: Arc<I>,
    revision: Revision,
    inbox: Arc<Inbox>,
    door: Option<Arc<Door>>,
}

/// A session that was found.
pub(super) struct Found<I> {
    /// Whose it is.
    pub(super) identity: Arc<I>,
    /// What it speaks.
    pub(super) revision: Revision,
    /// Where its HTTP requests go; a session that was born on a WebSocket has no use for any.
    pub(super) door: Option<Arc<Door>>,
}

/// The right to become a session. It ends with this value, or with the session.
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
}

/// A session among those alive. It ends with this value, and its place is free in the moment in which it is no longer
/// found.
pub(super) struct Registration<I> {
    sessions: Arc<Sessions<I>>,
    sid: Sid,
}

impl<I> Sessions<I> {
    /// Of at most `max_sessions`.
    pub(super) fn new(max_sessions: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                alive: HashMap::new(),
                closing: None,
                ended: HashMap::new(),
            }),
            places: Arc::new(Semaphore::new(max_sessions.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// A place for one more session, if there is room.
    pub(super) fn reserve(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { permit })
    }

    /// Adds a session.
    pub(super) fn register(
        self: &Arc<Self>,
        place: Place,
        sid: Sid,
        revision: Revision,
        identity: Arc<I>,
        inbox: Arc<Inbox>,
        door: Option<Arc<Door>>,
    ) -> Registration<I> {
        let mut state = self.lock();
        if let Some(reason) = state.closing {
            inbox.push(Order::Close(reason));
        }
        state.alive.insert(
            sid,
            Entry {
                identity,
                revision,
                inbox,
                door,
            },
        );
        // From now on the registration stands for it, and needs no room for that.
        place.permit.forget();
        Registration {
            sessions: Arc::clone(self),
            sid,
        }
    }

    /// The session with this id, if it is alive.
    pub(super) fn find(&self, sid: &str) -> Option<Found<I>> {
        let state = self.lock();
        let entry = state.alive.get(&Sid::parse(sid)?)?;
        Some(Found {
            identity: Arc::clone(&entry.identity),
            revision: entry.revision,
            door: entry.door.clone(),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().alive.len()
    }

    /// How many have ended, by reason; every reason is there.
    pub fn ended(&self) -> impl Iterator<Item = (CloseReason, u64)> + use<I> {
        let state = self.lock();
        let count = |reason| state.ended.get(&reason).copied().unwrap_or_default();
        CloseReason::ALL
            .map(|reason| (reason, count(reason)))
            .into_iter()
    }

    /// Ends the sessions of those whose identity `is_over`: each client is told by a DISCONNECT.
    pub fn disconnect(&self, is_over: impl Fn(&I) -> bool) {
        for entry in self
            .lock()
            .alive
            .values()
            .filter(|entry| is_over(&entry.identity))
        {
            entry
                .inbox
                .push(Order::Close(CloseReason::ServerDisconnected));
        }
    }

    /// Ends all sessions, those to come as well.
    pub(super) fn shut_down(&self) {
        let mut state = self.lock();
        state.closing = Some(CloseReason::ServerShutdown);
        for entry in state.alive.values() {
            entry.inbox.push(Order::Close(CloseReason::ServerShutdown));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<I>> {
        // Nothing panics while the lock is held, and the map is whole between two calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I> Registration<I> {
    /// Counts the session among those that have ended.
    pub(super) fn count_end(&self, reason: CloseReason) {
        let mut state = self.sessions.lock();
        *state.ended.entry(reason).or_default() += 1;
    }
}

impl<I> Drop for Registration<I> {
    fn drop(&mut self) {
        let mut state = self.sessions.lock();
        state.alive.remove(&self.sid);
        self.sessions.places.add_permits(1);
    }
}

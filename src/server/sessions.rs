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

/// The sessions that are alive.
pub struct Sessions<I> {
    state: Mutex<State<I>>,
}

struct State<I> {
    /// By session id. Written by [`Sessions::register`] and by the drop of what that returns.
    alive: HashMap<Sid, Entry<I>>,
    /// Set once, when the server goes down: whoever comes after that goes at once.
    closing: Option<CloseReason>,
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

/// A session's place among those alive. It ends with this value.
pub(super) struct Registration<I> {
    sessions: Arc<Sessions<I>>,
    sid: Sid,
}

impl<I> Sessions<I> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                alive: HashMap::new(),
                closing: None,
            }),
        })
    }

    /// Adds a session.
    pub(super) fn register(
        self: &Arc<Self>,
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

impl<I> Drop for Registration<I> {
    fn drop(&mut self) {
        self.sessions.lock().alive.remove(&self.sid);
    }
}

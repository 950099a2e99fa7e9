//! The sessions that are alive, for whoever has to find or end them.

use super::{
    Limit, Limits, Meter, Owner, Stage,
    census::{Census, Counted, Whose},
    door::Door,
    stage::Stages,
};
use crate::engineio::{
    CloseReason, Revision, Sid,
    outbound::{Inbox, Order},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The sessions that are alive.
pub struct Sessions<I> {
    state: Mutex<State<I>>,
    /// A permit for each session there may be.
    places: Arc<Semaphore>,
    /// A permit for each of them whose client may be silent yet.
    half_open: Arc<Semaphore>,
    census: Arc<Census>,
    stages: Stages,
    meter: Meter,
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
    whose: Whose,
    /// Written by [`Registration::note_websocket`].
    is_on_websocket: bool,
    /// When it was opened.
    since: SystemTime,
}

/// A session, as far as everyone may know it.
#[derive(Debug)]
pub struct Glimpse<'a, I> {
    /// Whose it is.
    pub identity: &'a I,
    /// Whether it is on a WebSocket, and not on long-polling.
    pub is_on_websocket: bool,
    /// When it was opened.
    pub since: SystemTime,
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
    half_open: OwnedSemaphorePermit,
    counted: Counted,
}

/// A session among those alive. It ends with this value, and its place is free in the moment in which it is no longer
/// found.
pub(super) struct Registration<I> {
    sessions: Arc<Sessions<I>>,
    sid: Sid,
    stage: Stage,
}

impl<I> Sessions<I> {
    /// As many as `limits` has room for.
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            state: Mutex::new(State {
                alive: HashMap::new(),
                closing: None,
                ended: HashMap::new(),
            }),
            places: permits(limits.max_sessions),
            half_open: permits(limits.max_half_open_sessions),
            census: Census::new(
                limits.max_sessions_per_network,
                limits.max_sessions_per_owner,
            ),
            stages: Stages::default(),
            meter: Meter::default(),
        })
    }

    /// A place for one more session, or the limit that is in the way.
    pub(super) fn reserve(&self, whose: Whose) -> Result<Place, Limit> {
        let take = |permits: &Arc<Semaphore>| Arc::clone(permits).try_acquire_owned();
        Ok(Place {
            permit: take(&self.places).map_err(|_| Limit::Sessions)?,
            half_open: take(&self.half_open).map_err(|_| Limit::HalfOpenSessions)?,
            counted: self.census.count(whose)?,
        })
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
                is_on_websocket: door.is_none(),
                door,
                whose: place.counted.into_whose(),
                since: SystemTime::now(),
            },
        );
        // From now on the registration stands for it, and needs no room for that.
        place.permit.forget();
        place.half_open.forget();
        let stage = Stage::Handshake;
        self.stages.enter(stage);
        Registration {
            sessions: Arc::clone(self),
            sid,
            stage,
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

    /// How many there are at each stage.
    pub fn stages(&self) -> [(Stage, u64); Stage::ALL.len()] {
        self.stages.read()
    }

    /// What they have said and heard, and how they came to be.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Looks at each session that is alive. `look` must not call this again.
    pub fn for_each(&self, mut look: impl FnMut(Glimpse<'_, I>)) {
        for entry in self.lock().alive.values() {
            look(Glimpse {
                identity: &entry.identity,
                is_on_websocket: entry.is_on_websocket,
                since: entry.since,
            });
        }
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
    pub(super) fn meter(&self) -> &Meter {
        &self.sessions.meter
    }

    /// Whose the session is, as far as the admission says.
    pub(super) fn owner(&self) -> Option<Owner> {
        let state = self.sessions.lock();
        state.alive.get(&self.sid)?.whose.owner
    }

    /// Whether the client has said something.
    pub(super) fn has_spoken(&self) -> bool {
        self.stage != Stage::Handshake
    }

    /// How far the session has come. It never comes back to where its client has not spoken.
    pub(super) fn note_stage(&mut self, stage: Stage) {
        if stage == self.stage {
            return;
        }
        if !self.has_spoken() {
            self.sessions.half_open.add_permits(1);
        }
        self.sessions.stages.leave(self.stage);
        self.sessions.stages.enter(stage);
        self.stage = stage;
    }

    /// The session has moved to a WebSocket.
    pub(super) fn note_websocket(&self) {
        if let Some(entry) = self.sessions.lock().alive.get_mut(&self.sid) {
            entry.is_on_websocket = true;
        }
    }

    /// Counts the session among those that have ended.
    pub(super) fn count_end(&self, reason: CloseReason) {
        let mut state = self.sessions.lock();
        *state.ended.entry(reason).or_default() += 1;
    }
}

impl<I> Drop for Registration<I> {
    fn drop(&mut self) {
        if !self.has_spoken() {
            self.sessions.half_open.add_permits(1);
        }
        self.sessions.stages.leave(self.stage);
        let mut state = self.sessions.lock();
        let whose = state.alive.remove(&self.sid).map(|entry| entry.whose);
        // After a flood, or the table would be as large as it was then for ever.
        let count = state.alive.len();
        if count < state.alive.capacity() / 8 {
            state.alive.shrink_to(2 * count);
        }
        self.sessions.places.add_permits(1);
        drop(state);
        self.sessions.census.discount(whose.unwrap_or_default());
    }
}

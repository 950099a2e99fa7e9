//! The hub: the roster, and the channel on which everyone hears of its changes.

use super::{Activity, Change, Report, Roster};
use crate::{
    engineio::{
        Frame,
        outbound::{Repair, Subscription, Topic},
    },
    socketio::{Ack, EncodeError, Socket, encode},
    users::User,
};
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tells everyone what everyone does.
///
/// One mutex is over {apply, encode once, publish} and over {subscribe, snapshot}, so nobody misses a change
/// or gets one twice, and all see one order.
pub struct Hub {
    state: Mutex<State>,
    /// The broadcast channel: `activity` events, encoded once each.
    activities: Topic,
}

#[derive(Default)]
struct State {
    roster: Roster,
    /// The roster as text; none after a change, until someone asks. A thousand newcomers share one.
    snapshot: Option<Snapshot>,
}

/// All activities, encoded.
struct Snapshot {
    /// The array, for an ack.
    array: Box<RawValue>,
    /// The `activities` event.
    event: Frame,
}

impl Hub {
    /// A hub that knows of nobody. A receiver may lag `ring` changes behind before it gets a snapshot instead.
    ///
    /// # Panics
    /// If `ring` is zero or above `usize::MAX / 2`.
    pub fn new(ring: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            activities: Topic::new(ring),
        })
    }

    /// From now on sends `socket` all that everyone is told, beginning with what is known.
    ///
    /// # Errors
    /// What is known has no form in JSON.
    pub fn join(self: &Arc<Self>, socket: &Socket<Arc<User>>) -> Result<(), EncodeError> {
        let mut state = self.lock();
        let opening = state.snapshot()?.event.clone();
        socket.follow(
            self.activities
                .subscribe(Some(opening), Arc::clone(self) as Arc<dyn Repair>),
        );
        Ok(())
    }

    /// Takes a socket's report, and tells everyone if that changes anything, or else the socket alone.
    /// What it answers is what everyone now knows of the user.
    ///
    /// # Errors
    /// The activity has no form in JSON.
    pub fn report(
        &self,
        socket: &Socket<Arc<User>>,
        report: Report,
    ) -> Result<Activity, EncodeError> {
        let mut state = self.lock();
        match state.roster.report(socket.data().id, socket.id(), report) {
            Change::Tell(activity) => self.tell(&mut state, activity),
            Change::Known(activity) => socket.emit("activity", (&activity,)).map(|()| activity),
        }
    }

    /// Forgets a socket that is gone, and tells everyone if that changes anything.
    ///
    /// # Errors
    /// The activity has no form in JSON.
    pub fn leave(&self, socket: &Socket<Arc<User>>) -> Result<(), EncodeError> {
        let mut state = self.lock();
        match state.roster.leave(socket.data().id, socket.id()) {
            Change::Tell(activity) => self.tell(&mut state, activity).map(drop),
            Change::Known(_) => Ok(()),
        }
    }

    /// Sends `socket` what is known, and answers with the same where it waits for an answer.
    ///
    /// # Errors
    /// What is known has no form in JSON.
    pub fn show(&self, socket: &Socket<Arc<User>>, ack: Option<Ack>) -> Result<(), EncodeError> {
        let mut state = self.lock();
        let snapshot = state.snapshot()?;
        socket.send(snapshot.event.clone());
        ack.map_or(Ok(()), |ack| ack.send((&snapshot.array,)))
    }

    /// Encodes once, for all.
    fn tell(&self, state: &mut State, activity: Activity) -> Result<Activity, EncodeError> {
        state.snapshot = None;
        self.activities
            .publish(encode::event("/", "activity", (&activity,))?.into_frame()?);
        Ok(activity)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could leave the roster half changed panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that lagged behind is told what is known, as if it had just come.
impl Repair for Hub {
    fn repair(self: Arc<Self>) -> Subscription {
        let mut state = self.lock();
        let opening = match state.snapshot() {
            Ok(snapshot) => Some(snapshot.event.clone()),
            Err(error) => {
                log::error!("a client that lagged behind is not brought up to date: {error}");
                None
            }
        };
        self.activities
            .subscribe(opening, Arc::clone(&self) as Arc<dyn Repair>)
    }
}

impl State {
    /// The roster as text, made anew only after a change.
    fn snapshot(&mut self) -> Result<&Snapshot, EncodeError> {
        let snapshot = match self.snapshot.take() {
            Some(snapshot) => snapshot,
            None => Snapshot::of(&self.roster.activities().collect::<Vec<_>>())?,
        };
        Ok(self.snapshot.insert(snapshot))
    }
}

impl Snapshot {
    fn of(activities: &[Activity]) -> Result<Self, EncodeError> {
        let array = serde_json::value::to_raw_value(activities)?;
        let event = encode::event("/", "activities", (&array,))?.into_frame()?;
        Ok(Self { array, event })
    }
}

//! The hub: the roster, and the topic on which everyone hears of its changes.

use super::{
    Activity, Change, Doing, Interest, Mark, Now, Observer, Place, Player, Published, Reader,
    Roster, Rules, ServerEvent, Tally, activity,
    feed::{self, Feed, Next},
    snapshot::{Opening, Snapshot},
};
use crate::{
    engineio::{
        Frame,
        outbound::{Moment, Repair, Subscription, Topic},
    },
    socketio::{Ack, EncodeError, Socket, SocketId, encode},
    users::{KeyDigest, User, UserId},
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, HashSet},
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{select, sync::Notify, task::yield_now, time::sleep_until};

/// Tells everyone what everyone does.
///
/// One mutex is over {apply, encode once, publish} and over {subscribe, snapshot}, so nobody misses a change
/// or gets one twice, and all see one order.
pub struct Hub {
    state: Mutex<State>,
    /// The topic that everyone follows: `activity` events, encoded once each.
    activities: Topic,
    /// Something falls due earlier than [`State::awaited`].
    sooner: Notify,
    tally: Tally,
}

struct State {
    roster: Roster,
    /// What [`Hub::keep_time`] waits for.
    awaited: Option<Instant>,
    /// The roster as text; none after a change, until someone asks. A thousand newcomers share one.
    snapshot: Option<Snapshot>,
    /// What those begin with again who have lagged behind. It is recent; none: nobody has, lately.
    opening: Option<Opening>,
    /// The last changes, for those who read along.
    feed: Feed,
    /// With which key each user came last, on a socket or without one: what it said does not outlive the key.
    keys: BTreeMap<UserId, KeyDigest>,
    observers: Vec<Arc<dyn Observer>>,
}

impl Hub {
    /// A hub that knows of nobody. A receiver may lag `ring` changes behind before it gets a snapshot instead.
    pub fn new(ring: usize, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                roster: Roster::new(rules),
                awaited: None,
                snapshot: None,
                opening: None,
                feed: Feed::new(Now::of_the_system().ms, ring),
                keys: BTreeMap::new(),
                observers: Vec::new(),
            }),
            activities: Topic::new(ring),
            sooner: Notify::new(),
            tally: Tally::default(),
        })
    }

    /// What has come in and was told.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// From now on tells `observer` of each change.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.lock().observers.push(observer);
    }

    /// From now on sends `socket` all that everyone is told, beginning with what is known.
    ///
    /// # Errors
    /// What is known has no form in JSON.
    pub fn join(self: &Arc<Self>, socket: &Socket<Player>) -> Result<(), EncodeError> {
        let mut state = self.lock();
        let user = socket.data().user();
        self.note_key(&mut state, user)?;
        let opening = state.snapshot()?.plain.clone();
        state.roster.join(user.id, socket.id());
        let now = self.activities.moment();
        socket.follow(self.subscribe(now, Some(opening), None));
        Ok(())
    }

    /// From now on sends `socket` only what it is interested in, beginning with what is known of that.
    ///
    /// # Errors
    /// What is known has no form in JSON.
    pub fn watch(
        self: &Arc<Self>,
        socket: &Socket<Player>,
        interest: Interest,
    ) -> Result<(), EncodeError> {
        let mut state = self.lock();
        let opening = state.event(Some(&interest))?;
        socket.data().set_interest(interest.clone());
        socket.unfollow();
        let now = self.activities.moment();
        socket.follow(self.subscribe(now, Some(opening), Some(interest)));
        Ok(())
    }

    /// Takes a socket's report, and tells everyone if that changes anything, or else the socket alone. What it answers
    /// is what everyone knows of the user, or will in a moment.
    ///
    /// # Errors
    /// The activity has no form in JSON.
    pub fn report(
        &self,
        socket: &Socket<Player>,
        doing: Option<Doing>,
    ) -> Result<Activity, EncodeError> {
        let mut state = self.lock();
        let user_id = socket.data().user().id;
        let now = Now::of_the_system();
        let change = state.roster.report(now, user_id, socket.id(), doing);
        let interest = socket.data().interest();
        // Who does not watch itself would not be told when this has changed, and believe it for ever.
        if let Change::Known(activity) = &change
            && interest.is_none_or(|interest| interest.is_in(user_id))
        {
            // As of now: whoever counts changes has missed none.
            let known = Published {
                activity: activity.clone(),
                seq: state.roster.seq(),
            };
            socket.emit(ServerEvent::Activity.name(), (known,))?;
        }
        self.tell(&mut state, change)
    }

    /// A socket is gone, with a goodbye or without, and everyone is told if that changes anything.
    ///
    /// # Errors
    /// The activity has no form in JSON.
    pub fn leave(&self, socket: &Socket<Player>, goodbye: bool) -> Result<(), EncodeError> {
        let mut state = self.lock();
        let (user_id, id) = (socket.data().user().id, socket.id());
        let now = Now::of_the_system();
        let change = if goodbye {
            state.roster.leave(now, user_id, id)
        } else {
            state.roster.lose(now, user_id, id)
        };
        self.tell(&mut state, change).map(drop)
    }

    /// A user reports without a socket: see [`Roster::lease`].
    ///
    /// # Errors
    /// The activity has no form in JSON.
    pub fn lease(
        &self,
        user: &User,
        id: SocketId,
        doing: Option<Doing>,
        ttl: Duration,
    ) -> Result<Activity, EncodeError> {
        let mut state = self.lock();
        self.note_key(&mut state, user)?;
        let now = Now::of_the_system();
        let change = state.roster.lease(now, user.id, id, doing, ttl);
        self.tell(&mut state, change)
    }

    /// Sends `socket` what is known of those whom it watches, and answers with the same where it waits for an answer.
    ///
    /// # Errors
    /// What is known has no form in JSON.
    pub fn show(&self, socket: &Socket<Player>, ack: Option<Ack>) -> Result<(), EncodeError> {
        let mut state = self.lock();
        let interest = socket.data().interest();
        socket.send(state.event(interest.as_ref())?);
        match (ack, interest) {
            (None, _) => Ok(()),
            (Some(ack), None | Some(Interest::All)) => ack.send((&*state.snapshot()?.array,)),
            (Some(ack), Some(Interest::Users(users))) => ack.send((state.chosen(&users),)),
        }
    }

    /// What is known of one user; none: offline.
    pub fn activity(&self, user_id: UserId) -> Option<Activity> {
        self.lock().roster.activity(user_id).cloned()
    }

    /// What is known of all who are not offline, by user id, and the number of the last change.
    pub fn activities(&self) -> (Vec<Activity>, u64) {
        let state = self.lock();
        let activities = state.roster.activities().cloned();
        (activities.collect(), state.roster.seq())
    }

    /// How many are online, how many busy, and how many play something.
    pub fn states(&self) -> [(activity::State, usize); 3] {
        let state = self.lock();
        let doing = state
            .roster
            .activities()
            .filter_map(|activity| activity.doing.as_ref());
        let mut counts = [0; 3];
        for doing in doing {
            if let Some(count) = counts.get_mut(usize::from(doing.state.rank())) {
                *count += 1;
            }
        }
        let [online, busy, playing] = counts;
        [
            (activity::State::Online, online),
            (activity::State::Busy, busy),
            (activity::State::Playing { game_id: None }, playing),
        ]
    }

    /// The same as a JSON array.
    ///
    /// # Errors
    /// What is known has no form in JSON.
    pub fn array(&self) -> Result<Arc<RawValue>, EncodeError> {
        Ok(Arc::clone(&self.lock().snapshot()?.array))
    }

    /// The place of the last change.
    pub fn mark(&self) -> Mark {
        self.lock().mark()
    }

    /// Someone reads along from now on: what follows `after`, if that is still known, or else first a snapshot.
    pub fn read_along(self: &Arc<Self>, after: Option<Mark>) -> Reader {
        let state = self.lock();
        let now = state.mark();
        let read = after.filter(|after| after.epoch == now.epoch && after.seq <= now.seq);
        let news = state.feed.subscribe();
        Reader::new(Arc::clone(self), read.map(|after| after.seq), news)
    }

    /// The event for someone who has read up to `read`, and up to where it has read then; none: there is no news.
    pub(super) fn read_on(&self, read: Option<u64>) -> Result<Option<(Bytes, u64)>, EncodeError> {
        let mut state = self.lock();
        let last = state.roster.seq();
        if let Some(read) = read {
            match state.feed.after(read, last)? {
                Next::Event(event) => return Ok(Some((event, read + 1))),
                Next::Nothing => return Ok(None),
                Next::Forgotten => {}
            }
        }
        let mark = state.mark();
        let snapshot = state.snapshot()?;
        let event = match snapshot.event.take() {
            Some(event) => event,
            None => feed::event(ServerEvent::Activities, mark, &&*snapshot.array)?,
        };
        Ok(Some((snapshot.event.insert(event).clone(), last)))
    }

    /// When each user was last told to be offline, in ms since 1970.
    pub fn last_seen(&self) -> BTreeMap<UserId, u64> {
        self.lock().roster.last_seen().collect()
    }

    /// When this user was.
    pub fn last_seen_of(&self, user_id: UserId) -> Option<u64> {
        self.lock().roster.last_seen_of(user_id)
    }

    /// What was known of that when the server went down.
    pub fn restore_last_seen(&self, saved: BTreeMap<UserId, u64>) {
        self.lock().roster.restore_last_seen(saved);
    }

    /// See [`Roster::grace`].
    pub fn grace(&self) -> Duration {
        self.lock().roster.grace()
    }

    /// See [`Roster::sockets`].
    pub fn sockets(&self, user_id: UserId) -> usize {
        self.lock().roster.sockets(user_id)
    }

    /// Of whom something is known.
    pub fn users(&self) -> Vec<UserId> {
        self.lock().roster.users().collect()
    }

    /// Forgets what those said who may not come in any more, or not with the key that they had, but for their sockets,
    /// which are ended elsewhere. `key_of` is with which key a user may.
    ///
    /// # Errors
    /// The activity has no form in JSON.
    pub fn expel(&self, key_of: impl Fn(UserId) -> Option<KeyDigest>) -> Result<(), EncodeError> {
        let mut state = self.lock();
        let now = Now::of_the_system();
        let before = mem::take(&mut state.keys);
        for user_id in state.roster.users().collect::<Vec<_>>() {
            let key = key_of(user_id);
            state.keys.extend(key.map(|key| (user_id, key)));
            let had = before.get(&user_id);
            let may_stay = key.is_some_and(|key| had.is_none_or(|had| *had == key));
            if !may_stay && let Some(change) = state.roster.expel(now, user_id) {
                self.tell(&mut state, change)?;
            }
        }
        Ok(())
    }

    /// What was known when the server went down: see [`Roster::restore`].
    pub fn restore(&self, saved: Vec<Activity>) {
        let mut state = self.lock();
        state.snapshot = None;
        state.roster.restore(Now::of_the_system(), saved);
        self.wake_if_sooner(&state);
    }

    /// Wakes those who wait for changes, some at a time, for as long as it is not dropped: whoever speaks meanwhile is
    /// heard before the rest. Without it they are all woken by each change.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn herald(&self) {
        let mut herald = self.activities.herald();
        loop {
            poll_fn(|context| herald.poll_news(context)).await;
            let begun = Instant::now();
            while herald.wake_some() {
                yield_now().await;
            }
            // The last handful.
            yield_now().await;
            self.tally.broadcasts().note(begun.elapsed());
        }
    }

    /// Does what falls due, for as long as it is not dropped.
    ///
    /// # Cancel safety
    /// Nothing is lost; what falls due waits until it is called again.
    pub async fn keep_time(&self) {
        loop {
            let deadline = self.await_next();
            select! {
                () = until(deadline) => self.do_what_is_due(),
                () = self.sooner.notified() => {}
            }
        }
    }

    fn await_next(&self) -> Option<Instant> {
        let mut state = self.lock();
        state.awaited = state.roster.deadline();
        state.awaited
    }

    /// Nearly always what falls due next is what it was, and the timekeeper sleeps on.
    fn wake_if_sooner(&self, state: &State) {
        let is_sooner = |due| state.awaited.is_none_or(|awaited| due < awaited);
        if state.roster.deadline().is_some_and(is_sooner) {
            self.sooner.notify_one();
        }
    }

    fn do_what_is_due(&self) {
        let now = Now::of_the_system();
        let mut state = self.lock();
        while let Some(change) = state.roster.timeout(now) {
            if let Err(error) = self.tell(&mut state, change) {
                log::error!("a change that fell due was not told: {error}");
            }
        }
    }

    /// A user comes with this key. If it had another before, what was said with that is over, as in [`Hub::expel`], which
    /// may not have been called yet: it may have been a thief's.
    fn note_key(&self, state: &mut State, user: &User) -> Result<(), EncodeError> {
        let had = state.keys.insert(user.id, user.key_digest);
        if had.is_some_and(|had| had != user.key_digest)
            && let Some(change) = state.roster.expel(Now::of_the_system(), user.id)
        {
            self.tell(state, change)?;
        }
        Ok(())
    }

    /// Encodes once, for all.
    fn tell(&self, state: &mut State, change: Change) -> Result<Activity, EncodeError> {
        self.wake_if_sooner(state);
        match change {
            Change::Tell(published) => {
                state.snapshot = None;
                // Soon it would help nobody any more.
                let seq = state.roster.seq();
                state
                    .opening
                    .take_if(|opening| !opening.is_recent(&self.activities, seq));
                self.tally.note_change();
                let activity = published.activity.clone();
                state.feed.push(published.clone());
                for observer in &state.observers {
                    observer.on_published(&published);
                }
                let event = encode::event("/", ServerEvent::Activity.name(), (&published,))?;
                self.activities
                    .publish_about(activity.user_id, event.into_frame()?);
                Ok(activity)
            }
            Change::Known(activity) => Ok(activity),
            Change::Later(activity) => {
                self.tally.note_held_back();
                Ok(activity)
            }
        }
    }

    fn subscribe(
        self: &Arc<Self>,
        moment: Moment,
        opening: Option<Frame>,
        interest: Option<Interest>,
    ) -> Subscription {
        let Some(interest) = interest else {
            // As nearly all do, who need nothing of their own for it.
            return self.activities.subscribe_since(
                moment,
                opening,
                Arc::clone(self) as Arc<dyn Repair>,
            );
        };
        let repair = Arc::new(Resync {
            hub: Arc::clone(self),
            interest: interest.clone(),
        });
        let subscription = self.activities.subscribe_since(moment, opening, repair);
        match interest {
            Interest::Users(users) => subscription.only(users),
            Interest::All => subscription,
        }
    }

    /// A new place for one that lagged behind, beginning with what is known, or was a moment ago.
    fn resync(self: &Arc<Self>, interest: Option<Interest>) -> Subscription {
        self.tally.note_resync();
        let mut state = self.lock();
        let (moment, opening) = match self.what_is_known(&mut state, interest.as_ref()) {
            Ok((moment, opening)) => (moment, Some(opening)),
            Err(error) => {
                log::error!("a client that lagged behind is not brought up to date: {error}");
                (self.activities.moment(), None)
            }
        };
        self.subscribe(moment, opening, interest)
    }

    fn what_is_known(
        &self,
        state: &mut State,
        interest: Option<&Interest>,
    ) -> Result<(Moment, Frame), EncodeError> {
        if let Some(Interest::Users(_)) = interest {
            return Ok((self.activities.moment(), state.event(interest)?));
        }
        let opening = match state.opening.take() {
            Some(opening) => opening,
            None => {
                let seq = state.roster.seq();
                let snapshot = state.snapshot()?;
                Opening {
                    moment: self.activities.moment(),
                    seq,
                    plain: snapshot.plain.clone(),
                    placed: snapshot.placed.clone(),
                }
            }
        };
        let Opening {
            moment,
            plain,
            placed,
            ..
        } = state.opening.insert(opening);
        let event = interest.map_or(&*plain, |_all| &*placed);
        Ok((*moment, event.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could leave the roster half changed panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// A client that lagged behind is told what is known, as if it had just come.
impl Repair for Hub {
    fn repair(self: Arc<Self>) -> Subscription {
        self.resync(None)
    }
}

/// The same for one that watches.
struct Resync {
    hub: Arc<Hub>,
    interest: Interest,
}

impl Repair for Resync {
    fn repair(self: Arc<Self>) -> Subscription {
        self.hub.resync(Some(self.interest.clone()))
    }
}

impl State {
    /// The roster as text, made anew only after a change.
    fn snapshot(&mut self) -> Result<&mut Snapshot, EncodeError> {
        let snapshot = match self.snapshot.take() {
            Some(snapshot) => snapshot,
            None => Snapshot::of(&self.roster)?,
        };
        Ok(self.snapshot.insert(snapshot))
    }

    /// The `activities` event for someone with this interest, or with none of its own.
    fn event(&mut self, interest: Option<&Interest>) -> Result<Frame, EncodeError> {
        match interest {
            None => Ok(self.snapshot()?.plain.clone()),
            Some(Interest::All) => Ok(self.snapshot()?.placed.clone()),
            Some(Interest::Users(users)) => {
                let place = Place {
                    seq: self.roster.seq(),
                };
                let told = (self.chosen(users), place);
                encode::event("/", ServerEvent::Activities.name(), told)?.into_frame()
            }
        }
    }

    fn mark(&self) -> Mark {
        self.feed.mark(self.roster.seq())
    }

    /// What is known of these, by user id. It costs no more where there are many others.
    fn chosen(&self, users: &HashSet<UserId>) -> Vec<&Activity> {
        let known = users.iter().filter_map(|id| self.roster.activity(*id));
        let mut known: Vec<_> = known.collect();
        known.sort_unstable_by_key(|activity| activity.user_id);
        known
    }
}

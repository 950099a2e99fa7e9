//! The roster: what follows from all reports together.

use super::{
    Activity, Doing, Published, Rate,
    device::{Device, Held, Holder},
    rate::Bucket,
};
use crate::{socketio::SocketId, users::UserId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Every user of whom something is known, with the reports of all devices. Pure: it is told what time it is.
///
/// There are two truths in it: what follows from the reports, and what everyone has been told. They differ only for
/// moments, while a user changes faster than its [`Rate`] allows.
#[derive(Debug, Default)]
pub struct Roster {
    rules: Rules,
    /// By user id, so that a snapshot has an order. Of whom nothing is known is not in it. Boxed, because the nodes of the
    /// map are half empty.
    users: BTreeMap<UserId, Box<User>>,
    /// When something falls due for whom.
    timers: BTreeSet<(Instant, UserId)>,
    /// How each user was offline last, so that who says it again is told the same, and whoever asks when it was.
    absences: BTreeMap<UserId, Absence>,
    /// Counts what happens, to tell which of two came last.
    events: u64,
    /// The number of the last change that was published.
    seq: u64,
}

/// What the roster goes by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// How long the report of a socket holds that went without a goodbye.
    pub grace: Duration,
    /// How often changes are published.
    pub rate: Rate,
}

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For how long something takes.
    pub instant: Instant,
    /// For people: ms since 1970.
    pub ms: u64,
}

/// What is known of one user.
#[derive(Debug, Default)]
struct User {
    devices: Vec<Device>,
    /// What everyone has been told; none: never anything, which is offline, too. Boxed, because of many there is nothing
    /// to be told.
    published: Option<Box<Activity>>,
    bucket: Bucket,
    /// When a change may be published that had to wait.
    late: Option<Instant>,
    /// Where it stands among the timers.
    timer: Option<Instant>,
}

/// A user is offline, or was last.
#[derive(Debug, Clone, Copy)]
struct Absence {
    /// In ms since 1970.
    since: u64,
    /// What it is shown as; none: it was before the server's life.
    socket_id: Option<SocketId>,
    /// Everyone was told. Otherwise nobody had heard of the user before.
    was_told: bool,
}

/// What happened to what everyone knows of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Everyone has to be told this.
    Tell(Published),
    /// Everyone knows it already.
    Known(Activity),
    /// Everyone will be told this, or what has become of it, in a moment.
    Later(Activity),
}

impl Roster {
    /// A roster of nobody.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// How long the report of a socket holds that went without a goodbye.
    pub fn grace(&self) -> Duration {
        self.rules.grace
    }

    /// A user's socket is there. It has nothing to say yet.
    pub fn join(&mut self, user_id: UserId, id: SocketId) {
        self.events += 1;
        let joined = self.events;
        let user = self.users.entry(user_id).or_default();
        // Nearly everyone has one.
        user.devices.reserve_exact(1);
        user.devices.push(Device {
            holder: Holder::Socket {
                id,
                joined,
                has_reported: false,
            },
            report: None,
        });
    }

    /// Takes the report of a user's socket; none withdraws what it said before.
    pub fn report(
        &mut self,
        now: Now,
        user_id: UserId,
        id: SocketId,
        doing: Option<Doing>,
    ) -> Change {
        self.update(now, user_id, id, |devices, event| {
            let inherited = inheritance(devices, id);
            if let Some(device) = devices.iter_mut().find(|device| device.is_socket(id)) {
                device.inherit(inherited);
                device.set(doing, id, event);
            }
        })
    }

    /// A socket has said goodbye.
    pub fn leave(&mut self, now: Now, user_id: UserId, id: SocketId) -> Change {
        self.update(now, user_id, id, |devices, _| {
            devices.retain(|device| !device.is_socket(id));
        })
    }

    /// A socket has gone without a goodbye. It may come back, and until then nobody notices.
    pub fn lose(&mut self, now: Now, user_id: UserId, id: SocketId) -> Change {
        let until = now.instant + self.rules.grace;
        self.update(now, user_id, id, |devices, event| {
            if let Some(device) = devices.iter_mut().find(|device| device.is_socket(id)) {
                device.holder = Holder::Lost { at: event, until };
            }
        })
    }

    /// A user reports without a socket. It holds for `ttl`; there is one a user. `id` is what it is shown as, if it
    /// is not there yet.
    pub fn lease(
        &mut self,
        now: Now,
        user_id: UserId,
        id: SocketId,
        doing: Option<Doing>,
        ttl: Duration,
    ) -> Change {
        let holder = Holder::Lease {
            until: now.instant + ttl,
        };
        self.update(now, user_id, id, |devices, event| {
            let place = devices.iter().position(Device::is_lease);
            let place = place.unwrap_or_else(|| {
                devices.push(Device {
                    holder,
                    report: None,
                });
                devices.len() - 1
            });
            if let Some(lease) = devices.get_mut(place) {
                let shown_as = lease.report.as_ref().map_or(id, |held| held.shown_as);
                lease.holder = holder;
                lease.set(doing, shown_as, event);
            }
        })
    }

    /// What was known when the server went down, as if everyone had been lost at `now`. For an empty roster.
    pub fn restore(&mut self, now: Now, saved: impl IntoIterator<Item = Activity>) {
        let until = now.instant + self.rules.grace;
        for mut activity in saved {
            let Some(doing) = activity.doing.clone() else {
                continue;
            };
            // The clock may have been put back since.
            activity.since = activity.since.min(now.ms);
            let user = self.users.entry(activity.user_id).or_default();
            user.devices.push(Device {
                holder: Holder::Lost { at: 0, until },
                report: Some(Box::new(Held {
                    doing,
                    shown_as: activity.socket_id,
                    changed: 0,
                })),
            });
            let user_id = activity.user_id;
            user.published = Some(Box::new(activity));
            self.settle(now, user_id);
        }
    }

    /// When users were last told to be offline before the server's life.
    pub fn restore_last_seen(&mut self, saved: impl IntoIterator<Item = (UserId, u64)>) {
        let absence = |since| Absence {
            since,
            socket_id: None,
            was_told: true,
        };
        let saved = saved.into_iter();
        self.absences
            .extend(saved.map(|(user_id, since)| (user_id, absence(since))));
    }

    /// When each user was last told to be offline, in ms since 1970.
    pub fn last_seen(&self) -> impl Iterator<Item = (UserId, u64)> {
        let told = self.absences.iter().filter(|(_, last)| last.was_told);
        told.map(|(user_id, last)| (*user_id, last.since))
    }

    /// When this user was.
    pub fn last_seen_of(&self, user_id: UserId) -> Option<u64> {
        let last = self.absences.get(&user_id);
        last.filter(|last| last.was_told).map(|last| last.since)
    }

    /// Of whom something is known.
    pub fn users(&self) -> impl Iterator<Item = UserId> {
        self.users.keys().copied()
    }

    /// How many sockets a user has, those not among them that were lost.
    pub fn sockets(&self, user_id: UserId) -> usize {
        let devices = self.users.get(&user_id).map(|user| &user.devices);
        let is_socket = |device: &&Device| matches!(device.holder, Holder::Socket { .. });
        devices.map_or(0, |devices| devices.iter().filter(is_socket).count())
    }

    /// A user may not come in any more: what it said without a socket, or on one that was lost, holds no longer. Its
    /// sockets are theirs to end who know them.
    pub fn expel(&mut self, now: Now, user_id: UserId) -> Option<Change> {
        let user = self.users.get_mut(&user_id)?;
        let is_over = |device: &Device| device.until().is_some();
        if !user.devices.iter().any(is_over) {
            return None;
        }
        match &user.published {
            Some(known) => {
                let id = known.socket_id;
                Some(self.update(now, user_id, id, |devices, _| {
                    devices.retain(|device| !is_over(device));
                }))
            }
            // Nobody ever heard of this user, so nobody has to hear of an end.
            None => {
                user.devices.retain(|device| !is_over(device));
                None
            }
        }
    }

    /// All users who are not offline, by user id, as everyone knows them.
    pub fn activities(&self) -> impl Iterator<Item = &Activity> {
        let published = self
            .users
            .values()
            .filter_map(|user| user.published.as_deref());
        published.filter(|activity| activity.doing.is_some())
    }

    /// One user, as everyone knows it. None: offline.
    pub fn activity(&self, user_id: UserId) -> Option<&Activity> {
        let published = self.users.get(&user_id)?.published.as_deref();
        published.filter(|activity| activity.doing.is_some())
    }

    /// The number of the last change.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When [`Roster::timeout`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due for one user; call it until it answers `None`. What it answers is to be told, if it is a
    /// [`Change::Tell`].
    pub fn timeout(&mut self, now: Now) -> Option<Change> {
        loop {
            let (at, user_id) = *self.timers.first()?;
            if at > now.instant {
                return None;
            }
            let user = self.users.get(&user_id);
            match user.and_then(|user| user.published.as_ref()) {
                Some(known) => {
                    let id = known.socket_id;
                    return Some(self.update(now, user_id, id, |_, _| {}));
                }
                // Nobody ever heard of this user, so nobody has to hear of an end.
                None => {
                    self.timers.pop_first();
                }
            }
        }
    }

    /// Applies `change` to a user's devices, forgets those whose time is over, and compares what follows with what
    /// everyone knows. `id` is what an offline user is shown as of whom nothing was known.
    fn update(
        &mut self,
        now: Now,
        user_id: UserId,
        id: SocketId,
        change: impl FnOnce(&mut Vec<Device>, u64),
    ) -> Change {
        self.events += 1;
        let user = self.users.entry(user_id).or_default();
        change(&mut user.devices, self.events);
        let is_over = |device: &Device| {
            let has_nothing = device.report.is_none() && device.until().is_some();
            has_nothing || device.until().is_some_and(|until| until <= now.instant)
        };
        user.devices.retain(|device| !is_over(device));
        let last = self.absences.get(&user_id).copied();
        let next = user.follows(now, user_id, id, last);
        let is_known = match &user.published {
            Some(known) => known.doing == next.doing && known.socket_id == next.socket_id,
            None => next.doing.is_none(),
        };
        let change = if is_known {
            user.late = None;
            Change::Known(next)
        } else {
            match user.bucket.take(now.instant, &self.rules.rate) {
                Ok(()) => {
                    user.late = None;
                    user.published = Some(Box::new(next.clone()));
                    self.seq += 1;
                    Change::Tell(Published {
                        activity: next,
                        seq: self.seq,
                    })
                }
                Err(again) => {
                    user.late = Some(again);
                    Change::Later(next)
                }
            }
        };
        let is_news = matches!(change, Change::Tell(_));
        if let Change::Tell(Published { activity, .. }) | Change::Known(activity) = &change
            && activity.doing.is_none()
        {
            let absence = Absence {
                since: activity.since,
                socket_id: Some(activity.socket_id),
                was_told: is_news || last.is_some_and(|last| last.was_told),
            };
            self.absences.insert(user_id, absence);
        }
        self.settle(now, user_id);
        change
    }

    /// After each change of a user: sets its timer, or forgets it. Who is offline, and has not been busy lately, needs
    /// no room.
    fn settle(&mut self, now: Now, user_id: UserId) {
        let Some(user) = self.users.get_mut(&user_id) else {
            return;
        };
        if let Some(before) = user.timer.take() {
            self.timers.remove(&(before, user_id));
        }
        let ends = user.devices.iter().filter_map(Device::until);
        user.timer = match ends.chain(user.late).min() {
            None if user.is_nothing() => match user.bucket.full_at(now.instant) {
                None => {
                    self.users.remove(&user_id);
                    return;
                }
                full_at => full_at,
            },
            first => first,
        };
        if let Some(at) = user.timer {
            self.timers.insert((at, user_id));
        }
    }
}

impl User {
    /// Whether it is offline, and everyone knows.
    fn is_nothing(&self) -> bool {
        let published = self.published.as_ref();
        self.devices.is_empty() && published.is_none_or(|known| known.doing.is_none())
    }

    /// What follows from the reports: the highest state, and among equals the one that came last. `last` is how the user
    /// was offline before.
    fn follows(&self, now: Now, user_id: UserId, id: SocketId, last: Option<Absence>) -> Activity {
        let held = self
            .devices
            .iter()
            .filter_map(|device| device.report.as_ref());
        let top = held.max_by_key(|held| (held.doing.state.rank(), held.changed));
        let doing = top.map(|held| held.doing.clone());
        let state = doing.as_ref().map(|doing| doing.state);
        // Of whom nobody has heard yet, everyone believes that it is as it was before.
        let known = self.published.as_deref();
        let was = known.and_then(|known| Some(known.doing.as_ref()?.state));
        let since = known.map(|known| known.since);
        let since = since.or(last.map(|last| last.since));
        let shown_as = known.map(|known| known.socket_id);
        let shown_as = shown_as.or(last.and_then(|last| last.socket_id));
        Activity {
            user_id,
            socket_id: top.map_or(shown_as.unwrap_or(id), |held| held.shown_as),
            since: since.filter(|_| was == state).unwrap_or(now.ms),
            doing,
        }
    }
}

/// The report that a socket inherits by its first own: of those that were lost before it came, the one that has been
/// lost for the longest. It is back again, and nobody has noticed.
fn inheritance(devices: &mut [Device], heir: SocketId) -> Option<Box<Held>> {
    let heir = devices.iter().find(|device| device.is_socket(heir))?;
    let Holder::Socket {
        joined,
        has_reported: false,
        ..
    } = heir.holder
    else {
        return None;
    };
    let lost_at = |device: &Device| match device.holder {
        Holder::Lost { at, .. } if at < joined => Some(at),
        Holder::Lost { .. } | Holder::Socket { .. } | Holder::Lease { .. } => None,
    };
    let lost = devices
        .iter_mut()
        .filter(|device| lost_at(device).is_some());
    lost.min_by_key(|device| lost_at(device))?.report.take()
}

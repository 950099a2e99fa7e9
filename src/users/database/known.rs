//! What is known of the users: the answers of the last lookups, and when each was asked for.
//!
//! Pure: time is an argument. A user is known for as long as anyone holds it, because whoever does may have to be turned
//! out; of the others, what was learned lately is kept.

use super::super::{ApiKey, KeyDigest, User, UserId};
use super::row::Found;
use std::{
    collections::{
        HashMap, HashSet, VecDeque,
        hash_map::Entry::{Occupied, Vacant},
    },
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

/// So many questions are remembered whose answer was "nobody". Someone who asks more at once, with as many wrong keys,
/// makes the oldest be asked again.
const MAX_ABSENT: usize = 4096;

/// Who is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// The owner of a key.
    Key(KeyDigest),
    /// The user of an id.
    Id(UserId),
}

/// All that is known.
#[derive(Default)]
pub(super) struct Known {
    users: HashMap<UserId, Entry>,
    by_key: HashMap<KeyDigest, UserId>,
    absent: Absent,
    /// Whether somebody may not go on who could before, since [`Known::take_news`].
    is_news: bool,
}

struct Entry {
    user: Arc<User>,
    key: Option<ApiKey>,
    /// When the question was asked to which this is the answer.
    asked: Instant,
    /// What was handed out before the user changed, and may still be held.
    former: Vec<Arc<User>>,
}

impl Entry {
    /// Whether anyone holds the user.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.user) > 1 || !self.former.is_empty()
    }

    /// Takes over a newer answer. The user as it is handed out from now on, and as it was, if that is another.
    fn renew(
        &mut self,
        asked: Instant,
        user: User,
        key: Option<ApiKey>,
    ) -> (Arc<User>, Option<Arc<User>>) {
        self.asked = asked;
        if *self.user == user {
            return (Arc::clone(&self.user), None);
        }
        let before = mem::replace(&mut self.user, Arc::new(user));
        self.key = key;
        self.former.push(Arc::clone(&before));
        self.forget_former();
        (Arc::clone(&self.user), Some(before))
    }

    fn forget_former(&mut self) {
        self.former.retain(|user| Arc::strong_count(user) > 1);
    }
}

impl Known {
    /// Who it is, by an answer to a question that is at most so old; nobody is an answer as well. None: it has to be
    /// asked.
    pub(super) fn recall(
        &self,
        now: Instant,
        who: Who,
        age: Duration,
    ) -> Option<Option<Arc<User>>> {
        match self.entry(now, who, age) {
            Some(entry) => Some(Some(Arc::clone(&entry.user))),
            None => self.absent.has(now, who, age).then_some(None),
        }
    }

    /// The key of a user, by such an answer.
    pub(super) fn recall_key(
        &self,
        now: Instant,
        id: UserId,
        age: Duration,
    ) -> Option<Option<ApiKey>> {
        let entry = self.entry(now, Who::Id(id), age)?;
        Some(entry.key.clone())
    }

    fn entry(&self, now: Instant, who: Who, age: Duration) -> Option<&Entry> {
        let id = match who {
            Who::Id(id) => id,
            Who::Key(key) => *self.by_key.get(&key)?,
        };
        let entry = self.users.get(&id)?;
        (now.saturating_duration_since(entry.asked) <= age).then_some(entry)
    }

    /// The key with which this user may enter, as far as is known.
    pub(super) fn key_of(&self, id: UserId) -> Option<KeyDigest> {
        let user = &self.users.get(&id)?.user;
        user.may_enter().then_some(user.key_digest)
    }

    /// Takes in the answer to a question that was asked then. The user as it is handed out: the same one for as long as
    /// it does not change. An older answer does not take the place of a newer one.
    pub(super) fn learn(&mut self, asked: Instant, found: Found) -> Arc<User> {
        let Found { user, key, .. } = found;
        let (id, digest) = (user.id, user.key_digest);
        let (user, before) = match self.users.entry(id) {
            Vacant(place) => {
                let user = Arc::new(user);
                place.insert(Entry {
                    user: Arc::clone(&user),
                    key,
                    asked,
                    former: Vec::new(),
                });
                (user, None)
            }
            Occupied(place) if place.get().asked > asked => {
                return Arc::clone(&place.get().user);
            }
            Occupied(mut place) => place.get_mut().renew(asked, user, key),
        };
        if let Some(before) = before {
            let goes_on = user.may_enter() && before.key_digest == digest;
            self.is_news |= before.may_enter() && !goes_on;
            self.unindex(before.key_digest, id);
        }
        if digest != KeyDigest::NONE {
            self.by_key.insert(digest, id);
        }
        user
    }

    /// Takes in that the answer was "nobody".
    pub(super) fn learn_absence(&mut self, asked: Instant, who: Who) {
        match who {
            Who::Id(id) => self.forget(asked, id),
            // Its owner is looked up with the others who are connected.
            Who::Key(key) => {
                self.by_key.remove(&key);
            }
        }
        self.absent.add(asked, who);
    }

    /// Takes in the answer about all of these.
    pub(super) fn learn_all(&mut self, asked: Instant, ids: &[UserId], found: Vec<Found>) {
        let mut gone: HashSet<UserId> = ids.iter().copied().collect();
        for found in found {
            gone.remove(&found.user.id);
            self.learn(asked, found);
        }
        for id in gone {
            self.forget(asked, id);
        }
    }

    /// Whose sessions may have to end: those that anyone holds. Forgets the others, if what is known of them is older
    /// than that.
    pub(super) fn held(&mut self, now: Instant, age: Duration) -> Vec<UserId> {
        let (mut held, mut old) = (Vec::new(), Vec::new());
        for (id, entry) in &mut self.users {
            entry.forget_former();
            if entry.is_held() {
                held.push(*id);
            } else if now.saturating_duration_since(entry.asked) > age {
                old.push((*id, entry.user.key_digest));
            }
        }
        for (id, key) in old {
            self.users.remove(&id);
            self.unindex(key, id);
        }
        held
    }

    /// Whether somebody may not go on who could, since this was asked last.
    pub(super) fn take_news(&mut self) -> bool {
        mem::take(&mut self.is_news)
    }

    fn forget(&mut self, asked: Instant, id: UserId) {
        let Some(entry) = self.users.get(&id).filter(|entry| entry.asked <= asked) else {
            return;
        };
        let key = entry.user.key_digest;
        self.is_news |= entry.user.may_enter();
        self.users.remove(&id);
        self.unindex(key, id);
    }

    fn unindex(&mut self, key: KeyDigest, id: UserId) {
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
        }
    }
}

/// Whom nobody is. As many as may be; the oldest go.
#[derive(Default)]
struct Absent {
    asked: HashMap<Who, Instant>,
    order: VecDeque<(Instant, Who)>,
}

impl Absent {
    fn has(&self, now: Instant, who: Who, age: Duration) -> bool {
        let asked = self.asked.get(&who);
        asked.is_some_and(|asked| now.saturating_duration_since(*asked) <= age)
    }

    fn add(&mut self, asked: Instant, who: Who) {
        self.asked.insert(who, asked);
        self.order.push_back((asked, who));
        while self.order.len() > MAX_ABSENT {
            let Some((asked, who)) = self.order.pop_front() else {
                return;
            };
            // It may have been asked again since.
            if self.asked.get(&who) == Some(&asked) {
                self.asked.remove(&who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Row;
    use super::*;

    const AGE: Duration = Duration::from_secs(30);

    fn row(id: i64, key: &str) -> Row {
        Row {
            id,
            username: "alice".to_owned(),
            role: "1".to_owned(),
            is_activated: true,
            key: Some(key.to_owned()),
            ..Row::default()
        }
    }

    fn learn(known: &mut Known, asked: Instant, row: Row) -> Arc<User> {
        let found = row.read();
        known.learn(asked, found.unwrap_or_else(|| unreachable!("a good row")))
    }

    #[test]
    fn as_many_wrong_keys_are_remembered_as_may_be_and_no_more() {
        let (mut known, now) = (Known::default(), Instant::now());
        let who = |number: usize| Who::Key(KeyDigest::of(&number.to_string()));
        for number in 0..3 * MAX_ABSENT {
            known.learn_absence(now, who(number));
            known.learn_absence(now, who(number));
        }
        assert!(known.absent.asked.len() <= MAX_ABSENT);
        assert!(known.absent.order.len() <= MAX_ABSENT);
        assert_eq!(known.recall(now, who(3 * MAX_ABSENT - 1), AGE), Some(None));
        assert_eq!(known.recall(now, who(0), AGE), None);
        let later = now + AGE + Duration::from_millis(1);
        assert_eq!(known.recall(later, who(3 * MAX_ABSENT - 1), AGE), None);
    }

    #[test]
    fn whoever_is_held_is_kept_and_others_are_forgotten() {
        let (mut known, now) = (Known::default(), Instant::now());
        let alice = learn(&mut known, now, row(1, "a"));
        drop(learn(&mut known, now, row(2, "b")));
        let later = now + 2 * AGE;
        assert_eq!(known.held(later, 3 * AGE), [1]);
        assert!(known.recall(later, Who::Id(2), 3 * AGE).is_some());
        assert_eq!(known.held(later, AGE), [1]);
        assert!(known.recall(later, Who::Id(2), 3 * AGE).is_none());
        assert_eq!(known.by_key.len(), 1);
        // What was handed out before a change counts, too.
        drop(learn(&mut known, later, row(1, "c")));
        assert!(known.take_news() && !known.take_news());
        assert_eq!(known.held(later + 2 * AGE, AGE), [1]);
        drop(alice);
        assert!(known.held(later + 2 * AGE, AGE).is_empty());
        assert!(known.users.is_empty() && known.by_key.is_empty());
    }

    #[test]
    fn an_older_answer_does_not_take_the_place_of_a_newer_one() {
        let (mut known, before) = (Known::default(), Instant::now());
        let after = before + Duration::from_millis(1);
        let alice = learn(&mut known, after, row(1, "new"));
        learn(&mut known, before, row(1, "old"));
        known.learn_all(before, &[1], Vec::new());
        assert_eq!(known.key_of(1), Some(alice.key_digest));
        assert!(!known.take_news());
        known.learn_all(after, &[1], Vec::new());
        assert_eq!(known.key_of(1), None);
        assert!(known.take_news());
    }

    #[test]
    fn a_key_that_was_nobodys_for_a_moment_is_known_again() {
        let (mut known, now) = (Known::default(), Instant::now());
        let alice = learn(&mut known, now, row(1, "a"));
        let who = Who::Key(alice.key_digest);
        known.learn_absence(now, who);
        assert_eq!(known.recall(now, who, AGE), Some(None));
        learn(&mut known, now, row(1, "a"));
        assert_eq!(known.recall(now, who, AGE), Some(Some(alice)));
    }

    #[test]
    fn a_user_without_a_key_is_not_that_of_an_empty_one() {
        let (mut known, now) = (Known::default(), Instant::now());
        learn(&mut known, now, row(1, ""));
        assert_eq!(known.recall(now, Who::Key(KeyDigest::of("")), AGE), None);
        assert_eq!(known.recall(now, Who::Key(KeyDigest::NONE), AGE), None);
        assert!(known.recall(now, Who::Id(1), AGE).is_some());
    }
}

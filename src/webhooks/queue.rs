//! The queue: what waits to be delivered.

use crate::{presence::Published, users::UserId};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// Of each user the newest state, and whose turn it is. As long as there are users, and no longer. Pure.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<UserId, Waiting>,
    /// Everyone who waits, once; whoever has waited for the longest comes first.
    turns: VecDeque<UserId>,
}

/// A state that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) published: Published,
    /// How often this user's state was tried, this one or an older one, since the target last took one.
    pub(super) failures: u32,
    /// Not to be tried earlier: what the target fails at must not keep it from what it can take.
    pub(super) not_before: Option<Instant>,
}

/// What is next.
#[derive(Debug)]
pub(super) enum Next {
    /// This one, which waits no longer.
    Deliver(Waiting),
    /// Nothing until then.
    At(Instant),
    /// Nothing.
    Nothing,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    /// The newest state of a user; an older one that waits is forgotten, and its turn is kept.
    pub(super) fn put(&mut self, published: Published) {
        let user_id = published.activity.user_id;
        if let Some(waiting) = self.waiting.get_mut(&user_id) {
            waiting.published = published;
            return;
        }
        let waiting = Waiting {
            published,
            failures: 0,
            not_before: None,
        };
        self.waiting.insert(user_id, waiting);
        self.turns.push_back(user_id);
    }

    /// One that was not delivered. It goes to the end; if there is a newer state by now, that one does.
    pub(super) fn put_back(&mut self, failed: Waiting) {
        let user_id = failed.published.activity.user_id;
        let newer = self.waiting.remove(&user_id);
        self.turns.retain(|turn| *turn != user_id);
        let published = newer.map_or(failed.published, |newer| newer.published);
        self.waiting.insert(
            user_id,
            Waiting {
                published,
                ..failed
            },
        );
        self.turns.push_back(user_id);
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let not_before = |user_id| {
            let waiting: Option<&Waiting> = self.waiting.get(user_id);
            waiting.and_then(|waiting| waiting.not_before)
        };
        let is_due = |user_id| not_before(user_id).is_none_or(|at| at <= now);
        if let Some(index) = self.turns.iter().position(is_due) {
            let due = self.turns.remove(index);
            return due
                .and_then(|user_id| self.waiting.remove(&user_id))
                .map_or(Next::Nothing, Next::Deliver);
        }
        let earliest = self.turns.iter().filter_map(not_before).min();
        earliest.map_or(Next::Nothing, Next::At)
    }

    /// From now on everyone may be tried.
    pub(super) fn hurry(&mut self) {
        for waiting in self.waiting.values_mut() {
            waiting.not_before = None;
        }
    }
}

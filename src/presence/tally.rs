//! The tally: what the gateway and the hub have counted since they started.

use super::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what comes in and what everyone is told. Counters only grow.
#[derive(Debug, Default)]
pub struct Tally {
    events: [AtomicU64; Told::ALL.len()],
    connects: AtomicU64,
    disconnects: AtomicU64,
    exceptions: AtomicU64,
    changes: AtomicU64,
    held_back: AtomicU64,
    resyncs: AtomicU64,
    broadcasts: Histogram,
}

/// The events that clients may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// What the client's user does.
    SetActivity,
    /// What is known?
    GetActivities,
    /// Of whom to be told.
    Watch,
    /// What nobody listens for.
    Other,
}

impl Told {
    /// All there are, in the order in which they are declared.
    pub const ALL: [Self; 4] = [
        Self::SetActivity,
        Self::GetActivities,
        Self::Watch,
        Self::Other,
    ];

    /// The event with this name.
    pub fn of(event: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        let known = all.find(|told| told.name() == Some(event));
        known.unwrap_or(Self::Other)
    }

    /// The event's name; none: any other.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::SetActivity => Some("set-activity"),
            Self::GetActivities => Some("get-activities"),
            Self::Watch => Some("watch"),
            Self::Other => None,
        }
    }
}

impl Tally {
    /// How often clients have told each, refused ones among them.
    pub fn events(&self) -> impl Iterator<Item = (Told, u64)> {
        Told::ALL.into_iter().zip(self.events.iter().map(read))
    }

    /// How many sockets have joined.
    pub fn connects(&self) -> u64 {
        read(&self.connects)
    }

    /// How many of them have gone.
    pub fn disconnects(&self) -> u64 {
        read(&self.disconnects)
    }

    /// How many events were refused by an `exception`.
    pub fn exceptions(&self) -> u64 {
        read(&self.exceptions)
    }

    /// How many changes everyone was told of.
    pub fn changes(&self) -> u64 {
        read(&self.changes)
    }

    /// How many changes came too soon after others of the same user, and were not told at once.
    pub fn held_back(&self) -> u64 {
        read(&self.held_back)
    }

    /// How often a client that lagged behind was brought up to date by a snapshot.
    pub fn resyncs(&self) -> u64 {
        read(&self.resyncs)
    }

    /// How long it took until all who waited for news had been woken, and had sent it on as far as their clients take it.
    pub fn broadcasts(&self) -> &Histogram {
        &self.broadcasts
    }

    pub(super) fn note_event(&self, told: Told) {
        self.events
            .get(told as usize)
            .into_iter()
            .for_each(one_more);
    }

    pub(super) fn note_connect(&self) {
        one_more(&self.connects);
    }

    pub(super) fn note_disconnect(&self) {
        one_more(&self.disconnects);
    }

    pub(super) fn note_exception(&self) {
        one_more(&self.exceptions);
    }

    pub(super) fn note_change(&self) {
        one_more(&self.changes);
    }

    pub(super) fn note_held_back(&self) {
        one_more(&self.held_back);
    }

    pub(super) fn note_resync(&self) {
        one_more(&self.resyncs);
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

//! The tally: what the gateway and the hub have counted since they started.

use super::{ClientEvent, Histogram};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what comes in and what everyone is told. Counters only grow.
#[derive(Debug, Default)]
pub struct Tally {
    /// One for each of [`ClientEvent::ALL`], and one for what nobody listens for.
    events: [AtomicU64; ClientEvent::ALL.len() + 1],
    connects: AtomicU64,
    disconnects: AtomicU64,
    exceptions: AtomicU64,
    changes: AtomicU64,
    held_back: AtomicU64,
    turned_away: AtomicU64,
    resyncs: AtomicU64,
    broadcasts: Histogram,
}

impl Tally {
    /// How often clients have sent each, refused ones among them; none: what nobody listens for.
    pub fn events(&self) -> impl Iterator<Item = (Option<ClientEvent>, u64)> {
        let events = ClientEvent::ALL.into_iter().map(Some).chain([None]);
        events.zip(self.events.iter().map(read))
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

    /// How many did not join because their user had as many sockets as it may.
    pub fn turned_away(&self) -> u64 {
        read(&self.turned_away)
    }

    /// How often a client that lagged behind was brought up to date by a snapshot.
    pub fn resyncs(&self) -> u64 {
        read(&self.resyncs)
    }

    /// How long it took until all who waited for news had been woken, and had sent it on as far as their clients take it.
    pub fn broadcasts(&self) -> &Histogram {
        &self.broadcasts
    }

    pub(super) fn note_event(&self, event: Option<ClientEvent>) {
        let place = event.map_or(ClientEvent::ALL.len(), |event| event as usize);
        self.events.get(place).into_iter().for_each(one_more);
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

    pub(super) fn note_turned_away(&self) {
        one_more(&self.turned_away);
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

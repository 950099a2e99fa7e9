//! The meter: what a server has counted since it started.

use crate::engineio::{Frame, MESSAGE};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what sessions say and hear, and how many are opened and turned away. Counters only grow.
#[derive(Debug, Default)]
pub struct Meter {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    received: Traffic,
    sent: Traffic,
    messages_sent: AtomicU64,
}

/// Engine.IO packets and their bytes.
#[derive(Debug, Default)]
struct Traffic {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// What was sent to a client in one go.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sent {
    packets: usize,
    messages: usize,
    bytes: usize,
}

impl Sent {
    pub(super) fn note(&mut self, frame: &Frame) {
        let bytes = frame.bytes();
        let is_message = match frame {
            Frame::Text(text) => text.first().copied().map(char::from) == Some(MESSAGE),
            Frame::Binary(_) => true,
        };
        self.packets += 1;
        self.messages += usize::from(is_message);
        self.bytes += bytes.len();
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.packets == 0
    }
}

/// What has become of a request at the endpoint that a session's task does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A session was opened.
    Opened,
    /// It breaks the protocol: 400.
    BadRequest,
    /// There is no such session: 400.
    UnknownSession,
    /// The admission does not know who asks: 401.
    Unauthorized,
    /// The admission does not let who asks in, or the session is someone else's: 403.
    Forbidden,
    /// Its address or its user has too much, or comes too often: 429.
    TooMany,
    /// There is no room, or the admission cannot tell now: 503.
    Unavailable,
}

impl Meter {
    /// How many requests came to each.
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let counts = self.outcomes.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Outcome::ALL.into_iter().zip(counts)
    }

    /// How many packets were received, and how many bytes they have; pings and pongs among them.
    pub fn received(&self) -> (u64, u64) {
        self.received.read()
    }

    /// The same of those that were sent, or handed to what sends them.
    pub fn sent(&self) -> (u64, u64) {
        self.sent.read()
    }

    /// How many of the packets that were sent were messages of the application.
    pub fn messages_sent(&self) -> u64 {
        self.messages_sent.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn note_received(&self, packets: usize, bytes: usize) {
        self.received.add(packets, bytes);
    }

    pub(super) fn note_sent(&self, sent: Sent) {
        self.sent.add(sent.packets, sent.bytes);
        let messages = sent.messages as u64;
        self.messages_sent.fetch_add(messages, Ordering::Relaxed);
    }
}

impl Traffic {
    fn add(&self, packets: usize, bytes: usize) {
        self.packets.fetch_add(packets as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.packets), read(&self.bytes))
    }
}

impl Outcome {
    /// All there are, in the order in which they are declared.
    pub const ALL: [Self; 7] = [
        Self::Opened,
        Self::BadRequest,
        Self::UnknownSession,
        Self::Unauthorized,
        Self::Forbidden,
        Self::TooMany,
        Self::Unavailable,
    ];

    /// Its name where it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::BadRequest => "bad_request",
            Self::UnknownSession => "unknown_session",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
        }
    }
}

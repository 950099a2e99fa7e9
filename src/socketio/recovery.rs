//! Connection state recovery: a client that lost its connection for a moment gets its socket back, and what it missed.
//!
//! Each event carries an offset as its last argument, which the client remembers. When it comes back in time with its
//! secret `pid` and its last offset, it is told all that came after, keeps its socket id and its rooms, and is none
//! the wiser. What is told by a [`Topic`](crate::engineio::outbound::Topic) has its own repair and no offsets.

use super::{Encoded, SocketId};
use crate::engineio::{CloseReason, Sid};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// What connection state recovery may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// How long a client may be away.
    pub max_disconnection: Duration,
    /// How many events are kept for each client, here or away. One that has missed more begins anew.
    pub max_packets: usize,
    /// How many bytes those may have.
    pub max_bytes: usize,
    /// How many clients may be away and come back; beyond, the one that has been away for the longest may not.
    pub max_away: usize,
}

impl Default for Recovery {
    /// Two minutes, as the reference.
    fn default() -> Self {
        Self {
            max_disconnection: Duration::from_secs(120),
            max_packets: 1000,
            max_bytes: 1 << 20,
            max_away: 1000,
        }
    }
}

/// Where an event stands among all events of its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset(pub(super) u64);

/// The last events that were sent to one client.
pub(super) struct Log {
    /// What the client has to know to come back as this socket.
    pub(super) pid: Sid,
    events: VecDeque<(Offset, Encoded)>,
    bytes: usize,
    limits: Arc<Recovery>,
}

impl Log {
    pub(super) fn new(pid: Sid, limits: Arc<Recovery>) -> Self {
        Self {
            pid,
            events: VecDeque::new(),
            bytes: 0,
            limits,
        }
    }

    /// Adds an event, and forgets the oldest as the limits demand.
    pub(super) fn push(&mut self, offset: Offset, event: Encoded) {
        self.bytes += event.bytes();
        self.events.push_back((offset, event));
        while self.events.len() > self.limits.max_packets || self.bytes > self.limits.max_bytes {
            let Some((_, oldest)) = self.events.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }

    /// What came after `offset`. None: that is too long ago, or never was.
    pub(super) fn after(&self, offset: &str) -> Option<impl Iterator<Item = &Encoded>> {
        let offset = Offset(offset.parse().ok()?);
        let seen = self.events.iter().position(|(known, _)| *known == offset)?;
        Some(self.events.iter().skip(seen + 1).map(|(_, event)| event))
    }
}

/// What is kept of a socket whose client may come back.
pub(super) struct Away {
    pub(super) id: SocketId,
    pub(super) rooms: HashSet<Arc<str>>,
    pub(super) log: Log,
    pub(super) until: Instant,
}

impl Away {
    /// Whether it is in a room.
    pub(super) fn is_in(&self, room: &str) -> bool {
        self.rooms.contains(room) || SocketId::parse(room) == Some(self.id)
    }
}

/// What a client says to get its socket back.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) pid: Sid,
    /// None, if it has heard no event yet.
    pub(super) offset: Option<String>,
    /// When it came.
    pub(super) now: Instant,
}

/// Whether a client may come back after that: it did not leave, and was not sent away.
pub(super) fn is_loss(reason: CloseReason) -> bool {
    match reason {
        CloseReason::ClientClosed
        | CloseReason::TransportClosed
        | CloseReason::TransportError
        | CloseReason::PingTimeout
        | CloseReason::PollTimeout
        | CloseReason::PostTimeout
        | CloseReason::MessageTimeout
        | CloseReason::WriteStalled => true,
        CloseReason::PayloadTooLarge
        | CloseReason::ParseError
        | CloseReason::ConnectTimeout
        | CloseReason::AttachmentTimeout
        | CloseReason::Overflow
        | CloseReason::SharedOverflow
        | CloseReason::ServerDisconnected
        | CloseReason::ServerShutdown
        | CloseReason::HandlerPanicked => false,
    }
}

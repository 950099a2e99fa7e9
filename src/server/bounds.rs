//! The bounds: the limits that hold, and how often each was reached.

use super::Limits;
use crate::engineio::CloseReason;
use std::{
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};

/// The limits that hold for a server, and how often peers have reached each.
#[derive(Debug, Default)]
pub struct Bounds {
    limits: Limits,
    reached: [AtomicU64; Limit::ALL.len()],
}

/// A limit of [`Limits`] that peers can reach.
///
/// Beside these [`Limits`] has what says how much of one (`speech_burst`), what nobody can be told of who would ask
/// (`shutdown_timeout`), what is no limit to anyone (`compress_from_bytes`), and what the kernel keeps to itself
/// (`max_unsent_bytes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::max_sessions`].
    Sessions,
    /// [`Limits::max_half_open_sessions`].
    HalfOpenSessions,
    /// [`Limits::max_sessions_per_network`].
    SessionsPerNetwork,
    /// [`Limits::max_sessions_per_owner`].
    SessionsPerOwner,
    /// [`Limits::max_openings_per_minute`].
    OpeningsPerMinute,
    /// [`Limits::max_payload_bytes`].
    PayloadBytes,
    /// [`Limits::max_payload_packets`].
    PayloadPackets,
    /// [`Limits::max_messages_per_second`].
    MessagesPerSecond,
    /// [`Limits::max_bytes_per_second`].
    BytesPerSecond,
    /// [`Limits::max_waiting_bytes`].
    WaitingBytes,
    /// [`Limits::max_total_waiting_bytes`].
    TotalWaitingBytes,
    /// [`Limits::max_put_aside_bytes`].
    PutAsideBytes,
    /// [`Limits::write_batch_bytes`].
    WriteBatchBytes,
    /// [`Limits::write_timeout`].
    WriteTimeout,
    /// [`Limits::max_connections`].
    Connections,
    /// [`Limits::max_connections_per_network`].
    ConnectionsPerNetwork,
    /// [`Limits::max_head_bytes`], or [`Limits::max_headers`]: hyper does not tell one from the other.
    HeadBytes,
    /// [`Limits::header_timeout`].
    HeaderTimeout,
    /// [`Limits::tls_handshake_timeout`].
    TlsHandshakeTimeout,
    /// [`Limits::max_tls_handshakes`].
    TlsHandshakes,
    /// [`Limits::message_timeout`].
    MessageTimeout,
    /// [`Limits::goodbye_timeout`].
    GoodbyeTimeout,
    /// [`Limits::linger_timeout`].
    LingerTimeout,
}

impl Bounds {
    /// None was reached yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// How often each limit was reached.
    pub fn reached(&self) -> impl Iterator<Item = (Limit, u64)> {
        let counts = self.reached.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Limit::ALL.into_iter().zip(counts)
    }

    /// A peer has reached a limit.
    pub(super) fn note(&self, limit: Limit) {
        if let Some(count) = self.reached.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Deref for Bounds {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.limits
    }
}

impl Limit {
    /// All there are, in the order in which they are declared.
    pub const ALL: [Self; 23] = [
        Self::Sessions,
        Self::HalfOpenSessions,
        Self::SessionsPerNetwork,
        Self::SessionsPerOwner,
        Self::OpeningsPerMinute,
        Self::PayloadBytes,
        Self::PayloadPackets,
        Self::MessagesPerSecond,
        Self::BytesPerSecond,
        Self::WaitingBytes,
        Self::TotalWaitingBytes,
        Self::PutAsideBytes,
        Self::WriteBatchBytes,
        Self::WriteTimeout,
        Self::Connections,
        Self::ConnectionsPerNetwork,
        Self::HeadBytes,
        Self::HeaderTimeout,
        Self::TlsHandshakeTimeout,
        Self::TlsHandshakes,
        Self::MessageTimeout,
        Self::GoodbyeTimeout,
        Self::LingerTimeout,
    ];

    /// The name of its field in [`Limits`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "max_sessions",
            Self::HalfOpenSessions => "max_half_open_sessions",
            Self::SessionsPerNetwork => "max_sessions_per_network",
            Self::SessionsPerOwner => "max_sessions_per_owner",
            Self::OpeningsPerMinute => "max_openings_per_minute",
            Self::PayloadBytes => "max_payload_bytes",
            Self::PayloadPackets => "max_payload_packets",
            Self::MessagesPerSecond => "max_messages_per_second",
            Self::BytesPerSecond => "max_bytes_per_second",
            Self::WaitingBytes => "max_waiting_bytes",
            Self::TotalWaitingBytes => "max_total_waiting_bytes",
            Self::PutAsideBytes => "max_put_aside_bytes",
            Self::WriteBatchBytes => "write_batch_bytes",
            Self::WriteTimeout => "write_timeout",
            Self::Connections => "max_connections",
            Self::ConnectionsPerNetwork => "max_connections_per_network",
            Self::HeadBytes => "max_head_bytes",
            Self::HeaderTimeout => "header_timeout",
            Self::TlsHandshakeTimeout => "tls_handshake_timeout",
            Self::TlsHandshakes => "max_tls_handshakes",
            Self::MessageTimeout => "message_timeout",
            Self::GoodbyeTimeout => "goodbye_timeout",
            Self::LingerTimeout => "linger_timeout",
        }
    }

    /// The limit that a session had reached which ended for this reason.
    pub(super) fn of(reason: CloseReason) -> Option<Self> {
        match reason {
            CloseReason::MessageTimeout => Some(Self::MessageTimeout),
            CloseReason::PayloadTooLarge => Some(Self::PayloadBytes),
            CloseReason::WriteStalled => Some(Self::WriteTimeout),
            CloseReason::Overflow => Some(Self::WaitingBytes),
            CloseReason::SharedOverflow => Some(Self::TotalWaitingBytes),
            _ => None,
        }
    }
}

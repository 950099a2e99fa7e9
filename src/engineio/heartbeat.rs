//! The heartbeat: who has to speak, and by when.

use super::{Revision, Timing};
use std::time::Instant;

/// The heartbeat of a session. All times are absolute, so a task that wakes late loses nothing, and a
/// request that comes before the timer sees what is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heartbeat {
    /// v4: the next ping goes out at this time.
    Quiet { ping_at: Instant },
    /// v4: a ping is out.
    Pinged {
        /// The pong is late after this time.
        deadline: Instant,
        /// Something else came instead of the pong and moved the deadline, which happens once: the client
        /// may have been busy sending when the ping reached it.
        extended: bool,
    },
    /// v3: the client pings, and has to before this time.
    Listening { deadline: Instant },
}

/// What a heartbeat has become.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing is due.
    Nothing,
    /// A ping is.
    Ping,
    /// The client is late.
    Late,
}

impl Heartbeat {
    /// Protocol, "Heartbeat": the first ping comes one interval after the handshake, never at once.
    pub(super) fn start(now: Instant, revision: Revision, timing: &Timing) -> Self {
        match revision {
            Revision::V4 => Self::Quiet {
                ping_at: now + timing.ping_interval,
            },
            Revision::V3 => Self::Listening {
                deadline: now + timing.ping_interval + timing.ping_timeout,
            },
        }
    }

    /// When [`Heartbeat::beat`] has something to do.
    pub(super) fn deadline(self) -> Instant {
        match self {
            Self::Quiet { ping_at } => ping_at,
            Self::Pinged { deadline, .. } | Self::Listening { deadline } => deadline,
        }
    }

    /// Does what is due at `now`.
    pub(super) fn beat(&mut self, now: Instant, timing: &Timing) -> Beat {
        match *self {
            _ if now < self.deadline() => Beat::Nothing,
            Self::Quiet { ping_at } => {
                // From when the ping was due: a timer that is a little slow must not let anyone live longer than
                // the handshake says. But whoever slept for long, a machine that was suspended, has not let its
                // clients answer, and must not lose them all for that.
                let slept = now - ping_at > timing.ping_timeout / 2;
                let since = if slept { now } else { ping_at };
                *self = Self::Pinged {
                    deadline: since + timing.ping_timeout,
                    extended: false,
                };
                Beat::Ping
            }
            Self::Pinged { .. } | Self::Listening { .. } => Beat::Late,
        }
    }

    /// The client has shown that it is there: by a pong in v4, by a ping in v3.
    pub(super) fn answered(&mut self, now: Instant, timing: &Timing) {
        let revision = match self {
            Self::Quiet { .. } | Self::Pinged { .. } => Revision::V4,
            Self::Listening { .. } => Revision::V3,
        };
        *self = Self::start(now, revision, timing);
    }

    /// The client has sent something else.
    pub(super) fn extend_once(&mut self, now: Instant, timing: &Timing) {
        if let Self::Pinged {
            extended: false, ..
        } = self
        {
            *self = Self::Pinged {
                deadline: now + timing.ping_timeout,
                extended: true,
            };
        }
    }

    /// The session goes on on another transport, where a ping or pong under way may be late: whoever waits
    /// waits anew. (The reference stops waiting here, and such a session never times out.)
    pub(super) fn rearm(&mut self, now: Instant, timing: &Timing) {
        match self {
            Self::Quiet { .. } => {}
            Self::Pinged { .. } => {
                *self = Self::Pinged {
                    deadline: now + timing.ping_timeout,
                    extended: false,
                }
            }
            Self::Listening { .. } => *self = Self::start(now, Revision::V3, timing),
        }
    }
}

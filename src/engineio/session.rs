//! A session: the rules of one Engine.IO connection, without IO and without a clock.
//!
//! The session's task ([`crate::server`]) tells it what arrived and what time it is, and carries out what it
//! answers. On the WebSocket transport a session is open from the first byte to the last, so its state is
//! its heartbeat.

use super::{Message, Packet, PacketError, Sid};
use serde::{Serialize, Serializer};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// What the server tells a client about its session, and holds itself to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    /// From one pong, or the opening, to the next ping.
    #[serde(serialize_with = "milliseconds")]
    pub ping_interval: Duration,
    /// How long a pong may take.
    #[serde(serialize_with = "milliseconds")]
    pub ping_timeout: Duration,
}

/// One Engine.IO session, as seen by its own rules.
#[derive(Debug)]
pub struct Session {
    timing: Timing,
    heartbeat: Heartbeat,
}

/// Who has to speak next, and by when (protocol, "Heartbeat": the server asks).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heartbeat {
    /// The next ping goes out at this time.
    Quiet { ping_at: Instant },
    /// A ping is out.
    Pinged {
        /// The pong is late after this time.
        deadline: Instant,
        /// Something else came instead of the pong and moved the deadline, which happens once: the client
        /// may have been busy sending when the ping reached it.
        extended: bool,
    },
}

/// What a packet means to those above.
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Nothing: the session dealt with it.
    Nothing,
    /// A message for the application.
    Message(Message<'a>),
    /// The client ends the session.
    Close,
}

/// What has become due.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Send a ping.
    Ping,
    /// The pong is late: the session is over.
    PingTimeout,
}

/// How a client broke the rules of Engine.IO. It costs the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// That is no packet.
    Packet(PacketError),
    /// A ping from a client of protocol version 4, in which only the server pings.
    HeartbeatDirection,
}

impl Session {
    /// A session that opened at `now`.
    pub fn open(now: Instant, timing: Timing) -> Self {
        // Protocol, "Heartbeat": the first ping comes one interval after the handshake, never at once.
        let heartbeat = Heartbeat::Quiet {
            ping_at: now + timing.ping_interval,
        };
        Self { timing, heartbeat }
    }

    /// Takes a packet that arrived at `now`.
    ///
    /// # Errors
    /// The client broke a rule; the session must be closed.
    pub fn handle_packet<'a>(
        &mut self,
        now: Instant,
        packet: Packet<'a>,
    ) -> Result<Input<'a>, Violation> {
        if !matches!(packet, Packet::Pong(_)) {
            self.extend_once(now);
        }
        match packet {
            Packet::Message(message) => Ok(Input::Message(message)),
            Packet::Close => Ok(Input::Close),
            // Unasked pongs are free, they only put off the next ping.
            Packet::Pong(_) => {
                self.heartbeat = Heartbeat::Quiet {
                    ping_at: now + self.timing.ping_interval,
                };
                Ok(Input::Nothing)
            }
            Packet::Ping(_) => Err(Violation::HeartbeatDirection),
            // No meaning from a client on this transport, and no harm.
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => Ok(Input::Nothing),
        }
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn deadline(&self) -> Instant {
        match self.heartbeat {
            Heartbeat::Quiet { ping_at } => ping_at,
            Heartbeat::Pinged { deadline, .. } => deadline,
        }
    }

    /// Does what is due at `now`. Called early, it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) -> Due {
        match self.heartbeat {
            Heartbeat::Quiet { ping_at } if ping_at <= now => {
                let deadline = now + self.timing.ping_timeout;
                self.heartbeat = Heartbeat::Pinged {
                    deadline,
                    extended: false,
                };
                Due::Ping
            }
            Heartbeat::Pinged { deadline, .. } if deadline <= now => Due::PingTimeout,
            _ => Due::Nothing,
        }
    }

    fn extend_once(&mut self, now: Instant) {
        if let Heartbeat::Pinged {
            extended: false, ..
        } = self.heartbeat
        {
            let deadline = now + self.timing.ping_timeout;
            self.heartbeat = Heartbeat::Pinged {
                deadline,
                extended: true,
            };
        }
    }
}

/// The payload of the open packet: exactly these five keys (protocol, "Handshake").
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Opening<'a> {
    /// The session's id, told to the client alone.
    #[serde(serialize_with = "reveal")]
    pub sid: &'a Sid,
    /// The transports that the client may move to.
    pub upgrades: &'a [&'static str],
    /// The heartbeat.
    #[serde(flatten)]
    pub timing: &'a Timing,
    /// The largest message that the server takes, in bytes.
    pub max_payload: usize,
}

fn reveal<S: Serializer>(sid: &Sid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&sid.reveal())
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(duration.as_millis())
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(error) => error.fmt(f),
            Self::HeartbeatDirection => f.write_str("a ping, which only the server sends"),
        }
    }
}

impl std::error::Error for Violation {}

impl From<PacketError> for Violation {
    fn from(error: PacketError) -> Self {
        Self::Packet(error)
    }
}

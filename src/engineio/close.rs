//! Why a session ended.

use std::fmt;

/// Why a session ended. Not an error: every session ends for one of these, and each end has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client said goodbye: an Engine.IO close packet.
    ClientClosed,
    /// The connection went away: a WebSocket close frame, or the end of the TCP stream.
    TransportClosed,
    /// The connection broke: reset, a WebSocket protocol error, a message over the limit.
    TransportError,
    /// No pong came within the ping timeout.
    PingTimeout,
    /// A client on long-polling did not poll within the poll timeout.
    PollTimeout,
    /// The body of a POST did not arrive within the post timeout.
    PostTimeout,
    /// A WebSocket message had begun, and did not end within the message timeout.
    MessageTimeout,
    /// A POST was larger than the largest message.
    PayloadTooLarge,
    /// The client did not take what was sent to it within the write deadline.
    WriteStalled,
    /// The client sent what the protocol forbids.
    ParseError,
    /// The client joined no namespace within the connect timeout.
    ConnectTimeout,
    /// The attachments of a packet did not all come in time.
    AttachmentTimeout,
    /// More waited for the client than the limit allows.
    Overflow,
    /// More waited for all clients together than the limit allows, and this one was among those who did not take it.
    SharedOverflow,
    /// The server ended the session on purpose, and told the client so.
    ServerDisconnected,
    /// The server is going down.
    ServerShutdown,
    /// The program's own code panicked over this session.
    HandlerPanicked,
}

impl CloseReason {
    /// All there are.
    pub const ALL: [Self; 17] = [
        Self::ClientClosed,
        Self::TransportClosed,
        Self::TransportError,
        Self::PingTimeout,
        Self::PollTimeout,
        Self::PostTimeout,
        Self::MessageTimeout,
        Self::PayloadTooLarge,
        Self::WriteStalled,
        Self::ParseError,
        Self::ConnectTimeout,
        Self::AttachmentTimeout,
        Self::Overflow,
        Self::SharedOverflow,
        Self::ServerDisconnected,
        Self::ServerShutdown,
        Self::HandlerPanicked,
    ];

    /// The reason in the words that Socket.IO's server API and its users know, where it has some.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client closed",
            Self::TransportClosed => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::PollTimeout => "poll timeout",
            Self::PostTimeout => "post timeout",
            Self::MessageTimeout => "message timeout",
            Self::PayloadTooLarge => "payload too large",
            Self::WriteStalled => "write stalled",
            Self::ParseError => "parse error",
            Self::ConnectTimeout => "connect timeout",
            Self::AttachmentTimeout => "attachment timeout",
            Self::Overflow => "outbound limit",
            Self::SharedOverflow => "total outbound limit",
            Self::ServerDisconnected => "forced server close",
            Self::ServerShutdown => "server shutting down",
            Self::HandlerPanicked => "internal error",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

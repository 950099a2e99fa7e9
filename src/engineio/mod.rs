//! Engine.IO v4: sessions over a transport that can carry text.
//!
//! Pure: nothing here does IO or asks for the time. In come packets and instants, out come frames,
//! deadlines and verdicts; [`crate::server`] is what connects it to sockets.
//!
//! In the order in which a connection meets them:
//!
//! * [`handshake`]: may this request open a session?
//! * [`Sid`], [`Opening`]: what the client is told when it may.
//! * [`Packet`], [`Frame`]: what goes over the wire.
//! * [`Session`]: heartbeat, and what a client may send when.
//! * [`Application`]: what stands above, and gets the messages.
//! * [`outbound`]: the way back, from whoever has something to say to the client's transport.
//! * [`CloseReason`]: how it ends.

mod application;
mod close;
mod frame;
pub mod handshake;
pub mod outbound;
mod packet;
mod session;
mod sid;

pub use application::{Application, SessionHandler};
pub use close::CloseReason;
pub use frame::Frame;
pub use packet::{MESSAGE, Message, Packet, PacketError};
pub use session::{Due, Input, Opening, Session, Timing, Violation};
pub use sid::Sid;

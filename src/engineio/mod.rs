//! Engine.IO v4: sessions over a transport that can carry text.
//!
//! Pure: nothing here does IO or asks for the time. In come packets and instants, out come frames,
//! deadlines and verdicts; [`crate::server`] is what connects it to sockets.
//!
//! In the order in which a connection meets them:
//!
//! * [`handshake`]: may this request open a session?
//! * [`Sid`], [`open_packet`]: what the client is told when it may.
//! * [`Packet`], [`Frame`]: what goes over the wire.
//! * [`payload`]: several packets in one HTTP body, in the form of the session's [`Revision`].
//! * [`Dialect`]: how one client wants all that.
//! * [`Session`]: polls, posts, the upgrade, the heartbeat: what may happen when. Its phases are in [`state`].
//! * [`Application`]: what stands above, and gets the messages.
//! * [`outbound`]: the way back, from whoever has something to say to the client's transport.
//! * [`CloseReason`]: how it ends.

mod application;
mod close;
mod dialect;
mod frame;
pub mod handshake;
mod heartbeat;
mod opening;
pub mod outbound;
mod packet;
pub mod payload;
mod session;
mod sid;
pub mod state;

pub use application::{Application, SessionHandler};
pub use close::CloseReason;
pub use dialect::Dialect;
pub use frame::Frame;
pub use opening::open_packet;
pub use packet::{BASE64, MESSAGE, Message, Packet, PacketError};
pub use payload::{PayloadError, Revision};
pub use session::{Due, Input, Probed, Session, Timing, Violation};
pub use sid::Sid;
pub use state::{Phase, Trigger};

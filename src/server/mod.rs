//! The server: sockets, HTTP and time around the pure core.
//!
//! A connection's way, file by file:
//!
//! * `listener`: accepts, and hands each HTTP request to a handler; knows when to stop.
//! * `engine`: the Engine.IO endpoint. Judges a request, asks the [`Admission`], answers 101 or a refusal.
//! * `websocket`: the WebSocket handshake.
//! * `driver`: the one task that owns a session, from the 101 to the last frame.
//! * `link`, `wire`: the WebSocket under the driver, and the bytes under that.
//! * `sessions`: who is connected, for whoever has to end sessions.
//! * `cors`, `answer`: what goes onto every HTTP answer.
//! * `limits`: all that bounds what a peer can make grow.
//!
//! It does not know what stands on a session (an [`Application`](crate::engineio::Application)) nor who may
//! open one (an [`Admission`]): whoever builds the [`Engine`] hands it both.

mod admission;
mod answer;
mod cors;
mod driver;
mod engine;
mod limits;
mod link;
mod listener;
mod sessions;
mod websocket;
mod wire;

pub use admission::{Admission, Denied};
pub use answer::{Answer, empty, json};
pub use cors::Cors;
pub use engine::{Engine, Settings};
pub use limits::Limits;
pub use listener::{Handler, bind, serve};
pub use sessions::Sessions;

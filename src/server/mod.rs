//! The server: sockets, HTTP and time around the pure core.
//!
//! A connection's way, file by file:
//!
//! * `listener`: accepts, and hands each HTTP request to a handler; knows when to stop. `seats`: who may have a connection. `patience`: for how long it waits
//!   for who takes nothing.
//! * `tls`: what encrypts connections, with the feature of that name.
//! * `engine`: the Engine.IO endpoint. Judges a request, asks the [`Admission`], opens sessions, finds those
//!   that are open, or refuses.
//! * `endpoint`: an engine and nothing else, as a server of its own; `handshake`: the request that opened a session.
//! * `websocket`: the WebSocket handshake.
//! * `driver`: the one task that owns a session, from its opening to its last frame; `clock` is its timer.
//! * `door`, `polling`: how the requests of long-polling reach that task, and what it does with them; `unsent` counts what
//!   of its answers waits.
//! * `transport`: what a session is on, to be sent to and read from.
//! * `compression`: what makes the answers of long-polling smaller.
//! * `asset`: a file for browsers; `client_bundle`: those of the JavaScript client, for pages that load it from here.
//! * `candidate`: a WebSocket that is to take over from long-polling.
//! * `link`, `wire`, `stream`: the WebSocket under the driver, the bytes under that, and what carries them; `decoder`
//!   makes messages of what is read, `framing` sees whether one is whole.
//! * `raw_websocket`: a link without a session, for what is not Engine.IO.
//! * `goodbye`: for a client that has to be told something and does not poll just now.
//! * `sessions`: who is connected, for whoever has to find or end sessions; `session_name`: what the log says of each.
//! * `proxies`: where a request really comes from. `network`, `ledger`, `census`: what each may do at once, and how
//!   many sessions it may have.
//! * `cors`, `answer`, `body`: what goes onto every HTTP answer, and into it.
//! * `pace`: how fast a client may speak. `limits`: all that bounds what a peer can make grow; `bounds`: how often each was
//!   reached. `meter`, `stage`: what is counted of sessions.
//!
//! It runs on tokio: what is `async` here panics outside of its runtime.
//!
//! It does not know what stands on a session (an [`Application`](crate::engineio::Application)) nor who may
//! open one (an [`Admission`]): whoever builds the [`Engine`] hands it both.

mod admission;
mod answer;
mod asset;
mod body;
mod bounds;
mod candidate;
mod census;
mod client_bundle;
mod clock;
#[cfg_attr(not(feature = "compression"), path = "no_compression.rs")]
mod compression;
mod cors;
mod decoder;
mod door;
mod driver;
mod endpoint;
mod engine;
mod framing;
mod goodbye;
mod handshake;
mod ledger;
mod limits;
mod link;
mod listener;
mod meter;
mod network;
mod pace;
mod patience;
mod polling;
mod proxies;
mod raw_websocket;
mod seats;
mod session_name;
mod sessions;
mod stage;
mod stream;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod transport;
mod turned_away;
mod unsent;
mod websocket;
mod wire;

pub use admission::{Admission, Denied};
pub use answer::{Answer, empty, is_known, json, with_body, with_pieces};
pub use asset::Asset;
pub use body::Body;
pub use bounds::{Bounds, Limit};
pub use census::Owner;
pub use client_bundle::{ClientBundle, ClientBundleError};
pub use cors::{Cors, Permit};
pub use endpoint::Endpoint;
pub use engine::{Engine, Settings};
pub use handshake::{Anyone, Handshake};
pub use ledger::{Ledger, TooMuch};
pub use limits::Limits;
pub use listener::{Handler, Listener, bind, serve, serve_all};
pub use meter::{Meter, Outcome};
pub use network::Network;
pub use proxies::{Proxies, Shown};
pub use raw_websocket::{Ended, RawWebSocket};
pub use sessions::{Glimpse, Sessions};
pub use stage::Stage;
pub use tls::{CertificateError, CertificateFile, Tls};
#[cfg(feature = "daemon")]
pub(crate) use websocket::accept_key;

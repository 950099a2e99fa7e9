//! The keys: whose is the one that a stranger shows when it joins?

use crate::{socketio::Refused, users::User};
use std::{net::SocketAddr, pin::Pin, sync::Arc};

/// The user who may come in, or why nobody may. It may take a while.
pub type Entering<'a> = Pin<Box<dyn Future<Output = Result<Arc<User>, Refused>> + Send + 'a>>;

/// Knows whose keys open the door. Used as `Arc<dyn Keys>`.
pub trait Keys: Send + Sync + 'static {
    /// The user of a key that was shown by a CONNECT, in a session that a stranger has opened from this address. Any text
    /// may be asked for.
    ///
    /// # Errors
    /// There is none who may come in, or the address has guessed too often; the client is told which.
    ///
    /// # Cancel safety
    /// Dropped when the client goes away. What was tried is tried, whether its client waits for the answer or not.
    fn enter<'a>(&'a self, key: &'a str, client: SocketAddr) -> Entering<'a>;

    /// Whether a user who has come in still may, with the key that it had. It must not wait.
    fn is_current(&self, user: &User) -> bool;
}

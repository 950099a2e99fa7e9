//! Who is told of each change within the program, beside the clients.

use super::Published;

/// Hears of every change that is published, in the order of `seq`.
pub trait Observer: Send + Sync {
    /// A change was published. Called under the hub's mutex: it may not wait, nor call the hub.
    fn on_published(&self, published: &Published);
}

//! What has left an inbox, and has not reached the network.

use super::Inbox;
use std::sync::Arc;

/// So many bytes that someone else sends: for as long as he has them, they are part of the budget of all.
pub struct Held {
    inbox: Arc<Inbox>,
    bytes: usize,
}

impl Held {
    /// Counts `bytes` that have left `inbox`.
    pub(super) fn new(inbox: Arc<Inbox>, bytes: usize) -> Self {
        inbox.hold(bytes);
        Self { inbox, bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inbox.release(self.bytes);
    }
}

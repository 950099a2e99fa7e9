//! The budget: what may wait for all clients together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what waits in the inboxes that share it.
#[derive(Debug)]
pub struct Budget {
    waiting: AtomicUsize,
    capacity: usize,
}

impl Budget {
    /// Room for `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            capacity,
        }
    }

    /// How many bytes wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.waiting() > self.capacity
    }

    pub(super) fn add(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

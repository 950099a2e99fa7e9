//! A stamp: the place of a frame in the one order of all frames.

use std::sync::atomic::{AtomicU64, Ordering};

/// The next stamp to give out. One counter for the process, because a frame of any topic may have to be
/// ordered against a frame of any inbox.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// When a frame was made, relative to all others.
///
/// If one frame was handed in before another was made, its stamp is smaller. Frames made at the same time
/// on two threads have some order, the same for every receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// A stamp that is greater than every one given out before.
    ///
    /// Take it under the lock that also guards the handing in: otherwise a later frame may overtake.
    pub fn next() -> Self {
        // Relaxed is enough: the lock that is held orders this against the other holders, and a single
        // atomic has one modification order anyway.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

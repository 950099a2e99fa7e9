//! The turns: who may ask the database now.
//!
//! Many who come at once wait for each other here, and not in the engine: how long that takes says nothing about the
//! database. So the time that it has for an answer begins when it is asked.

use super::super::Unavailable;
use std::time::Duration;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// So many may wait. At a fraction of a millisecond each, the last of them hardly wait in vain.
const MAX_WAITING: usize = 4096;

/// Hands out turns, in the order in which they were asked for.
pub(super) struct Turns {
    /// One permit for each question that is being asked.
    asking: Semaphore,
    /// One permit for each who waits.
    waiting: Semaphore,
}

/// The right to ask, until it is dropped.
pub(super) type Turn<'a> = Option<SemaphorePermit<'a>>;

impl Turns {
    /// As many at once as the engine takes without letting one wait for another.
    pub(super) fn new(at_once: usize) -> Turns {
        Turns {
            asking: Semaphore::new(at_once),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// For someone who waits no longer than that.
    ///
    /// # Cancel safety
    /// Dropped early, it was not waited for.
    pub(super) async fn soon(&self, patience: Duration) -> Result<Turn<'_>, Unavailable> {
        let busy = || Unavailable::new("too many wait for the database");
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        timeout(patience, self.next()).await.map_err(|_| busy())
    }

    /// For what has to be asked. It does not take long: the others give up, each in its time.
    ///
    /// # Cancel safety
    /// As above.
    pub(super) async fn next(&self) -> Turn<'_> {
        // It is never closed.
        self.asking.acquire().await.ok()
    }
}

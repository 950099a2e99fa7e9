//! The rate: how often one user's changes are published.

use std::time::{Duration, Instant};

/// How often one user's changes are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many at once.
    pub burst: u32,
    /// And then one each time that this has passed.
    pub interval: Duration,
}

impl Default for Rate {
    /// More than anyone does by hand, and 20 a second for programs.
    fn default() -> Self {
        Self {
            burst: 256,
            interval: Duration::from_millis(50),
        }
    }
}

/// What is left of one user's burst.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    /// When it is full again. None: it is.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes one out at `now`.
    ///
    /// # Errors
    /// It is empty; says when there is one again.
    pub(super) fn take(&mut self, now: Instant, rate: &Rate) -> Result<(), Instant> {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        let after = full_at + rate.interval;
        // Full for the first time when all that were taken are back.
        let latest = now + rate.interval * rate.burst;
        if after > latest {
            return Err(full_at + rate.interval - rate.interval * rate.burst);
        }
        self.full_at = Some(after);
        Ok(())
    }

    /// When nothing is missing any more; none: nothing is, and it need not be kept.
    pub(super) fn full_at(&self, now: Instant) -> Option<Instant> {
        self.full_at.filter(|full_at| *full_at > now)
    }
}

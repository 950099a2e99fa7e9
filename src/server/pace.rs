//! The pace: how fast one client may speak.

use super::{Limit, Limits};
use std::time::{Duration, Instant};

/// What is left of one client's allowance. A client that has used it up is read no further until there is some again; it
/// is never closed for that, and no word of it is lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// When all is there again.
    full_at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Notes so many messages of so many bytes in all, and says which limit they use up more of.
    pub(super) fn note(
        &mut self,
        now: Instant,
        messages: usize,
        bytes: usize,
        limits: &Limits,
    ) -> Limit {
        let of = |count: usize, per_second: u32| {
            let nanoseconds = count as u128 * 1_000_000_000 / u128::from(per_second.max(1));
            Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
        };
        let messages = of(messages, limits.max_messages_per_second);
        let bytes = of(bytes, limits.max_bytes_per_second);
        self.full_at = self.full_at.max(now) + messages.max(bytes);
        match messages < bytes {
            true => Limit::BytesPerSecond,
            false => Limit::MessagesPerSecond,
        }
    }

    /// Until when the client is not to be read; none: it may speak.
    pub(super) fn paused_until(&self, now: Instant, limits: &Limits) -> Option<Instant> {
        let until = self.full_at.checked_sub(limits.speech_burst)?;
        (now < until).then_some(until)
    }
}

//! The clock: what time it is, for the roster.

use super::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

impl Now {
    /// Asks the system.
    pub fn of_the_system() -> Self {
        Self {
            instant: Instant::now(),
            ms: ms(SystemTime::now()),
        }
    }
}

/// In ms since 1970. Before that nothing happened, and after the year 500 million nothing will.
pub(super) fn ms(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

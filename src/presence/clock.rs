//! The clock: what time it is, for the roster.

use super::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

impl Now {
    /// Asks the system.
    pub fn of_the_system() -> Self {
        // Before 1970 nothing happened, and after the year 500 million nothing will.
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            instant: Instant::now(),
            ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

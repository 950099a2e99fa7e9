//! Points in time as JSON has them.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;

/// A point in time as text, ISO 8601 in UTC: `2026-11-23T21:43:21.000Z`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Timestamp(String);

impl Timestamp {
    /// The present, to the millisecond.
    pub fn now() -> Timestamp {
        Timestamp::at(SystemTime::now())
    }

    /// This time, to the millisecond.
    pub fn at(time: SystemTime) -> Timestamp {
        Timestamp(humantime::format_rfc3339_millis(time).to_string())
    }

    /// Takes a time in UTC as it is written: `T` or a space before the time of day, which may have
    /// fractions of a second; the `Z` may be missing, as in GameVault's SQLite files.
    pub fn parse(text: &str) -> Option<Timestamp> {
        humantime::parse_rfc3339_weak(text)
            .is_ok()
            .then(|| Timestamp(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

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
        Timestamp(humantime::format_rfc3339_millis(SystemTime::now()).to_string())
    }

    /// Takes a time in UTC as it is written: `T` or a space before the time of day, which may have
    /// fractions of a second; the `Z` may be missing, as in GameVault's SQLite files.
    pub fn parse(text: &str) -> Option<Timestamp> {
        humantime::parse_rfc3339_weak(text)
            .is_ok()
            .then(|| Timestamp(text.to_owned()))
    }

    /// A time as a database has it, in the form that JSON has: `2026-11-23 21:43:21`, which is UTC,
    /// becomes `2026-11-23T21:43:21.000Z`. What is no such time becomes the beginning of 1970.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn of_database(text: &str) -> Timestamp {
        let time = humantime::parse_rfc3339_weak(text).unwrap_or(SystemTime::UNIX_EPOCH);
        Timestamp(humantime::format_rfc3339_millis(time).to_string())
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

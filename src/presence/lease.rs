//! A lease: what a user says of itself without a socket, and for how long.

use super::{BadReport, Doing, Report};
use crate::socketio::{fields, whole};
use serde_json::value::RawValue;
use std::{fmt, time::Duration};

/// The longest lease: a day.
pub const MAX_TTL_SECONDS: u64 = 86_400;

/// A report that holds for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What the user does; none: it takes back what it said before.
    pub doing: Option<Doing>,
    /// For how long.
    pub ttl: Duration,
}

/// Why a text is no lease. The text of this names the field and says what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLease {
    /// It is no JSON.
    NoJson,
    /// It is no report.
    Report(BadReport),
    /// There is no `ttl_seconds`.
    NoTtl,
    /// `ttl_seconds` is no whole number, or not in its bounds.
    Ttl,
}

impl Lease {
    /// The field that it has more than a [`Report`].
    pub const FIELD: &str = "ttl_seconds";

    /// Reads a report with a `ttl_seconds`. Unknown fields are ignored.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, BadLease> {
        let json: &RawValue = serde_json::from_slice(text).map_err(|_| BadLease::NoJson)?;
        let report = Report::parse(Some(json)).map_err(BadLease::Report)?;
        let fields = fields(json.get()).ok_or(BadLease::NoTtl)?;
        let ttl = fields.get(Self::FIELD.as_bytes());
        let ttl = ttl.filter(|json| json.get() != "null");
        let seconds = whole(ttl.ok_or(BadLease::NoTtl)?.get()).ok_or(BadLease::Ttl)?;
        if !(1..=MAX_TTL_SECONDS).contains(&seconds) {
            return Err(BadLease::Ttl);
        }
        Ok(Self {
            doing: report.into_doing(),
            ttl: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for BadLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJson => {
                f.write_str("the body must be JSON: an object with a state and ttl_seconds")
            }
            Self::Report(bad) => bad.fmt(f),
            Self::NoTtl => write!(
                f,
                "ttl_seconds is missing: it must be a whole number from 1 to {MAX_TTL_SECONDS}"
            ),
            Self::Ttl => write!(
                f,
                "ttl_seconds must be a whole number from 1 to {MAX_TTL_SECONDS}"
            ),
        }
    }
}

impl std::error::Error for BadLease {}

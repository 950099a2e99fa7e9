//! What the gateway answers, beside activities.

use super::Activity;
use serde::Serialize;
use serde_json::value::RawValue;

/// What an ack says of how it went: what was asked for is done.
const OK: &str = "ok";

/// It is not.
const ERROR: &str = "error";

/// How much of a bad payload is sent back for the sender to recognise, in bytes.
pub const MAX_ECHO_BYTES: usize = 1024;

/// The ack of a report that was taken.
#[derive(Debug, Clone, Serialize)]
pub struct Accepted {
    status: &'static str,
    activity: Activity,
}

/// The ack of a wish that was granted.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    status: &'static str,
}

/// The ack of what was neither.
#[derive(Debug, Clone, Serialize)]
pub struct Rejected<'a> {
    status: &'static str,
    message: &'a str,
}

/// The `exception` event, in the form that NestJS gives it.
#[derive(Debug, Clone, Serialize)]
pub struct Exception<'a> {
    status: &'static str,
    message: &'a str,
    cause: Cause<'a>,
}

#[derive(Debug, Clone, Serialize)]
struct Cause<'a> {
    pattern: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The second argument of `activities`, for those who watch: its place among the changes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Place {
    /// The number of the last change.
    pub seq: u64,
}

impl Accepted {
    /// What everyone knows of the sender now, or will in a moment.
    pub fn new(activity: Activity) -> Self {
        let status = OK;
        Self { status, activity }
    }
}

impl Done {
    /// It is.
    pub fn new() -> Self {
        Self { status: OK }
    }
}

impl Default for Done {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Rejected<'a> {
    /// For this reason.
    pub fn new(message: &'a str) -> Self {
        let status = ERROR;
        Self { status, message }
    }
}

impl<'a> Exception<'a> {
    /// What is wrong with this payload of the event `pattern`.
    pub fn new(pattern: &'a str, message: &'a str, payload: Option<&'a RawValue>) -> Self {
        let data = payload.filter(|payload| payload.get().len() <= MAX_ECHO_BYTES);
        Self {
            status: ERROR,
            message,
            cause: Cause { pattern, data },
        }
    }
}

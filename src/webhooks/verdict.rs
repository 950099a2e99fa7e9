//! What the target's answer means.

use hyper::{HeaderMap, StatusCode, header::RETRY_AFTER};
use std::{
    fmt, io,
    time::{Duration, SystemTime},
};

/// Why the target did not take a change.
#[derive(Debug)]
pub(super) enum Failure {
    /// It never will: the request is wrong, it says.
    GivenUp(StatusCode),
    /// It may later.
    Later {
        reason: Reason,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

/// What stood in the way this time.
#[derive(Debug)]
pub(super) enum Reason {
    Unreachable(io::Error),
    /// A certificate that is not to be trusted, in the first place.
    Tls(io::Error),
    ConnectTimeout,
    Broken(hyper::Error),
    AnswerTimeout,
    Status(StatusCode),
}

/// What is the client's mistake by its number, and may be over soon. A proxy answers for a target that is down, or is
/// being deployed, as if it were not there, or nobody might go in.
const MAY_CHANGE: [StatusCode; 6] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::GONE,
    StatusCode::TOO_MANY_REQUESTS,
];

/// Whether a target that answers so has taken the change.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    if status.is_client_error() && !MAY_CHANGE.contains(&status) {
        return Err(Failure::GivenUp(status));
    }
    Err(Failure::Later {
        reason: Reason::Status(status),
        retry_after: retry_after(headers, SystemTime::now()),
    })
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // One that has passed is now.
    Some(date.duration_since(now).unwrap_or_default())
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::Later {
            reason,
            retry_after: None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "it cannot be reached: {error}"),
            Self::Tls(error) => write!(f, "no secure connection to it: {error}"),
            Self::ConnectTimeout => f.write_str("it cannot be reached in time"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::AnswerTimeout => f.write_str("it does not answer in time"),
            Self::Status(status) if status.is_redirection() => {
                write!(f, "it answered {status}, and redirects are not followed")
            }
            Self::Status(status) => write!(f, "it answered {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_470);
        let table = [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(10)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (value, seconds) in table {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}

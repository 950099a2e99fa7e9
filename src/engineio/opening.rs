//! The open packet: what the server tells a client about its session.

use super::{Frame, Sid, Timing};
use serde::Serialize;

/// The payload of the open packet: exactly these five keys (protocol, "Handshake"). Times in milliseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opening<'a> {
    sid: String,
    upgrades: &'a [&'static str],
    ping_interval: u128,
    ping_timeout: u128,
    max_payload: usize,
}

/// The open packet: the session's id, the transports that the client may move to, the heartbeat, and the
/// largest message that the server takes, in bytes.
///
/// # Errors
/// None in practice; it is what writing JSON answers.
pub fn open_packet(
    sid: &Sid,
    upgrades: &[&'static str],
    timing: &Timing,
    max_payload: usize,
) -> Result<Frame, serde_json::Error> {
    let opening = Opening {
        sid: sid.reveal(),
        upgrades,
        ping_interval: timing.ping_interval.as_millis(),
        ping_timeout: timing.ping_timeout.as_millis(),
        max_payload,
    };
    Frame::json("0", &opening)
}

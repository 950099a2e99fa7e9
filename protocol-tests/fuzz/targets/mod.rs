//! What is fuzzed. A target takes any bytes, and panics when something that it asserts does not hold.

mod activity;
mod by_hand;
mod connection;
mod engineio;
mod fixtures;
mod handshake;
mod kept;
mod payload_v3;
mod payload_v4;
mod query;
#[path = "../../payloads/reading.rs"]
mod reading;
mod session;
mod socketio;
#[path = "../../engineio/story.rs"]
mod story;
#[path = "../../support/tables.rs"]
mod tables;
mod users;
mod websocket;

/// One of them.
pub struct Target {
    pub name: &'static str,
    /// Tries an input.
    pub run: fn(&[u8]),
    /// What to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that would be hard to guess.
    #[allow(dead_code, reason = "the replay needs none")]
    pub words: &'static [&'static str],
}

pub const ALL: [Target; 11] = [
    query::TARGET,
    handshake::TARGET,
    payload_v4::TARGET,
    payload_v3::TARGET,
    engineio::TARGET,
    socketio::TARGET,
    session::TARGET,
    activity::TARGET,
    users::TARGET,
    kept::TARGET,
    websocket::TARGET,
];

/// The target of that name.
#[allow(dead_code, reason = "the replay has no use for it")]
pub fn named(name: &str) -> Option<&'static Target> {
    const { &ALL }.iter().find(|target| target.name == name)
}

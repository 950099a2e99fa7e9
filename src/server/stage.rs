//! The stage: how far a session has come.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its client has not said a word yet.
    Handshake,
    /// On long-polling.
    Polling,
    /// On long-polling, with a WebSocket that is to take over.
    Upgrading,
    /// On a WebSocket.
    WebSocket,
}

impl Stage {
    /// All there are, in the order in which they are declared.
    pub const ALL: [Self; 4] = [
        Self::Handshake,
        Self::Polling,
        Self::Upgrading,
        Self::WebSocket,
    ];

    /// Its name where sessions are counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Polling => "polling",
            Self::Upgrading => "upgrading",
            Self::WebSocket => "websocket",
        }
    }
}

/// How many sessions there are at each stage.
#[derive(Debug, Default)]
pub(super) struct Stages([AtomicU64; Stage::ALL.len()]);

impl Stages {
    pub(super) fn enter(&self, stage: Stage) {
        if let Some(count) = self.0.get(stage as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn leave(&self, stage: Stage) {
        if let Some(count) = self.0.get(stage as usize) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> [(Stage, u64); Stage::ALL.len()] {
        let count = |stage: Stage| self.0.get(stage as usize);
        Stage::ALL.map(|stage| {
            let count = count(stage).map(|count| count.load(Ordering::Relaxed));
            (stage, count.unwrap_or_default())
        })
    }
}

//! The ways in which clients come and go.

// Each test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

/// How a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    WebSocket {
        is_narrow: bool,
    },
    /// And moves to a WebSocket, or breaks that off.
    Polling {
        upgrade: Option<Option<Cut>>,
    },
}

/// Where an upgrade is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    AtOnce,
    BeforeProbe,
    AfterProbe,
    BeforeUpgrade,
}

/// How a client goes without a goodbye. On long-polling all but silence is a connection that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Reset,
    CloseFrame,
    HalfClose,
    Silence,
}

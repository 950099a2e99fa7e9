//! The state machine of a session, on one page.

/// Where a session stands with its transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// On long-polling.
    Polling,
    /// On long-polling; a WebSocket has come and has not proved itself.
    Probing,
    /// On long-polling; the WebSocket works, and polls are released so that the client can move.
    Upgrading,
    /// On its WebSocket, for good.
    WebSocket,
    /// Over.
    Closed,
}

/// What moves a session on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trigger {
    /// A WebSocket comes that names the session.
    WebSocketOpened,
    /// `2probe` on that WebSocket.
    Probe,
    /// `5` on that WebSocket.
    Upgrade,
    /// That WebSocket is lost, misbehaves, or takes too long.
    WebSocketLost,
    /// Anything that ends a session; see [`CloseReason`](super::CloseReason).
    Close,
}

/// Every step that a session can take. What is not here does not happen: the session stays as it is.
pub const TRANSITIONS: &[(Phase, Trigger, Phase)] = &[
    (Phase::Polling, Trigger::WebSocketOpened, Phase::Probing),
    (Phase::Polling, Trigger::Close, Phase::Closed),
    (Phase::Probing, Trigger::Probe, Phase::Upgrading),
    // Some clients do not probe.
    (Phase::Probing, Trigger::Upgrade, Phase::WebSocket),
    (Phase::Probing, Trigger::WebSocketLost, Phase::Polling),
    (Phase::Probing, Trigger::Close, Phase::Closed),
    (Phase::Upgrading, Trigger::Probe, Phase::Upgrading),
    (Phase::Upgrading, Trigger::Upgrade, Phase::WebSocket),
    (Phase::Upgrading, Trigger::WebSocketLost, Phase::Polling),
    (Phase::Upgrading, Trigger::Close, Phase::Closed),
    (Phase::WebSocket, Trigger::Close, Phase::Closed),
];

impl Phase {
    /// The phase that follows, if the trigger is one that this phase knows.
    pub fn after(self, trigger: Trigger) -> Option<Self> {
        let step = TRANSITIONS
            .iter()
            .find(|(from, by, _)| (*from, *by) == (self, trigger));
        step.map(|(_, _, to)| *to)
    }
}

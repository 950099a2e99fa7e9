//! What is told of a user.

use crate::{socketio::SocketId, users::UserId};
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// What a user does, in GameVault's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There.
    Online,
    /// There, and not to be disturbed.
    Busy,
    /// Playing, possibly a certain game.
    Playing {
        /// The game's id, at most 2^53 - 1.
        game_id: Option<u64>,
    },
}

// The states as they are called on the wire. The last is the name of having none.
pub(super) const ONLINE: &str = "ONLINE";
pub(super) const BUSY: &str = "BUSY";
pub(super) const PLAYING: &str = "PLAYING";
pub(super) const OFFLINE: &str = "OFFLINE";

/// What a user does, and what it says about that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doing {
    /// What.
    pub state: State,
    /// In its own words: at most 128 characters, none of them a control character.
    pub details: Option<Arc<str>>,
}

/// What everyone is told of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Who.
    pub user_id: UserId,
    /// On which device: its socket, or for a lease an id of the same form.
    pub socket_id: SocketId,
    /// What; none is offline.
    pub doing: Option<Doing>,
    /// Since when in this state, with this game; in ms since 1970.
    pub since: u64,
}

/// An activity with its place among all changes, as the `activity` event carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// What is told.
    #[serde(flatten)]
    pub activity: Activity,
    /// Grows by one with each change that is published. It begins anew with the server.
    pub seq: u64,
}

/// An activity as it stands on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    user_id: UserId,
    socket_id: SocketId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    game_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    since: u64,
}

impl Serialize for Activity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = self.doing.as_ref().map(|doing| doing.state);
        let wire = Wire {
            user_id: self.user_id,
            socket_id: self.socket_id,
            state: State::name(state),
            game_id: match state {
                Some(State::Playing { game_id }) => game_id,
                Some(State::Online | State::Busy) | None => None,
            },
            details: self
                .doing
                .as_ref()
                .and_then(|doing| doing.details.as_deref()),
            since: self.since,
        };
        wire.serialize(serializer)
    }
}

impl State {
    /// The names of all, and of having none.
    pub const NAMES: [&str; 4] = [ONLINE, BUSY, PLAYING, OFFLINE];

    /// How it is called; `OFFLINE` if there is none.
    pub fn name(state: Option<Self>) -> &'static str {
        match state {
            None => OFFLINE,
            Some(Self::Online) => ONLINE,
            Some(Self::Busy) => BUSY,
            Some(Self::Playing { .. }) => PLAYING,
        }
    }

    /// Of a user with several devices the highest is told; which game it is does not matter for that.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Online => 0,
            Self::Busy => 1,
            Self::Playing { .. } => 2,
        }
    }
}

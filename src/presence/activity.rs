//! What is told of a user.

use crate::{socketio::SocketId, users::UserId};
use serde::Serialize;

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

/// What everyone is told of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "Wire")]
pub struct Activity {
    /// Who.
    pub user_id: UserId,
    /// On which device.
    pub socket_id: SocketId,
    /// What; none is offline.
    pub state: Option<State>,
}

/// An activity as it stands on the wire.
#[derive(Serialize)]
struct Wire {
    user_id: UserId,
    socket_id: SocketId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    game_id: Option<u64>,
}

impl From<Activity> for Wire {
    fn from(activity: Activity) -> Self {
        let (state, game_id) = match activity.state {
            None => ("OFFLINE", None),
            Some(State::Online) => ("ONLINE", None),
            Some(State::Busy) => ("BUSY", None),
            Some(State::Playing { game_id }) => ("PLAYING", game_id),
        };
        Self {
            user_id: activity.user_id,
            socket_id: activity.socket_id,
            state,
            game_id,
        }
    }
}

impl State {
    /// Of a user with several devices the highest is told; which game it is does not matter for that.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Online => 0,
            Self::Busy => 1,
            Self::Playing { .. } => 2,
        }
    }
}

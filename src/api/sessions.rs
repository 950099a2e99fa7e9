//! `GET /api/admin/sessions` and `DELETE /api/admin/users/{id}/sessions`: who is connected, for admins.

use super::SocketIoEngine;
use crate::{
    presence::Player,
    server::{Answer, empty, json},
    socketio::Sockets,
    users::{User, UserId},
};
use hyper::StatusCode;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// All who are connected.
pub struct Connected {
    /// The sessions.
    pub engine: Arc<SocketIoEngine>,
    /// What stands on them: some know a user whom the session does not.
    pub sockets: Arc<Sockets<Player>>,
}

/// How many sessions are on which transport.
#[derive(Default, Serialize)]
struct Transports {
    polling: usize,
    websocket: usize,
}

#[derive(Serialize)]
struct Summary {
    count: usize,
    transports: Transports,
    users: Vec<OfUser>,
}

/// The sessions of one user.
#[derive(Serialize)]
struct OfUser {
    /// None: they were opened by strangers, who show a key later.
    user_id: Option<UserId>,
    count: usize,
    #[serde(flatten)]
    transports: Transports,
    /// When the first of them was opened, in ms since 1970.
    since: u64,
}

impl Transports {
    fn add(&mut self, is_on_websocket: bool) {
        match is_on_websocket {
            true => self.websocket += 1,
            false => self.polling += 1,
        }
    }
}

impl Connected {
    /// How many there are. Neither ids nor keys are told, and no more of each user than fits in a row.
    pub(super) fn summary(&self) -> Answer {
        let mut transports = Transports::default();
        let mut users: BTreeMap<Option<UserId>, OfUser> = BTreeMap::new();
        self.engine.sessions().for_each(|session| {
            let user_id = session.identity.user().map(|user| user.id);
            let since = ms(session.since);
            let user = users.entry(user_id).or_insert(OfUser {
                user_id,
                count: 0,
                transports: Transports::default(),
                since,
            });
            user.count += 1;
            user.since = user.since.min(since);
            user.transports.add(session.is_on_websocket);
            transports.add(session.is_on_websocket);
        });
        let users: Vec<OfUser> = users.into_values().collect();
        let summary = Summary {
            count: users.iter().map(|user| user.count).sum(),
            transports,
            users,
        };
        json(StatusCode::OK, &summary)
    }

    /// Ends the sessions of one user.
    pub(super) fn disconnect(&self, id: UserId) -> Answer {
        let is_theirs = |user: &Arc<User>| user.id == id;
        let sessions = self.engine.sessions();
        sessions.disconnect(|visitor| visitor.user().is_some_and(is_theirs));
        // Those who came as nobody and said later who they are.
        for socket in self.sockets.all() {
            if is_theirs(socket.data().user()) {
                socket.close();
            }
        }
        empty(StatusCode::NO_CONTENT)
    }
}

/// In ms since 1970.
fn ms(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

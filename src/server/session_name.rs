//! A session's name, and what the log says of the session: a line when it opens, and one when it ends.

use super::{Owner, proxies::Shown, transport::Transport};
use crate::engineio::{CloseReason, Revision};
use std::{fmt, net::SocketAddr, time::Duration};

/// What a session is called in the log; its id is a secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionName {
    pub(super) number: u64,
    /// Where its client is.
    pub(super) peer: SocketAddr,
}

impl SessionName {
    pub(super) fn log_opening(self, on: &Transport, revision: Revision, owner: Option<Owner>) {
        let (client, transport, eio) = (Shown(self.peer), on.name(), revision.number());
        let user = User(owner);
        log::info!(
            session = self.number, address:% = client, transport, eio, user = owner;
            "{self} opened on {transport} for {client} (EIO{eio}, {user})"
        );
    }

    pub(super) fn log_end(
        self,
        reason: CloseReason,
        on: &Transport,
        revision: Revision,
        owner: Option<Owner>,
        age: Duration,
    ) {
        let (client, transport, eio) = (Shown(self.peer), on.name(), revision.number());
        let user = User(owner);
        log::info!(
            session = self.number, address:% = client, transport, eio, user = owner,
            reason = reason.as_str(), seconds = age.as_secs_f64();
            "{self} closed after {age:.1?}: {reason} ({transport}, EIO{eio}, {user}, {client})"
        );
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.number)
    }
}

/// Whose a session is, if it is anyone's.
struct User(Option<Owner>);

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "user {id}"),
            None => f.write_str("nobody's"),
        }
    }
}

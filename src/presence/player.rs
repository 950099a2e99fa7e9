//! A player: what the gateway keeps for each socket.

use super::Interest;
use crate::users::User;
use std::sync::{Arc, Mutex, PoisonError};

/// A user, on one socket.
pub struct Player {
    user: Arc<User>,
    /// What it watches; none: it is told of all, as those are who know nothing of `watch`. Written by
    /// [`Hub::watch`](super::Hub::watch).
    interest: Mutex<Option<Interest>>,
}

impl Player {
    /// A user who has just come.
    pub fn new(user: Arc<User>) -> Self {
        Self {
            user,
            interest: Mutex::new(None),
        }
    }

    /// Who it is.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    pub(super) fn interest(&self) -> Option<Interest> {
        // A value that is replaced as a whole is never half written.
        let interest = self.interest.lock();
        interest.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_interest(&self, interest: Interest) {
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = Some(interest);
    }
}

//! A row of GameVault's table of users, and the user it stands for.

use super::super::user::MAX_USER_ID;
use super::super::{ApiKey, KeyDigest, PasswordHash, Role, Timestamp, User, UserId};
use std::time::UNIX_EPOCH;

/// A row, as every engine can tell it.
#[derive(Clone, Default)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) username: String,
    /// The digit of the role.
    pub(super) role: String,
    pub(super) is_activated: bool,
    /// When it was removed, in UTC.
    pub(super) deleted_at: Option<String>,
    pub(super) key: Option<String>,
    /// Only where it was asked for.
    pub(super) password: Option<String>,
}

/// A user with its secrets.
pub(super) struct Found {
    pub(super) user: User,
    /// Its key, where that has the form in which GameVault makes them. One of another form opens the door, too, but is
    /// not shown.
    pub(super) key: Option<ApiKey>,
    pub(super) password: Option<PasswordHash>,
}

impl Row {
    /// The user; none: a row that GameVault would not write.
    pub(super) fn read(self) -> Option<Found> {
        let id = UserId::try_from(self.id).ok();
        let id = id.filter(|id| (1..=MAX_USER_ID).contains(id))?;
        // An empty one is none: it would be the key of whoever sends an empty header.
        let key = self.key.filter(|key| !key.is_empty());
        Some(Found {
            user: User {
                id,
                username: self.username,
                role: role(&self.role),
                activated: self.is_activated,
                deleted_at: self.deleted_at.as_deref().map(time),
                key_digest: key.as_deref().map_or(KeyDigest::NONE, KeyDigest::of),
            },
            key: key.as_deref().and_then(ApiKey::parse),
            password: self.password.as_deref().and_then(PasswordHash::parse),
        })
    }
}

/// A time as a database has it, `2026-11-23 21:43:21` in UTC. What is no such time is a long time ago.
fn time(text: &str) -> Timestamp {
    Timestamp::at(humantime::parse_rfc3339_weak(text).unwrap_or(UNIX_EPOCH))
}

/// A role that is not known is the lowest.
fn role(digit: &str) -> Role {
    let number = digit.parse().ok();
    number.and_then(Role::from_number).unwrap_or(Role::Guest)
}

//! A user, as the rest of the program sees one.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{KeyDigest, Timestamp};

/// The number of a user: at least 1, at most 2^53 - 1 so that JavaScript reads it exactly. Never
/// reused.
pub type UserId = u64;

/// The greatest [`UserId`]: JavaScript's `Number.MAX_SAFE_INTEGER`.
pub const MAX_USER_ID: UserId = (1 << 53) - 1;

/// Usernames that begin so are bots, by GameVault's convention.
const BOT_PREFIX: &str = "gvbot_";

/// What a user may do. In JSON a number, 0 to 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May look.
    Guest = 0,
    /// The ordinary role.
    User = 1,
    /// May edit games in GameVault; nothing more than [`Role::User`] here.
    Editor = 2,
    /// May come in even when not activated.
    Admin = 3,
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Role; 4] = [Role::Guest, Role::User, Role::Editor, Role::Admin];

    /// The name the command line knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Role::Guest => "guest",
            Role::User => "user",
            Role::Editor => "editor",
            Role::Admin => "admin",
        }
    }

    /// GameVault's number for it.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The role with this number, if there is one.
    pub fn from_number(number: u64) -> Option<Role> {
        Role::ALL
            .into_iter()
            .find(|role| u64::from(role.number()) == number)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no [`Role`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownRole;

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a role is one of guest, user, editor and admin")
    }
}

impl std::error::Error for UnknownRole {}

impl FromStr for Role {
    type Err = UnknownRole;

    /// Reads a role's name, in any case.
    fn from_str(word: &str) -> Result<Role, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.name().eq_ignore_ascii_case(word))
            .ok_or(UnknownRole)
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// A user. Holds no secret: neither the key nor the password's hash, so `Debug` may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number, for good.
    pub id: UserId,
    /// As it was entered; compared without regard to case.
    pub username: String,
    /// What it may do.
    pub role: Role,
    /// Whether an admin let it in. See [`User::may_enter`].
    pub activated: bool,
    /// When it was removed; `None` for a user that exists.
    pub deleted_at: Option<Timestamp>,
    /// The digest of its API key: another one means that the key was changed.
    pub key_digest: KeyDigest,
}

impl User {
    /// Whether the user was removed.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Whether the user may open a session: it exists, and is activated or an admin.
    pub fn may_enter(&self) -> bool {
        !self.is_deleted() && (self.activated || self.role == Role::Admin)
    }

    /// Whether the user is a bot, which lists of users show to admins only.
    pub fn is_bot(&self) -> bool {
        self.username.starts_with(BOT_PREFIX)
    }
}

/// The form of a username that is compared: names that differ in case only are the same name.
pub(super) fn folded(username: &str) -> String {
    username.to_lowercase()
}

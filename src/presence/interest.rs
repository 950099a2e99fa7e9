//! Interest: of whom a client wants to be told.

use crate::{
    socketio::{fields, whole},
    users::UserId,
};
use serde_json::value::RawValue;
use std::{collections::HashSet, fmt, sync::Arc};

/// Of whom a client that watches wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interest {
    /// Of all.
    All,
    /// Of these.
    Users(Arc<HashSet<UserId>>),
}

/// How many users one client may name.
pub const MAX_WATCHED: usize = 1000;

/// Why a payload says no interest. The text names the field and says what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadInterest {
    /// Neither `all` nor `users`, or both.
    Neither,
    /// `all` is something else than `true`.
    All,
    /// `users` is no list of user ids.
    Users,
    /// `users` has too many.
    TooMany,
}

// What is read of an interest.
const USERS: &str = "users";
const ALL: &str = "all";

impl Interest {
    /// The fields, of which it has one.
    pub const FIELDS: [&str; 2] = [USERS, ALL];

    /// Reads the payload of `watch`. Unknown fields are ignored.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(payload: Option<&RawValue>) -> Result<Self, BadInterest> {
        let json = payload.map_or("{}", RawValue::get);
        let fields = fields(json).ok_or(BadInterest::Neither)?;
        let field = |name: &str| {
            let field = fields.get(name.as_bytes());
            field.filter(|json| json.get() != "null")
        };
        match (field(ALL), field(USERS)) {
            (Some(all), None) if all.get() == "true" => Ok(Self::All),
            (Some(_), None) => Err(BadInterest::All),
            (None, Some(users)) => {
                let users: Vec<&RawValue> =
                    serde_json::from_str(users.get()).map_err(|_| BadInterest::Users)?;
                if users.len() > MAX_WATCHED {
                    return Err(BadInterest::TooMany);
                }
                let ids = users.iter().map(|id| whole(id.get()));
                let ids = ids.collect::<Option<HashSet<UserId>>>();
                ids.map(Arc::new).map(Self::Users).ok_or(BadInterest::Users)
            }
            (None, None) | (Some(_), Some(_)) => Err(BadInterest::Neither),
        }
    }

    /// Whether it is in this user, too.
    pub fn is_in(&self, user_id: UserId) -> bool {
        match self {
            Self::All => true,
            Self::Users(users) => users.contains(&user_id),
        }
    }
}

impl fmt::Display for BadInterest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neither => f.write_str(
                "the payload must be an object with users, a list of user ids, or with all: true",
            ),
            Self::All => f.write_str("all must be true; to watch fewer, send users"),
            Self::Users => f.write_str("users must be a list of user ids, which are whole numbers"),
            Self::TooMany => write!(f, "users must not have more than {MAX_WATCHED} ids"),
        }
    }
}

impl std::error::Error for BadInterest {}

//! Why a change of the users was not made.

use std::error::Error;
use std::fmt;

use super::{NoRandomness, Timestamp, UserId};

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// No user of this name, ever.
    Unknown {
        /// As it was given.
        name: String,
    },
    /// The user was removed.
    Removed {
        /// As it was given.
        name: String,
        /// When.
        at: Timestamp,
    },
    /// Another user has the name.
    NameTaken {
        /// As the other user writes it.
        name: String,
        /// The other user.
        id: UserId,
    },
    /// This cannot be a username.
    BadName {
        /// As it was given.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// All ids that JavaScript can read are used.
    NoMoreIds,
    /// There was no randomness to make a key of.
    NoKey(NoRandomness),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::Unknown { name } => write!(
                f,
                "there is no user {name:?}; `rollcall users list` shows the names"
            ),
            EditError::Removed { name, at } => {
                write!(
                    f,
                    "user {name:?} was removed at {at}; `rollcall users add` makes a new one of that name, `rollcall users list` shows all"
                )
            }
            EditError::NameTaken { name, id } => {
                write!(
                    f,
                    "there is a user {name:?} already (id {id}); `rollcall users list` shows the names"
                )
            }
            EditError::BadName { name, problem } => {
                write!(f, "{name:?} cannot be a username: {problem}")
            }
            EditError::NoMoreIds => {
                f.write_str("there are no ids left for a new user: the greatest one is used")
            }
            EditError::NoKey(error) => error.fmt(f),
        }
    }
}

impl Error for EditError {}

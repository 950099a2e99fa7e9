//! The questions the program asks about users, whoever answers them.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::{ApiKey, KeyDigest, User, UserId};

/// An answer that may take a while. Dropping it abandons the question and harms nothing.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// The directory cannot answer now; the same question may succeed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    reason: String,
}

impl Unavailable {
    /// For this reason, which is logged and not shown to clients.
    pub fn new(reason: impl Into<String>) -> Unavailable {
        Unavailable {
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the user directory cannot answer: {}", self.reason)
    }
}

impl Error for Unavailable {}

/// Where users are kept. Used as `Arc<dyn Directory>`.
///
/// Users that were removed or are not activated are found like all others: the caller tells 401
/// from 403 by [`User::is_deleted`] and [`User::may_enter`].
pub trait Directory: Send + Sync + 'static {
    /// The user whose API key has this digest.
    fn by_key(&self, key: KeyDigest) -> Lookup<'_, Option<Arc<User>>>;

    /// The user of this name, in any case, if this is its password. An existing user is found
    /// before a removed one of the same name.
    ///
    /// An unknown name, a user without a password and a wrong password are one answer, and take the
    /// same time.
    fn by_password<'a>(
        &'a self,
        username: &'a str,
        password: &'a str,
    ) -> Lookup<'a, Option<Arc<User>>>;

    /// The user of this id.
    fn by_id(&self, id: UserId) -> Lookup<'_, Option<Arc<User>>>;

    /// All users, removed ones included, by ascending id.
    fn all(&self) -> Lookup<'_, Vec<Arc<User>>>;

    /// The API key of a user, to be shown to that user alone.
    fn api_key(&self, id: UserId) -> Lookup<'_, Option<ApiKey>>;

    /// Whether a session opened as `user` may go on: the user still exists, may enter, and has the
    /// same key.
    ///
    /// Cheap and never waits: it is asked for every session after a change.
    fn is_current(&self, user: &User) -> bool;

    /// Why it cannot be asked just now, for those who wait until it can; none: it can. Never waits.
    fn unavailable(&self) -> Option<&'static str> {
        None
    }
}

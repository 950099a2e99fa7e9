//! The questions the program asks about users, whoever answers them.

use std::error::Error;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use super::{ApiKey, KeyDigest, User, UserId};

/// An answer that may take a while. Dropping it abandons the question and harms nothing.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// Keeping up with changes, which never ends by itself.
pub type Following<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

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

/// How well a directory can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can answer.
    Ready,
    /// It cannot ask where the users are kept, and answers from what it has learned before.
    Away {
        /// Since when.
        since: Instant,
        /// Why, for the operator.
        reason: String,
    },
}

/// Where users are kept. Used as `Arc<dyn Directory>`.
///
/// Users that were removed or are not activated are found like all others: the caller tells 401
/// from 403 by [`User::is_deleted`] and [`User::may_enter`].
pub trait Directory: Send + Sync + 'static {
    /// The user of this API key. Any text may be asked for.
    fn by_key<'a>(&'a self, key: &'a str) -> Lookup<'a, Option<Arc<User>>>;

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

    /// The key with which this user may enter, if there is such a user, and it may. Cheap, and never
    /// waits.
    ///
    /// Known of those whom this directory has handed out for as long as anyone holds them, and of
    /// those that it was told to [`learn`](Directory::learn).
    fn key_of(&self, id: UserId) -> Option<KeyDigest>;

    /// Whether a session opened as `user` may go on: the user still exists, may enter, and has the
    /// same key. It must be one that this directory has handed out.
    ///
    /// Cheap and never waits: it is asked for every session after a change.
    fn is_current(&self, user: &User) -> bool {
        self.key_of(user.id) == Some(user.key_digest)
    }

    /// Finds out about users whom nobody has looked up, so that [`Directory::key_of`] knows them.
    fn learn(&self, ids: Vec<UserId>) -> Lookup<'_, ()> {
        let _ = ids;
        Box::pin(ready(Ok(())))
    }

    /// Keeps up with the users for ever. `on_change` is called to look through the open sessions
    /// (see [`Directory::is_current`]). `others` are the users about whom the directory will be
    /// asked though nobody holds them.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; the users stay as they are then.
    fn follow<'a>(
        &'a self,
        others: &'a (dyn Fn() -> Vec<UserId> + Send + Sync),
        on_change: &'a (dyn Fn() + Send + Sync),
    ) -> Following<'a>;

    /// Whether it can answer about users whom it does not know yet.
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    /// Whether keys may come under the name that they had in GameVault up to version 14, too.
    fn takes_socket_secret(&self) -> bool {
        false
    }
}

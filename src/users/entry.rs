//! The entry: may whoever shows this key come in?

use super::{Directory, Unavailable, User};
use std::{error::Error, fmt, sync::Arc};

/// Why a user may not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoEntry {
    /// Nobody has this key, or nobody any more.
    Unknown,
    /// There is such a user, who may not come in yet.
    NotActivated,
    /// It cannot be told now.
    Unavailable(Unavailable),
}

impl User {
    /// The user of an API key, who may come in.
    ///
    /// # Errors
    /// There is none who may.
    pub async fn by_key(directory: &dyn Directory, key: &str) -> Result<Arc<User>, NoEntry> {
        User::enter(directory.by_key(key).await)
    }

    /// The same for a user who was found in another way. One who was removed is nobody.
    ///
    /// # Errors
    /// The user may not come in.
    pub fn enter(found: Result<Option<Arc<User>>, Unavailable>) -> Result<Arc<User>, NoEntry> {
        match found {
            Ok(Some(user)) if user.is_deleted() => Err(NoEntry::Unknown),
            Ok(Some(user)) if user.may_enter() => Ok(user),
            Ok(Some(_)) => Err(NoEntry::NotActivated),
            Ok(None) => Err(NoEntry::Unknown),
            Err(unavailable) => {
                // The directory has logged what is wrong, once.
                log::debug!("a user cannot be looked up: {unavailable}");
                Err(NoEntry::Unavailable(unavailable))
            }
        }
    }
}

impl NoEntry {
    /// What happened to someone who has shown a key, and what to do about it.
    pub fn message(&self) -> &'static str {
        match self {
            Self::Unknown => "This API key belongs to no user: it may be mistyped, or replaced.",
            Self::NotActivated => {
                "This user is not activated: an administrator has to do that first."
            }
            Self::Unavailable(_) => "Users cannot be looked up at the moment: try again later.",
        }
    }
}

impl fmt::Display for NoEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl Error for NoEntry {}

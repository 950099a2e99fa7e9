//! The claim: one server at a time writes down what is known of the users of a file.
//!
//! Two would each overwrite what the other knows. It is a lock of the system's, so it ends with its server, however that
//! ends. The command line, which writes the user file alone, does without.

use super::keeper::ACTIVITIES;
use crate::users::{SideFile, UserFile, UserFileError};
use std::{
    error::Error,
    fmt,
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};
use tokio::{task, time::timeout};

/// The right to write beside a user file, for as long as it is not dropped.
#[derive(Debug)]
pub struct Claim {
    users: UserFile,
    /// An error: there can be no lock here.
    lock: io::Result<File>,
    lock_path: PathBuf,
}

impl Claim {
    /// Makes this server the only one. One that is about to end has `patience` for that.
    ///
    /// # Errors
    /// Another server has these users, or there is no place for what is written.
    ///
    /// # Cancel safety
    /// Dropped early, there is no claim.
    pub async fn stake(users: UserFile, patience: Duration) -> Result<Self, ClaimError> {
        let file = SideFile::beside(&users, ACTIVITIES).map_err(ClaimError::NoPlace)?;
        let lock = match lock(&file, patience).await {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => {
                let path = users.path().to_owned();
                return Err(ClaimError::Taken { path });
            }
            Err(error) => Err(error),
        };
        let lock_path = file.path().to_owned();
        Ok(Self {
            users,
            lock,
            lock_path,
        })
    }

    /// Tells the log if there can be no lock here. Not by itself: who cannot start for the same reason says so in one line.
    pub fn warn_if_unlocked(&self) {
        if let Err(error) = &self.lock {
            let path = self.lock_path.display();
            log::warn!("{path} cannot be locked, so nobody would notice a second server: {error}");
        }
    }

    /// The user file that it is for.
    pub fn users(&self) -> &UserFile {
        &self.users
    }
}

/// Locks what is beside `file`. None: somebody else has it, and keeps it.
async fn lock(file: &SideFile, patience: Duration) -> io::Result<Option<File>> {
    let lock = file.open_lock()?;
    match lock.try_lock() {
        Ok(()) => return Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            log::info!("another server has these users: waiting for its end");
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let locking = task::spawn_blocking(move || lock.lock().map(|()| lock));
    match timeout(patience, locking).await {
        Ok(locked) => locked.map_err(io::Error::other)?.map(Some),
        Err(_elapsed) => Ok(None),
    }
}

/// Why there is no claim.
#[derive(Debug)]
pub enum ClaimError {
    /// Another server has it.
    Taken {
        /// The user file.
        path: PathBuf,
    },
    /// The folder of the user file is not known, and cannot be made.
    NoPlace(UserFileError),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { path } => write!(
                f,
                "another server runs on the user file {}: stop that one, or set USERS_FILE to a file of its own",
                path.display()
            ),
            Self::NoPlace(error) => error.fmt(f),
        }
    }
}

impl Error for ClaimError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Taken { .. } => None,
            Self::NoPlace(error) => Some(error),
        }
    }
}

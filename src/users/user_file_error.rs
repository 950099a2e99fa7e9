//! Why the user file cannot be used, and what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::place::remedy;
use super::user_file::MAX_FILE_BYTES;
use super::{Broken, EditError};

/// Why the user file cannot be used.
#[derive(Debug)]
pub enum UserFileError {
    /// There is none.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There is one already.
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is a folder, a pipe or a device.
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// It is too large for a user file.
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Its content is wrong.
    Broken {
        /// The file.
        path: PathBuf,
        /// What, and where.
        broken: Broken,
    },
    /// The first user cannot be made.
    NoAdmin {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EditError,
    },
    /// The operating system refuses.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, a verb.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for UserFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserFileError::Missing { path } => write!(
                f,
                "there is no user file {}: start the server, or `rollcall users add NAME --role admin`, to make it, or set USERS_FILE",
                path.display()
            ),
            UserFileError::Exists { path } => write!(
                f,
                "there is a user file {} already; it was left as it is",
                path.display()
            ),
            UserFileError::NotAFile { path } => write!(
                f,
                "{} is not a regular file: set USERS_FILE to the name of a file",
                path.display()
            ),
            UserFileError::TooLarge { path } => {
                write!(
                    f,
                    "{} is larger than {} MiB and was not read: is it the user file?",
                    path.display(),
                    MAX_FILE_BYTES >> 20
                )
            }
            UserFileError::Broken { path, broken } => write!(f, "{}, {broken}", path.display()),
            UserFileError::NoAdmin { path, error } => {
                write!(f, "cannot make the user file {}: {error}", path.display())
            }
            UserFileError::Io { path, doing, error } => {
                let (path, remedy) = (path.display(), remedy(error));
                write!(f, "cannot {doing} the user file {path}: {error}{remedy}")
            }
        }
    }
}

impl Error for UserFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            UserFileError::Broken { broken, .. } => Some(broken),
            UserFileError::NoAdmin { error, .. } => Some(error),
            UserFileError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

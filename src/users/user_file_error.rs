//! Why the user file cannot be used, and what to do.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

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
                write!(
                    f,
                    "cannot {doing} the user file {}: {error}",
                    path.display()
                )?;
                match error.kind() {
                    ErrorKind::ResourceBusy => {
                        f.write_str(" (a file mounted alone cannot be replaced: mount its folder)")
                    }
                    ErrorKind::PermissionDenied => f.write_str(
                        ": it and its folder must belong to the user that runs the server (`chown`), or USERS_FILE must name another place",
                    ),
                    ErrorKind::ReadOnlyFilesystem => f.write_str(
                        ": its folder must be one that can be written, such as a volume; mount one there, or let USERS_FILE name one",
                    ),
                    ErrorKind::NotADirectory => f.write_str(": let USERS_FILE name a file in a folder"),
                    ErrorKind::StorageFull => f.write_str(": make room there"),
                    _ => Ok(()),
                }
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

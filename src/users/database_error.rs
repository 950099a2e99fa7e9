//! Why GameVault's database cannot be asked, for the operator.

use std::error::Error;
use std::fmt;

/// Why the database cannot be asked: one line, which names the setting to look at and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseError {
    trouble: Trouble,
    text: String,
}

/// The kind of trouble: the log tells of another one anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// This build does not read such a database.
    NotBuilt,
    /// Nothing answers there, or it does not answer in time.
    Unreachable,
    /// Another program is writing.
    Busy,
    /// The server does not take the role or its password.
    Credentials,
    /// The connection cannot be encrypted.
    Tls,
    /// The server has no such database, or the file is none.
    NoDatabase,
    /// It is not GameVault's, or not yet, or not as it is known here.
    Schema,
    /// The role, or this process, may not read it.
    NoRights,
    /// It has no users, though some are connected.
    Empty,
    /// The engine says something else.
    Other,
}

impl DatabaseError {
    /// `setting` is the name of the one to look at, or several; `problem` says what was found and what was expected.
    pub(super) fn new(
        trouble: Trouble,
        setting: &str,
        problem: impl fmt::Display,
    ) -> DatabaseError {
        DatabaseError {
            trouble,
            // What an engine says may have several lines.
            text: format!("{setting}: {problem}").replace(['\r', '\n'], " "),
        }
    }

    /// Of which kind it is.
    pub fn trouble(&self) -> Trouble {
        self.trouble
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for DatabaseError {}

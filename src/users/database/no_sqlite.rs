//! What stands for `sqlite` in a build without that feature: nobody can ask for it.

use super::super::{DatabaseError, Trouble};
use super::question::Question;
use super::source::{Answer, Source};
use std::{convert::Infallible, fmt, path::PathBuf};

/// There is none.
pub(super) struct Sqlite(Infallible);

impl Sqlite {
    /// Always an error; the configuration refuses before.
    pub(super) fn new(_: PathBuf) -> Result<Sqlite, DatabaseError> {
        let problem = "it needs a build with the feature `sqlite`";
        Err(DatabaseError::new(Trouble::NotBuilt, "DB_SYSTEM", problem))
    }
}

impl fmt::Display for Sqlite {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl Source for Sqlite {
    const AT_ONCE: usize = 1;

    async fn connect(&self) -> Result<(), DatabaseError> {
        match self.0 {}
    }

    async fn ask(&self, _: Question) -> Result<Answer, DatabaseError> {
        match self.0 {}
    }

    async fn lost(&self) -> DatabaseError {
        match self.0 {}
    }

    fn silence(&self) -> DatabaseError {
        match self.0 {}
    }

    fn emptiness(&self) -> DatabaseError {
        match self.0 {}
    }
}

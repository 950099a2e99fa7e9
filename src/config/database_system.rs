//! The database systems that GameVault knows.

use super::feature::{Feature, POSTGRES, SQLITE};

/// Where GameVault has its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseSystem {
    /// A file beside it.
    Sqlite,
    /// A server.
    Postgresql,
}

impl DatabaseSystem {
    /// The system of this name, in any case.
    pub(super) fn parse(name: &str) -> Option<DatabaseSystem> {
        [DatabaseSystem::Sqlite, DatabaseSystem::Postgresql]
            .into_iter()
            .find(|system| system.name().eq_ignore_ascii_case(name))
    }

    /// As GameVault writes it.
    pub fn name(self) -> &'static str {
        match self {
            DatabaseSystem::Sqlite => "SQLITE",
            DatabaseSystem::Postgresql => "POSTGRESQL",
        }
    }

    /// The feature without which it cannot be read.
    pub(super) fn feature(self) -> Feature {
        match self {
            DatabaseSystem::Sqlite => SQLITE,
            DatabaseSystem::Postgresql => POSTGRES,
        }
    }
}

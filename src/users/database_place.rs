//! Where GameVault's database is, and how it is to be asked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A database of GameVault's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabasePlace {
    /// A file of SQLite's.
    Sqlite(PathBuf),
    /// A server.
    Postgres(PostgresPlace),
}

/// A database on a PostgreSQL server. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresPlace {
    /// A name, an IP address, or the folder of a Unix socket.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The role.
    pub username: String,
    /// The role's password, if it needs one.
    pub password: Option<String>,
    /// The name of the database.
    pub database: String,
    /// How the connection is encrypted; `None`: it is not.
    pub tls: Option<PostgresTls>,
}

/// Whom to take for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresTls {
    /// Whoever has a certificate for the host, from an authority in this file, or else from one that the system trusts.
    Checked(Option<PathBuf>),
    /// Whoever answers.
    Unchecked,
}

impl fmt::Debug for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresPlace({} at {self}, hidden)", self.username)
    }
}

impl fmt::Display for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How long what takes, at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseTiming {
    /// How long the start waits for a database that is not there yet.
    pub wait: Duration,
    /// While the database is away, how long what was learned before lets someone in.
    pub stale: Duration,
    /// While it is there, how long what was learned is believed.
    pub fresh: Duration,
    /// How often all who are connected are looked up again; less than `fresh`.
    pub refresh: Duration,
    /// How long a client waits for a lookup, once it is its turn, and how long at most for that. Some clients give up a second
    /// after they have asked to join.
    pub lookup: Duration,
    /// The same for what no client waits for.
    pub patience: Duration,
    /// From the failure to the next try; each pause is twice as long as the last.
    pub first_pause: Duration,
    /// The longest pause.
    pub max_pause: Duration,
}

impl Default for DatabaseTiming {
    fn default() -> DatabaseTiming {
        DatabaseTiming {
            wait: Duration::ZERO,
            stale: Duration::from_secs(600),
            fresh: Duration::from_secs(30),
            refresh: Duration::from_secs(20),
            lookup: Duration::from_millis(800),
            patience: Duration::from_secs(5),
            first_pause: Duration::from_millis(250),
            max_pause: Duration::from_secs(5),
        }
    }
}

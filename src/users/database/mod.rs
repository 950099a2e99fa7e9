//! GameVault's own users, read from its database and never written.
//!
//! # Layout
//!
//! * `question`: what is asked, as SQL; the same for both engines.
//! * `row`: what comes back, and the user it stands for.
//! * `known`: what was learned, and how long it is believed. Pure.
//! * [`source`](Source): an engine that can be asked.
//! * `sqlite`, `postgres`: the two there are; in a build without the feature, `no_sqlite` or `no_postgres` stands for it.
//! * `turns`: who may ask now.
//! * `database_directory`: the directory on a source; what happens while it is away.

mod database_directory;
mod known;
mod question;
mod row;
mod source;
mod turns;

#[cfg_attr(not(feature = "postgres"), path = "no_postgres.rs")]
mod postgres;
#[cfg_attr(not(feature = "sqlite"), path = "no_sqlite.rs")]
mod sqlite;

use super::{DatabaseError, DatabasePlace, DatabaseTiming, Directory};
use database_directory::DatabaseDirectory;
use postgres::Postgres;
use source::Source;
use sqlite::Sqlite;
use std::sync::Arc;

/// The users of the database at this place. Waits for it as long as `timing` says.
///
/// # Errors
/// It cannot be asked.
pub async fn open_database(
    place: DatabasePlace,
    timing: DatabaseTiming,
) -> Result<Arc<dyn Directory>, DatabaseError> {
    Ok(match place {
        DatabasePlace::Sqlite(file) => open(Sqlite::new(file)?, timing).await?,
        DatabasePlace::Postgres(place) => open(Postgres::new(place)?, timing).await?,
    })
}

async fn open(
    source: impl Source,
    timing: DatabaseTiming,
) -> Result<Arc<dyn Directory>, DatabaseError> {
    Ok(Arc::new(DatabaseDirectory::open(source, timing).await?))
}

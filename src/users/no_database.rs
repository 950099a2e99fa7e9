//! What stands for `database` in a build that reads none: the configuration refuses to ask for one.

use super::{DatabaseError, DatabasePlace, DatabaseTiming, Directory, Trouble};
use std::sync::Arc;

/// Impossible.
///
/// # Errors
/// Always.
pub async fn open_database(
    _: DatabasePlace,
    _: DatabaseTiming,
) -> Result<Arc<dyn Directory>, DatabaseError> {
    Err(DatabaseError::new(
        Trouble::NotBuilt,
        "DB_SYSTEM",
        "it needs a build with the feature `sqlite` or `postgres`",
    ))
}

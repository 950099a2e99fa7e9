//! Whose server this is: the users, from wherever they are.

use super::StartError;
use crate::{
    cli,
    config::Config,
    presence::Claim,
    users::{ApiKey, Directory, FileDirectory, UserFile, UserFileError, open_database},
};
use std::{path::Path, sync::Arc, time::Duration};

/// The users of a GameVault, if that is what the operator wants. Waits for its database as long as it may.
pub(super) async fn elsewhere(config: &Config) -> Result<Option<Arc<dyn Directory>>, StartError> {
    let Some((place, timing)) = cli::database(config) else {
        return Ok(None);
    };
    let directory = open_database(place, timing).await;
    directory.map(Some).map_err(StartError::Database)
}

/// The users in the user file, and the key of the first one if there were none.
pub(super) fn open(path: &Path) -> Result<(Arc<dyn Directory>, Option<ApiKey>), StartError> {
    let first_key = match FileDirectory::open(path) {
        Ok(directory) => return Ok((Arc::new(directory), None)),
        Err(UserFileError::Missing { .. }) => match UserFile::new(path).create_with_admin() {
            Ok(key) => Some(key),
            // The command line was faster.
            Err(UserFileError::Exists { .. }) => None,
            Err(error) => return Err(StartError::Users(error)),
        },
        Err(error) => return Err(StartError::Users(error)),
    };
    let directory = FileDirectory::open(path).map_err(StartError::Users)?;
    Ok((Arc::new(directory), first_key))
}

/// Makes this the only server of these users. One that was told to stop has the time that it may take for that, and a
/// second: whoever starts the next one need not wait for its end.
pub(super) async fn claim(
    config: &Config,
    shutdown_timeout: Duration,
) -> Result<Claim, StartError> {
    let patience = shutdown_timeout + Duration::from_secs(1);
    let staked = Claim::stake(UserFile::new(&config.users_file), patience).await;
    staked.map_err(StartError::Claim)
}

//! GameVault's database, as the settings have it.

use crate::{
    config::{Config, DatabaseSystem, Hidden},
    users::{DatabasePlace, DatabaseTiming, PostgresPlace, PostgresTls},
};

/// The file that GameVault makes in the folder it is given.
const SQLITE_FILE: &str = "database.sqlite";

/// The database that the users are in; none: they are in the user file.
pub fn database(config: &Config) -> Option<(DatabasePlace, DatabaseTiming)> {
    let place = match config.database_system? {
        DatabaseSystem::Sqlite => DatabasePlace::Sqlite(config.sqlite_folder.join(SQLITE_FILE)),
        DatabaseSystem::Postgresql => DatabasePlace::Postgres(PostgresPlace {
            host: config.database_host.clone(),
            port: config.database_port,
            username: config.database_username.clone(),
            password: config
                .database_password
                .as_ref()
                .map(|password| Hidden::reveal(password).to_owned()),
            database: config.database_name.clone(),
            tls: config.database_tls.then(|| tls(config)),
        }),
    };
    let timing = DatabaseTiming {
        wait: config.database_wait,
        stale: config.database_stale,
        ..DatabaseTiming::default()
    };
    Some((place, timing))
}

fn tls(config: &Config) -> PostgresTls {
    match config.database_tls_checked {
        true => PostgresTls::Checked(config.database_tls_authorities.clone()),
        false => PostgresTls::Unchecked,
    }
}

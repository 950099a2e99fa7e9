//! `rollcall check`: would the server start, and with what?

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use tokio::runtime;

use super::database;
use super::output::{note, print};
use crate::config::{Config, ConfigErrors, SETTINGS, unknown_variables};
use crate::https::{self, HttpsError, Term};
use crate::server::{ClientBundle, ClientBundleError};
use crate::users::{
    DatabaseError, DatabasePlace, DatabaseTiming, Unavailable, User, UserFile, UserFileError,
    open_database,
};

/// Validates the configuration in `environment`, the user file or the database, the client bundle and the certificate, if there
/// are such, and prints the configuration, secrets blanked. What is printed can be used as a file of variables: all that is
/// not a setting stands in comments.
///
/// # Errors
///
/// When the server would not start, or the output cannot be written.
pub fn check(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    out: &mut impl Write,
) -> Result<(), CheckError> {
    let environment: HashMap<OsString, OsString> = environment.into_iter().collect();
    for warning in unknown_variables(environment.keys().cloned()) {
        note(&format!("warning: {warning}"));
    }
    let config = Config::read(|name| environment.get(&OsString::from(name)).cloned())
        .map_err(CheckError::Config)?;
    let mut report: String = SETTINGS
        .iter()
        .map(|setting| format!("{}={}\n", setting.name, setting.show(&config)))
        .collect();
    report.push_str(&match database(&config) {
        Some((place, timing)) => look_into(place, timing)?,
        None => look_at(&config)?,
    });
    if let Some(folder) = &config.client_bundle_dir {
        let bundle = ClientBundle::read(folder).map_err(CheckError::ClientBundle)?;
        report.push_str(&format!(
            "# The client bundle is good. Version: {}; files: {}.\n",
            bundle.version(),
            bundle.names().count()
        ));
    }
    if let Some(tls) = https::open(&config).map_err(CheckError::Https)? {
        report.push_str(&format!("# The certificate can be used: {}.\n", Term(&tls)));
    }
    print(out, &report).map_err(CheckError::Output)
}

/// How the user file is.
fn look_at(config: &Config) -> Result<String, CheckError> {
    match UserFile::new(&config.users_file).read() {
        Ok(document) => {
            let users = document.users().iter().map(|record| record.user());
            Ok(summary("user file", &users.collect::<Vec<_>>()))
        }
        Err(UserFileError::Missing { .. }) => Ok(
            "# There is no user file yet: the first start makes it, with an admin, and prints the key.\n"
                .to_owned(),
        ),
        Err(error) => Err(CheckError::Users(error)),
    }
}

/// How the database is. It is not waited for.
fn look_into(place: DatabasePlace, timing: DatabaseTiming) -> Result<String, CheckError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CheckError::Runtime)?;
    let timing = DatabaseTiming {
        wait: Duration::ZERO,
        ..timing
    };
    let users = runtime.block_on(async {
        let directory = open_database(place, timing).await;
        let directory = directory.map_err(CheckError::Database)?;
        directory.all().await.map_err(CheckError::Unavailable)
    });
    let users: Vec<User> = users?.iter().map(|user| (**user).clone()).collect();
    Ok(summary("database", &users))
}

fn summary(what: &str, users: &[User]) -> String {
    let count = |has: fn(&User) -> bool| users.iter().filter(|user| has(user)).count();
    format!(
        "# The {what} is good. Users: {}; may enter: {}; removed: {}.\n",
        users.len(),
        count(User::may_enter),
        count(User::is_deleted)
    )
}

/// Why `rollcall check` fails.
#[derive(Debug)]
pub enum CheckError {
    /// The configuration is wrong.
    Config(ConfigErrors),
    /// The user file is wrong.
    Users(UserFileError),
    /// The database cannot be asked.
    Database(DatabaseError),
    /// It does not answer.
    Unavailable(Unavailable),
    /// The system refuses what is needed to ask it.
    Runtime(io::Error),
    /// There is no such client bundle.
    ClientBundle(ClientBundleError),
    /// There can be no HTTPS.
    Https(HttpsError),
    /// The result cannot be printed.
    Output(io::Error),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::Config(errors) => errors.fmt(f),
            CheckError::Users(error) => error.fmt(f),
            CheckError::Database(error) => error.fmt(f),
            CheckError::Unavailable(error) => error.fmt(f),
            CheckError::Runtime(error) => write!(f, "cannot ask the database: {error}"),
            CheckError::ClientBundle(error) => write!(f, "CLIENT_BUNDLE_DIR: {error}"),
            CheckError::Https(error) => error.fmt(f),
            CheckError::Output(error) => write!(f, "cannot print the result: {error}"),
        }
    }
}

impl Error for CheckError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CheckError::Config(errors) => Some(errors),
            CheckError::Users(error) => Some(error),
            CheckError::Database(error) => Some(error),
            CheckError::Unavailable(error) => Some(error),
            CheckError::Runtime(error) => Some(error),
            CheckError::ClientBundle(error) => Some(error),
            CheckError::Https(error) => Some(error),
            CheckError::Output(error) => Some(error),
        }
    }
}

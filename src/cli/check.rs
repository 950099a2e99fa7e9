//! `rollcall check`: would the server start, and with what?

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};

use super::output::{note, print};
use crate::config::{Config, ConfigErrors, SETTINGS, unknown_variables};
use crate::https::{self, HttpsError, Term};
use crate::server::{ClientBundle, ClientBundleError};
use crate::users::{Document, UserFile, UserFileError};

/// Validates the configuration in `environment`, the user file, the client bundle and the certificate, if there are such, and
/// prints the configuration, secrets blanked. What is printed can be used as a file of variables: all that is
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
    let file = UserFile::new(&config.users_file);
    match file.read() {
        Ok(document) => report.push_str(&summary(&document)),
        Err(UserFileError::Missing { .. }) => {
            report.push_str("# There is no user file yet: the first start makes it, with an admin, and prints the key.\n");
        }
        Err(error) => return Err(CheckError::Users(error)),
    }
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

fn summary(document: &Document) -> String {
    let users: Vec<_> = document
        .users()
        .iter()
        .map(|record| record.user())
        .collect();
    let count =
        |has: fn(&crate::users::User) -> bool| users.iter().filter(|user| has(user)).count();
    format!(
        "# The user file is good. Users: {}; may enter: {}; removed: {}.\n",
        users.len(),
        count(|user| user.may_enter()),
        count(|user| user.is_deleted())
    )
}

/// Why `rollcall check` fails.
#[derive(Debug)]
pub enum CheckError {
    /// The configuration is wrong.
    Config(ConfigErrors),
    /// The user file is wrong.
    Users(UserFileError),
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
            CheckError::ClientBundle(error) => Some(error),
            CheckError::Https(error) => Some(error),
            CheckError::Output(error) => Some(error),
        }
    }
}

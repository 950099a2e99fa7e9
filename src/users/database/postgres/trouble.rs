//! What is wrong with a PostgreSQL database, in the operator's words: each names the setting to look at.

use super::super::super::{DatabaseError, PostgresPlace, Trouble};
use super::super::question::{COLUMNS, KEY_COLUMNS, TABLE};
use std::{error::Error, fmt};
use tokio_postgres::error::SqlState;

const HOST: &str = "DB_HOST and DB_PORT";
const ROLE: &str = "DB_USERNAME and DB_PASSWORD";
const DATABASE: &str = "DB_DATABASE";
const TLS: &str = "DB_TLS_ENABLED";

/// SQLSTATE's class for a value that cannot be.
const DATA_EXCEPTION: &str = "22";

/// An error with what is behind it.
pub(super) struct Explained<'a>(pub(super) &'a dyn Error);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut said = self.0.to_string();
        let mut error = self.0.source();
        while let Some(source) = error {
            let says = source.to_string();
            // Some repeat what is behind them.
            if !said.contains(&says) {
                write!(f, ": {says}")?;
                said.push_str(&says);
            }
            error = source.source();
        }
        Ok(())
    }
}

/// Whether the text of a question cannot be in the database.
pub(super) fn is_strange_text(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map(SqlState::code);
    code.is_some_and(|code| code.starts_with(DATA_EXCEPTION))
}

/// What the server or the driver says.
pub(super) fn explain(place: &PostgresPlace, error: &tokio_postgres::Error) -> DatabaseError {
    let (role, name) = (&place.username, &place.database);
    let says = Explained(error);
    let Some(code) = error.code() else {
        return unexplained(place, error);
    };
    if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
    {
        let problem = format!(
            "PostgreSQL at {place} refuses the role {role:?}: {says}; expected a role that may log in, and its password"
        );
        return DatabaseError::new(Trouble::Credentials, ROLE, problem);
    }
    if *code == SqlState::INVALID_CATALOG_NAME {
        let problem = format!(
            "PostgreSQL at {place} has no database {name:?}: expected GameVault's, which is called gamevault if nobody has \
             decided otherwise"
        );
        return DatabaseError::new(Trouble::NoDatabase, DATABASE, problem);
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return no_rights(place);
    }
    if *code == SqlState::UNDEFINED_TABLE {
        return no_table(place);
    }
    let problem = format!("PostgreSQL at {place} does not answer the question: {says}");
    DatabaseError::new(Trouble::Other, HOST, problem)
}

/// What the driver says.
fn unexplained(place: &PostgresPlace, error: &tokio_postgres::Error) -> DatabaseError {
    let says = Explained(error).to_string();
    if says.contains("TLS") {
        let problem = format!(
            "{says}; expected that PostgreSQL at {place} speaks TLS, with a certificate for that name from an authority in \
             DB_TLS_CA_CERTIFICATE_PATH, or else from one that the system trusts"
        );
        return DatabaseError::new(Trouble::Tls, TLS, problem);
    }
    if says.contains("password") {
        let problem =
            format!("PostgreSQL at {place} wants a password ({says}); expected that of the role");
        return DatabaseError::new(Trouble::Credentials, ROLE, problem);
    }
    let problem = format!("{says}; expected GameVault's PostgreSQL at {place}");
    DatabaseError::new(Trouble::Unreachable, HOST, problem)
}

pub(super) fn no_table(place: &PostgresPlace) -> DatabaseError {
    let problem = format!(
        "{:?} has no table {TABLE} that the role {:?} can find: expected GameVault's database, after its first start, in a \
         schema that the role may use",
        place.database, place.username
    );
    DatabaseError::new(Trouble::Schema, DATABASE, problem)
}

pub(super) fn no_column(place: &PostgresPlace, missing: &str) -> DatabaseError {
    let problem = format!(
        "{:?} has no column {missing} in the table {TABLE}: expected that of GameVault",
        place.database
    );
    DatabaseError::new(Trouble::Schema, DATABASE, problem)
}

pub(super) fn no_keys(place: &PostgresPlace) -> DatabaseError {
    let problem = format!(
        "{:?} has neither of the columns {} in the table {TABLE}: expected that of GameVault",
        place.database,
        KEY_COLUMNS.join(" and ")
    );
    DatabaseError::new(Trouble::Schema, DATABASE, problem)
}

pub(super) fn no_rights(place: &PostgresPlace) -> DatabaseError {
    let (role, columns) = (&place.username, COLUMNS.join(", "));
    let problem = format!(
        "the role {role:?} may not read the users: expected what GRANT SELECT ({columns}, and {}) ON {TABLE} gives it",
        KEY_COLUMNS.join(" or ")
    );
    DatabaseError::new(Trouble::NoRights, "DB_USERNAME", problem)
}

pub(super) fn lost(place: &PostgresPlace) -> DatabaseError {
    let problem = format!("the connection to PostgreSQL at {place} was lost");
    DatabaseError::new(Trouble::Unreachable, HOST, problem)
}

pub(super) fn silence(place: &PostgresPlace) -> DatabaseError {
    let problem = format!("PostgreSQL at {place} does not answer in time");
    DatabaseError::new(Trouble::Unreachable, HOST, problem)
}

pub(super) fn emptiness(place: &PostgresPlace) -> DatabaseError {
    let problem = format!(
        "{:?} has no users at all, though some are connected: expected those of GameVault",
        place.database
    );
    DatabaseError::new(Trouble::Empty, DATABASE, problem)
}

pub(super) fn no_tls(problem: impl fmt::Display) -> DatabaseError {
    DatabaseError::new(Trouble::Tls, "DB_TLS_CA_CERTIFICATE_PATH", problem)
}

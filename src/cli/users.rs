//! `rollcall users …`: looking at the user file and changing it.
//!
//! Standard output gets the result and nothing else, so that `key=$(rollcall users add alice)`
//! works.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Read, Write};

use super::UsersCommand;
use super::output::{note, print};
use super::prompt::{PromptError, read_password};
use crate::config::{Config, DatabaseSystem};
use crate::users::{
    ApiKey, Document, EditError, IfMissing, PasswordError, PasswordHash, Role, Timestamp, User,
    UserFile, UserFileError,
};

/// Said after changes that end sessions.
const SESSIONS_END: &str = "a running server ends that user's sessions within two seconds";

/// Carries out a command on the user file that `config` names. A password is read from `stdin`, which
/// is this program's standard input where it is a terminal. Blocks.
///
/// # Errors
///
/// When the command cannot be carried out; the file is then as it was. Only [`UsersError::Output`]
/// can come after a change was made.
pub fn run_users(
    command: &UsersCommand,
    config: &Config,
    stdin: impl Read + IsTerminal,
    stdout: &mut impl Write,
) -> Result<(), UsersError> {
    if let Some(system) = config.database_system {
        return Err(UsersError::Elsewhere { system });
    }
    let users_file = &config.users_file;
    let file = UserFile::new(users_file);
    match command {
        UsersCommand::List => print(stdout, &table(&file.read()?)).map_err(UsersError::Output),
        UsersCommand::Key { name } => print_key(stdout, file.read()?.find(name)?.api_key()),
        UsersCommand::Add { name, role } => {
            let key = file.edit(IfMissing::Create, |document| {
                Ok::<_, UsersError>(document.add(name, *role)?)
            })?;
            note(&format!(
                "added {name:?}, {role}, to {}; `rollcall users key` shows the key again",
                users_file.display()
            ));
            print_key(stdout, &key)
        }
        UsersCommand::Rotate { name } => {
            let key = change(&file, |document| document.rotate(name))?;
            note(&format!(
                "{name:?} has a new key, and the old one is void; {SESSIONS_END}"
            ));
            print_key(stdout, &key)
        }
        UsersCommand::Activate { name } => {
            change(&file, |document| document.set_activated(name, true))?;
            note(&format!("{name:?} may come in"));
            Ok(())
        }
        UsersCommand::Deactivate { name } => {
            let user = change(&file, |document| {
                document.set_activated(name, false)?;
                Ok(document.find(name)?.user())
            })?;
            if user.may_enter() {
                note(&format!(
                    "warning: {name:?} is deactivated, but comes in all the same as an {}; `rollcall users remove` keeps out admins",
                    user.role
                ));
            } else {
                note(&format!("{name:?} may come in no longer; {SESSIONS_END}"));
            }
            Ok(())
        }
        UsersCommand::Password { name } => {
            file.read()?.find(name)?; // before anybody types a password for nobody
            let password = PasswordHash::make(&read_password(stdin, name)?)?;
            change(&file, |document| document.set_password(name, password))?;
            note(&format!("{name:?} has a new password"));
            Ok(())
        }
        UsersCommand::Remove { name } => {
            let admins_left = change(&file, |document| {
                document.remove(name, Timestamp::now())?;
                Ok(document.has_admin())
            })?;
            note(&format!("removed {name:?}; {SESSIONS_END}"));
            if !admins_left {
                note(&format!(
                    "warning: there is no admin any more; `rollcall users add NAME --role {}` makes one",
                    Role::Admin
                ));
            }
            Ok(())
        }
    }
}

/// Changes a file that must be there.
fn change<T>(
    file: &UserFile,
    change: impl FnOnce(&mut Document) -> Result<T, EditError>,
) -> Result<T, UsersError> {
    file.edit(IfMissing::Fail, |document| Ok(change(document)?))
}

/// The key alone on its line.
fn print_key(stdout: &mut impl Write, key: &ApiKey) -> Result<(), UsersError> {
    print(stdout, &format!("{}\n", key.reveal())).map_err(UsersError::Output)
}

/// All users in columns, without keys.
fn table(document: &Document) -> String {
    let mut users: Vec<User> = document
        .users()
        .iter()
        .map(|record| record.user())
        .collect();
    users.sort_by_key(|user| user.id);
    let heading = ["ID", "NAME", "ROLE", "ACTIVATED", "REMOVED"].map(str::to_owned);
    let rows = users.iter().map(|user| {
        let activated = if user.activated { "yes" } else { "no" };
        let removed = user
            .deleted_at
            .as_ref()
            .map_or_else(|| "no".to_owned(), Timestamp::to_string);
        [
            user.id.to_string(),
            user.username.clone(),
            user.role.to_string(),
            activated.to_owned(),
            removed,
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(rows).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Why a command on the users failed.
#[derive(Debug)]
pub enum UsersError {
    /// The users are in GameVault's database.
    Elsewhere {
        /// Which it is.
        system: DatabaseSystem,
    },
    /// The user file cannot be used.
    File(UserFileError),
    /// The change makes no sense.
    Edit(EditError),
    /// No password could be read.
    Prompt(PromptError),
    /// The password was not taken.
    Password(PasswordError),
    /// The result cannot be printed. What was to be changed is changed.
    Output(io::Error),
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsersError::Elsewhere { system } => write!(
                f,
                "DB_SYSTEM is {}, so the users are GameVault's: change them there, or unset DB_SYSTEM to have those in USERS_FILE",
                system.name()
            ),
            UsersError::File(error) => error.fmt(f),
            UsersError::Edit(error) => error.fmt(f),
            UsersError::Prompt(error) => error.fmt(f),
            UsersError::Password(error) => error.fmt(f),
            UsersError::Output(error) => write!(
                f,
                "cannot print the result: {error}; what was to be changed is changed, and `rollcall users key NAME` shows a key"
            ),
        }
    }
}

impl Error for UsersError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            UsersError::Elsewhere { .. } => None,
            UsersError::File(error) => Some(error),
            UsersError::Edit(error) => Some(error),
            UsersError::Prompt(error) => Some(error),
            UsersError::Password(error) => Some(error),
            UsersError::Output(error) => Some(error),
        }
    }
}

impl From<UserFileError> for UsersError {
    fn from(error: UserFileError) -> UsersError {
        UsersError::File(error)
    }
}

impl From<EditError> for UsersError {
    fn from(error: EditError) -> UsersError {
        UsersError::Edit(error)
    }
}

impl From<PromptError> for UsersError {
    fn from(error: PromptError) -> UsersError {
        UsersError::Prompt(error)
    }
}

impl From<PasswordError> for UsersError {
    fn from(error: PasswordError) -> UsersError {
        UsersError::Password(error)
    }
}

//! The command line: words in, a [`Command`] out, and the commands that are not the server.
//!
//! # Layout
//!
//! * `help`: what `--help` says.
//! * `check`: `rollcall check`.
//! * `database`: GameVault's database, as the settings have it.
//! * `users`: [`run_users`], `rollcall users …`.
//! * `prompt`: a password that is read and not shown.
//! * `output`: printing to somebody who may have stopped reading.
//!
//! Results go to standard output and are nothing but the result; what is said about them goes to
//! standard error.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;

use lexopt::{Arg, Parser};

use crate::config::nearest;
use crate::users::Role;

mod check;
mod database;
mod help;
mod output;
mod prompt;
mod users;

pub use check::{CheckError, check};
pub use database::database;
pub use help::{VERSION, help};
pub use output::print;
pub use prompt::PromptError;
pub use users::{UsersError, run_users};

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Be the server; also when nothing is said.
    Serve,
    /// Validate the configuration and show it.
    Check,
    /// Explain the program.
    Help,
    /// Say which version it is.
    Version,
    /// Look at the users or change them.
    Users(UsersCommand),
}

/// What is to be done with the users. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsersCommand {
    /// Make a user and show the key.
    Add {
        /// The new user.
        name: String,
        /// Its role.
        role: Role,
    },
    /// Show all users, without keys.
    List,
    /// Show a user's key.
    Key {
        /// The user.
        name: String,
    },
    /// Make a new key, which voids the old one, and show it.
    Rotate {
        /// The user.
        name: String,
    },
    /// Let a user in.
    Activate {
        /// The user.
        name: String,
    },
    /// Let a user in no longer.
    Deactivate {
        /// The user.
        name: String,
    },
    /// Read a password and store its hash.
    Password {
        /// The user.
        name: String,
    },
    /// Remove a user.
    Remove {
        /// The user.
        name: String,
    },
}

/// The words after `rollcall`.
const COMMANDS: [&str; 5] = ["serve", "check", "users", "help", "version"];

/// The words after `rollcall users`.
const USERS_COMMANDS: [&str; 8] = [
    "add",
    "list",
    "key",
    "rotate",
    "activate",
    "deactivate",
    "password",
    "remove",
];

/// The role of a new user when none is said.
const DEFAULT_ROLE: Role = Role::User;

/// Understands the arguments, the program's own name not among them.
///
/// # Errors
///
/// For anything that is not a command as `--help` has it. The program then exits with status 2.
pub fn parse<I>(arguments: I) -> Result<Command, UsageError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = Parser::from_args(arguments);
    let mut words = Vec::new();
    let mut role = None;
    let mut instead = None;
    while let Some(argument) = parser.next().map_err(UsageError::new)? {
        match argument {
            // Not at once: `--help=x` is noticed when the next argument is asked for.
            Arg::Short('h') | Arg::Long("help") => instead = Some(Command::Help),
            Arg::Short('V') | Arg::Long("version") => instead = Some(Command::Version),
            Arg::Long("role") => {
                let word = text(parser.value().map_err(UsageError::new)?)?;
                role = Some(
                    word.parse()
                        .map_err(|error| UsageError(format!("{word:?} is no role: {error}")))?,
                );
            }
            Arg::Value(word) => words.push(text(word)?),
            other => return Err(UsageError::new(other.unexpected())),
        }
    }
    if let Some(command) = instead {
        return Ok(command);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        [] | ["serve"] => Command::Serve,
        ["check"] => Command::Check,
        ["help"] => Command::Help,
        ["version"] => Command::Version,
        ["users", words @ ..] => Command::Users(users_command(words, role.take())?),
        [known, extra, ..] if COMMANDS.contains(known) => {
            return Err(UsageError(format!("{known} takes no argument {extra:?}")));
        }
        [unknown, ..] => return Err(unknown_word("command", unknown, &COMMANDS)),
    };
    match role {
        Some(_) => Err(UsageError(
            "--role is an option of `users add` only".to_owned(),
        )),
        None => Ok(command),
    }
}

fn users_command(words: &[&str], role: Option<Role>) -> Result<UsersCommand, UsageError> {
    let (&verb, arguments) = words.split_first().ok_or_else(|| {
        UsageError(format!(
            "users needs one of the words {}",
            USERS_COMMANDS.join(", ")
        ))
    })?;
    if !USERS_COMMANDS.contains(&verb) {
        return Err(unknown_word("users command", verb, &USERS_COMMANDS));
    }
    if role.is_some() && verb != "add" {
        return Err(UsageError(
            "--role is an option of `users add` only".to_owned(),
        ));
    }
    let name = match (verb, arguments) {
        ("list", []) => return Ok(UsersCommand::List),
        ("list", [extra, ..]) => {
            return Err(UsageError(format!(
                "users list takes no argument {extra:?}"
            )));
        }
        (_, [name]) => (*name).to_owned(),
        (_, []) => return Err(UsageError(format!("users {verb} needs the name of a user"))),
        (_, [_, extra, ..]) => {
            return Err(UsageError(format!(
                "users {verb} takes one name, and {extra:?} is one more"
            )));
        }
    };
    Ok(match verb {
        "add" => UsersCommand::Add {
            name,
            role: role.unwrap_or(DEFAULT_ROLE),
        },
        "key" => UsersCommand::Key { name },
        "rotate" => UsersCommand::Rotate { name },
        "activate" => UsersCommand::Activate { name },
        "deactivate" => UsersCommand::Deactivate { name },
        "password" => UsersCommand::Password { name },
        "remove" => UsersCommand::Remove { name },
        other => return Err(unknown_word("users command", other, &USERS_COMMANDS)),
    })
}

fn text(word: OsString) -> Result<String, UsageError> {
    word.into_string()
        .map_err(|word| UsageError(format!("{word:?} is not UTF-8 text")))
}

fn unknown_word(sort: &str, word: &str, known: &[&str]) -> UsageError {
    let hint = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}", known.join(", ")),
    };
    UsageError(format!("there is no {sort} {word:?}; {hint}"))
}

/// The arguments make no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    fn new(problem: lexopt::Error) -> UsageError {
        UsageError(problem.to_string())
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n`rollcall --help` shows all commands", self.0)
    }
}

impl Error for UsageError {}

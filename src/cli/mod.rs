//! The command line: words in, a [`Command`] out, and the commands that are not the server.
//!
//! # Layout
//!
//! * `parse`: [`parse()`], from words to a command. `help`: what `--help` says, in general and of each command.
//! * `check`: `rollcall check`.
//! * `database`: GameVault's database, as the settings have it.
//! * `users`: [`run_users`], `rollcall users …`.
//! * `health`, `set`, `watch`, [`doctor`]: those that ask a server. `access`: which one, and with which key.
//! * `prompt`: a password or a key that is read and not shown.
//! * `output`: printing to somebody who may have stopped reading, and what is fit to be printed.
//!
//! Results go to standard output and are nothing but the result; what is said about them goes to
//! standard error.

use std::path::PathBuf;
use std::time::Duration;

use crate::users::Role;

mod access;
mod check;
mod database;
pub mod doctor;
mod health;
mod help;
mod output;
mod parse;
mod prompt;
mod set;
mod users;
mod watch;

pub use access::AccessError;
pub use check::{CheckError, check};
pub use database::database;
pub use health::{HealthError, health};
pub use help::{Topic, VERSION, help};
pub use output::print;
pub use parse::{UsageError, parse};
pub use prompt::PromptError;
pub use set::{SetError, set};
pub use users::{UsersError, run_users};
pub use watch::{WatchError, watch};

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Be the server; also when nothing is said.
    Serve,
    /// Validate the configuration and show it.
    Check,
    /// Explain the program, or one of its commands.
    Help(Topic),
    /// Say which version it is.
    Version,
    /// Look at the users or change them.
    Users(UsersCommand),
    /// Show what everyone does.
    Watch(WatchCommand),
    /// Say what one does oneself.
    Set(SetCommand),
    /// Say whether a server is alive.
    Health {
        /// Its URL; none: the one of this environment.
        url: Option<String>,
    },
    /// Say what is wrong with a deployment.
    Doctor(DoctorCommand),
}

/// Which server is asked, and with which key, as far as the command line says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Its URL.
    pub url: Option<String>,
    /// The file with the key.
    pub key_file: Option<PathBuf>,
}

/// How the roster is to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchCommand {
    /// Whose.
    pub access: Access,
    /// One JSON object a line, whoever reads it.
    pub json: bool,
}

/// What one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCommand {
    /// On which server, and who.
    pub access: Access,
    /// `ONLINE`, `BUSY`, `PLAYING` or `OFFLINE`.
    pub state: &'static str,
    /// Which game.
    pub game_id: Option<u64>,
    /// In one's own words.
    pub details: Option<String>,
    /// For how long.
    pub ttl: Duration,
    /// The answer as JSON.
    pub json: bool,
}

/// What is to be examined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoctorCommand {
    /// Where.
    pub access: Access,
    /// Of which web page it is to be told whether it may ask.
    pub origin: Option<String>,
    /// Whether to wait until the server asks whether one is there.
    pub heartbeat: bool,
    /// One JSON object a line.
    pub json: bool,
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

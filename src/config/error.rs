//! What is wrong with the configuration, for the person who has to put it right.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// The most characters of a wrong value that a message repeats.
const SHOWN_CHARS: usize = 80;

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The environment variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The value is none of the accepted ones.
    NotAccepted {
        /// The value; `None` for a secret.
        value: Option<String>,
        /// The file it is from, where `…_FILE` names one.
        file: Option<PathBuf>,
        /// What would be accepted.
        accepted: String,
    },
    /// The value is not UTF-8 text.
    NotText,
    /// The file that `…_FILE` names cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is set, and this build has not what it is for.
    NotBuilt {
        /// The Cargo feature that has.
        feature: &'static str,
    },
    /// A database is asked for that this build cannot read.
    NoDatabase {
        /// The value.
        value: String,
        /// The Cargo feature that can.
        feature: &'static str,
    },
    /// It is not set, and another setting needs it.
    Needed {
        /// The other one, with its value.
        by: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.problem {
            Problem::NotAccepted {
                value,
                file,
                accepted,
            } => {
                f.write_str(name)?;
                if let Some(file) = file {
                    write!(f, " (from the file {})", file.display())?;
                }
                match value {
                    Some(value) => write!(f, " is {}", shortened(value))?,
                    None => f.write_str(" has a wrong value")?,
                }
                write!(f, "; accepted: {accepted}")
            }
            Problem::NotText => write!(f, "{name} is not UTF-8 text; set it again, or unset it"),
            Problem::Unreadable { file, reason } => write!(
                f,
                "{name}_FILE is {:?}, and that file cannot be read: {reason}; accepted: a file that holds the value of {name}",
                file.display().to_string()
            ),
            Problem::NotBuilt { feature } => write!(
                f,
                "{name} is set, but this build has no {feature}: unset {name}, or run a build with the feature `{feature}`"
            ),
            Problem::NoDatabase { value, feature } => write!(
                f,
                "{name} is {}, but this build cannot read such a database: unset {name} to have the users in USERS_FILE, or \
                 run a build with the feature `{feature}`",
                shortened(value)
            ),
            Problem::Needed { by } => write!(f, "{name} is not set, and {by} needs it"),
        }
    }
}

impl Error for ConfigError {}

/// A value in quotes, control characters escaped, cut if it is long.
fn shortened(value: &str) -> String {
    let mut start: String = value.chars().take(SHOWN_CHARS).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    format!("{start:?}")
}

/// Everything that is wrong with the configuration, one error a line. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for ConfigErrors {}

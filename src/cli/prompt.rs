//! A password or a key that is read and not shown.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::process::{Command, Stdio};

use super::output::note;

/// The most that is read where one line is expected: far more than a password may have.
const MAX_LINE_BYTES: u64 = 4096;

/// Reads one line from the terminal without showing it.
///
/// A shell does it, because it can put the terminal right in a trap: Ctrl-C ends this program at
/// once, and a terminal without echo would stay behind.
const READ_HIDDEN: &str = r#"
before=$(stty -g) || exit 1
trap 'stty "$before"; exit 130' HUP INT QUIT TERM
stty -echo
IFS= read -r line
status=$?
stty "$before"
[ "$status" -eq 0 ] && printf '%s' "$line"
"#;

/// Reads a password: from a terminal by asking twice, from anything else the first line, without
/// its end.
pub(super) fn read_password(
    stdin: impl Read + IsTerminal,
    username: &str,
) -> Result<String, PromptError> {
    if !stdin.is_terminal() {
        return first_line(stdin);
    }
    let password = ask(&format!("New password for {username:?}: "))?;
    if ask("The same once more: ")? == password {
        Ok(password)
    } else {
        Err(PromptError::Different)
    }
}

fn first_line(input: impl Read) -> Result<String, PromptError> {
    let mut bytes = Vec::new();
    input
        .take(MAX_LINE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(PromptError::Input)?;
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    text(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Asks at the terminal that is this program's standard input.
pub(super) fn ask(question: &str) -> Result<String, PromptError> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}")
        .and_then(|()| stderr.flush())
        .map_err(PromptError::Input)?;
    let shell = Command::new("sh")
        .arg("-c")
        .arg(READ_HIDDEN)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output();
    note(""); // the person's own line end was not shown either
    let answer = shell.map_err(PromptError::NoShell)?;
    if answer.status.success() {
        text(&answer.stdout)
    } else {
        Err(PromptError::Cancelled)
    }
}

fn text(line: &[u8]) -> Result<String, PromptError> {
    str::from_utf8(line)
        .map(str::to_owned)
        .map_err(|_| PromptError::NotText)
}

/// Why there is no password.
#[derive(Debug)]
pub enum PromptError {
    /// Standard input cannot be read.
    Input(io::Error),
    /// There is no shell to switch the terminal's echo off.
    NoShell(io::Error),
    /// The input ended, or the terminal cannot be used.
    Cancelled,
    /// The two answers differ.
    Different,
    /// The input is not UTF-8.
    NotText,
}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PromptError::Input(error) => write!(f, "cannot read the password: {error}"),
            PromptError::NoShell(error) => {
                write!(
                    f,
                    "cannot ask without showing what is typed: `sh` is needed for it ({error}); give it on standard input or in a file instead"
                )
            }
            PromptError::Cancelled => f.write_str("no password was given; nothing was changed"),
            PromptError::Different => f.write_str("the two passwords differ; nothing was changed"),
            PromptError::NotText => {
                f.write_str("the password is not UTF-8 text; nothing was changed")
            }
        }
    }
}

impl Error for PromptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PromptError::Input(error) | PromptError::NoShell(error) => Some(error),
            _ => None,
        }
    }
}

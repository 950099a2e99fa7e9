//! `rollcall set`: one says what one does, without a socket, for a while.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::SetCommand;
use super::access::{AccessError, server_with_key};
use super::output::{harmless, note, print, quoted};
use crate::client::{Answer, Fault, Object, Request, Server, exchange};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where leases are.
const PATH: &str = "/api/users/me/activity";

/// Sets what `command` says, and prints what everyone is told now. `lookup` answers for the environment.
///
/// # Errors
///
/// When the server does not take it, or does not answer.
pub fn set(
    command: &SetCommand,
    lookup: impl Fn(&str) -> Option<OsString>,
    out: &mut impl Write,
) -> Result<(), SetError> {
    let server = server_with_key(&command.access, &lookup).map_err(SetError::Access)?;
    let told = match command.state {
        "OFFLINE" => {
            ask(&server, "DELETE", None)?;
            ask(&server, "GET", None)?
        }
        _ => ask(&server, "PUT", Some(&lease(command)))?,
    };
    let text = told.text();
    let not_rollcall = || SetError::NotRollcall(told.status);
    let activity = Object::read(&text).ok_or_else(not_rollcall)?;
    let state = activity.text("state").ok_or_else(not_rollcall)?;
    let text = match command.json {
        true => harmless(text.trim()) + "\n",
        false => sentence(&state, &activity),
    };
    print(out, &text).map_err(SetError::Output)?;
    let set = (command.state, command.game_id);
    if (&*state, activity.number("game_id")) != set {
        note(
            "everyone is told so because another of your devices says it; what was set counts when that one is gone",
        );
    } else if command.state != "OFFLINE" {
        note(&format!(
            "it holds for {}; `rollcall set OFFLINE` takes it back",
            humantime::format_duration(command.ttl)
        ));
    }
    Ok(())
}

fn lease(command: &SetCommand) -> String {
    let seconds = command.ttl.as_secs();
    let mut lease = format!(
        "{{\"state\":\"{}\",\"ttl_seconds\":{seconds}",
        command.state
    );
    if let Some(game_id) = command.game_id {
        lease.push_str(&format!(",\"game_id\":{game_id}"));
    }
    if let Some(details) = &command.details {
        lease.push_str(&format!(",\"details\":{}", quoted(details)));
    }
    lease + "}"
}

/// `PLAYING 42, "The last level"`
fn sentence(state: &str, activity: &Object<'_>) -> String {
    let mut sentence = harmless(state);
    if let Some(game_id) = activity.number("game_id") {
        sentence.push_str(&format!(" {game_id}"));
    }
    if let Some(details) = activity.text("details") {
        sentence.push_str(&format!(", \"{}\"", harmless(&details)));
    }
    sentence.push('\n');
    sentence
}

fn ask(server: &Server, method: &str, body: Option<&str>) -> Result<Answer, SetError> {
    let path = server.path(PATH);
    let request = Request {
        method,
        body: body.map(|body| ("application/json", body)),
        ..Request::get(&path)
    };
    let fault = |fault| SetError::Fault {
        server: server.to_string(),
        fault,
    };
    let answer = exchange(server, request, PATIENCE).map_err(fault)?;
    match answer.status {
        200 | 204 => Ok(answer),
        404 | 405 => Err(SetError::NotRollcall(answer.status)),
        status => Err(SetError::Refused {
            status,
            said: answer.said(),
        }),
    }
}

/// Why nothing was set.
#[derive(Debug)]
pub enum SetError {
    /// It is not clear where, or by whom.
    Access(AccessError),
    /// The server does not answer.
    Fault {
        /// Which.
        server: String,
        /// What happened.
        fault: Fault,
    },
    /// There are no leases: it is the original, or something else.
    NotRollcall(u16),
    /// The server does not take it.
    Refused {
        /// Its status.
        status: u16,
        /// Its words.
        said: Option<String>,
    },
    /// The result cannot be printed. It was set.
    Output(io::Error),
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Access(error) => error.fmt(f),
            SetError::Fault { server, fault } => write!(f, "{server}: {fault}"),
            SetError::NotRollcall(status) => write!(
                f,
                "nothing can be set here (it answers {status}): this server is not Rollcall, or SERVER_ONLINE_ACTIVITIES_DISABLED is set"
            ),
            SetError::Refused {
                status: 401,
                said: Some(said),
            } => write!(f, "the key is refused (401): {said}"),
            SetError::Refused { status, said } => {
                write!(f, "the server does not take it ({status})")?;
                match said {
                    Some(said) => write!(f, ": {said}"),
                    None => Ok(()),
                }
            }
            SetError::Output(error) => write!(f, "cannot print the result: {error}; it was set"),
        }
    }
}

impl Error for SetError {}

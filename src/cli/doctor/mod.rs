//! `rollcall doctor`: what is wrong with a deployment, seen from outside.
//!
//! * `ills`: what can be wrong, and what to do about each.
//! * `reach`: does anything answer, and is it Rollcall? `session`: does long-polling work, as clients use it?
//!   `websocket`: does a WebSocket? `page`: may web pages ask, and do the clocks agree?
//! * `chart`: what is found, as it is printed.
//!
//! One step after the other, each as a client would do it: what fails makes those behind it pointless, or not.

mod chart;
mod ills;
mod page;
mod reach;
mod session;
mod websocket;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::DoctorCommand;
use super::access::{AccessError, server_with_known_key};
use crate::client::{Answer, Object, Server};
use chart::Chart;
use reach::Found;

pub use ills::{ILLS, Ill, markdown};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Examines the server that `command` names; whether all is well. `lookup` answers for the environment.
///
/// # Errors
///
/// When it is not clear which server, or the findings cannot be printed.
pub fn doctor(
    command: &DoctorCommand,
    lookup: impl Fn(&str) -> Option<OsString>,
    out: &mut impl Write,
) -> Result<bool, DoctorError> {
    let server = server_with_known_key(&command.access, &lookup).map_err(DoctorError::Access)?;
    let mut chart = Chart::new(out, command.json);
    // That there was nothing to go on with is on the chart.
    let _end = examine(&server, command, &mut chart);
    chart.close().map_err(DoctorError::Output)
}

/// None: it makes no sense to go on.
fn examine(server: &Server, command: &DoctorCommand, chart: &mut Chart<'_>) -> Option<()> {
    let answer = reach::connect(server, chart)?;
    page::clock(&answer, chart);
    let Found { server, answer } = reach::find(server, answer, chart)?;
    let opening = reach::let_in(&server, &answer, chart);
    if let Some(opening) = &opening {
        session::examine(&server, opening, chart);
        session::stream(&server, chart);
    }
    websocket::examine(&server, opening.is_some(), chart);
    if opening.is_some() && command.heartbeat {
        session::heartbeat(&server, chart);
    }
    if let Some(origin) = &command.origin {
        page::cors(&server, origin, chart);
    }
    Some(())
}

/// The code of an Engine.IO server's error, if the answer is one.
fn engine_code(answer: &Answer) -> Option<u64> {
    let text = answer.text();
    let json = Object::read(&text)?;
    json.raw("message")?;
    json.number("code")
}

/// Whether it is the error of a server that does not know the session.
fn is_unknown_session(answer: &Answer) -> bool {
    answer.status == 400
        && (engine_code(answer) == Some(1) || answer.text().contains("Session ID unknown"))
}

/// `404`, or `401 ("An API key is missing…")`.
fn shown(answer: &Answer) -> String {
    match answer.said() {
        Some(said) => format!("{} ({said:?})", answer.status),
        None => answer.status.to_string(),
    }
}

/// Why nothing was examined.
#[derive(Debug)]
pub enum DoctorError {
    /// It is not clear what to examine.
    Access(AccessError),
    /// The findings cannot be printed.
    Output(io::Error),
}

impl fmt::Display for DoctorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DoctorError::Access(error) => error.fmt(f),
            DoctorError::Output(error) => write!(f, "cannot print the result: {error}"),
        }
    }
}

impl Error for DoctorError {}

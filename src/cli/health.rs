//! `rollcall health`: is the server alive?

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::access::{AccessError, server};
use super::output::print;
use crate::client::{Fault, Request, Server, exchange};
use crate::config::local_address;

/// The answer is there at once, or something is wrong. Docker waits for 30 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the server at `url`, or that of the environment, for which `lookup` answers.
///
/// # Errors
///
/// When it is not alive, or there is no telling.
pub fn health(
    url: Option<&str>,
    lookup: impl Fn(&str) -> Option<OsString>,
    out: &mut impl Write,
) -> Result<(), HealthError> {
    let server = match url {
        Some(url) => server(Some(url), &lookup).map_err(HealthError::Access)?,
        None => local_server(&lookup).map_err(HealthError::Access)?,
    };
    let path = server.path("/healthz");
    let asked = format!("{server}/healthz");
    match exchange(&server, Request::get(&path), PATIENCE) {
        Ok(answer) if answer.status == 200 => {
            print(out, &format!("ok: {asked}\n")).map_err(HealthError::Output)
        }
        Ok(answer) => Err(HealthError::Status {
            asked,
            status: answer.status,
        }),
        Err(fault) => Err(HealthError::Fault { asked, fault }),
    }
}

/// The one that this environment configures, which is on this machine.
fn local_server(lookup: &impl Fn(&str) -> Option<OsString>) -> Result<Server, AccessError> {
    let address = local_address(lookup).map_err(AccessError::Local)?;
    match address.port() {
        0 => Err(AccessError::NoPort),
        _ => Server::parse(&format!("http://{address}")).map_err(AccessError::Url),
    }
}

/// Why the server does not count as alive.
#[derive(Debug)]
pub enum HealthError {
    /// It is not clear which.
    Access(AccessError),
    /// It does not answer.
    Fault {
        /// What was asked.
        asked: String,
        /// What happened instead.
        fault: Fault,
    },
    /// It answers something else than 200.
    Status {
        /// What was asked.
        asked: String,
        /// The answer.
        status: u16,
    },
    /// The result cannot be printed.
    Output(io::Error),
}

impl fmt::Display for HealthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HealthError::Access(error) => error.fmt(f),
            HealthError::Fault { asked, fault } => write!(f, "{asked}: {fault}"),
            HealthError::Status { asked, status } => write!(f, "{asked} answers {status}"),
            HealthError::Output(error) => write!(f, "cannot print the result: {error}"),
        }
    }
}

impl Error for HealthError {}

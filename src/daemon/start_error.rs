//! Why the server does not start, in the operator's words.

use crate::{
    https::HttpsError,
    presence::ClaimError,
    server::ClientBundleError,
    users::{DatabaseError, UserFileError},
    webhooks::TlsError,
};
use hyper::header::InvalidHeaderValue;
use std::{error::Error, fmt, io, net::SocketAddr};

/// Why the server does not start.
#[derive(Debug)]
pub enum StartError {
    /// There are no usable users.
    Users(UserFileError),
    /// The database with the users cannot be asked.
    Database(DatabaseError),
    /// Another server has these users.
    Claim(ClaimError),
    /// There is no such client bundle.
    ClientBundle(ClientBundleError),
    /// There can be no webhooks.
    Webhooks(TlsError),
    /// An origin cannot stand in a header.
    Origin(InvalidHeaderValue),
    /// There can be no HTTPS.
    Https(HttpsError),
    /// The address cannot be listened on.
    Listen {
        /// The setting that asks for the port.
        setting: &'static str,
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        error: io::Error,
    },
    /// The address for the metrics cannot be listened on.
    ListenApart {
        /// What METRICS_ADDRESS says.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// Standard output cannot be written.
    Output(io::Error),
    /// The system refuses something that every server needs.
    Runtime(io::Error),
    /// The program itself is wrong, or was refused what it cannot do without. The log says more.
    Panicked,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(error) => error.fmt(f),
            Self::Database(error) => error.fmt(f),
            Self::Claim(error) => error.fmt(f),
            Self::ClientBundle(error) => write!(f, "CLIENT_BUNDLE_DIR: {error}"),
            Self::Webhooks(error) => write!(f, "WEBHOOK_URL: {error}"),
            Self::Origin(error) => write!(f, "SERVER_CORS_ALLOWED_ORIGINS cannot be used: {error}"),
            Self::Https(error) => error.fmt(f),
            Self::Listen {
                setting,
                port,
                error,
            } => match error.kind() {
                io::ErrorKind::AddrInUse => write!(
                    f,
                    "port {port} is taken by another program, such as a second Rollcall, or GameVault, which likes the same ports: \
                     stop that one (`ss -ltnp 'sport = :{port}'` names it), or set {setting} to a free port"
                ),
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "port {port} is not allowed for this user: set {setting} to one above 1023"
                ),
                io::ErrorKind::AddrNotAvailable => write!(
                    f,
                    "SERVER_HOST is no address of this machine: leave it empty to listen on all that it has, or name one that \
                     `ip address` shows"
                ),
                _ => write!(
                    f,
                    "cannot listen on port {port}: {error}; look at SERVER_HOST and {setting}"
                ),
            },
            Self::ListenApart { address, error } => {
                write!(
                    f,
                    "METRICS_ADDRESS: cannot listen on {address}: {error}; choose another address or port, or off"
                )
            }
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Runtime(error) if error.kind() == io::ErrorKind::WouldBlock => write!(
                f,
                "cannot start another thread: {error}; allow it more memory or threads (ulimit -d, ulimit -u)"
            ),
            Self::Runtime(error) => write!(f, "cannot start: {error}"),
            Self::Panicked => {
                f.write_str("it cannot go on; the log says where it panicked, and why")
            }
        }
    }
}

impl Error for StartError {}

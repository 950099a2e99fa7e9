//! Why nothing came of it.

use std::{error::Error, fmt, io};

/// Why a server gave no answer that can be used.
#[derive(Debug)]
pub enum Fault {
    /// Nobody knows the name.
    Name(io::Error),
    /// Nobody takes the connection.
    Connect(io::Error),
    /// Nothing came in time.
    Timeout,
    /// The URL says https, and this build cannot.
    NoTls,
    /// Nothing can be encrypted, or it is not clear who is at the other end.
    Tls(String),
    /// What came is no HTTP; how it begins.
    NotHttp(Vec<u8>),
    /// It ended before all had come.
    Closed,
    /// The connection broke.
    Broken(io::Error),
    /// More came than anyone needs.
    TooLarge,
    /// What came breaks the rules of WebSocket, Engine.IO or Socket.IO, in this way.
    Protocol(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            // rustls says it so.
            io::ErrorKind::InvalidData => Self::Tls(error.to_string()),
            _ => Self::Broken(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(f, "its name is not known ({error})"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::NoTls => f.write_str(
                "this build cannot speak https: use one with the feature `webhooks`, or an http URL",
            ),
            Self::Tls(problem) => write!(f, "no TLS: {problem}"),
            Self::NotHttp(_) => f.write_str("what answers does not speak HTTP"),
            Self::Closed => f.write_str("the other end closed the connection"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Protocol(problem) => f.write_str(problem),
        }
    }
}

impl Error for Fault {}

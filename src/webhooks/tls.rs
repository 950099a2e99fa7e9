//! TLS, for a target whose URL says https.

use crate::{
    client::{NoTrust, trust_of_the_system},
    config::WebUrl,
};
use std::{fmt, io};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

/// Encrypts, and checks who is at the other end.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// For the host of `url`, by the authorities that the system trusts, or those in the file that `SSL_CERT_FILE` names.
    pub(super) fn of_the_system(url: &WebUrl) -> Result<Self, TlsError> {
        let config = trust_of_the_system().map_err(TlsError::NoTrust)?;
        let name = ServerName::try_from(url.host().to_owned());
        Ok(Self {
            connector: TlsConnector::from(config),
            name: name.map_err(|_| TlsError::BadName)?,
        })
    }

    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// Why nothing can be encrypted.
#[derive(Debug)]
pub enum TlsError {
    /// Nobody's certificate can be checked.
    NoTrust(NoTrust),
    /// No certificate can be for such a host.
    BadName,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTrust(error) => error.fmt(f),
            Self::BadName => f.write_str(
                "no certificate can be for this host: use its name in the DNS, or its address",
            ),
        }
    }
}

impl std::error::Error for TlsError {}

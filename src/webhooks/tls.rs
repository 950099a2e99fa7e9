//! TLS, for a target whose URL says https.

use crate::config::WebUrl;
use std::{fmt, io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, ServerName},
    },
};

/// Encrypts, and checks who is at the other end.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// For the host of `url`, by the authorities that the system trusts, or those in the file that `SSL_CERT_FILE` names.
    pub(super) fn of_the_system(url: &WebUrl) -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            log::warn!("not all certificates that the system trusts can be read: {error}");
        }
        Self::new(url, found.certs)
    }

    fn new(url: &WebUrl, trusted: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(trusted);
        if usable == 0 {
            return Err(TlsError::NobodyTrusted);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(url.host().to_owned());
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
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
    /// There is no authority to trust.
    NobodyTrusted,
    /// No certificate can be for such a host.
    BadName,
    /// This build's cryptography is not enough for TLS.
    Unusable(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyTrusted => f.write_str(
                "there are no certificates to trust: install Debian's ca-certificates or its like, or name a file of them with SSL_CERT_FILE",
            ),
            Self::BadName => f.write_str("no certificate can be for this host: use its name in the DNS, or its address"),
            Self::Unusable(error) => write!(f, "TLS cannot be used: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

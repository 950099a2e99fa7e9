//! TLS: the connection is encrypted, and it is checked who is at the other end.

use super::{Fault, dial::Carrier};
use std::{fmt, net::TcpStream, sync::Arc};
use tokio_rustls::rustls::{
    self, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider, pki_types::ServerName,
};

/// Whether this build can ask over https.
pub const IS_BUILT: bool = true;

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

impl Carrier for Encrypted {
    fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

/// Shakes hands with the server on `tcp`, which has timeouts, and has to be `host`.
pub(super) fn encrypt(host: &str, mut tcp: TcpStream) -> Result<Box<dyn Carrier>, Fault> {
    let config = trust_of_the_system().map_err(|error| Fault::Tls(error.to_string()))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Fault::Tls("no certificate can be for this host".to_owned()))?;
    let mut connection =
        ClientConnection::new(config, name).map_err(|error| Fault::Tls(error.to_string()))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp)?;
    }
    Ok(Box::new(StreamOwned::new(connection, tcp)))
}

/// Trusts the authorities that the system trusts, or those in the file that `SSL_CERT_FILE` names.
///
/// # Errors
/// Nobody is trusted, or the build's cryptography is not enough.
pub fn trust_of_the_system() -> Result<Arc<ClientConfig>, NoTrust> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("not all certificates that the system trusts can be read: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        return Err(NoTrust::Nobody);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(NoTrust::Unusable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Why nobody's certificate can be checked.
#[derive(Debug)]
pub enum NoTrust {
    /// There is no authority to trust.
    Nobody,
    /// This build's cryptography is not enough for TLS.
    Unusable(rustls::Error),
}

impl fmt::Display for NoTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str(
                "there are no certificates to trust: install Debian's ca-certificates or its like, or name a file of them with SSL_CERT_FILE",
            ),
            Self::Unusable(error) => write!(f, "TLS cannot be used: {error}"),
        }
    }
}

impl std::error::Error for NoTrust {}

//! TLS between TCP and HTTP: certificate and key in, encrypted connections out, which `listener` serves as it does others.

use super::{
    Handler, Limit,
    listener::Connection,
    patience::{Course, Patient},
};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{select, sync::OwnedSemaphorePermit, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, CertificateError as Judgement, RootCertStore, ServerConfig,
        client::verify_server_cert_signed_by_trust_anchor,
        crypto::ring::default_provider,
        pki_types::{
            CertificateDer, PrivateKeyDer, UnixTime,
            pem::{self, PemObject},
        },
        server::ParsedCertificate,
    },
};

/// The largest file that is read: a chain of certificates has some KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What clients may ask for behind TLS: a WebSocket needs HTTP/1.1, and there is nothing else here.
const ALPN: &[u8] = b"http/1.1";

/// A certificate with its key, to encrypt connections with; both from files, which may be read again.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

/// What was read last and could be used. Never half of it: a session that one certificate began is not resumed with
/// another.
struct Current {
    config: Arc<ServerConfig>,
    good_until: SystemTime,
}

impl Tls {
    /// Reads both files, in PEM: the server's certificate with those that vouch for it behind it, and its key. Blocks.
    ///
    /// # Errors
    /// A file cannot be read or used, the certificate is not good now, or the key is another's.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: Mutex::new(Current::read(certificate, key)?),
        })
    }

    /// Reads the files again, for all connections from now on; those that there are stay as they are. Blocks.
    ///
    /// # Errors
    /// As for [`Tls::read`]; what was read before stays in use.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let read = Current::read(&self.certificate, &self.key)?;
        *self.lock() = read;
        Ok(())
    }

    /// When the certificate expires.
    pub fn good_until(&self) -> SystemTime {
        self.lock().good_until
    }

    /// Serves `connection` on `stream` behind a handshake, which it has `turn` for.
    pub(super) fn open<H: Handler>(
        &self,
        stream: Patient,
        course: Arc<Course>,
        turn: OwnedSemaphorePermit,
        mut connection: Connection<H>,
    ) {
        let patience = connection.bounds.tls_handshake_timeout;
        let handshake = TlsAcceptor::from(Arc::clone(&self.lock().config)).accept(stream);
        tokio::spawn(async move {
            let outcome = select! {
                outcome = timeout(patience, handshake) => outcome,
                _told_to = connection.stop.changed() => return,
            };
            drop(turn);
            let peer = connection.peer;
            match outcome {
                Ok(Ok(stream)) => connection.serve(stream, course),
                Ok(Err(error)) => log::debug!("{peer}: the TLS handshake failed: {error}"),
                Err(_elapsed) => {
                    log::debug!("{peer}: the TLS handshake took too long");
                    connection.bounds.note(Limit::TlsHandshakeTimeout);
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // What it holds is replaced as a whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.certificate.display())
    }
}

impl Current {
    fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let (chain, good_until) = chain(certificate).map_err(|problem| CertificateError {
            file: CertificateFile::Certificate,
            path: certificate.to_owned(),
            problem,
        })?;
        let config = config(chain, key).map_err(|problem| CertificateError {
            file: CertificateFile::Key,
            path: key.to_owned(),
            problem,
        })?;
        Ok(Self {
            config: Arc::new(config),
            good_until,
        })
    }
}

/// The certificates in a file, and until when the first one, the server's, is good.
fn chain(path: &Path) -> Result<(Vec<CertificateDer<'static>>, SystemTime), Problem> {
    let text = contents(path)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>()?;
    let own = chain.first().ok_or(Problem::Nothing)?;
    let good_until = good_until(own, now())?;
    Ok((chain, good_until))
}

/// Until when a certificate is good, if it is `now`, which is counted from 1970.
fn good_until(certificate: &CertificateDer<'_>, now: Duration) -> Result<SystemTime, Problem> {
    let parsed = ParsedCertificate::try_from(certificate).map_err(Problem::Unusable)?;
    // Since nobody is trusted this finds nothing good, but it looks at the time first, and says which it should be.
    let judge = |time: Duration| {
        let time = UnixTime::since_unix_epoch(time);
        let nobody = RootCertStore::empty();
        match verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], time, &[]) {
            Err(rustls::Error::InvalidCertificate(judgement)) => Some(judgement),
            _ => None,
        }
    };
    let at = |time: UnixTime| UNIX_EPOCH + Duration::from_secs(time.as_secs());
    match judge(now) {
        Some(Judgement::ExpiredContext { not_after, .. }) => {
            return Err(Problem::Expired(at(not_after)));
        }
        Some(Judgement::NotValidYetContext { not_before, .. }) => {
            return Err(Problem::NotYet(at(not_before)));
        }
        _ => {}
    }
    match judge(Duration::MAX) {
        Some(Judgement::ExpiredContext { not_after, .. }) => Ok(at(not_after)),
        // It ends before it begins.
        _ => Err(Problem::Unusable(Judgement::BadEncoding.into())),
    }
}

fn now() -> Duration {
    // A clock before 1970 makes each certificate one that is not good yet.
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

fn config(chain: Vec<CertificateDer<'static>>, key: &Path) -> Result<ServerConfig, Problem> {
    let key = PrivateKeyDer::from_pem_slice(&contents(key)?)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Problem::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Problem::NotItsKey,
            error => Problem::Unusable(error),
        })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn contents(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(Problem::Unreadable)?;
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut text)
        .map_err(Problem::Unreadable)?;
    Ok(text)
}

/// Why connections cannot be encrypted, and what to do.
#[derive(Debug)]
pub struct CertificateError {
    /// Where the fault is.
    pub file: CertificateFile,
    path: PathBuf,
    problem: Problem,
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFile {
    /// That of the certificate, and of those that vouch for it.
    Certificate,
    /// That of its key.
    Key,
}

#[derive(Debug)]
enum Problem {
    Unreadable(io::Error),
    /// It is no PEM.
    Malformed(pem::Error),
    /// There is none in it.
    Nothing,
    Expired(SystemTime),
    NotYet(SystemTime),
    /// The key belongs to another certificate.
    NotItsKey,
    Unusable(rustls::Error),
}

impl From<pem::Error> for Problem {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::NoItemsFound => Self::Nothing,
            error => Self::Malformed(error),
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let (what, form) = match self.file {
            CertificateFile::Certificate => (
                "certificate",
                "-----BEGIN CERTIFICATE-----, the server's own first, then those that vouch for it",
            ),
            CertificateFile::Key => ("key", "-----BEGIN PRIVATE KEY-----, without a password"),
        };
        let day = |time: &SystemTime| humantime::format_rfc3339_seconds(*time);
        match &self.problem {
            Problem::Unreadable(error) => write!(
                f,
                "the {what} {path} cannot be read: {error}; name a file that the server's user may read"
            ),
            Problem::Malformed(error) => {
                write!(f, "{path} is not in the form PEM: {error}; it takes {form}")
            }
            Problem::Nothing => write!(f, "there is no {what} in {path}: it takes {form}"),
            Problem::Expired(end) => write!(
                f,
                "the {what} {path} has expired on {}: have it renewed, and put the new one there",
                day(end)
            ),
            Problem::NotYet(start) => write!(
                f,
                "the {what} {path} is not good before {}: look whether this machine's clock is right",
                day(start)
            ),
            Problem::NotItsKey => write!(
                f,
                "the key {path} is not that of the certificate: name the one that the certificate was made for"
            ),
            Problem::Unusable(error) => write!(
                f,
                "the {what} {path} cannot be used: {error}; it takes RSA, ECDSA on P-256 or P-384, or Ed25519"
            ),
        }
    }
}

impl std::error::Error for CertificateError {}

//! HTTPS, as the settings want it: what to encrypt with, and what is wrong with it in the operator's words.

use crate::{
    config::Config,
    server::{CertificateError, CertificateFile, Tls},
};
use std::{fmt, path::Path, sync::Arc};
use tokio::task;

/// The settings that name the files.
const CERTIFICATE: &str = "SERVER_HTTPS_CERT_PATH";
const KEY: &str = "SERVER_HTTPS_KEY_PATH";

/// Reads the certificate and its key, if there is to be HTTPS. Blocks.
///
/// # Errors
/// There are none to be used.
pub fn open(config: &Config) -> Result<Option<Arc<Tls>>, HttpsError> {
    if !config.https_enabled {
        return Ok(None);
    }
    let certificate = named(config.https_certificate.as_deref(), CERTIFICATE)?;
    let key = named(config.https_key.as_deref(), KEY)?;
    let tls = Tls::read(certificate, key).map_err(HttpsError::Unusable)?;
    Ok(Some(Arc::new(tls)))
}

fn named<'a>(path: Option<&'a Path>, setting: &'static str) -> Result<&'a Path, HttpsError> {
    path.ok_or(HttpsError::Unnamed { setting })
}

/// Reads both again, for the connections to come, and says in the log what came of it. If they cannot be used, those that
/// were read before stay.
pub async fn reload(tls: &Arc<Tls>) {
    let again = Arc::clone(tls);
    // The files may be on a disk that is slow.
    match task::spawn_blocking(move || again.reload()).await {
        Ok(Ok(())) => log::info!("the certificate was read again: {}", Term(tls)),
        Ok(Err(error)) => log::error!(
            "the certificate that was read before stays in use: {}",
            HttpsError::Unusable(error)
        ),
        Err(error) => log::error!("the certificate was not read to its end: {error}"),
    }
}

/// Until when a certificate is good, for the log.
pub struct Term<'a>(pub &'a Tls);

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = humantime::format_rfc3339_seconds(self.0.good_until());
        write!(f, "it is good until {end}")
    }
}

/// Why there is no HTTPS, with the setting that is to blame.
#[derive(Debug)]
pub enum HttpsError {
    /// A setting names no file.
    Unnamed {
        /// It.
        setting: &'static str,
    },
    /// What is in the files cannot be used.
    Unusable(CertificateError),
}

impl fmt::Display for HttpsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed { setting } => write!(
                f,
                "SERVER_HTTPS_ENABLED is on, and {setting} is empty: name a file in PEM, or switch HTTPS off"
            ),
            Self::Unusable(error) => {
                let setting = match error.file {
                    CertificateFile::Certificate => CERTIFICATE,
                    CertificateFile::Key => KEY,
                };
                write!(f, "{setting}: {error}")
            }
        }
    }
}

impl std::error::Error for HttpsError {}

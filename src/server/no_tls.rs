//! What stands for `tls` in a build without that feature: there is no certificate to encrypt with.

use super::{
    Handler,
    listener::Connection,
    patience::{Course, Patient},
};
use std::{convert::Infallible, fmt, path::Path, sync::Arc, time::SystemTime};
use tokio::sync::OwnedSemaphorePermit;

/// There is none.
#[derive(Debug)]
pub struct Tls(Infallible);

impl Tls {
    /// Impossible.
    ///
    /// # Errors
    /// Always.
    pub fn read(_certificate: &Path, _key: &Path) -> Result<Self, CertificateError> {
        Err(CertificateError {
            file: CertificateFile::Certificate,
        })
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn reload(&self) -> Result<(), CertificateError> {
        match self.0 {}
    }

    /// Never called.
    pub fn good_until(&self) -> SystemTime {
        match self.0 {}
    }

    pub(super) fn open<H: Handler>(
        &self,
        _: Patient,
        _: Arc<Course>,
        _: OwnedSemaphorePermit,
        _: Connection<H>,
    ) {
        match self.0 {}
    }
}

/// This build has no TLS.
#[derive(Debug)]
pub struct CertificateError {
    /// Either.
    pub file: CertificateFile,
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFile {
    /// That of the certificate.
    Certificate,
    /// That of its key.
    Key,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it needs a build with the feature `tls`")
    }
}

impl std::error::Error for CertificateError {}

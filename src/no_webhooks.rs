//! What stands for `webhooks` in a build without that feature: nobody can ask for any.

use crate::{
    config::{Secret, WebUrl},
    presence::{Observer, Published},
};
use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

/// There are none.
#[derive(Debug)]
pub struct Webhooks(Infallible);

/// Nothing to limit.
#[derive(Debug, Default)]
pub struct Pace {}

/// This build has no webhooks.
#[derive(Debug)]
pub struct TlsError {}

impl Webhooks {
    /// Impossible.
    ///
    /// # Errors
    /// Always; the configuration refuses a URL before.
    pub fn start(_: &WebUrl, _: Option<&Secret>, _: Pace) -> Result<Arc<Self>, TlsError> {
        Err(TlsError {})
    }

    /// Never called.
    pub fn hurry(&self) {
        match self.0 {}
    }

    /// Never called.
    pub async fn finish(&self, _: Duration) {
        match self.0 {}
    }
}

impl Observer for Webhooks {
    fn on_published(&self, _: &Published) {
        match self.0 {}
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it needs a build with the feature `webhooks`")
    }
}

impl std::error::Error for TlsError {}

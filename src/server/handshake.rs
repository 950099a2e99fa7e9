//! The handshake: the request that opened a session, for programs that want all of it.

use super::{Admission, Denied};
use hyper::{HeaderMap, Uri, http::request::Parts};
use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::SystemTime};

/// The request that opened a session. It stays the same for the session's life, on whatever transport it goes on.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// Its headers.
    pub headers: HeaderMap,
    /// What it asked for, with the query.
    pub uri: Uri,
    /// The other end of the TCP connection: a proxy, if there is one in front.
    pub address: SocketAddr,
    /// When it came.
    pub time: SystemTime,
}

impl Handshake {
    /// A parameter of the query, the last of that name.
    pub fn query(&self, name: &str) -> Option<String> {
        self.parameters()
            .filter(|(known, _)| known == name)
            .last()
            .map(|(_, value)| value.into_owned())
    }

    /// All parameters of the query, with those of Engine.IO, in the order in which they stand there.
    pub fn parameters(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
    }
}

/// Lets everyone open a session, and keeps the [`Handshake`] for the namespaces to judge.
///
/// That costs a kilobyte or two a session. An admission of the program's own may keep less.
#[derive(Debug, Default, Clone, Copy)]
pub struct Anyone;

impl Admission for Anyone {
    type Identity = Handshake;

    async fn admit(&self, request: &Parts, address: SocketAddr) -> Result<Arc<Handshake>, Denied> {
        Ok(Arc::new(Handshake {
            headers: request.headers.clone(),
            uri: request.uri.clone(),
            address,
            time: SystemTime::now(),
        }))
    }
}

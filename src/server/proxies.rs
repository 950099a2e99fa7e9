//! Trusted proxies: whose word is taken for where a request comes from.

use hyper::{HeaderMap, header::HeaderName};
use ipnet::IpNet;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// The header in which a proxy tells for whom it asks; each appends the one that it heard it from.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word is taken. Nobody else's is: anyone can write a header.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// All within these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Where a request really comes from, whose connection has `peer` at its other end: the last address that somebody
    /// trusted has told, or `peer`. What was told has the port 0.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.trusts(peer.ip()) {
            return peer;
        }
        let lines: Vec<&str> = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .map(|line| line.to_str().unwrap_or_default())
            .collect();
        let told = lines.iter().rev().flat_map(|line| line.rsplit(','));
        let mut client = peer;
        for hop in told {
            // Whatever stands to the left of what cannot be read may be anyone's.
            let Some(address) = address(hop.trim()) else {
                break;
            };
            client = SocketAddr::new(address, 0);
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    /// Whether the word of whoever has this address is taken.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A client's address for the log: without a port where a proxy has told it.
pub struct Shown(pub SocketAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.port() {
            0 => self.0.ip().fmt(f),
            _ => self.0.fmt(f),
        }
    }
}

/// An address as proxies write it: some add a port, and then an IPv6 address has brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    let address = address.or_else(|| {
        text.parse::<SocketAddr>()
            .ok()
            .map(|with_port| with_port.ip())
    });
    address.map(|address: IpAddr| address.to_canonical())
}

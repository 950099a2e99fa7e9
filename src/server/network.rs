//! A network: what stands for one party on the internet when something is counted for each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An IPv4 address, or the 64 bits of an IPv6 address that its owner cannot choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(u64);

impl Network {
    /// That of a client; none for one who may be many: a loopback or private address may be a proxy's that nobody has
    /// declared, and everyone's behind it. What a trusted proxy has told, with the port 0, is one client's.
    pub fn of(client: SocketAddr) -> Option<Self> {
        let is_told = client.port() == 0;
        let may_be_many = match client.ip() {
            ip if ip.is_unspecified() => true,
            _ if is_told => false,
            IpAddr::V4(ip) => {
                ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared(ip)
            }
            IpAddr::V6(ip) => {
                ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
            }
        };
        (!may_be_many).then(|| match client.ip() {
            // No IPv6 address that is given out begins with 32 zeros.
            IpAddr::V4(ip) => Self(u64::from(ip.to_bits())),
            IpAddr::V6(ip) => Self((ip.to_bits() >> 64) as u64),
        })
    }
}

/// Whether an address is of those that a provider has between itself and its customers (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0b1100_0000 == 64
}

//! A connection, on which nothing takes longer than it may.

use super::{Fault, Server, tls};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

/// How long one address may take to accept, so that there is time for the next.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What carries bytes.
pub(super) trait Carrier: Read + Write + Send {
    /// The TCP connection below.
    fn tcp(&self) -> &TcpStream;
}

impl Carrier for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// A connection to a server, with one deadline for all that is read and written.
pub(super) struct Connection {
    carrier: Box<dyn Carrier>,
    pub(super) deadline: Instant,
}

/// Connects.
pub(super) fn dial(server: &Server, deadline: Instant) -> Result<Connection, Fault> {
    let (tcp, _) = connect(server, deadline)?;
    let carrier: Box<dyn Carrier> = match server.is_https() {
        false => Box::new(tcp),
        true => {
            limit(&tcp, deadline)?;
            tls::encrypt(server.host(), tcp)?
        }
    };
    Ok(Connection { carrier, deadline })
}

/// Looks whether anyone takes a connection, and where.
///
/// # Errors
/// Nobody does.
pub fn touch(server: &Server, deadline: Instant) -> Result<SocketAddr, Fault> {
    connect(server, deadline).map(|(_, address)| address)
}

/// What comes first when `sent` is said on the bare connection, without TLS and whatever it means.
///
/// # Errors
/// Nothing does, within `patience`.
pub fn first_bytes(server: &Server, sent: &[u8], patience: Duration) -> Result<Vec<u8>, Fault> {
    let deadline = Instant::now() + patience;
    let (tcp, _) = connect(server, deadline)?;
    let carrier = Box::new(tcp);
    let mut connection = Connection { carrier, deadline };
    connection.write_all(sent)?;
    let mut bytes = vec![0; 64];
    let read = connection.read(&mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// By the first of the server's addresses that accepts.
fn connect(server: &Server, deadline: Instant) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut refused = None;
    for address in addresses(server)? {
        let patience = remaining(deadline)?.min(CONNECT_TIMEOUT);
        match TcpStream::connect_timeout(&address, patience) {
            Ok(tcp) => {
                // What is sent is small, and complete.
                tcp.set_nodelay(true)?;
                return Ok((tcp, address));
            }
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
    Err(Fault::Connect(refused.unwrap_or_else(unknown)))
}

/// Where the server is.
fn addresses(server: &Server) -> Result<Vec<SocketAddr>, Fault> {
    let (host, port) = (server.host(), server.port());
    // RFC 6761, 6.3. A static build on a machine without the C library's files could not look it up.
    if host.eq_ignore_ascii_case("localhost") {
        let here = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        return Ok(here.map(|here| SocketAddr::new(here, port)).to_vec());
    }
    let found = (host, port).to_socket_addrs().map_err(Fault::Name)?;
    Ok(found.collect())
}

/// Until the deadline. The operating system takes no zero for a timeout.
fn remaining(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        remaining => Ok(remaining),
    }
}

fn limit(tcp: &TcpStream, deadline: Instant) -> io::Result<()> {
    let remaining = Some(remaining(deadline)?);
    tcp.set_read_timeout(remaining)?;
    tcp.set_write_timeout(remaining)
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            limit(self.carrier.tcp(), self.deadline)?;
            match self.carrier.read(buffer) {
                // A call with a timeout is not taken up again behind a signal.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // tungstenite takes this for an invitation to go on.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                outcome => return outcome,
            }
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        limit(self.carrier.tcp(), self.deadline)?;
        match self.carrier.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::ErrorKind::TimedOut.into())
            }
            outcome => outcome,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.carrier.flush()
    }
}

//! The listener: accepts connections and speaks HTTP on them until it is told to stop.

use super::{
    Answer, Bounds, Limit, Network, Tls,
    answer::Followed,
    patience::{Course, Patient},
    seats::{Seat, Seats},
};
use futures_util::{FutureExt, future::join_all};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    select,
    sync::{Semaphore, watch},
    time::sleep,
};

/// Answers HTTP requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request from `peer`, which is the other end of the TCP connection.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Answer> + Send;

    /// Whose a connection from `peer` is, to whoever counts them; none: it may be anyone's, as that of a proxy is.
    fn network(&self, peer: SocketAddr) -> Option<Network> {
        Network::of(peer)
    }
}

/// How many connections may wait to be accepted. The kernel lowers it to what it allows itself.
const BACKLOG: i32 = 4096;

/// How long to leave the kernel alone when it has no descriptors left: one has to be closed first, and
/// there is no event for that.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How often the log says so at most: while others come and go, one that is accepted means nothing.
const EXHAUSTED_REMINDER: Duration = Duration::from_secs(60);

/// Listens on `host`, or on all addresses, IPv6 and IPv4 alike; port 0 lets the kernel choose.
///
/// # Errors
/// The address cannot be listened on.
///
/// # Panics
/// Outside a tokio runtime.
pub fn bind(host: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    let listen = |address: SocketAddr| {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            // Only the wildcard speaks IPv4 too.
            socket.set_only_v6(host.is_some())?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    match host {
        Some(host) => listen((host, port).into()),
        None => listen((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| match error.kind() {
            // A machine without IPv6.
            io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable => {
                listen((Ipv4Addr::UNSPECIFIED, port).into())
            }
            _ => Err(error),
        }),
    }
}

/// Where clients connect, and what they speak there.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl Listener {
    /// HTTP.
    pub fn http(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }

    /// The same over TLS.
    pub fn https(tcp: TcpListener, tls: Arc<Tls>) -> Self {
        Self {
            tcp,
            tls: Some(tls),
        }
    }
}

/// Serves `listener` until `shutdown` is ready, then accepts no more, and returns when the requests under
/// way are answered. How long that may be is the caller's to say. Connections that have left HTTP are their
/// owners' to end.
///
/// # Cancel safety
/// Dropped early, requests under way are still answered as long as the runtime lives.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    bounds: &Arc<Bounds>,
    shutdown: impl Future<Output = ()>,
) {
    serve_all([Listener::http(listener)], handler, bounds, shutdown).await;
}

/// The same on several listeners, with limits that they share.
///
/// # Cancel safety
/// As that of [`serve`].
pub async fn serve_all<H: Handler>(
    listeners: impl IntoIterator<Item = Listener>,
    handler: Arc<H>,
    bounds: &Arc<Bounds>,
    shutdown: impl Future<Output = ()>,
) {
    let site = Site::new(handler, bounds);
    let accepting = join_all(listeners.into_iter().map(|listener| site.accept(listener)));
    select! {
        // Never ends by itself, unless there is no listener.
        _ = accepting => {}
        () = shutdown => {}
    }
    site.stop.send_replace(());
    site.stop.closed().await;
}

/// What the connections of a server share.
struct Site<H> {
    http: http1::Builder,
    handler: Arc<H>,
    /// Each connection's task holds a receiver: it hears when to stop, and its drop says that it has.
    stop: watch::Sender<()>,
    seats: Seats,
    handshakes: Arc<Semaphore>,
    bounds: Arc<Bounds>,
}

impl<H: Handler> Site<H> {
    fn new(handler: Arc<H>, bounds: &Arc<Bounds>) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(bounds.header_timeout)
            .max_buf_size(bounds.max_head_bytes)
            .max_headers(bounds.max_headers);
        let handshakes = bounds.max_tls_handshakes.min(Semaphore::MAX_PERMITS);
        Self {
            http,
            handler,
            stop: watch::Sender::new(()),
            seats: Seats::new(bounds),
            handshakes: Arc::new(Semaphore::new(handshakes)),
            bounds: Arc::clone(bounds),
        }
    }

    /// Accepts for ever.
    async fn accept(&self, listener: Listener) {
        let mut reminded: Option<Instant> = None;
        loop {
            match listener.tcp.accept().await {
                Ok((stream, peer)) => self.open(stream, peer, listener.tls.as_deref()),
                Err(error) if is_of_one_connection(&error) => {
                    log::debug!("a connection was gone before it was accepted: {error}")
                }
                Err(error) => {
                    if reminded.is_none_or(|at| at.elapsed() >= EXHAUSTED_REMINDER) {
                        log::error!(
                            "no connection can be accepted until others end: {error}. Whoever comes waits; \
                             where descriptors are short, raise their limit (ulimit -n)"
                        );
                        reminded = Some(Instant::now());
                    }
                    sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, peer: SocketAddr, tls: Option<&Tls>) {
        // A wildcard listener sees IPv4 peers as IPv6 ones.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("{peer}: small packets may be delayed: {error}");
        }
        if let Err(error) = bound_unsent(&stream, self.bounds.max_unsent_bytes) {
            log::debug!("{peer}: the kernel may take more for it than it should: {error}");
        }
        let seat = match self.seats.take(self.handler.network(peer)) {
            Ok(seat) => seat,
            Err(full) => {
                log::info!("{peer} is turned away: {full}");
                self.bounds.note(full.limit());
                // Over TLS there would have to be a handshake first.
                if tls.is_none() {
                    self.seats.refuse(stream, full, self.bounds.linger_timeout);
                }
                return;
            }
        };
        let connection = Connection {
            http: self.http.clone(),
            handler: Arc::clone(&self.handler),
            stop: self.stop.subscribe(),
            bounds: Arc::clone(&self.bounds),
            peer,
            seat,
        };
        let course = Arc::<Course>::default();
        let stream = Patient::new(stream, self.bounds.write_timeout, Arc::clone(&course));
        let Some(tls) = tls else {
            connection.serve(stream, course);
            return;
        };
        match Arc::clone(&self.handshakes).try_acquire_owned() {
            Ok(turn) => tls.open(stream, course, turn, connection),
            Err(_full) => {
                log::info!(
                    "{peer} is turned away: there are as many TLS handshakes under way as there may be"
                );
                self.bounds.note(Limit::TlsHandshakes);
            }
        }
    }
}

/// All that a connection is served with, but its stream.
pub(super) struct Connection<H> {
    http: http1::Builder,
    handler: Arc<H>,
    pub(super) stop: watch::Receiver<()>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) peer: SocketAddr,
    seat: Seat,
}

impl<H: Handler> Connection<H> {
    /// Speaks HTTP on `stream`, under which there is one that is told its `course`.
    pub(super) fn serve<S>(self, stream: S, course: Arc<Course>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            http,
            handler,
            mut stop,
            bounds,
            peer,
            seat,
        } = self;
        tokio::spawn(async move {
            let has_asked = AtomicBool::new(false);
            let service = service_fn(|request| {
                has_asked.store(true, Ordering::Relaxed);
                let answer = Arc::clone(&handler).handle(request, peer);
                answer.map(|answer| {
                    let is_followed = answer.extensions().get::<Followed>().is_some();
                    course.is_followed.store(is_followed, Ordering::Relaxed);
                    Ok::<_, Infallible>(answer)
                })
            });
            // Made here, since a task has what it was given and what becomes of that, both, all its life.
            let mut connection = pin!(
                http.serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
            );
            let served = select! {
                // First what has arrived.
                biased;
                served = connection.as_mut() => served,
                _told_to = stop.changed() => {
                    // Half a request is nothing to be answered, and hyper would wait for its rest.
                    if !has_asked.load(Ordering::Relaxed) {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            match served {
                Ok(()) => course.has_left.store(true, Ordering::Relaxed),
                Err(error) => {
                    log::debug!("{peer}: {error}");
                    reached_by(&error)
                        .into_iter()
                        .for_each(|limit| bounds.note(limit));
                }
            }
            drop(seat);
        });
    }
}

/// The limit at which a connection has ended.
fn reached_by(error: &hyper::Error) -> Option<Limit> {
    if error.is_parse_too_large() {
        return Some(Limit::HeadBytes);
    }
    if error.is_timeout() {
        return Some(Limit::HeaderTimeout);
    }
    let cause = error.source()?.downcast_ref::<io::Error>()?;
    // By `Patient`: the system has no deadlines for these.
    (cause.kind() == io::ErrorKind::TimedOut).then_some(Limit::WriteTimeout)
}

/// Not by way of the listener: who came before that was told would have no bound.
#[cfg(target_os = "linux")]
fn bound_unsent(stream: &TcpStream, bytes: u32) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(bytes)
}

/// Others have no such bound, or another way to it.
#[cfg(not(target_os = "linux"))]
fn bound_unsent(_stream: &TcpStream, _bytes: u32) -> io::Result<()> {
    Ok(())
}

/// Whether accepting failed for a reason that lies in the connection and not in ourselves.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

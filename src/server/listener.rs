//! The listener: accepts connections and speaks HTTP on them until it is told to stop.

use super::{Answer, Limits, answer::Followed, patience::Patient};
use futures_util::FutureExt;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    convert::Infallible,
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
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

/// Answers HTTP requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request from `peer`, which is the other end of the TCP connection.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Answer> + Send;
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

/// Serves `listener` until `shutdown` is ready, then accepts no more, and returns when the requests under
/// way are answered. How long that may be is the caller's to say. Connections that have left HTTP are their
/// owners' to end.
///
/// # Cancel safety
/// Dropped early, requests under way are still answered as long as the runtime lives.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    limits: &Limits,
    shutdown: impl Future<Output = ()>,
) {
    // Each connection's task holds a receiver: it hears when to stop, and its drop says that it has.
    let stop = watch::Sender::new(());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_head_bytes)
        .max_headers(limits.max_headers);
    let mut shutdown = pin!(shutdown);
    let mut reminded: Option<Instant> = None;
    let places = Arc::new(Semaphore::new(
        limits.max_connections.min(Semaphore::MAX_PERMITS),
    ));
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // A wildcard listener sees IPv4 peers as IPv6 ones.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                if let Err(error) = stream.set_nodelay(true) {
                    log::debug!("{peer}: small packets may be delayed: {error}");
                }
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    log::info!(
                        "{peer} is turned away: 503 there are as many connections as there may be"
                    );
                    tokio::spawn(turn_away(stream, limits.linger_timeout));
                    continue;
                };
                let (http, handler) = (http.clone(), Arc::clone(&handler));
                serve_connection(
                    http,
                    stop.subscribe(),
                    stream,
                    limits.write_timeout,
                    peer,
                    handler,
                    place,
                );
            }
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
    drop(listener);
    stop.send_replace(());
    stop.closed().await;
}

fn serve_connection<H: Handler>(
    http: http1::Builder,
    mut stop: watch::Receiver<()>,
    stream: TcpStream,
    patience: Duration,
    peer: SocketAddr,
    handler: Arc<H>,
    place: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        let has_asked = AtomicBool::new(false);
        let followed = Arc::new(AtomicBool::new(false));
        let stream = Patient::new(stream, patience, Arc::clone(&followed));
        let service = service_fn(|request| {
            has_asked.store(true, Ordering::Relaxed);
            let answer = Arc::clone(&handler).handle(request, peer);
            answer.map(|answer| {
                let is_followed = answer.extensions().get::<Followed>().is_some();
                followed.store(is_followed, Ordering::Relaxed);
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
        if let Err(error) = served {
            log::debug!("{peer}: {error}");
        }
        drop(place);
    });
}

/// What is answered to whoever comes when there is no room, whatever it would ask.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    content-length: 79\r\n\
    retry-after: 10\r\n\
    connection: close\r\n\r\n\
    {\"code\":4,\"message\":\"The server has as many connections as it may. Try later.\"}";

/// Says no, and waits for the end of what the client says: a connection that is dropped with unread bytes in it is
/// reset, and the client may never see the answer.
async fn turn_away(mut stream: TcpStream, patience: Duration) {
    let goodbye = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    if let Ok(Err(error)) = timeout(patience, goodbye).await {
        log::debug!("a connection that was turned away broke: {error}");
    }
}

/// Whether accepting failed for a reason that lies in the connection and not in ourselves.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

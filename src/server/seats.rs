//! The seats: who may have a connection.

use super::{
    Limit, Limits, Network,
    census::{Census, Counted, Whose},
};
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Hands out as many seats as there may be, and to each network as many as it may have.
pub(super) struct Seats {
    free: Arc<Semaphore>,
    census: Arc<Census>,
    /// One permit for each who is being told that there is none.
    refusals: Arc<Semaphore>,
}

/// A connection's seat, until it is dropped.
pub(super) struct Seat {
    _taken: OwnedSemaphorePermit,
    _counted: Counted,
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy)]
pub(super) enum Full {
    /// There are as many connections as there may be.
    All,
    /// Its network has as many as it may have.
    Network,
}

/// How many at once are told that there is no seat. The others find their connection closed.
const MAX_REFUSALS: usize = 1_000;

impl Seats {
    pub(super) fn new(limits: &Limits) -> Self {
        let free = limits.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(free)),
            census: Census::new(limits.max_connections_per_network, usize::MAX),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
        }
    }

    /// A seat for a connection of this network.
    pub(super) fn take(&self, network: Option<Network>) -> Result<Seat, Full> {
        let taken = Arc::clone(&self.free).try_acquire_owned();
        let whose = Whose {
            network,
            owner: None,
        };
        Ok(Seat {
            _taken: taken.map_err(|_| Full::All)?,
            _counted: self.census.count(whose).map_err(|_| Full::Network)?,
        })
    }

    /// Says no in a task of its own, and waits there for the end of what the client says: a connection that is dropped with
    /// unread bytes in it is reset, and the client may never see the answer.
    pub(super) fn refuse(&self, mut stream: TcpStream, full: Full, patience: Duration) {
        let Ok(turn) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            let goodbye = async {
                stream.write_all(full.answer().as_bytes()).await?;
                stream.shutdown().await?;
                let mut ignored = [0; 1024];
                while stream.read(&mut ignored).await? > 0 {}
                io::Result::Ok(())
            };
            if let Ok(Err(error)) = timeout(patience, goodbye).await {
                log::debug!("a connection that was turned away broke: {error}");
            }
            drop(turn);
        });
    }
}

impl Full {
    pub(super) fn limit(self) -> Limit {
        match self {
            Self::All => Limit::Connections,
            Self::Network => Limit::ConnectionsPerNetwork,
        }
    }

    /// What is answered, whatever it would ask.
    fn answer(self) -> String {
        let (status, who) = match self {
            Self::All => ("503 Service Unavailable", "The server"),
            Self::Network => ("429 Too Many Requests", "Your address"),
        };
        let body = format!(
            "{{\"code\":4,\"message\":\"{who} has as many connections as it may. Try later.\"}}"
        );
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 10\r\n\
            connection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "503 there are as many connections as there may be",
            Self::Network => "429 its address has as many connections as it may have",
        })
    }
}

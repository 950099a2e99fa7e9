//! Every limit, in one place.

use std::time::Duration;

/// What bounds the things that a peer can make grow or last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many sessions there may be; whoever wants one more gets 503 and is to come again. At about 4 KB
    /// each, the default is 40 MB at most, and more than a community has.
    ///
    /// A place is taken when the request is accepted, so a WebSocket that is being opened has one, too.
    pub max_sessions: usize,
    /// How many of them may be half open: their client has not said a word yet, so they may be opened by someone who
    /// only wants the places. Whoever comes then gets 503, too, and those who have spoken keep theirs.
    ///
    /// The default is as many as there may be in all: when a server comes back, all its clients are at this point at
    /// once, and a lower limit would refuse them while there is room. A server that knows its clients to come one by
    /// one may have a lower one. Time bounds the half-open ones, too: `write_timeout` for the 101, then the
    /// application's time for joining, and on long-polling the poll timeout.
    pub max_half_open_sessions: usize,
    /// How many sessions one [`Network`](super::Network) may have; beyond, 429. Enough for a household or a dormitory
    /// behind one address.
    pub max_sessions_per_network: usize,
    /// How many sessions one [`Owner`](super::Owner) may have; beyond, 429. The default is as many as there may be in all.
    pub max_sessions_per_owner: usize,
    /// How many sessions one network may open at once, and then as many again in a minute; beyond, 429. Enough for a
    /// household that comes back with all its devices, again and again.
    pub max_openings_per_minute: u32,
    /// The largest message from a client, in bytes, fragments added up. Over it, the WebSocket is closed
    /// with 1009. The reference's default.
    pub max_payload_bytes: usize,
    /// How many messages a client may send in a second, over the time of `speech_burst`. Beyond, it is read no faster;
    /// it is not closed, and nothing is lost.
    pub max_messages_per_second: u32,
    /// The same for the bytes of its messages.
    pub max_bytes_per_second: u32,
    /// Behind how much of both a client may be that was silent before: it may say so many seconds' worth at once.
    pub speech_burst: Duration,
    /// What may wait for one client beside the topics that it follows, in bytes; beyond, it is closed.
    /// Room for a few snapshots of a large community.
    pub max_waiting_bytes: usize,
    /// The same for all clients together; beyond, those are closed who do not take what they get.
    pub max_total_waiting_bytes: usize,
    /// What a client that does not take its answers may go on to say before it is read no further, in bytes;
    /// one message may go beyond.
    pub max_put_aside_bytes: usize,
    /// How much is handed to the kernel in one go for one client, in bytes; one frame may go beyond. Then all others have
    /// their turn, who are heard meanwhile, and what is not taken stays where it is shared.
    pub write_batch_bytes: usize,
    /// How much the kernel takes for one connection ahead of what its network carries, in bytes, on Linux. Beyond, what is
    /// for everyone waits in the ring that all share, where a snapshot may take its place; what the kernel has must be
    /// sent, a ping behind it waits, and a client that reads nothing costs as much. Left to itself the kernel takes up to
    /// 4 MB. The default lets the fastest networks never wait.
    pub max_unsent_bytes: u32,
    /// How long a client may take nothing of what is written to it, answers and the 101 included.
    pub write_timeout: Duration,
    /// How many connections there may be that speak HTTP; whoever comes then gets 503. One that has become a session's
    /// WebSocket is not among them. The default is two for each session on long-polling.
    pub max_connections: usize,
    /// How many of them one [`Network`](super::Network) may have; whoever comes then gets 429. The default is two for each of
    /// its sessions, if all are on long-polling.
    pub max_connections_per_network: usize,
    /// The largest head of an HTTP request, in bytes; over it, 431. hyper needs at least 8 KiB.
    pub max_head_bytes: usize,
    /// How many headers a request may have; over it, 431.
    pub max_headers: usize,
    /// How long an HTTP request's head may take, so that nobody holds a connection with a trickle.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take.
    pub tls_handshake_timeout: Duration,
    /// How many TLS handshakes there may be at once; whoever comes then is closed. Each is a connection as well. Enough for
    /// all clients of a server that comes back, at some 10 KiB each.
    pub max_tls_handshakes: usize,
    /// How long a WebSocket message may take from its first byte to its last, with whatever comes between
    /// its fragments; as long as a POST.
    pub message_timeout: Duration,
    /// How many packets one POST may carry.
    pub max_payload_packets: usize,
    /// From how many bytes on the answer to a poll is compressed for a client that takes it; `None`: never. The
    /// reference's default. Without the feature `compression`, never.
    pub compress_from_bytes: Option<usize>,
    /// How long a client on long-polling that is to be told goodbye may take to come for it.
    pub goodbye_timeout: Duration,
    /// How long a peer that has been told goodbye may take to end its side of the connection.
    pub linger_timeout: Duration,
    /// How long everything together may take to end when the server goes down; then it is cut off.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            max_half_open_sessions: 10_000,
            max_sessions_per_network: 500,
            max_sessions_per_owner: 10_000,
            max_openings_per_minute: 1_000,
            max_payload_bytes: 1_000_000,
            max_messages_per_second: 5_000,
            max_bytes_per_second: 10_000_000,
            speech_burst: Duration::from_secs(10),
            max_waiting_bytes: 4 << 20,
            max_total_waiting_bytes: 256 << 20,
            max_put_aside_bytes: 64 << 10,
            write_batch_bytes: 16 << 10,
            max_unsent_bytes: 128 << 10,
            write_timeout: Duration::from_secs(20),
            max_connections: 20_000,
            max_connections_per_network: 1_000,
            max_head_bytes: 16 << 10,
            max_headers: 64,
            header_timeout: Duration::from_secs(10),
            tls_handshake_timeout: Duration::from_secs(10),
            max_tls_handshakes: 2_000,
            message_timeout: Duration::from_secs(20),
            max_payload_packets: 10_000,
            compress_from_bytes: Some(1024),
            goodbye_timeout: Duration::from_secs(30),
            linger_timeout: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(4),
        }
    }
}

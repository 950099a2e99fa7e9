//! The swarm: many clients on one epoll, in one thread.
//!
//! It does as little as it can for each frame, so that what is measured is the server: no masking key but zero, one
//! buffer for all that is read, and of the JSON only the numbers of games, which say which change a frame tells of.

use crate::client::{Client, Means};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, Read},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How many clients may be on their way in at a time, where that is bounded.
const WINDOW: usize = 64;

/// How much is read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What the kernel keeps for one that does not read, and how much comes in one segment.
const NARROW_BYTES: usize = 4 << 10;
const ETHERNET_MSS: u32 = 1460;

/// How long a step may take before the run is given up.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Many clients of one server.
pub struct Swarm {
    poll: Poll,
    events: Events,
    server: SocketAddr,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    tally: Tally,
    round: u64,
    /// How long it had nothing to do.
    idle: Duration,
}

/// What the clients know between them.
#[derive(Default)]
pub struct Tally {
    /// Clients that have got their first snapshot.
    pub ready: usize,
    /// Which changes count: those of this round.
    pub round: u64,
    /// How many clients know of each change of this round.
    pub reached: Vec<usize>,
    /// When the last of them heard of it.
    pub heard: Vec<Option<Instant>>,
    /// How many (client, change) there are so far.
    pub known: usize,
    /// When anyone last heard of anything.
    pub last: Option<Instant>,
    /// What a snapshot has to say, where all are the same; how many said it.
    pub expected: Option<Vec<u8>>,
    pub as_expected: usize,
    /// Clients that the server has closed, which nobody asked it to.
    pub closed: usize,
    /// The newest snapshot, if one is asked for.
    pub record: bool,
    pub recorded: Vec<u8>,
}

/// A game's number says which change is meant.
pub const PER_ROUND: u64 = 100_000;

impl Tally {
    /// A client hears of the change with this game: once for each is counted.
    pub fn note(&mut self, known: &mut Vec<u64>, game: u64, now: Instant) {
        if game / PER_ROUND != self.round {
            return;
        }
        let index = (game % PER_ROUND) as usize;
        let (word, bit) = (index / 64, 1 << (index % 64));
        if known.len() <= word {
            known.resize(word + 1, 0);
        }
        if known[word] & bit != 0 || index >= self.reached.len() {
            return;
        }
        known[word] |= bit;
        self.reached[index] += 1;
        self.heard[index] = Some(now);
        self.known += 1;
        self.last = Some(now);
    }
}

impl Swarm {
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            server,
            clients: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            tally: Tally::default(),
            round: 0,
            idle: Duration::ZERO,
        })
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// How long it had nothing to do so far.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Connects one client for each key, a few at a time or all at once, until all have their snapshot.
    pub fn connect(&mut self, keys: &[String], means: Means, all_at_once: bool) -> io::Result<()> {
        let window = if all_at_once { usize::MAX } else { WINDOW };
        let goal = self.tally.ready + keys.len();
        let started = Instant::now();
        let mut keys = keys.iter();
        while self.tally.ready < goal {
            while self.clients.len() - self.tally.ready < window
                && let Some(key) = keys.next()
            {
                self.add(key, means)?;
            }
            self.look()?;
            if started.elapsed() > PATIENCE {
                let missing = goal - self.tally.ready;
                return Err(io::Error::other(format!(
                    "{missing} clients did not get in"
                )));
            }
        }
        Ok(())
    }

    /// One who comes in the middle of a round, of which nobody expects that it knows what was before. It is in when
    /// [`Tally::ready`] counts it.
    pub fn let_in(&mut self, key: &str) -> io::Result<()> {
        self.add(key, Means::WebSocket)?;
        if let Some(newcomer) = self.clients.last_mut() {
            newcomer.is_counted = false;
        }
        Ok(())
    }

    fn add(&mut self, key: &str, means: Means) -> io::Result<()> {
        let socket = Socket::new(
            Domain::for_address(self.server),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if means == Means::Deaf {
            // As over a network: on loopback a segment is so large that the kernel would take megabytes for it.
            socket.set_recv_buffer_size(NARROW_BYTES)?;
            socket.set_tcp_mss(ETHERNET_MSS)?;
        }
        // Blocking on loopback is a moment, and what is sent then is there when the server accepts.
        socket.connect(&self.server.into())?;
        let stream = std::net::TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream);
        let token = Token(self.clients.len());
        self.poll
            .registry()
            .register(&mut stream, token, Interest::READABLE)?;
        self.clients.push(Client::open(stream, key, means)?);
        Ok(())
    }

    /// Begins a round of so many changes.
    pub fn begin(&mut self, changes: usize) {
        self.round += 1;
        self.tally.round = self.round;
        self.tally.reached = vec![0; changes];
        self.tally.heard = vec![None; changes];
        self.tally.known = 0;
        self.tally.last = None;
        for client in &mut self.clients {
            client.known.clear();
            client.is_counted = true;
        }
    }

    /// Lets a client set an activity, the change with this number of the round.
    pub fn set_activity(&mut self, client: usize, change: usize) -> io::Result<()> {
        let game = self.round * PER_ROUND + change as u64;
        self.clients[client].set_activity(game)
    }

    /// Goes on until everyone of `listeners` knows all changes, or nobody hears anything any more.
    pub fn until_known(&mut self, listeners: usize, quiet: Duration) -> io::Result<()> {
        let goal = listeners * self.tally.reached.len();
        let mut heard = Instant::now();
        let mut known = self.tally.known;
        while self.tally.known < goal {
            self.look()?;
            if self.tally.known > known {
                (heard, known) = (Instant::now(), self.tally.known);
            } else if heard.elapsed() > quiet {
                break;
            }
        }
        Ok(())
    }

    /// Goes on for so long.
    pub fn rest(&mut self, pause: Duration) -> io::Result<()> {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            self.look()?;
        }
        Ok(())
    }

    /// One look at who has something to say. It never sleeps: to wake it would be the server's work, by far the most
    /// of a `send` on some machines, and more or less of it by chance.
    pub fn look(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        if self.events.is_empty() {
            self.idle += begun.elapsed();
        }
        for event in &self.events {
            let client = &mut self.clients[event.token().0];
            while let Some(stream) = &mut client.stream {
                match stream.read(&mut self.buffer) {
                    Ok(0) => {
                        client.stream = None;
                        self.tally.closed += 1;
                    }
                    Ok(read) => {
                        client.receive(&self.buffer[..read], &mut self.tally)?;
                        if client.is_deaf() {
                            self.poll.registry().deregister(stream_of(client)?)?;
                            break;
                        }
                        // A short read leaves nothing behind.
                        if read < self.buffer.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

fn stream_of(client: &mut Client) -> io::Result<&mut TcpStream> {
    let stream = client.stream.as_mut();
    stream.ok_or_else(|| io::ErrorKind::NotConnected.into())
}

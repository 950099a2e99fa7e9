//! What is done to a server, and what is read off meanwhile.

use crate::{
    client::Means,
    figure::{Figure, Sample},
    server::{Kind, Programs, Server},
    swarm::{PATIENCE, Swarm},
    users::Users,
};
use std::{
    io::{self, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Effort {
    /// From the last connect until RSS is read.
    pub settle: Duration,
    /// Changes of the paced phase, and the pause between two of them.
    pub paced: usize,
    pub pace: Duration,
    /// How often there is a burst, and how many changes it has.
    pub bursts: usize,
    pub burst: usize,
}

/// One figure after another, as they are read.
pub struct Bench<'a> {
    pub programs: &'a Programs,
    pub users: &'a Users,
    pub samples: Vec<Sample>,
}

/// How long nobody hears anything before a server that has not told everyone is taken at its word.
const QUIET: Duration = Duration::from_secs(3);

/// Above this share of its time the generator is too slow to say how fast a server is.
const BUSY: f64 = 0.9;

/// What it takes to set an activity: a client, or the floor's conductor.
enum Baton {
    Client,
    Conductor(TcpStream),
}

impl Baton {
    fn set(&mut self, swarm: &mut Swarm, client: usize, change: usize) -> io::Result<()> {
        match self {
            Self::Client => swarm.set_activity(client, change),
            Self::Conductor(stream) => {
                let game = swarm.tally().round * crate::swarm::PER_ROUND + change as u64;
                stream.write_all(&(game as u32).to_be_bytes())
            }
        }
    }
}

/// How much of the time the generator has something to do.
pub struct Busy {
    since: Instant,
    idle: Duration,
}

impl Busy {
    pub fn begin(swarm: &Swarm) -> Self {
        Self {
            since: Instant::now(),
            idle: swarm.idle(),
        }
    }

    pub fn warn_if_bottleneck(&self, swarm: &Swarm, what: &str, kind: Kind) {
        let idle = (swarm.idle() - self.idle).as_secs_f64();
        let share = 1.0 - idle / self.since.elapsed().as_secs_f64();
        if share > BUSY {
            let percent = share * 100.0;
            println!("  the generator was the bottleneck: {percent:.0} % busy, {what}, {kind}");
        }
    }
}

impl Bench<'_> {
    pub fn note(&mut self, kind: Kind, clients: usize, figure: Figure, value: f64) {
        println!(
            "  {kind}, {clients} clients: {figure} {}",
            figure.show(value)
        );
        self.samples.push(Sample {
            kind,
            clients,
            figure,
            value,
        });
    }

    /// Idle, paced, bursts: on WebSockets.
    pub fn everyday(&mut self, kind: Kind, clients: usize, effort: Effort) -> io::Result<()> {
        let server = Server::start(kind, self.programs, self.users.path(clients)?, clients)?;
        let mut swarm = Swarm::new(server.address)?;
        let cpu = server.cpu()?;
        swarm.connect(self.users.keys(clients), Means::WebSocket, false)?;
        let handshakes = (server.cpu()? - cpu).as_secs_f64();
        let mut baton = Baton::Client;
        if kind == Kind::Floor {
            baton = Baton::Conductor(TcpStream::connect(server.address)?);
        } else {
            self.note(
                kind,
                clients,
                Figure::Handshake,
                handshakes * 1e6 / clients as f64,
            );
            swarm.rest(effort.settle)?;
            let idle = server.rss()?.saturating_sub(server.rss_at_start) as f64 / clients as f64;
            self.note(kind, clients, Figure::IdleClient, idle);
        }

        let busy = Busy::begin(&swarm);
        swarm.begin(effort.paced);
        let cpu = server.cpu()?;
        let mut set_at = Vec::new();
        for change in 0..effort.paced {
            set_at.push(Instant::now());
            baton.set(&mut swarm, change * 7919 % clients, change)?;
            swarm.rest(effort.pace)?;
        }
        swarm.until_known(clients, QUIET)?;
        let deliveries = swarm.tally().known.max(1) as f64;
        let paced = (server.cpu()? - cpu).as_secs_f64() * 1e6 / deliveries;
        self.note(kind, clients, Figure::Paced, paced);
        busy.warn_if_bottleneck(&swarm, "paced", kind);

        let (mut latencies, mut cpu, mut known) = (Vec::new(), 0.0, 0);
        for burst in 0..effort.bursts {
            swarm.rest(Duration::from_millis(500))?;
            swarm.begin(effort.burst);
            let busy = Busy::begin(&swarm);
            let before = server.cpu()?;
            let begun = Instant::now();
            for change in 0..effort.burst {
                baton.set(
                    &mut swarm,
                    (burst * effort.burst + change * 31) % clients,
                    change,
                )?;
            }
            swarm.until_known(clients, QUIET)?;
            busy.warn_if_bottleneck(&swarm, "burst", kind);
            cpu += (server.cpu()? - before).as_secs_f64();
            let tally = swarm.tally();
            known += tally.known;
            // A change that not everyone heard of has no time.
            let complete = tally
                .reached
                .iter()
                .zip(&tally.heard)
                .filter(|(reached, _)| **reached == clients);
            latencies.extend(complete.filter_map(|(_, heard)| {
                Some(heard.as_ref()?.duration_since(begun).as_secs_f64() * 1e3)
            }));
            if tally.known < clients * effort.burst {
                let share = 100.0 * tally.known as f64 / (clients * effort.burst) as f64;
                println!("  {kind}: {share:.1} % of a burst arrived");
            }
        }
        self.note(
            kind,
            clients,
            Figure::Burst,
            cpu * 1e6 / known.max(1) as f64,
        );
        latencies.sort_by(f64::total_cmp);
        if let Some(last) = latencies.len().checked_sub(1) {
            self.note(kind, clients, Figure::AllKnowMedian, latencies[last / 2]);
            self.note(kind, clients, Figure::AllKnow99, latencies[last * 99 / 100]);
        }
        self.stop(server, swarm, clients)
    }

    /// All users set an activity at once.
    pub fn storm(&mut self, kind: Kind, clients: usize) -> io::Result<()> {
        let server = Server::start(kind, self.programs, self.users.path(clients)?, clients)?;
        let mut swarm = Swarm::new(server.address)?;
        swarm.connect(self.users.keys(clients), Means::WebSocket, false)?;
        let cpu = server.cpu()?;
        let busy = Busy::begin(&swarm);
        all_set(&mut swarm, clients)?;
        busy.warn_if_bottleneck(&swarm, "storm", kind);
        let spent = (server.cpu()? - cpu).as_secs_f64() * 1e6;
        let known = swarm.tally().known as f64;
        self.note(
            kind,
            clients,
            Figure::StormKnown,
            100.0 * known / (clients * clients) as f64,
        );
        self.note(kind, clients, Figure::StormCpu, spent / known);
        self.stop(server, swarm, clients)
    }

    /// As many clients again connect at once, while all the others' activities are known.
    pub fn herd(&mut self, kind: Kind, clients: usize) -> io::Result<()> {
        let users = 2 * clients + 1;
        let server = Server::start(kind, self.programs, self.users.path(users)?, users)?;
        let mut swarm = Swarm::new(server.address)?;
        let (first, newcomers) = self.users.keys(users).split_at(clients);
        swarm.connect(first, Means::WebSocket, false)?;
        all_set(&mut swarm, clients)?;
        swarm.rest(Duration::from_secs(1))?;
        // One sees what all shall see.
        let (witness, newcomers) = newcomers.split_at(1);
        swarm.tally().record = true;
        swarm.connect(witness, Means::WebSocket, false)?;
        let snapshot = std::mem::take(&mut swarm.tally().recorded);
        println!("  a snapshot of {} bytes", snapshot.len());
        let tally = swarm.tally();
        (tally.record, tally.expected) = (false, Some(snapshot));
        server.forget_peak()?;
        let before = server.rss()?;
        let cpu = server.cpu()?;
        swarm.connect(newcomers, Means::WebSocket, true)?;
        let spent = (server.cpu()? - cpu).as_secs_f64() * 1e6 / newcomers.len() as f64;
        let right = 100.0 * swarm.tally().as_expected as f64 / newcomers.len() as f64;
        self.note(kind, clients, Figure::HerdBefore, before as f64);
        self.note(kind, clients, Figure::HerdPeak, server.peak_rss()? as f64);
        self.note(kind, clients, Figure::HerdCpu, spent);
        self.note(kind, clients, Figure::HerdRight, right);
        self.stop(server, swarm, users)
    }

    /// On long-polling: what a client takes between two polls, and with a GET that waits.
    pub fn polling_idle(&mut self, kind: Kind, clients: usize, effort: Effort) -> io::Result<()> {
        for (means, figure) in [
            (Means::PollingOnce, Figure::BetweenPolls),
            (Means::Polling, Figure::HeldPoll),
        ] {
            let server = Server::start(kind, self.programs, self.users.path(clients)?, clients)?;
            let mut swarm = Swarm::new(server.address)?;
            swarm.connect(self.users.keys(clients), means, false)?;
            swarm.rest(effort.settle)?;
            let idle = server.rss()?.saturating_sub(server.rss_at_start) as f64 / clients as f64;
            self.note(kind, clients, figure, idle);
            self.stop(server, swarm, clients)?;
        }
        Ok(())
    }

    /// On long-polling: being told.
    pub fn polling(&mut self, kind: Kind, clients: usize, effort: Effort) -> io::Result<()> {
        // One more speaks, on a WebSocket.
        let users = clients + 1;
        let server = Server::start(kind, self.programs, self.users.path(users)?, users)?;
        let mut swarm = Swarm::new(server.address)?;
        let (speaker, pollers) = self.users.keys(users).split_at(1);
        swarm.connect(speaker, Means::WebSocket, false)?;
        swarm.connect(pollers, Means::Polling, false)?;
        swarm.begin(effort.paced);
        let cpu = server.cpu()?;
        for change in 0..effort.paced {
            swarm.set_activity(0, change)?;
            swarm.rest(effort.pace)?;
        }
        swarm.until_known(clients + 1, QUIET)?;
        let known = swarm.tally().known.max(1) as f64;
        let paced = (server.cpu()? - cpu).as_secs_f64() * 1e6 / known;
        self.note(kind, clients, Figure::Polled, paced);
        self.stop(server, swarm, users)
    }

    /// The process alone.
    pub fn bare(&mut self, kind: Kind) -> io::Result<()> {
        let server = Server::start(kind, self.programs, self.users.path(1)?, 1)?;
        self.note(kind, 0, Figure::Start, server.rss_at_start as f64);
        server.stop().map(drop)
    }

    /// A peer that has closed clients has its figures nevertheless, without them; Rollcall shall close none.
    pub fn stop(&mut self, server: Server, mut swarm: Swarm, clients: usize) -> io::Result<()> {
        let kind = server.kind;
        let closed = swarm.tally().closed;
        if closed > 0 {
            println!("  {kind} closed {closed} of {clients} clients");
            if kind == Kind::Rollcall {
                return Err(io::Error::other("Rollcall shall not close clients"));
            }
        }
        let took = server.stop()?;
        if took > Duration::from_secs(5) {
            println!("  {kind} took {took:.1?} to stop, with {clients} clients");
        }
        Ok(())
    }
}

pub fn all_set(swarm: &mut Swarm, clients: usize) -> io::Result<()> {
    swarm.begin(clients);
    for client in 0..clients {
        swarm.set_activity(client, client)?;
    }
    swarm.until_known(swarm.len(), QUIET.min(PATIENCE))
}

//! More than the server can deliver, and clients that take nothing.

use crate::{
    client::Means,
    figure::Figure,
    scenario::{Bench, Busy, all_set},
    server::{Kind, Server},
    swarm::Swarm,
};
use std::{
    io,
    time::{Duration, Instant},
};

/// How much is done.
#[derive(Clone, Copy)]
pub struct Excess {
    /// How long a rate is tried out, and how long the overload lasts.
    pub trial: Duration,
    pub overload: Duration,
    /// How long the listeners are watched, with the deaf and without.
    pub listening: Duration,
    /// How many changes in a second are too many; none: that is found out.
    pub rate: Option<f64>,
}

impl Excess {
    /// All in milliseconds.
    pub fn of_ms(trial: u64, overload: u64, listening: u64) -> Self {
        Self {
            trial: Duration::from_millis(trial),
            overload: Duration::from_millis(overload),
            listening: Duration::from_millis(listening),
            rate: None,
        }
    }
}

/// Heartbeats are quick, so that one which is too late is seen.
const PINGS: [(&str, &str); 2] = [
    ("ENGINE_PING_INTERVAL_MS", "2000"),
    ("ENGINE_PING_TIMEOUT_MS", "3000"),
];

/// The server keeps up with a rate as long as nearly all changes are known to all after so long.
const IN_TIME_MS: f64 = 1000.0;

/// From one newcomer to the next, and from one change to the next where nobody is in a hurry.
const NOW_AND_THEN: Duration = Duration::from_millis(500);
const PACE: Duration = Duration::from_millis(50);

/// How long after the overload it may take at most until one change more is told as fast as before.
const RECOVERY: Duration = Duration::from_secs(30);

impl Bench<'_> {
    /// Twice as many changes as can be told in time.
    pub fn overload(&mut self, clients: usize, excess: Excess) -> io::Result<()> {
        let kind = Kind::Rollcall;
        let users = 2 * clients;
        let server =
            Server::start_with(kind, self.programs, self.users.path(users)?, users, &PINGS)?;
        let mut swarm = Swarm::new(server.address)?;
        let (members, newcomers) = self.users.keys(users).split_at(clients);
        swarm.connect(members, Means::WebSocket, false)?;
        all_set(&mut swarm, clients)?;
        swarm.rest(Duration::from_secs(1))?;
        let calm = quantile(&mut paced(&mut swarm, clients, clients, PACE * 60)?, 50);

        let mut rate = excess.rate.unwrap_or(50.0);
        while excess.rate.is_none() {
            let told = offer(&mut swarm, clients, rate, excess.trial, |_, _| Ok(()))?;
            swarm.until_known(clients, Duration::from_secs(1))?;
            let (mut latencies, complete) = told.latencies(&mut swarm, clients);
            let late = quantile(&mut latencies, 99);
            let percent = 100.0 * complete;
            println!(
                "  {rate:.0} changes a second: {percent:.1} % are known to all, nearly all of them after {late:.0} ms"
            );
            if complete < 1.0 || late > IN_TIME_MS || rate > 100_000.0 {
                break;
            }
            rate *= 2.0;
        }
        // The last that was in time, or so; twice that is what is offered.
        let capacity = rate / 2.0;
        self.note(kind, clients, Figure::OverloadCapacity, capacity);

        server.forget_peak()?;
        let before = server.rss()?;
        let busy = Busy::begin(&swarm);
        let mut arrivals = Arrivals::new(newcomers);
        let cpu = server.cpu()?;
        let told = offer(
            &mut swarm,
            clients,
            2.0 * rate,
            excess.overload,
            |swarm, now| arrivals.look(swarm, now),
        )?;
        let spent = (server.cpu()? - cpu).as_secs_f64() / told.took.as_secs_f64();
        busy.warn_if_bottleneck(&swarm, "overload", kind);
        let sent = told.set_at.len();
        println!(
            "  overload: {sent} changes in {:.1?}, {:.0} % of a processor",
            told.took,
            100.0 * spent
        );
        let over = Instant::now();
        let back = loop {
            let listeners = swarm.len();
            let mut latencies = paced(&mut swarm, clients, listeners, PACE)?;
            let latency = quantile(&mut latencies, 100);
            if latency <= (2.0 * calm).max(calm + 50.0) || over.elapsed() > RECOVERY {
                break over.elapsed();
            }
        };
        let peak = server.peak_rss()? as f64;
        arrivals.finish(&mut swarm)?;
        let mut waited = std::mem::take(&mut arrivals.waited);
        self.note(kind, clients, Figure::OverloadBack, back.as_secs_f64());
        self.note(kind, clients, Figure::OverloadGrowth, peak - before as f64);
        self.note(
            kind,
            clients,
            Figure::OverloadNewcomer,
            quantile(&mut waited, 99),
        );

        // Everyone says something once more, and everyone has to know it, newcomers too.
        let listeners = swarm.len();
        all_set(&mut swarm, clients)?;
        let right = 100.0 * swarm.tally().known as f64 / (clients * listeners) as f64;
        self.note(kind, clients, Figure::OverloadRight, right);
        self.stop(server, swarm, users)
    }

    /// As many clients as listen stop reading: do those who listen hear less quickly?
    pub fn deaf(&mut self, clients: usize, excess: Excess) -> io::Result<()> {
        let kind = Kind::Rollcall;
        let users = 2 * clients;
        let server = Server::start(kind, self.programs, self.users.path(users)?, users)?;
        let mut swarm = Swarm::new(server.address)?;
        let (listeners, deaf) = self.users.keys(users).split_at(clients);
        swarm.connect(listeners, Means::WebSocket, false)?;
        all_set(&mut swarm, clients)?;
        swarm.rest(Duration::from_secs(1))?;
        let mut without = paced(&mut swarm, clients, clients, excess.listening)?;
        let before = server.rss()?;
        swarm.connect(deaf, Means::Deaf, false)?;
        swarm.rest(Duration::from_secs(1))?;
        let each = server.rss()?.saturating_sub(before) as f64 / clients as f64;
        let mut with = paced(&mut swarm, clients, clients, excess.listening)?;
        let (without, with) = (quantile(&mut without, 99), quantile(&mut with, 99));
        self.note(kind, clients, Figure::DeafWithout, without);
        self.note(kind, clients, Figure::DeafWith, with);
        self.note(kind, clients, Figure::DeafRatio, with / without);
        self.note(kind, clients, Figure::DeafClient, each);
        self.stop(server, swarm, users)
    }
}

/// Changes that were made.
struct Told {
    set_at: Vec<Instant>,
    took: Duration,
}

impl Told {
    /// How long each took, in ms, that all know; and which share that is.
    fn latencies(&self, swarm: &mut Swarm, listeners: usize) -> (Vec<f64>, f64) {
        let tally = swarm.tally();
        let all = self.set_at.iter().zip(&tally.reached).zip(&tally.heard);
        let known = all.filter(|((_, reached), _)| **reached == listeners);
        let latencies: Vec<_> = known
            .filter_map(|((set_at, _), heard)| {
                Some(heard.as_ref()?.duration_since(*set_at).as_secs_f64() * 1e3)
            })
            .collect();
        let share = latencies.len() as f64 / self.set_at.len().max(1) as f64;
        (latencies, share)
    }
}

/// Lets one client after another change what it does, so often in a second, for so long. Those that were not told by
/// then are waited for a moment.
fn offer(
    swarm: &mut Swarm,
    clients: usize,
    rate: f64,
    duration: Duration,
    mut beside: impl FnMut(&mut Swarm, Instant) -> io::Result<()>,
) -> io::Result<Told> {
    let most = ((rate * duration.as_secs_f64()) as usize).min(crate::swarm::PER_ROUND as usize);
    swarm.begin(most);
    let begun = Instant::now();
    let mut set_at = Vec::new();
    while set_at.len() < most && begun.elapsed() < duration {
        let due = ((rate * begun.elapsed().as_secs_f64()) as usize).min(most);
        // What is late is made up for, but not without a look between.
        for change in (set_at.len()..due).take(256) {
            set_at.push(Instant::now());
            swarm.set_activity(change % clients, change)?;
        }
        swarm.look()?;
        beside(swarm, Instant::now())?;
    }
    let took = begun.elapsed();
    Ok(Told { set_at, took })
}

/// One change at a time, for so long: how long each takes until all know it, in ms. One that is not known to all after
/// a second counts a second.
fn paced(
    swarm: &mut Swarm,
    clients: usize,
    listeners: usize,
    duration: Duration,
) -> io::Result<Vec<f64>> {
    let count = (duration.as_nanos() / PACE.as_nanos()).max(1) as usize;
    swarm.begin(count);
    let mut set_at = Vec::new();
    for change in 0..count {
        set_at.push(Instant::now());
        swarm.set_activity(change * 7919 % clients, change)?;
        swarm.rest(PACE)?;
    }
    swarm.until_known(listeners, Duration::from_secs(1))?;
    let took = Duration::ZERO;
    let (mut latencies, _) = Told { set_at, took }.latencies(swarm, listeners);
    latencies.resize(count, 1000.0);
    Ok(latencies)
}

/// Newcomers, one after another.
struct Arrivals<'a> {
    keys: std::slice::Iter<'a, String>,
    /// Who is on its way in: since when, and how many are in when it is.
    pending: Option<(Instant, usize)>,
    next: Instant,
    /// How long each took until it had its snapshot, in ms.
    waited: Vec<f64>,
}

impl<'a> Arrivals<'a> {
    fn new(keys: &'a [String]) -> Self {
        Self {
            keys: keys.iter(),
            pending: None,
            next: Instant::now(),
            waited: Vec::new(),
        }
    }

    fn look(&mut self, swarm: &mut Swarm, now: Instant) -> io::Result<()> {
        match self.pending {
            Some((since, goal)) if swarm.tally().ready >= goal => {
                self.waited
                    .push(now.duration_since(since).as_secs_f64() * 1e3);
                self.pending = None;
            }
            None if self.next <= now => {
                if let Some(key) = self.keys.next() {
                    self.pending = Some((now, swarm.tally().ready + 1));
                    self.next = now + NOW_AND_THEN;
                    swarm.let_in(key)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Waits for the last.
    fn finish(&mut self, swarm: &mut Swarm) -> io::Result<()> {
        self.keys = [].iter();
        while self.pending.is_some() {
            swarm.look()?;
            self.look(swarm, Instant::now())?;
        }
        Ok(())
    }
}

/// Below which so many percent of the values are; in order afterwards.
fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get(last * percent / 100)
        .copied()
        .unwrap_or(f64::NAN)
}

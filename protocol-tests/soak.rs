//! Soak: clients come and go, in all the ways that there are, and nothing is left of them.
//!
//! Sixty users live side by side on the real program (`churn/guest.rs`): sessions on all transports, upgrades that are
//! finished and upgrades that are cut, reports, leases, streams, wrong keys, requests and frames that end in the middle,
//! resets, silence, deafness, new keys. Meanwhile the process is read off from outside (`churn/gauge.rs`).
//!
//! ```text
//! cargo test --test soak               # some seconds: that all of it works, and that nothing is left open
//! protocol-tests/soak --minutes 30     # and that its memory does not grow
//! SOAK_ONLY=Lease SOAK_PAUSE_MS=20 protocol-tests/soak --minutes 6    # which of the deeds makes it grow?
//! ```
//!
//! In the end all have gone, and the server has as many descriptors open as before the first came. RSS must not rise by
//! more than [`FLAT`], after a warm-up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]
#![cfg(feature = "daemon")]

#[path = "convergence/daemon.rs"]
mod daemon;
#[path = "churn/gauge.rs"]
mod gauge;
#[path = "churn/guest.rs"]
mod guest;
#[path = "convergence/player.rs"]
mod player;
mod support;
#[path = "convergence/ways.rs"]
mod ways;

use daemon::{Daemon, PATIENCE};
use gauge::{Line, Reading};
use guest::{Deed, Guest, Tally};
use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};
use support::{Random, until};
use tokio::{sync::watch, task::JoinSet, time::timeout};

const GUESTS: usize = 60;

/// How long a guest rests between two things, in the mean, in ms: it is about coming and going, not about load.
const PAUSE_MS: f64 = 500.0;

/// Without a number of minutes.
const SHORT: Duration = Duration::from_secs(8);

/// How many KiB the RSS may rise in a minute. Some two thousand things are done in a minute: 16 bytes each.
const FLAT: f64 = 32.0;

/// Below this the slope says nothing.
const LONG: Duration = Duration::from_secs(300);

#[test]
fn nothing_is_left_of_those_who_have_gone() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(soak(duration()));
    runtime.shutdown_background();
}

fn duration() -> Duration {
    number("SOAK_MINUTES").map_or(SHORT, |minutes| Duration::from_secs_f64(minutes * 60.0))
}

fn number(name: &str) -> Option<f64> {
    let number = env::var(name).ok()?.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is a number")))
}

async fn soak(duration: Duration) {
    let daemon = Daemon::new(GUESTS)
        .with("ENGINE_PING_INTERVAL_MS", 1000)
        // A machine that is busy otherwise must not look like a client that is lost.
        .with("ENGINE_PING_TIMEOUT_MS", 15_000)
        .with("ENGINE_POLL_TIMEOUT_MS", 15_000);
    let daemon = Arc::new(daemon);
    let keys = daemon.start().await.expect("a server");
    let pid = daemon.pid();
    let before = gauge::read(pid);
    let tally = Arc::new(Tally::default());
    let (stop, stopped) = watch::channel(false);
    let mut guests = JoinSet::new();
    let pause = number("SOAK_PAUSE_MS").unwrap_or(PAUSE_MS);
    let only = env::var("SOAK_ONLY").ok().map(|name| Deed::named(&name));
    for (index, key) in keys.into_iter().enumerate() {
        let guest = Guest {
            id: index + 1,
            key,
            daemon: Arc::clone(&daemon),
            tally: Arc::clone(&tally),
            random: Random::new(index as u64),
            pause: Duration::from_secs_f64(pause / 1000.0),
            only,
        };
        guests.spawn(guest.live(stopped.clone()));
    }

    println!(
        "| minute | RSS, KiB | descriptors | threads | sessions | done |\n|---|---|---|---|---|---|"
    );
    show(0.0, before, 0, 0);
    let readings = watch_over(&daemon, duration, &tally).await;
    stop.send_replace(true);
    while let Some(guest) = guests.join_next().await {
        guest.expect("a guest does not panic");
    }
    let trouble = tally.trouble.lock().expect("whole").take();
    assert!(
        trouble.is_none(),
        "{}\n{}",
        trouble.unwrap_or_default(),
        daemon.log()
    );

    // Those who went without a word are gone after their time.
    let open = || gauge::descriptors(pid);
    let closed = timeout(PATIENCE, until(|| open() <= before.descriptors)).await;
    assert!(
        closed.is_ok(),
        "all have gone, and of {} descriptors {} are open",
        before.descriptors,
        open()
    );
    let after = gauge::read(pid);
    println!("all have gone: {after:?}\n{tally}");
    // A session on long-polling whose client has gone without a word has no descriptor, and its time, too.
    let ended = timeout(PATIENCE, async {
        let mut again = tokio::time::interval(Duration::from_millis(100));
        while sessions(&daemon).await > 0 {
            again.tick().await;
        }
    });
    assert!(ended.await.is_ok(), "sessions are left");
    judge(&readings, duration);
    daemon.stop(false).await.expect("it ends in order");
    assert!(!daemon.has_panicked(), "{}", daemon.log());
}

/// How many sessions there are, as the server counts them.
async fn sessions(daemon: &Daemon) -> usize {
    let (status, metrics) = daemon
        .ask("GET", "/metrics", "", "")
        .await
        .expect("metrics");
    assert_eq!(status, 200, "{metrics}");
    let lines = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("rollcall_sessions{")?.split_once("} "));
    let counts: Vec<usize> = lines
        .map(|(_state, count)| count.parse().expect("a number"))
        .collect();
    assert!(!counts.is_empty(), "{metrics}");
    counts.iter().sum()
}

/// Reads the process off, now and then, for so long.
async fn watch_over(daemon: &Daemon, duration: Duration, tally: &Tally) -> Vec<(f64, Reading)> {
    let (begun, pid) = (Instant::now(), daemon.pid());
    let period = (duration / 8).min(Duration::from_secs(5));
    let mut again = tokio::time::interval(period);
    let (mut readings, mut shown) = (Vec::new(), 0);
    while begun.elapsed() < duration {
        again.tick().await;
        let reading = gauge::read(pid);
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        readings.push((minutes, reading));
        if minutes as usize > shown {
            shown = minutes as usize;
            show(minutes, reading, sessions(daemon).await, tally.done());
        }
        if tally.trouble.lock().expect("whole").is_some() {
            break;
        }
    }
    readings
}

fn show(minutes: f64, reading: Reading, sessions: usize, done: usize) {
    let Reading {
        rss,
        descriptors,
        threads,
    } = reading;
    println!("| {minutes:.0} | {rss} | {descriptors} | {threads} | {sessions} | {done} |");
}

fn judge(readings: &[(f64, Reading)], duration: Duration) {
    if duration < LONG {
        println!("too short to say whether its memory grows");
        return;
    }
    // What is used for the first time is there after some minutes.
    let warm = duration.as_secs_f64() / 60.0 / 4.0;
    let of = |number: fn(&Reading) -> f64| {
        let warm = readings.iter().filter(|(minutes, _)| *minutes >= warm);
        let points: Vec<_> = warm
            .map(|(minutes, reading)| (*minutes, number(reading)))
            .collect();
        Line::through(&points).expect("points enough")
    };
    let rss = of(|reading| reading.rss as f64);
    let descriptors = of(|reading| reading.descriptors as f64);
    let threads = of(|reading| reading.threads as f64);
    println!(
        "a minute, from minute {warm:.1} on: RSS {:+.1} KiB (+-{:.1}), descriptors {:+.2} (+-{:.2}), threads {:+.2} (+-{:.2})",
        rss.slope, rss.error, descriptors.slope, descriptors.error, threads.slope, threads.error
    );
    assert!(
        rss.slope <= FLAT,
        "it grows by {:.1} KiB a minute",
        rss.slope
    );
    println!("flat: at most {FLAT} KiB a minute");
}

#[test]
fn a_line_has_the_slope_of_its_points() {
    let exact = Line::through(&[(0.0, 1.0), (1.0, 3.0), (4.0, 9.0)]).expect("points enough");
    assert!(
        (exact.slope - 2.0).abs() < 1e-9 && exact.error < 1e-9,
        "{exact:?}"
    );
    let zigzag: Vec<_> = (0..100_u32)
        .map(|x| (f64::from(x), f64::from(x % 2)))
        .collect();
    let flat = Line::through(&zigzag).expect("points enough");
    assert!(flat.slope.abs() < 0.01 && flat.error > 0.0, "{flat:?}");
    assert!(Line::through(&zigzag[..2]).is_none());
}

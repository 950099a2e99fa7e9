//! A histogram: how often something took how long.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Counts times in buckets, each with the next larger limit, and adds them up.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each of [`Histogram::LIMITS`], and one for what is beyond.
    counts: [AtomicU64; Histogram::LIMITS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Up to how many seconds, and how many were at most that, those of the smaller limits among them.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// All together, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// The buckets' limits, in microseconds: from what a handful of clients takes to what a person notices.
    const LIMITS: [u64; 11] = [
        100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000,
    ];

    /// One more.
    pub fn note(&self, time: Duration) {
        let at_least = |limit: &u64| Duration::from_micros(*limit) >= time;
        let bucket = Self::LIMITS.iter().position(at_least);
        let bucket = bucket.unwrap_or(Self::LIMITS.len());
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// All of them.
    pub fn read(&self) -> Distribution {
        let mut counts = self.counts.iter();
        let mut so_far = 0;
        let mut up_to = |count: Option<&AtomicU64>| {
            so_far += count.map_or(0, |count| count.load(Ordering::Relaxed));
            so_far
        };
        let seconds = |limit: u64| Duration::from_micros(limit).as_secs_f64();
        let buckets = Self::LIMITS
            .iter()
            .map(|limit| (seconds(*limit), up_to(counts.next())))
            .collect();
        let count = up_to(counts.next());
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        Distribution {
            buckets,
            count,
            sum,
        }
    }
}

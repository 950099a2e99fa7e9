//! The gauge: what a process takes, from outside, and whether it takes more and more.

// Each test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

use std::fs;

/// What a process takes at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// RSS, in KiB.
    pub rss: u64,
    pub descriptors: usize,
    pub threads: u64,
}

/// Reads off a process that is alive.
pub fn read(pid: u32) -> Reading {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let number = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {status}"))
    };
    Reading {
        rss: number("VmRSS:"),
        descriptors: descriptors(pid),
        threads: number("Threads:"),
    }
}

pub fn descriptors(pid: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    open.count()
}

/// The largest RSS that a process has had so far, in KiB.
pub fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    peak.expect("a peak")
}

/// A straight line through points, by least squares.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub slope: f64,
    /// How far off the slope may well be, for all that the points scatter.
    pub error: f64,
}

impl Line {
    /// None: there are too few points to say.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let both = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y));
        let slope = both.sum::<f64>() / spread;
        let off = points
            .iter()
            .map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2));
        let error = (off.sum::<f64>() / (count - 2.0) / spread).sqrt();
        Some(Self { slope, error })
    }
}

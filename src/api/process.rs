//! The process: what Linux says of the program.

use std::{
    fs,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long what was read is good. To count the descriptors of 10,000 connections takes milliseconds in which nobody else
/// is served, and anyone may ask.
const FRESH: Duration = Duration::from_secs(1);

/// What Linux says of the program, asked now and then.
#[derive(Debug, Default)]
pub(super) struct Process {
    last: Mutex<Option<(Instant, Usage)>>,
}

/// What it uses. None: this is no Linux, which has files for that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_descriptors: Option<usize>,
}

impl Process {
    /// What it uses, or did a moment ago.
    pub(super) fn usage(&self) -> Usage {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.take_if(|(read, _)| now.duration_since(*read) >= FRESH);
        let (_, usage) = last.get_or_insert_with(|| (now, Usage::read()));
        *usage
    }
}

impl Usage {
    fn read() -> Self {
        Self {
            resident_bytes: resident_bytes(),
            open_descriptors: open_descriptors(),
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The descriptor that reads the folder is not counted.
fn open_descriptors() -> Option<usize> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(open.saturating_sub(1))
}

//! The log: one line an event on standard error.

use log::{LevelFilter, Log, Metadata, Record};
use std::{
    io::{self, Write},
    time::SystemTime,
};

/// Writes `2026-11-23T21:43:21Z INFO  what happened`.
struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // The libraries below chatter about each frame.
        let ours = record.target().starts_with(env!("CARGO_CRATE_NAME"));
        if !ours || !self.enabled(record.metadata()) {
            return;
        }
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let line = format!("{now} {:<5} {}\n", record.level(), record.args());
        // One write, so that lines of two threads do not mix. If it fails there is no place to say so.
        let _unwritable = io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Logs what is at least as important as `level`. The first call counts, later ones only set the level.
pub fn start(level: LevelFilter) {
    static LOGGER: Logger = Logger;
    let _already_started = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

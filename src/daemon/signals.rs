//! Signals: to stop, and to read the settings again.

use crate::{
    config::{Config, LogFormat},
    logger,
};
use std::{env, io};
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
};

/// What tells the server to stop, or to read its settings again.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A file would grow beyond what is allowed. It has to be heard of, or it is the end; the write fails, which is enough.
    _too_large: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _too_large: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// Waits until the server is told to stop, and does meanwhile what else it is told.
    pub(super) async fn told_to_stop(&mut self) {
        loop {
            select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                hangup = self.hangup.recv() => hangup.map_or((), |()| reload()),
            }
        }
    }
}

/// Reads again what may change while the server runs: how much is logged, and how. Its variables cannot change, but the
/// files can that they name.
fn reload() {
    match Config::read(|name| env::var_os(name)) {
        Ok(config) => match start_log(&config) {
            Ok(()) => {
                let level = config.log_level.as_str().to_lowercase();
                log::info!("told to read the settings again: the log's level is {level}");
            }
            Err(error) => log::error!("the log goes on as it was: {error}"),
        },
        Err(errors) => {
            let errors = errors.to_string().replace('\n', "; ");
            log::error!("the settings stay as they were: {errors}");
        }
    }
}

pub(super) fn start_log(config: &Config) -> io::Result<()> {
    logger::start(config.log_level, config.log_format == LogFormat::Json)
}

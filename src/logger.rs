//! The log: one line an event on standard error.
//!
//! Whoever logs waits for nobody: lines go into a buffer, and a thread of its own writes them. If nobody reads
//! standard error, the buffer fills, lines are lost, and the log says how many as soon as it can.
//!
//! Panics are events, too.

use log::{
    Level, LevelFilter, Log, Metadata, Record,
    kv::{self, Key, Value, VisitSource, VisitValue},
};
use serde_json::{Map, json};
use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    mem,
    panic::{self, PanicHookInfo},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

/// How much may wait to be written, in bytes: thousands of lines, which is a burst.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// How long the program waits at its end for the last lines to be taken.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Writes `2026-11-23T21:43:21Z INFO  what happened`, or the same as an object of JSON, with all that was said of it.
struct Logger {
    is_json: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Lines wait, or have been written.
    changed: Condvar,
}

/// What the thread has to write.
struct Waiting {
    lines: Vec<u8>,
    /// How many did not fit behind them.
    lost: u64,
    /// The thread is at it.
    is_writing: bool,
}

static LOGGER: Logger = Logger {
    is_json: AtomicBool::new(false),
    waiting: Mutex::new(Waiting {
        lines: Vec::new(),
        lost: 0,
        is_writing: false,
    }),
    changed: Condvar::new(),
};

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
        let line = match self.is_json.load(Ordering::Relaxed) {
            true => object(record.level(), record.args(), record.key_values()),
            false => line(record.level(), record.args()),
        };
        self.lock().push(&line);
        self.changed.notify_all();
    }

    /// Waits until all is written, but not for ever.
    fn flush(&self) {
        let busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.is_empty();
        let _late = self
            .changed
            .wait_timeout_while(self.lock(), FLUSH_TIMEOUT, busy);
    }
}

impl Logger {
    fn write_for_ever(&self) {
        loop {
            let mut waiting = self.lock();
            waiting.is_writing = false;
            self.changed.notify_all();
            let mut waiting = self
                .changed
                .wait_while(waiting, |waiting| waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            waiting.is_writing = true;
            let lines = waiting.take(self.is_json.load(Ordering::Relaxed));
            drop(waiting);
            // If it fails there is no place to say so.
            let _unwritable = io::stderr().write_all(&lines);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while the lock is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, line: &str) {
        // Once lines are lost, shorter ones that would fit must not stand where those should.
        if self.lost > 0 || self.lines.len() + line.len() > MAX_WAITING_BYTES {
            self.lost += 1;
        } else {
            self.lines.extend_from_slice(line.as_bytes());
        }
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0
    }

    fn take(&mut self, is_json: bool) -> Vec<u8> {
        let mut lines = mem::take(&mut self.lines);
        let lost = mem::take(&mut self.lost);
        if lost > 0 {
            let note = format_args!("{lost} lines of this log were lost: nobody read it");
            let note = match is_json {
                true => object(Level::Warn, &note, &None::<(&str, u64)>),
                false => line(Level::Warn, &note),
            };
            lines.extend_from_slice(note.as_bytes());
        }
        lines
    }
}

fn line(level: Level, what: &fmt::Arguments<'_>) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let mut line = OneLine(format!("{now} {level:<5} "));
    // What fails half way is logged half.
    let _cut_short = line.write_fmt(*what);
    line.0.push('\n');
    line.0
}

/// A line that stays one, whatever a peer or a file has put into it: nothing in it looks like another event, or is a
/// command to a terminal.
struct OneLine(String);

impl fmt::Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // As nearly all is.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.push_str(text);
            return Ok(());
        }
        for character in text.chars() {
            match character {
                '"' | '\'' | '\\' => self.0.push(character),
                _ => self.0.extend(character.escape_debug()),
            }
        }
        Ok(())
    }
}

/// A line of JSON: `time`, `level`, `message`, and what was said of it by name.
fn object(level: Level, what: &fmt::Arguments<'_>, details: &dyn kv::Source) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let mut object = Map::new();
    object.insert("time".to_owned(), json!(now.to_string()));
    object.insert("level".to_owned(), json!(level.as_str().to_lowercase()));
    object.insert("message".to_owned(), json!(what.to_string()));
    // Ours never fails.
    let _ = details.visit(&mut Details(&mut object));
    format!("{}\n", serde_json::Value::Object(object))
}

/// Puts what a record says by name into an object.
struct Details<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Details<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut detail = Detail::default();
        value.visit(&mut detail)?;
        self.0.insert(key.to_string(), detail.0);
        Ok(())
    }
}

/// A value as JSON has it.
#[derive(Default)]
struct Detail(serde_json::Value);

impl VisitValue<'_> for Detail {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.0 = json!(value.to_string());
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = json!(value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = json!(value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.0 = json!(value);
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0 = json!(value);
        Ok(())
    }
}

/// Says what has panicked, and where.
///
/// Not how it came there: to find out takes memory, and where there is none left std, which has taken a lock for it, waits
/// for ever to say so.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("it did not say why");
    match panic.location() {
        Some(place) => log::error!("panicked at {place}: {what}"),
        None => log::error!("panicked: {what}"),
    }
    // What comes next may be the end.
    log::logger().flush();
}

/// Logs what is at least as important as `level`, and panics, as text or `as_json`. The first call counts, later ones only set the
/// level and the format.
///
/// # Errors
/// The system has no thread for it.
pub fn start(level: LevelFilter, as_json: bool) -> io::Result<()> {
    LOGGER.is_json.store(as_json, Ordering::Relaxed);
    if log::set_logger(&LOGGER).is_ok() {
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(|| LOGGER.write_for_ever())?;
        panic::set_hook(Box::new(log_panic));
    }
    log::set_max_level(level);
    Ok(())
}

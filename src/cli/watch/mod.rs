//! `rollcall watch`: what everyone does, as it changes.
//!
//! * `follow`: the server tells, is lost, and is found again. It blocks.
//! * `roster`: who does what, by what was told. Pure.
//! * `lines`: a change as a line. `screen`: all of it as a terminal shows it. Pure, both.
//! * `terminal`: the terminal, which is left as it was found.
//!
//! One thread follows, and another shows what it tells: that one hears of signals, of the clock, and of a reader who has gone,
//! as well.

mod follow;
mod lines;
mod roster;
mod screen;
mod terminal;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::future::{Future, pending};
use std::io::{self, IsTerminal, Stdout};
use std::os::fd::AsFd;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use tokio::io::{Interest, unix::AsyncFd};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{MissedTickBehavior, interval};

use super::WatchCommand;
use super::access::{AccessError, server_with_key};
use super::output::{note, print_to_reader};
use follow::{News, follow};
use roster::{Roster, Seen};
use screen::Screen;
use terminal::Terminal;

/// How often the screen is drawn when nothing happens: times pass, and what is typed disappears.
const TICK: Duration = Duration::from_secs(1);

/// How much may have happened that is not drawn yet.
const MAX_NEWS: usize = 64;

/// Shows it until it is stopped; the status to exit with then. `lookup` answers for the environment.
///
/// # Errors
///
/// When the server does not let one in, or nothing can be shown.
pub fn watch(
    command: &WatchCommand,
    lookup: impl Fn(&str) -> Option<OsString>,
    out: &mut Stdout,
) -> Result<u8, WatchError> {
    let server = server_with_key(&command.access, &lookup).map_err(WatchError::Access)?;
    let is_set = |name: &str| lookup(name).is_some_and(|value| !value.is_empty());
    let is_dumb = lookup("TERM").is_none_or(|term| term == "dumb");
    let title = server.to_string();
    let (teller, news) = mpsc::channel(MAX_NEWS);
    // Ends with the program.
    thread::spawn(move || follow(&server, |news| teller.blocking_send(news).is_ok()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WatchError::Terminal)?;
    runtime.block_on(async {
        if command.json || is_dumb || !out.is_terminal() {
            return print_changes(news, &title, command.json, out).await;
        }
        draw_changes(news, Screen::new(title, !is_set("NO_COLOR")), out).await
    })
}

/// For a pipe, a file, or a program.
async fn print_changes(
    mut news: Receiver<News>,
    title: &str,
    json: bool,
    out: &mut Stdout,
) -> Result<u8, WatchError> {
    let mut roster = Roster::default();
    let gone = reader_is_gone(out);
    let mut gone = pin!(gone);
    loop {
        let told = select! {
            told = news.recv() => told,
            () = &mut gone => return Ok(0),
        };
        let changes = match told {
            None => return Ok(0),
            Some(News::Refused(why)) => return Err(WatchError::Refused(why)),
            Some(News::Connected(_)) => Vec::new(),
            Some(News::Lost { why, again }) => {
                note(&format!(
                    "rollcall: {title}: {why}; trying again in {} s",
                    again.as_secs()
                ));
                Vec::new()
            }
            Some(News::Names(names)) => {
                roster.name(names);
                Vec::new()
            }
            Some(News::Everyone(everyone)) => roster.replace(everyone),
            Some(News::One(seen)) => roster.apply(seen).into_iter().collect(),
        };
        let of = |seen: &Seen| match json {
            true => lines::json(&roster, seen),
            false => lines::plain(&roster, seen),
        };
        let text: String = changes.iter().map(of).collect();
        if !print_to_reader(out, &text).map_err(WatchError::Output)? {
            return Ok(0);
        }
    }
}

/// Waits until nobody can read any more what is written to `out`, as behind `head -1`. A file can always be written to.
// What tokio has instead needs `unsafe`, for the sake of descriptors that may change behind its back: one that is owned cannot.
#[allow(deprecated)]
fn reader_is_gone(out: &Stdout) -> impl Future<Output = ()> + use<> {
    let pipe = out.as_fd().try_clone_to_owned();
    let watched = pipe.and_then(|pipe| AsyncFd::with_interest(pipe, Interest::WRITABLE));
    async move {
        let Ok(pipe) = watched else {
            return pending().await;
        };
        while let Ok(mut guard) = pipe.ready(Interest::WRITABLE | Interest::ERROR).await {
            if guard.ready().is_error() || guard.ready().is_write_closed() {
                return;
            }
            guard.clear_ready();
        }
    }
}

/// For a person.
async fn draw_changes(
    mut news: Receiver<News>,
    mut screen: Screen,
    out: &mut Stdout,
) -> Result<u8, WatchError> {
    let mut signals = Signals::new().map_err(WatchError::Terminal)?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut terminal = Terminal::take(out);
    loop {
        select! {
            told = news.recv() => {
                let Some(mut told) = told else {
                    return Ok(0);
                };
                // What has come meanwhile is drawn with it.
                loop {
                    if let News::Refused(why) = told {
                        return Err(WatchError::Refused(why));
                    }
                    screen.tell(told);
                    told = match news.try_recv() {
                        Ok(more) => more,
                        Err(_) => break,
                    };
                }
            }
            said = signals.next() => match said {
                Said::End(status) => return Ok(status),
                Said::Resized => terminal.measure(),
            },
            _ = tick.tick() => {}
        }
        let drawn = screen.draw(terminal.size());
        if !terminal.show(&drawn).map_err(WatchError::Output)? {
            return Ok(0);
        }
    }
}

/// What a person, or the system, says to the program.
struct Signals {
    interrupted: Signal,
    terminated: Signal,
    hung_up: Signal,
    resized: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
            resized: signal(SignalKind::window_change())?,
        })
    }

    async fn next(&mut self) -> Said {
        select! {
            _ = self.interrupted.recv() => Said::End(130),
            _ = self.terminated.recv() => Said::End(143),
            _ = self.hung_up.recv() => Said::End(129),
            _ = self.resized.recv() => Said::Resized,
        }
    }
}

/// What it means.
enum Said {
    /// To end, with the status that a shell expects then.
    End(u8),
    /// To measure the terminal.
    Resized,
}

/// Why nothing is shown any more.
#[derive(Debug)]
pub enum WatchError {
    /// It is not clear what to watch, or as who.
    Access(AccessError),
    /// To try again would be in vain.
    Refused(String),
    /// The terminal cannot be used.
    Terminal(io::Error),
    /// Nothing can be printed.
    Output(io::Error),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatchError::Access(error) => error.fmt(f),
            WatchError::Refused(why) => f.write_str(why),
            WatchError::Terminal(error) => write!(f, "the terminal cannot be used: {error}"),
            WatchError::Output(error) => write!(f, "cannot print the result: {error}"),
        }
    }
}

impl Error for WatchError {}

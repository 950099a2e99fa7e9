//! Following: the server tells, is lost, and is found again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::roster::{MAX_USERS, Names, Seen};
use crate::cli::output::harmless;
use crate::client::{Fault, NoSocket, Object, Request, Server, Socket, Via, elements, exchange};

/// How long to wait before the first new try, twice as long before each one after it, and so long at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// How long names may take.
const NAMES_PATIENCE: Duration = Duration::from_secs(5);

/// How often names are asked for when somebody new is told of.
const NAMES_PAUSE: Duration = Duration::from_secs(30);

/// What happens.
pub(super) enum News {
    /// Names, by id.
    Names(Names),
    /// The server is there.
    Connected(Via),
    /// What all do.
    Everyone(Vec<Seen>),
    /// What one does now.
    One(Seen),
    /// The server is gone.
    Lost {
        /// Why.
        why: String,
        /// When it is tried again.
        again: Duration,
    },
    /// The server does not want one. The last news.
    Refused(String),
}

/// Tells what happens until `tell` answers false, or it is in vain.
pub(super) fn follow(server: &Server, mut tell: impl FnMut(News) -> bool) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let (why, after) = match connected(server, &mut tell) {
            Err(End::Unheard) => return,
            Err(End::NoSocket(no_socket)) if no_socket.is_final() => {
                tell(News::Refused(format!("{server}: {no_socket}")));
                return;
            }
            Err(End::NoSocket(no_socket)) => (no_socket.to_string(), no_socket.after()),
            Err(End::Lost(Fault::Closed)) => ("the connection is lost".to_owned(), None),
            Err(End::Lost(fault)) => (format!("the connection is lost ({fault})"), None),
            Ok(never) => match never {},
        };
        if begun.elapsed() > GOOD {
            pause = FIRST_PAUSE;
        }
        let again = after.unwrap_or(pause).max(pause);
        if !tell(News::Lost { why, again }) {
            return;
        }
        sleep(again);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How a connection ends.
enum End {
    /// Nobody listens.
    Unheard,
    /// There was none.
    NoSocket(NoSocket),
    /// There was one.
    Lost(Fault),
}

enum Never {}

fn connected(server: &Server, tell: &mut impl FnMut(News) -> bool) -> Result<Never, End> {
    let mut tell = |news| match tell(news) {
        true => Ok(()),
        false => Err(End::Unheard),
    };
    let mut socket = Socket::connect(server).map_err(End::NoSocket)?;
    tell(News::Connected(socket.via()))?;
    let names = names(server);
    let mut named: Vec<u64> = names.iter().map(|(id, _)| *id).collect();
    let mut asked = Instant::now();
    tell(News::Names(names))?;
    loop {
        let event = socket.receive().map_err(End::Lost)?;
        let argument = event.argument.as_ref().map_or("null", |json| json.get());
        let is_snapshot = match &*event.name {
            "activities" => true,
            "activity" => false,
            _ => continue,
        };
        let seen: Vec<Seen> = match is_snapshot {
            true => elements(argument)
                .into_iter()
                .take(MAX_USERS)
                .filter_map(Seen::read)
                .collect(),
            false => Seen::read(argument).into_iter().collect(),
        };
        let is_new = seen
            .iter()
            .any(|seen| named.binary_search(&seen.user_id).is_err());
        if is_new && asked.elapsed() > NAMES_PAUSE {
            let names = self::names(server);
            named = names.iter().map(|(id, _)| *id).collect();
            asked = Instant::now();
            tell(News::Names(names))?;
        }
        if is_snapshot {
            tell(News::Everyone(seen))?;
        } else {
            for seen in seen {
                tell(News::One(seen))?;
            }
        }
    }
}

/// The names of all users, if the server tells them.
fn names(server: &Server) -> Names {
    let path = server.path("/api/users");
    let answer = exchange(server, Request::get(&path), NAMES_PATIENCE);
    let answer = answer.ok().filter(|answer| answer.status == 200);
    let users = answer.map(|answer| answer.text()).unwrap_or_default();
    let name = |user: &str| {
        let user = Object::read(user)?;
        Some((user.number("id")?, harmless(&user.text("username")?)))
    };
    let users = elements(&users).into_iter();
    let mut names = Names::new();
    for (id, name) in users.take(MAX_USERS).filter_map(name) {
        // Servers tell them in this order.
        if names.last().is_none_or(|(last, _)| *last < id) {
            names.push((id, name));
        } else if let Err(place) = names.binary_search_by_key(&id, |(id, _)| *id) {
            names.insert(place, (id, name));
        }
    }
    names
}

//! Does long-polling work, as clients use it?

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::chart::Chart;
use super::ills::{BUFFERED, KEY_UNKNOWN, NOT_STICKY, POLLING_BROKEN, TIMEOUT_TOO_SHORT};
use super::{PATIENCE, is_unknown_session, shown};
use crate::client::{
    Answer, Exchange, Fault, Opened, Opening, Request, Server, WebSocket, exchange,
};

/// CONNECT, to the namespace of all and to one that there is not: every server answers both at once.
const CONNECT: &str = "40";
const CONNECT_NOWHERE: &str = "40/rollcall-doctor,";

/// How often a session is spoken to, on two connections each time: with two servers in turn or by chance, one of them meets
/// the wrong one but for one time in 256.
const ROUNDS: usize = 4;

/// After so long a request has reached the server.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// An answer that comes later than that comes late.
const LATE: Duration = Duration::from_secs(2);

/// How long a ping may take to come.
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// A session on long-polling, each request on a connection of its own, as Node's client does it.
struct Poller<'a> {
    server: &'a Server,
    target: String,
}

/// What is wrong with a request of it.
enum Wrong {
    /// It met a server that does not know the session.
    Elsewhere(Answer),
    /// Another answer than it should be.
    Answer(Answer),
    /// None.
    Fault(Fault),
}

impl<'a> Poller<'a> {
    fn new(server: &'a Server, opening: &Opening) -> Self {
        let target = server.endpoint(&format!("transport=polling&sid={}", opening.sid));
        Self { server, target }
    }

    fn post(&self, packet: &str) -> Result<(), Wrong> {
        let request = Request {
            method: "POST",
            body: Some(("text/plain;charset=UTF-8", packet)),
            ..Request::get(&self.target)
        };
        let answer = exchange(self.server, request, PATIENCE).map_err(Wrong::Fault)?;
        judged(answer).map(drop)
    }

    fn begin(&self, patience: Duration) -> Result<Exchange, Wrong> {
        let request = Request::get(&self.target);
        Exchange::begin(self.server, request, patience).map_err(Wrong::Fault)
    }

    fn get(&self) -> Result<Answer, Wrong> {
        finish(self.begin(PATIENCE)?)
    }
}

fn finish(mut exchange: Exchange) -> Result<Answer, Wrong> {
    let answer = exchange.head().map_err(Wrong::Fault)?;
    judged(exchange.finish(answer).map_err(Wrong::Fault)?)
}

fn judged(answer: Answer) -> Result<Answer, Wrong> {
    match answer.status {
        200 => Ok(answer),
        _ if is_unknown_session(&answer) => Err(Wrong::Elsewhere(answer)),
        _ => Err(Wrong::Answer(answer)),
    }
}

/// Uses the session that was opened, and ends it.
pub(super) fn examine(server: &Server, opening: &Opening, chart: &mut Chart<'_>) {
    let poller = Poller::new(server, opening);
    let joined = poller.post(CONNECT).and_then(|()| poller.get());
    let answer = match joined {
        Ok(answer) if answer.text().contains("40{") => answer,
        // The server takes the session, and then not the user: the official server does, with the contract on it.
        Ok(answer) if answer.text().contains("44{") => {
            if server.has_key() {
                chart.fail::<()>("key", &KEY_UNKNOWN, "The server says so over Socket.IO.");
            }
            answer
        }
        Ok(answer) => return told(Wrong::Answer(answer), chart),
        Err(wrong) => return told(wrong, chart),
    };
    chart.ok("polling", "Long-polling works.");
    for _ in 0..ROUNDS {
        let round = poller.post(CONNECT_NOWHERE).and_then(|()| poller.get());
        if let Err(wrong) = round {
            return told(wrong, chart);
        }
    }
    let how = match answer.header("set-cookie") {
        // Nobody here sends it back.
        Some(_) => "All requests of a session reach the same server, without its cookie.",
        None => "All requests of a session reach the same server.",
    };
    chart.ok("sticky", how);
    match held(&poller) {
        Ok(late) if late > LATE => {
            let text = format!(
                "What a held request waited for came after {} s.",
                late.as_secs()
            );
            chart.warn("buffering", &BUFFERED, &text);
        }
        Ok(_) => chart.ok(
            "buffering",
            "A held request is answered as soon as there is something.",
        ),
        Err(Wrong::Fault(Fault::Timeout)) => {
            let text = "What a held request waited for did not come.";
            chart.fail::<()>("buffering", &BUFFERED, text);
        }
        Err(wrong) => told(wrong, chart),
    }
    // It ends by itself otherwise.
    let _unheard = poller.post("1");
}

/// How long a GET that waits takes to notice that there is something.
fn held(poller: &Poller<'_>) -> Result<Duration, Wrong> {
    let waiting = poller.begin(PATIENCE + UNDER_WAY)?;
    sleep(UNDER_WAY);
    poller.post(CONNECT_NOWHERE)?;
    let sent = Instant::now();
    finish(waiting)?;
    Ok(sent.elapsed())
}

fn told(wrong: Wrong, chart: &mut Chart<'_>) {
    let (ill, text) = match wrong {
        Wrong::Elsewhere(answer) => (
            &NOT_STICKY,
            format!("One is answered by {}.", shown(&answer)),
        ),
        Wrong::Answer(answer) => (
            &POLLING_BROKEN,
            format!("It is answered by {}.", shown(&answer)),
        ),
        Wrong::Fault(fault) => (&POLLING_BROKEN, format!("({fault}.)")),
    };
    let check = match ill.name == NOT_STICKY.name {
        true => "sticky",
        false => "polling",
    };
    chart.fail::<()>(check, ill, &text);
}

/// Do server-sent events come as they happen? A server that has none, or none for this one, is not asked further.
pub(super) fn stream(server: &Server, chart: &mut Chart<'_>) {
    let path = server.path("/api/activities/stream");
    let begun = Exchange::begin(server, Request::get(&path), PATIENCE);
    let come = begun.and_then(|mut exchange| match exchange.head()?.status {
        200 => exchange.wait_for(b"event:").map(|()| true),
        _ => Ok(false),
    });
    match come {
        Ok(true) => chart.ok("stream", "Server-sent events come at once."),
        Ok(false) => {}
        Err(fault) => {
            let text = format!("Server-sent events do not come ({fault}).");
            chart.warn("stream", &BUFFERED, &text);
        }
    }
}

/// Does the server's ping come, on both transports?
pub(super) fn heartbeat(server: &Server, chart: &mut Chart<'_>) {
    let begun = Instant::now();
    let outcome = pinged(server);
    let seconds = begun.elapsed().as_secs();
    match outcome {
        Ok(()) => chart.ok(
            "heartbeat",
            &format!("The server's ping comes, after {seconds} s."),
        ),
        Err((on, why)) => {
            let text = format!("On {on}: {why}, after {seconds} s.");
            chart.fail::<()>("heartbeat", &TIMEOUT_TOO_SHORT, &text);
        }
    }
}

/// Waits on both at the same time.
fn pinged(server: &Server) -> Result<(), (&'static str, String)> {
    let on_polling = |wrong| {
        let why = match wrong {
            Wrong::Elsewhere(answer) | Wrong::Answer(answer) => {
                format!("it is answered by {}", shown(&answer))
            }
            Wrong::Fault(fault) => fault.to_string(),
        };
        ("long-polling", why)
    };
    let on_websocket = |fault: Fault| ("a WebSocket", fault.to_string());

    let target = server.endpoint("transport=polling");
    let answer = exchange(server, Request::get(&target), PATIENCE);
    let answer = answer.map_err(|fault| on_polling(Wrong::Fault(fault)))?;
    let opening = Opening::read(&answer.text());
    let opening = opening.ok_or_else(|| on_polling(Wrong::Answer(answer)))?;
    let patience = opening.ping_interval() + PING_PATIENCE;
    let poller = Poller::new(server, &opening);
    let join = || {
        poller.post(CONNECT)?;
        poller.get()?;
        poller.begin(patience)
    };
    let waiting = join().map_err(on_polling)?;

    // Where none can be opened, that was said before.
    let target = server.endpoint("transport=websocket");
    let websocket = match WebSocket::open(server, &target, PATIENCE) {
        Ok(Opened::WebSocket(mut websocket)) => {
            websocket.send(CONNECT, PATIENCE).map_err(on_websocket)?;
            Some(websocket)
        }
        Ok(Opened::Answer(_)) | Err(_) => None,
    };
    let deadline = Instant::now() + patience;
    let answer = finish(waiting).map_err(on_polling)?;
    let is_ping = |text: &str| text.starts_with('2');
    if !answer.text().split('\x1e').any(is_ping) {
        return Err(on_polling(Wrong::Answer(answer)));
    }
    // What the server says of itself or of others comes first.
    if let Some(mut websocket) = websocket {
        while !is_ping(&websocket.receive(deadline).map_err(on_websocket)?) {}
    }
    // It ends by itself otherwise.
    let _unheard = poller.post("1");
    Ok(())
}

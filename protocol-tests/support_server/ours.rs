//! What our own tests ask of the support server: binary in every place, rooms, volatile events, ends.

use super::{Outcome, Socket, report};
use bytes::Bytes;
use hyper::http::request::Parts;
use rollcall::{
    server::{Admission, Anyone, Denied, Handshake},
    socketio::{Ack, DisconnectReason, EncodeError, Event},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Lets everyone in, a moment later: clients try how long they wait.
pub struct Unhurried;

impl Admission for Unhurried {
    type Identity = Handshake;

    async fn admit(&self, request: &Parts, peer: SocketAddr) -> Result<Arc<Handshake>, Denied> {
        sleep(Duration::from_millis(10)).await;
        Anyone.admit(request, peer).await
    }
}

/// Attachments in every place.
#[derive(Serialize, Deserialize, PartialEq)]
struct Binaries {
    one: Bytes,
    list: Vec<Bytes>,
    nested: BTreeMap<String, Vec<Option<Bytes>>>,
    none: Option<Bytes>,
}

fn binaries() -> Binaries {
    Binaries {
        one: Bytes::from_static(b"\x00\x01\xfe\xff"),
        list: vec![Bytes::new(), Bytes::from(vec![7; 70_000])],
        nested: [(
            "deep".to_owned(),
            vec![None, Some(Bytes::from_static(b"\x04"))],
        )]
        .into(),
        none: None,
    }
}

/// Who is to be told something.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    to: Vec<String>,
    except: Vec<String>,
    /// The sender, too.
    everyone: bool,
    volatile: bool,
}

pub fn answer(socket: &Socket, event: &Event<'_>, ack: Option<Ack>) -> Outcome {
    match (event.name(), ack) {
        ("echo", None) => socket.emit("echo", event.arguments())?,
        ("empty ack", Some(ack)) => ack.send(())?,
        ("getValues", _) => socket.emit(
            "takeValues",
            (false, (), 0, "", json!({ "a": [1, { "b": null }] })),
        )?,
        ("getAckBinary", Some(ack)) => ack.send((binaries(), 1, Bytes::from_static(b"last")))?,
        ("getBinary", _) => {
            socket.emit("takeBinary", (binaries(), 1, Bytes::from_static(b"last")))?
        }
        ("checkBinary", Some(ack)) => ack.send((event.get::<Binaries>(0)? == binaries(),))?,
        ("ask", _) => ask(socket, event.get(0)?)?,
        ("volatile", Some(ack)) => {
            socket.emit_volatile("fleeting", (event.raw(0), 1))?;
            socket.emit_volatile("fleeting", (event.raw(0), 2))?;
            ack.send(())?;
        }
        (change @ ("join" | "leave"), Some(ack)) => {
            let room: String = event.get(0)?;
            match change {
                "join" => socket.join(&room),
                _ => socket.leave(&room),
            }
            ack.send((rooms(socket),))?;
        }
        ("tell", Some(ack)) => {
            let choice: Choice = event.get(0)?;
            let others = match choice.everyone {
                true => socket.sockets().broadcast(),
                false => socket.broadcast(),
            };
            let chosen = choice
                .to
                .iter()
                .fold(others, |chosen, room| chosen.to(room));
            let chosen = choice
                .except
                .iter()
                .fold(chosen, |chosen, room| chosen.except(room));
            match choice.volatile {
                true => chosen.emit_volatile("told", (event.raw(1),))?,
                false => chosen.emit("told", (event.raw(1),))?,
            }
            ack.send((chosen.sockets().len(),))?;
        }
        ("requestDisconnect", _) => socket.disconnect(),
        ("requestClose", _) => {
            socket.emit("last word", ())?;
            socket.close();
        }
        _ => {}
    }
    Ok(())
}

/// Tells the others that a socket is gone, and why.
pub fn tell_others(socket: &Socket, reason: DisconnectReason) -> Result<(), EncodeError> {
    let gone = (socket.id(), reason.to_string(), rooms(socket));
    socket.broadcast().emit("gone", gone)
}

fn rooms(socket: &Socket) -> Vec<String> {
    socket.rooms().iter().map(ToString::to_string).collect()
}

/// Asks the client, waits for its answer for so many milliseconds, and tells it how that went.
fn ask(socket: &Socket, milliseconds: u64) -> Outcome {
    let reply = socket.emit_with_ack("question", ("how are you?", Bytes::from_static(b"?")))?;
    let socket = socket.clone();
    tokio::spawn(async move {
        report(
            match timeout(Duration::from_millis(milliseconds), reply).await {
                Ok(Ok(answer)) => socket.emit("answered", answer.arguments()),
                Ok(Err(gone)) => socket.sockets().emit("unanswered", (gone.to_string(),)),
                Err(late) => socket.emit("unanswered", (late.to_string(),)),
            },
        );
    });
    Ok(())
}

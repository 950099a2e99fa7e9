//! The program behind the namespaces.

use bytes::Bytes;
use rollcall::socketio::{Auth, DisconnectReason, Event, Namespace, Refused, Socket, SocketId};
use serde_json::Value;
use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex},
    task::Poll,
};

/// What a namespace was told.
#[derive(Debug)]
pub enum Told {
    Connected(SocketId),
    /// The arguments as they came, the name first.
    Event(Vec<String>),
    Disconnected(SocketId),
}

/// Sends every event back, in an event and in the answer, if one is wanted.
pub struct Echo(pub Arc<Mutex<Vec<Told>>>);

impl Echo {
    fn note(&self, told: Told) {
        self.0.lock().expect("no panic").push(told);
    }
}

impl Namespace for Echo {
    type Handshake = ();
    type Data = ();

    async fn admit(&self, _: &Arc<()>, auth: Auth) -> Result<(), Refused> {
        let mut is_late = auth.raw().contains("slow");
        poll_fn(|context| {
            if mem::take(&mut is_late) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        match auth.raw().contains("refuse") {
            true => Err(Refused::new("no")),
            false => Ok(()),
        }
    }

    fn on_connect(&self, socket: &Socket<()>) {
        self.note(Told::Connected(socket.id()));
        socket.emit("welcome", ()).expect("it has a form");
    }

    fn on_event(&self, socket: &Socket<()>, mut event: Event<'_>) {
        let ack = event.take_ack();
        let arguments = event.arguments();
        let name = serde_json::to_string(event.name()).expect("a text");
        let raw = arguments.iter().map(|argument| argument.get().to_owned());
        self.note(Told::Event([name].into_iter().chain(raw).collect()));
        for place in 0..arguments.len() {
            is_filled_in(&event, place);
        }
        socket
            .emit(event.name(), arguments)
            .expect("what came can go");
        if let Some(ack) = ack {
            ack.send(arguments).expect("what came can go");
        }
    }

    fn on_disconnect(&self, socket: &Socket<()>, _: DisconnectReason) {
        self.note(Told::Disconnected(socket.id()));
    }
}

/// The attachments are in the places of their placeholders, as by a walk through the parsed value.
fn is_filled_in(event: &Event<'_>, place: usize) {
    let raw = event.raw(place).expect("an argument").get();
    let read = event.get::<Value>(place);
    let Ok(mut expected) = serde_json::from_str::<Value>(raw) else {
        return;
    };
    let attachments = event.arguments().attachments();
    let mut copies = vec![0; attachments.len()];
    if !attachments.is_empty() {
        fill(&mut expected, attachments, &mut copies);
    }
    if copies.iter().any(|copies| *copies > 2) {
        assert!(read.is_err(), "more copies than may be");
    } else {
        assert_eq!(read.ok(), Some(expected), "{raw}");
    }
}

fn fill(value: &mut Value, attachments: &[Bytes], copies: &mut [u32]) {
    match value {
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| fill(value, attachments, copies)),
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            let number = fields
                .get("num")
                .and_then(Value::as_f64)
                .expect("it was checked");
            let place = number as usize;
            assert!(number == place as f64);
            copies[place] += 1;
            *value = attachments[place].iter().copied().collect();
        }
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| fill(value, attachments, copies)),
        _ => {}
    }
}

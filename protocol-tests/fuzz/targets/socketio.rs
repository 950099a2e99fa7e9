//! Clients of Socket.IO on sessions of Engine.IO, message after message and in virtual time, with attachments, namespaces,
//! acks and recovery. An event reaches the program exactly when it should, with what stood on the wire; what the program
//! sends can be read again; and whoever has come has gone when the session is over.
//!
//! An input is a byte of flags, and then steps divided by `\x1e`. A step is a text message, unless it begins with 0 (a message of
//! bytes), 1 (time passes), 2 (the program does something) or 3 (the connection is lost, and there is another). `PID` and `OFFSET`
//! stand for what the client was told last.

mod line;
mod program;

use super::{
    Target,
    fixtures::{self, Message as Sent},
};
use bytes::Bytes;
use line::{Call, Line, MAX_BYTES, without_last, written};
use program::{Echo, Told};
use rollcall::{
    engineio::{
        self, Application, CloseReason, Dialect, Due, Frame, Input, Message, Revision, Session,
        SessionHandler, Timing,
        outbound::{Delivery, Inbox, Outbound},
    },
    socketio::{Body, Packet, Recovery, Reply, Settings, SocketId, SocketIo, Sockets, Violation},
};
use serde_json::Value;
use std::{
    collections::HashSet,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

pub const TARGET: Target = Target {
    name: "socketio",
    run,
    seeds,
    words: &[
        "\x1e",
        "\x1e\0",
        "\x1e\x01",
        "\x1e\x02",
        "\x1e\x03",
        "40",
        "40/custom,",
        "41",
        "42[\"e\"",
        "43",
        "451-[\"e\",",
        "{\"_placeholder\":true,\"num\":0}",
        "\"_placeholder\":true",
        "\"num\":",
        "461-0[",
        "/custom,",
        "40{\"pid\":\"PID\",\"offset\":\"OFFSET\"}",
        "\"refuse\"",
        "\"slow\"",
        "\\u006e",
        "\\ud800",
    ],
};

/// Longer ones say nothing new.
const STEPS: usize = 64;

fn seeds() -> Vec<Vec<u8>> {
    let step = |message: &Sent| match message {
        Sent::Text(text) => text.as_bytes().to_vec(),
        Sent::Binary(bytes) => [&[0], &bytes[..]].concat(),
        Sent::Raw(_) => vec![1],
    };
    let packets = fixtures::socketio_packets().into_iter();
    // Inside of a namespace each says more.
    let packets = packets.map(|messages| {
        let inside = ["40", "40/custom,"].map(|text| text.as_bytes().to_vec());
        inside
            .into_iter()
            .chain(messages.iter().map(step))
            .collect::<Vec<_>>()
    });
    let vectors = fixtures::vectors().into_iter();
    let vectors = vectors.map(|messages| messages.iter().map(step).collect());
    let others = [
        "40\x1e\x020\x1e\x021\x1e430[\"yes\"]\x1e\x024\x1e42[\"late\"]\x1e40",
        "40\x1e\x022\x1e\x023\x1e\x01\x1e3\x1e\x01\x1e\x01",
        "40\x1e42[\"m\"]\x1e\x03\x1e\x020\x1e40{\"pid\":\"PID\",\"offset\":\"OFFSET\"}\x1e421[\"m\"]",
        "40{\"slow\":1}\x1e42[\"early\"]",
        "40{\"slow\":1}\x1e\x01\x1e42[\"m\"]\x1e40/custom,{\"refuse\":1}",
        "40\x1e452-[\"m\",{\"_placeholder\":true,\"num\":1.0},[{\"num\":0,\"_placeholder\":true}]]\x1e\0ab\x1e\0c",
    ];
    let others = others
        .into_iter()
        .map(|steps| vec![steps.as_bytes().to_vec()]);
    let all = packets.chain(vectors).chain(others).enumerate();
    let seeds = all.map(|(number, steps): (usize, Vec<Vec<u8>>)| {
        [vec![number as u8 % 8], steps.join(&0x1e)].concat()
    });
    fixtures::small(seeds)
}

/// The flags.
const IS_V3: u8 = 1;
const TAKES_NO_BYTES: u8 = 2;
const RECOVERS: u8 = 4;

fn run(input: &[u8]) {
    let Some((flags, steps)) = input.split_first() else {
        return;
    };
    let mut world = World::new(*flags);
    world.open();
    for step in steps.split(|byte| *byte == 0x1e).take(STEPS) {
        match step {
            [0, bytes @ ..] => world.hear(Heard::Binary(bytes)),
            [1, times @ ..] => world.wait(times.first().copied()),
            [2, what @ ..] => world.act(what.first().copied().unwrap_or_default()),
            [3, ..] => {
                world.close(CloseReason::TransportClosed);
                world.open();
            }
            text => world.hear(Heard::Text(&String::from_utf8_lossy(text))),
        }
        world.settle();
    }
    world.close(CloseReason::ServerShutdown);
}

// ---------------------------------------------------------------------------------------------------------
// The world around the client.

struct World {
    dialect: Dialect,
    recovers: bool,
    timing: Arc<Timing>,
    io: SocketIo<()>,
    sockets: [Arc<Sockets<()>>; 2],
    told: Arc<Mutex<Vec<Told>>>,
    now: Instant,
    line: Option<Line>,
    /// Who has come and has not gone.
    present: HashSet<SocketId>,
    /// Answers that the program waits for.
    replies: Vec<Reply>,
    /// What the client was told last.
    pid: String,
    offset: String,
}

enum Heard<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

impl World {
    fn new(flags: u8) -> Self {
        let recovers = flags & RECOVERS != 0;
        let settings = Settings {
            max_attachment_bytes: MAX_BYTES,
            recovery: recovers.then(Recovery::default),
            ..Settings::default()
        };
        let told = Arc::default();
        let mut io = SocketIo::builder(settings);
        let sockets = ["/", "/custom"].map(|name| io.of(name, Echo(Arc::clone(&told))));
        let revision = if flags & IS_V3 != 0 {
            Revision::V3
        } else {
            Revision::V4
        };
        Self {
            dialect: Dialect {
                revision,
                base64_only: flags & TAKES_NO_BYTES != 0,
            },
            recovers,
            timing: Arc::default(),
            io: io.build(),
            sockets,
            told,
            now: Instant::now(),
            line: None,
            present: HashSet::new(),
            replies: Vec::new(),
            pid: String::new(),
            offset: String::new(),
        }
    }

    fn open(&mut self) {
        let inbox = Arc::new(Inbox::new(1 << 20));
        let revision = self.dialect.revision;
        let client = self
            .io
            .open(self.now, revision, Arc::new(()), Arc::clone(&inbox));
        let session = Session::open(self.now, revision, Arc::clone(&self.timing), true);
        self.line = Some(Line::new(session, client, Outbound::new(inbox)));
        let now = self.now;
        let line = self.line.as_mut().expect("it is there");
        line.client
            .handle_open(now)
            .expect("there are random numbers");
        self.settle();
    }

    /// A message arrives.
    fn hear(&mut self, heard: Heard<'_>) {
        let text;
        let read = match heard {
            Heard::Binary(bytes) => self.dialect.decode_binary(Bytes::copy_from_slice(bytes)),
            Heard::Text(heard) => {
                text = heard
                    .replace("PID", &self.pid)
                    .replace("OFFSET", &self.offset);
                self.dialect.decode_text(&text)
            }
        };
        let now = self.now;
        let Some(line) = &mut self.line else {
            return;
        };
        let input = read
            .ok()
            .and_then(|packet| line.session.handle_packet(now, packet).ok());
        match input {
            Some(Input::Nothing) => {}
            Some(Input::Close) => self.close(CloseReason::ClientClosed),
            Some(Input::Message(message)) => self.hear_message(message),
            None => self.close(CloseReason::ParseError),
        }
    }

    fn hear_message(&mut self, message: Message<'_>) {
        let (now, dialect) = (self.now, self.dialect);
        let Some(line) = &mut self.line else {
            return;
        };
        let expected = line.expect(dialect, &message);
        let outcome = line.client.handle_message(now, message);
        let events = self.events();
        match (&outcome, &expected) {
            (Err(violation), expected) => {
                assert!(events.is_empty());
                let line = self.line.as_ref().expect("it is there");
                let is_inside = expected
                    .as_ref()
                    .is_some_and(|call| line.inside.contains(&call.namespace));
                let is_content = matches!(violation, Violation::TooDeep | Violation::Placeholder);
                assert!(!is_inside || is_content, "refused by {violation}");
                self.close(CloseReason::ParseError);
            }
            (Ok(()), Some(call)) if self.is_inside(&call.namespace) => {
                let [arguments] = &events[..] else {
                    panic!("{events:?} for one event");
                };
                assert_eq!(arguments[1..], call.arguments[1..]);
                let frames = self.drain();
                self.is_echoed(&frames, call, &arguments[0]);
            }
            (Ok(()), call) => {
                assert!(events.is_empty(), "{events:?} from nowhere");
                // Only whoever was sent away, and may not know it yet, is not to blame.
                let expelled = self.line.as_ref().map(|line| &line.expelled);
                let expelled = expelled.zip(call.as_ref());
                assert!(expelled.is_none_or(|(them, call)| them.contains(&call.namespace)));
            }
        }
    }

    fn is_inside(&self, namespace: &str) -> bool {
        let inside = self.line.as_ref().map(|line| &line.inside);
        inside.is_some_and(|inside| inside.contains(namespace))
    }

    /// The event goes back, and so does the answer: character by character.
    fn is_echoed(&self, frames: &[Frame], call: &Call, name: &str) {
        let (kind, acked) = if call.attachments.is_empty() {
            ('2', '3')
        } else {
            ('5', '6')
        };
        let mut arguments = call.arguments.clone();
        name.clone_into(&mut arguments[0]);
        let mut frames = frames.iter();
        let mut next = |expected: &str, has_offset: bool| {
            let Some(Frame::Text(text)) = frames.next() else {
                panic!("no text where {expected} should come");
            };
            let text = str::from_utf8(text).expect("UTF-8");
            let text = if has_offset {
                without_last(text)
            } else {
                text.to_owned()
            };
            assert_eq!(text, expected);
            for attachment in &call.attachments {
                assert_eq!(frames.next(), Some(&Frame::Binary(attachment.clone())));
            }
        };
        next(&written(kind, call, "", &arguments), self.recovers);
        if let Some(id) = &call.id {
            next(&written(acked, call, id, &arguments[1..]), false);
        }
        assert!(frames.next().is_none());
    }

    /// Time passes: so many fifths of a second, or until something is due.
    fn wait(&mut self, fifths: Option<u8>) {
        let Some(line) = &mut self.line else {
            return;
        };
        let deadlines = [Some(line.session.deadline()), line.client.deadline()];
        self.now = match fifths {
            Some(fifths) => self.now + Duration::from_millis(200) * u32::from(fifths),
            None => deadlines
                .into_iter()
                .flatten()
                .min()
                .map_or(self.now, |at| at.max(self.now)),
        };
        let due = line.session.handle_timeout(self.now);
        let is_late = line
            .client
            .deadline()
            .is_some_and(|deadline| deadline <= self.now);
        let late = line.client.handle_timeout(self.now);
        assert_eq!(late.is_some(), is_late);
        match (due, late) {
            (Due::Close(reason), _) | (_, Some(reason)) => self.close(reason),
            (Due::Nothing | Due::Reject, None) => assert!(line.session.deadline() > self.now),
        }
    }

    /// The program does something of its own accord.
    fn act(&mut self, what: u8) {
        let [main, _] = &self.sockets;
        let first = main.all().into_iter().next();
        let done = match (what % 10, first) {
            (0, _) => main.emit("news", (1, "x")),
            (1, Some(socket)) => socket
                .emit_with_ack("ask", ("?",))
                .map(|reply| self.replies.push(reply)),
            (2, Some(socket)) => {
                socket.join("room");
                assert_eq!(socket.rooms().len(), 1);
                Ok(())
            }
            (3, _) => main.to("room").emit("to-room", (Bytes::from_static(b"x"),)),
            (4, Some(socket)) => {
                socket.disconnect();
                socket.emit("unheard", ())
            }
            (5, Some(socket)) => {
                socket.close();
                Ok(())
            }
            (6, Some(socket)) => {
                socket.leave("room");
                Ok(())
            }
            (7, Some(socket)) => socket.emit_volatile("perhaps", ()),
            (8, Some(socket)) => socket.broadcast().emit("others", ()),
            (9, _) => main.broadcast().emit_with_ack("vote", ()).map(drop),
            _ => Ok(()),
        };
        done.expect("it has a form");
    }

    /// What the session's task does after anything.
    fn settle(&mut self) {
        let now = self.now;
        if let Some(line) = &mut self.line {
            line.client
                .poll(now, &mut Context::from_waker(Waker::noop()));
        }
        let events = self.events();
        assert!(events.is_empty());
        self.drain();
        if let Some(line) = &mut self.line {
            while line.session.take_own().is_some() {}
        }
        self.look_for_replies();
    }

    fn look_for_replies(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        self.replies
            .retain_mut(|reply| match Pin::new(reply).poll(&mut context) {
                Poll::Pending => true,
                Poll::Ready(Ok(answer)) => {
                    let arguments = answer.arguments();
                    for place in 0..arguments.len() {
                        let _value = arguments.get::<Value>(place);
                    }
                    false
                }
                Poll::Ready(Err(_)) => false,
            });
    }

    /// What the namespaces were told; events are given back.
    fn events(&mut self) -> Vec<Vec<String>> {
        let mut events = Vec::new();
        for told in mem::take(&mut *self.told.lock().expect("no panic")) {
            match told {
                Told::Connected(id) => assert!(self.present.insert(id), "twice"),
                Told::Event(arguments) => events.push(arguments),
                Told::Disconnected(id) => assert!(self.present.remove(&id), "who never was there"),
            }
        }
        events
    }

    /// Takes all that waits for the client, and reads it.
    fn drain(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Some(line) = &mut self.line {
            match line.outbound.poll_next(&mut context) {
                Poll::Pending => break,
                Poll::Ready(Delivery::Close(reason)) => self.close(reason),
                Poll::Ready(Delivery::Frame(frame)) => {
                    self.read(&frame);
                    frames.push(frame);
                }
            }
        }
        frames
    }

    /// Reads a frame as the client does.
    fn read(&mut self, frame: &Frame) {
        let sent = self.dialect.encode_frame(frame).into_owned();
        let packet = match &sent {
            Frame::Text(text) => self
                .dialect
                .decode_text(str::from_utf8(text).expect("UTF-8")),
            Frame::Binary(bytes) => self.dialect.decode_binary(bytes.clone()),
        };
        let line = self.line.as_mut().expect("it is sent to someone");
        let text = match packet {
            Ok(engineio::Packet::Message(Message::Text(text))) => text,
            Ok(engineio::Packet::Message(Message::Binary(_))) => {
                line.owed = line
                    .owed
                    .checked_sub(1)
                    .expect("bytes that belong to nothing");
                return;
            }
            other => panic!("{other:?} is no message"),
        };
        assert_eq!(line.owed, 0, "a packet where bytes should come");
        let packet = Packet::decode(text).expect("a packet");
        line.owed = packet.attachments();
        let namespace = packet.namespace.to_owned();
        match packet.body {
            Body::Connect(payload) => {
                let payload: Value = payload.map_or(Value::Null, |json| {
                    serde_json::from_str(json.get()).expect("JSON")
                });
                if let Some(pid) = payload.get("pid").and_then(Value::as_str) {
                    pid.clone_into(&mut self.pid);
                }
                assert!(line.inside.insert(namespace.clone()), "twice");
            }
            Body::Disconnect => {
                assert!(line.inside.remove(&namespace), "from where it is not");
                line.expelled.insert(namespace);
            }
            Body::ConnectError(_) => assert!(!line.inside.contains(&namespace)),
            Body::Event(call) | Body::Ack(call) => {
                // One that comes back hears what it missed before it is told that it is inside.
                assert!(
                    self.recovers || line.inside.contains(&namespace),
                    "{text} to one outside"
                );
                let last = call.arguments.iter().last();
                let last = last.and_then(|last| serde_json::from_str::<String>(last.get()).ok());
                self.offset = last.unwrap_or_default();
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        let Some(mut line) = self.line.take() else {
            return;
        };
        let last_words = line.client.handle_close(self.now, reason);
        assert!(last_words.is_empty() || reason == CloseReason::ServerDisconnected);
        for word in last_words {
            let text = str::from_utf8(word.bytes()).expect("UTF-8");
            let packet = Packet::decode(&text[1..]).expect("a packet");
            assert!(
                matches!(packet.body, Body::Disconnect) && line.inside.contains(packet.namespace)
            );
        }
        line.session.handle_close(reason);
        drop(line);
        assert!(self.events().is_empty());
        assert!(self.present.is_empty(), "who never goes");
        assert!(
            self.sockets
                .iter()
                .all(|sockets| sockets.is_empty() && sockets.to("room").sockets().is_empty())
        );
        self.look_for_replies();
        assert!(self.replies.is_empty(), "waited for ever");
    }
}

//! The document of the events, AsyncAPI 3: one operation for each event that there is, with the acks that answer it.

use super::{schemas, tree::Tree};
use crate::presence::{ClientEvent, ServerEvent};

/// Where the one channel is.
const CHANNEL: &str = "#/channels/gateway";

/// What is said of an event.
struct Words {
    summary: &'static str,
    description: &'static str,
    /// The schema of its first argument; none: it has no arguments.
    payload: Option<&'static str>,
    /// The schema of its second.
    second: Option<&'static str>,
    /// How it may be acknowledged: what that means, and the schema of the argument.
    acks: &'static [(&'static str, &'static str)],
}

/// What clients send, in words.
fn heard(event: ClientEvent) -> Words {
    match event {
        ClientEvent::SetActivity => Words {
            summary: "Report what the user does",
            description: "Of a user with several devices the highest report counts: `PLAYING` before `BUSY` before `ONLINE`. Report again on every connect. A wrong payload is answered by an `exception` as well, and nobody else notices.",
            payload: Some("Report"),
            second: None,
            acks: &[("taken", "Accepted"), ("wrong", "Rejected")],
        },
        ClientEvent::GetActivities => Words {
            summary: "Ask for what everyone does",
            description: "The ack is the array; an `activities` comes as well.",
            payload: None,
            second: None,
            acks: &[("all", "Activities")],
        },
        ClientEvent::Watch => Words {
            summary: "Say of whom to be told from now on",
            description: "A snapshot of those follows. A wrong payload is answered by an `exception` as well.",
            payload: Some("Interest"),
            second: None,
            acks: &[("taken", "Done"), ("wrong", "Rejected")],
        },
    }
}

/// What the server sends, in words.
fn told(event: ServerEvent) -> Words {
    match event {
        ServerEvent::Activities => Words {
            summary: "What is known of all",
            description: "First of all, on request, and to a client that could not keep up instead of what it missed: it takes the place of all that was known. Clients that watch get the place of the snapshot among the changes as a second argument.",
            payload: Some("Activities"),
            second: Some("Place"),
            acks: &[],
        },
        ServerEvent::Activity => Words {
            summary: "What has changed of one",
            description: "To everyone, the sender too. A report that changes nothing for the others is confirmed to its sender alone, with the number of the last change.",
            payload: Some("Change"),
            second: None,
            acks: &[],
        },
        ServerEvent::Exception => Words {
            summary: "What was wrong with an event",
            description: "To the client that sent it, and to nobody else.",
            payload: Some("Exception"),
            second: None,
            acks: &[],
        },
    }
}

/// The whole document.
pub(super) fn document() -> Result<Tree, serde_json::Error> {
    let mut document = schemas::read(include_str!("asyncapi.json"))?;
    for event in ClientEvent::ALL {
        add(&mut document, "receive", event.name(), &heard(event));
    }
    for event in ServerEvent::ALL {
        add(&mut document, "send", event.name(), &told(event));
    }
    schemas::complete(&mut document)?;
    give_examples(&mut document);
    Ok(document)
}

/// Adds what the server does with an event: the operation, and its messages.
fn add(document: &mut Tree, action: &str, name: &str, words: &Words) {
    let mut message = Tree::object(&[
        ("name", Tree::text(name)),
        ("title", Tree::text(name)),
        ("summary", Tree::text(words.summary)),
    ]);
    if let Some(payload) = words.payload {
        message.put(&["payload"], schemas::reference(payload));
    }
    if let Some(second) = words.second {
        message.put(&["x-second-argument"], schemas::reference(second));
    }
    add_message(document, name, message);
    let mut operation = Tree::object(&[
        ("action", Tree::text(action)),
        ("title", Tree::text(name)),
        ("summary", Tree::text(words.summary)),
        ("description", Tree::text(words.description)),
        ("channel", Tree::reference(CHANNEL.to_owned())),
        ("messages", Tree::List(vec![reference_to(name)])),
    ]);
    let mut replies = Vec::new();
    for (meaning, payload) in words.acks {
        let ack = format!("{name}.{meaning}");
        let title = format!("Ack of {name}: {meaning}");
        let message = Tree::object(&[
            ("title", Tree::Text(title)),
            ("payload", schemas::reference(payload)),
        ]);
        add_message(document, &ack, message);
        replies.push(reference_to(&ack));
    }
    if !replies.is_empty() {
        let reply = [
            ("channel", Tree::reference(CHANNEL.to_owned())),
            ("messages", Tree::List(replies)),
        ];
        operation.put(&["reply"], Tree::object(&reply));
    }
    document.put(&["operations", name], operation);
}

fn add_message(document: &mut Tree, key: &str, message: Tree) {
    document.put(&["channels", "gateway", "messages", key], message);
}

fn reference_to(message: &str) -> Tree {
    Tree::reference(format!("{CHANNEL}/messages/{message}"))
}

/// Each message has its payload's examples.
fn give_examples(document: &mut Tree) {
    let messages = document.find(&["channels", "gateway", "messages"]);
    let messages = messages.map_or(&[][..], Tree::members).to_vec();
    for (key, message) in messages {
        let payload = message.get("payload");
        let name = payload.map_or("", |payload| schemas::name(payload));
        let examples = document.find(&["components", "schemas", name, "examples"]);
        let examples = examples.map_or(&[][..], Tree::items).iter();
        let examples = examples.map(|payload| Tree::object(&[("payload", payload.clone())]));
        let examples: Vec<_> = examples.collect();
        if !examples.is_empty() {
            let place = ["channels", "gateway", "messages", &key, "examples"];
            document.put(&place, Tree::List(examples));
        }
    }
}

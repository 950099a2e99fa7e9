//! The schemas that both documents share.
//!
//! What the server sends is described by itself: a schema has the fields that the values of a type have when they are
//! written as JSON, and those are its examples. What it reads has the fields that the reader names. `schemas.json` says in
//! words what each field is.

use super::tree::Tree;
use crate::{
    api::{
        activities::Unknown,
        error::Body,
        monitoring::{GOING_DOWN, Health},
        status::Status,
        users::{self, OwnBody, SeenBody},
    },
    presence::{
        Accepted, Activity, BadReport, ClientEvent, Doing, Done, Exception, Interest, Lease,
        MAX_DETAILS, MAX_ECHO_BYTES, MAX_GAME_ID, MAX_TTL_SECONDS, MAX_WATCHED, Place, Published,
        Rejected, Report, State,
    },
    socketio::SocketId,
    users::{ApiKey, KeyDigest, MAX_USER_ID, Role, User},
};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// Where a schema stands in a document, before its name.
const PLACE: &str = "#/components/schemas/";

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Tree {
    Tree::reference(format!("{PLACE}{name}"))
}

/// The name of the schema that is referred to; empty if none is.
pub(super) fn name(schema: &Tree) -> &str {
    schema.say("$ref").strip_prefix(PLACE).unwrap_or_default()
}

/// A text of ours, with what it takes from the code: numbers and lists where a value is `"$NAME"`, words elsewhere.
pub(super) fn read(text: &str) -> Result<Tree, serde_json::Error> {
    let number = |number: u64| Tree::Plain(number.to_string());
    let values = [
        ("$MAX_DETAILS", number(MAX_DETAILS as u64)),
        ("$MAX_ECHO_BYTES", number(MAX_ECHO_BYTES as u64)),
        ("$MAX_GAME_ID", number(MAX_GAME_ID)),
        ("$MAX_TTL_SECONDS", number(MAX_TTL_SECONDS)),
        ("$MAX_USER_ID", number(MAX_USER_ID)),
        ("$MAX_WATCHED", number(MAX_WATCHED as u64)),
        ("$STATES", Tree::texts(&State::NAMES)),
        (
            "$CLIENT_EVENTS",
            Tree::texts(&ClientEvent::ALL.map(ClientEvent::name)),
        ),
        (
            "$ROLES",
            Tree::List(Role::ALL.map(|role| number(role.number().into())).into()),
        ),
    ];
    let mut text = text.replace("$VERSION", env!("CARGO_PKG_VERSION"));
    for (name, value) in values {
        let value = value.to_string();
        text = text.replace(&format!("\"{name}\""), &value);
        text = text.replace(name, &value);
    }
    Tree::read(&text)
}

/// Adds the schemas that `document` refers to, and those that they refer to.
pub(super) fn complete(document: &mut Tree) -> Result<(), serde_json::Error> {
    let texts = read(include_str!("schemas.json"))?;
    let mut known = BTreeSet::new();
    while let Some(name) = missing(document, &known) {
        let schema = schema(&name, &texts)?;
        document.put(&["components", "schemas", &name], schema);
        known.insert(name);
    }
    Ok(())
}

/// A schema that is referred to and not known.
fn missing(document: &Tree, known: &BTreeSet<String>) -> Option<String> {
    let mut found = None;
    document.walk(&mut |part| {
        let name = name(part);
        if !name.is_empty() && found.is_none() && !known.contains(name) {
            found = Some(name.to_owned());
        }
    });
    found
}

fn schema(name: &str, texts: &Tree) -> Result<Tree, serde_json::Error> {
    let schema = texts.find(&["schemas", name]).cloned();
    let mut schema = schema.unwrap_or(Tree::Object(Vec::new()));
    let report = Report::FIELDS.map(|field| ("Report", field));
    let read = match name {
        "Report" => report.to_vec(),
        "Lease" => [&report[..], &[(name, Lease::FIELD)]].concat(),
        "Interest" => Interest::FIELDS.map(|field| (name, field)).to_vec(),
        _ => Vec::new(),
    };
    for (owner, field) in read {
        schema.put(&["properties", field], lookup(owner, field, texts));
    }
    let samples = samples(name)?;
    if !samples.is_empty() {
        describe(
            name,
            &samples.iter().collect::<Vec<_>>(),
            texts,
            &mut schema,
        );
        schema.put(&["examples"], Tree::List(samples));
    }
    Ok(schema)
}

/// Says of an object what the samples show. The first has every field; those that are in all of them are required.
fn describe(owner: &str, samples: &[&Tree], texts: &Tree, schema: &mut Tree) {
    let Some((first, others)) = samples.split_first() else {
        return;
    };
    let is_required = |field: &str| others.iter().all(|sample| sample.get(field).is_some());
    let fields = first.members().iter().map(|(field, _)| &**field);
    let required: Vec<_> = fields.filter(|field| is_required(field)).collect();
    schema.put(&["type"], Tree::text("object"));
    schema.put(&["required"], Tree::texts(&required));
    for (field, value) in first.members() {
        let mut described = lookup(owner, field, texts);
        // Always the same: as the value has it.
        if described.get("const").is_some() {
            described.put(&["const"], value.clone());
        }
        let is_open = described.get("$ref").is_none();
        if is_open && matches!(value, Tree::Object(_)) {
            let inner: Vec<_> = samples
                .iter()
                .filter_map(|sample| sample.get(field))
                .collect();
            describe(field, &inner, texts, &mut described);
        }
        schema.put(&["properties", field], described);
    }
}

/// What the texts say of a field: of this owner's, or else of any of that name.
fn lookup(owner: &str, field: &str, texts: &Tree) -> Tree {
    let own = texts.find(&["fields", &format!("{owner}.{field}")]);
    let found = own.or_else(|| texts.find(&["fields", field]));
    found.cloned().unwrap_or(Tree::Object(Vec::new()))
}

/// Values of what the server sends, the first with all fields that there can be. None, of what is not an object of ours.
fn samples(name: &str) -> Result<Vec<Tree>, serde_json::Error> {
    let Some(socket_id) = SocketId::parse("rR2dmfxU8YsB1TLlKuXH") else {
        return Ok(Vec::new());
    };
    let activity = |doing| Activity {
        user_id: 2,
        socket_id,
        doing,
        since: 1_795_491_822_873,
    };
    let playing = activity(Some(Doing {
        state: State::Playing { game_id: Some(42) },
        details: Some("The last level".into()),
    }));
    let offline = activity(None);
    let published = |activity: &Activity, seq| {
        let activity = activity.clone();
        Published { activity, seq }
    };
    let (bad, missing) = (
        BadReport::NotAnObject.to_string(),
        BadReport::Missing.to_string(),
    );
    let payload = RawValue::from_string("\"PLAYING\"".to_owned())?;
    let event = ClientEvent::SetActivity.name();
    let user = User {
        id: 2,
        username: "bob".to_owned(),
        role: Role::User,
        activated: true,
        deleted_at: None,
        key_digest: KeyDigest::of(""),
    };
    let values: &[&dyn Sample] = match name {
        "Activity" => &[&playing, &offline],
        "Change" => &[&published(&playing, 17), &published(&offline, 18)],
        "Place" => &[&Place { seq: 17 }],
        "Accepted" => &[&Accepted::new(playing)],
        "Done" => &[&Done::new()],
        "Rejected" => &[&Rejected::new(&bad)],
        "Exception" => &[
            &Exception::new(event, &bad, Some(&payload)),
            &Exception::new(event, &missing, None),
        ],
        "Offline" => &[&Unknown::new()],
        "Status" => &[&Status::new(Some(86_400)), &Status::new(None)],
        "Health" => &[&Health::new(Some(GOING_DOWN)), &Health::new(None)],
        "User" => &[&SeenBody::of(&user, Some(1_795_491_822_873))],
        "OwnUser" => &[&OwnBody::of(&user, ApiKey::parse(SAMPLE_KEY))],
        "Error" => &[&Body::new(StatusCode::NOT_FOUND, users::UNKNOWN)],
        _ => &[],
    };
    values.iter().map(|value| value.tree()).collect()
}

/// A value of some type.
trait Sample {
    fn tree(&self) -> Result<Tree, serde_json::Error>;
}

impl<T: Serialize> Sample for T {
    fn tree(&self) -> Result<Tree, serde_json::Error> {
        Tree::read(&serde_json::to_string(self)?)
    }
}

/// Nobody's.
const SAMPLE_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

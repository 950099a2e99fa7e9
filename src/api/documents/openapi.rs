//! The document of the REST part, OpenAPI 3.1: `openapi.json` says what each path does, the code which paths and methods
//! there are.

use super::{ApiDocument, schemas, tree::Tree};
use crate::api::route::Route;

/// What may be answered to whoever has to say who it is.
const DENIALS: [(&str, &str); 4] = [
    ("401", "Unauthorized"),
    ("403", "Forbidden"),
    ("429", "TooManyRequests"),
    ("503", "Unavailable"),
];

/// The whole document. A route of which `openapi.json` says nothing is there, and says nothing.
pub(super) fn document() -> Result<Tree, serde_json::Error> {
    let mut document = schemas::read(include_str!("openapi.json"))?;
    for route in Route::all() {
        let path = route.template();
        let texts = document.find(&["paths", path]).cloned();
        let mut item = texts.unwrap_or(Tree::Object(Vec::new()));
        if let Route::Document(shown) = route {
            item.put(&["get"], about(shown));
        }
        for method in route.methods().split(", ") {
            let method = method.to_ascii_lowercase();
            // GET comes first.
            let operation = match (&*method, item.get("get")) {
                ("head", Some(get)) => head(get, &document),
                (method, _) => whole(route, item.get(method)),
            };
            item.put(&[&method], operation);
        }
        document.put(&["paths", path], item);
    }
    schemas::complete(&mut document)?;
    Ok(document)
}

/// An operation with what many have in common.
fn whole(route: Route, said: Option<&Tree>) -> Tree {
    let mut operation = said.cloned().unwrap_or(Tree::Object(Vec::new()));
    if operation.get("security").is_none() {
        for (status, name) in DENIALS {
            answer(&mut operation, status, name);
        }
    }
    if route.is_about_activities() {
        answer(&mut operation, "404", "Disabled");
    }
    let responses = operation.get("responses").map_or(&[][..], Tree::members);
    let mut responses = responses.to_vec();
    responses.sort_by(|(one, _), (other, _)| one.cmp(other));
    operation.put(&["responses"], Tree::Object(responses));
    operation
}

/// Adds an answer of this status, if there is none yet.
fn answer(operation: &mut Tree, status: &str, name: &str) {
    if operation.find(&["responses", status]).is_none() {
        let pointer = format!("#/components/responses/{name}");
        operation.put(&["responses", status], Tree::reference(pointer));
    }
}

/// HEAD, of which `get` is said: the same, but its answers bring nothing.
fn head(get: &Tree, document: &Tree) -> Tree {
    let mut head = get.clone();
    let id = format!("{}Head", get.say("operationId"));
    head.put(&["operationId"], Tree::Text(id));
    let responses = get.get("responses").map_or(&[][..], Tree::members);
    for (status, response) in responses {
        let response = resolved(response, document);
        let kept = response.members().iter();
        let kept = kept.filter(|(name, _)| name != "content").cloned();
        head.put(&["responses", status], Tree::Object(kept.collect()));
    }
    head
}

/// What is referred to.
pub(super) fn resolved<'a>(part: &'a Tree, document: &'a Tree) -> &'a Tree {
    let pointer = part.say("$ref").strip_prefix("#/");
    let found = pointer.and_then(|pointer| {
        let path: Vec<_> = pointer.split('/').collect();
        document.find(&path)
    });
    found.unwrap_or(part)
}

/// Of a document.
fn about(shown: ApiDocument) -> Tree {
    let content = Tree::object(&[(shown.content_type(), Tree::Object(Vec::new()))]);
    let found = [
        ("description", Tree::text(shown.title())),
        ("content", content),
    ];
    let mut operation = Tree::object(&[
        ("tags", Tree::texts(&["documents"])),
        ("operationId", Tree::text(shown.id())),
        ("summary", Tree::text(shown.title())),
        ("security", Tree::List(Vec::new())),
    ]);
    operation.put(&["responses", "200"], Tree::object(&found));
    let etag = Tree::reference("#/components/headers/ETag".to_owned());
    operation.put(&["responses", "200", "headers", "ETag"], etag);
    answer(&mut operation, "304", "NotModified");
    operation
}

//! The documents as HTML, for people: made of the same trees, without scripts, and with nothing from elsewhere.

use super::{openapi::resolved, schemas, tree::Tree};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// What a browser may do with a document: show it with our style, and nothing else.
pub(super) fn policy() -> String {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page of the events.
pub(super) fn events(document: &Tree) -> String {
    let mut page = Page::new(document, "async-json", "async-yaml");
    page.write("<a href=\"../docs\">REST</a></p></header>");
    let operations = list(document, &["operations"]);
    page.contents(operations.iter().map(|(name, _)| (&**name, &**name)));
    page.heading("Connecting");
    for (_, server) in list(document, &["servers"]) {
        page.paragraph(server.say("description"));
    }
    for (_, channel) in list(document, &["channels"]) {
        let (address, about) = (channel.say("address"), channel.say("description"));
        page.paragraph(&format!("`{address}`: {about}"));
    }
    page.credentials();
    for (action, heading) in [("receive", "Clients send"), ("send", "The server sends")] {
        page.heading(heading);
        for (name, operation) in operations {
            if operation.say("action") == action {
                page.event(name, operation);
            }
        }
    }
    page.schemas()
}

/// The page of REST.
pub(super) fn rest(document: &Tree) -> String {
    let mut page = Page::new(document, "docs-json", "docs-yaml");
    page.write("<a href=\"docs/async\">The events</a></p></header>");
    let paths = list(document, &["paths"]);
    page.contents(paths.iter().map(|(path, _)| (&**path, &**path)));
    page.heading("Who asks");
    page.credentials();
    for tag in document.get("tags").map_or(&[][..], Tree::items) {
        page.heading(tag.say("description").trim_end_matches('.'));
        for (path, item) in paths {
            page.path(path, item, tag.say("name"));
        }
    }
    page.schemas()
}

/// A page that grows.
struct Page<'a> {
    document: &'a Tree,
    html: String,
}

impl<'a> Page<'a> {
    /// Its beginning, within a paragraph of links.
    fn new(document: &'a Tree, json: &str, yaml: &str) -> Self {
        let info = |name| document.find(&["info", name]);
        let info = |name| match info(name) {
            Some(Tree::Text(text)) => text,
            _ => "",
        };
        let (title, about) = (escaped(info("title")), prose(info("description")));
        let version = escaped(info("version"));
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body><header><h1>{title}</h1><p>{about}</p>\
             <p>Version {version} · <a href=\"{json}\">JSON</a> · <a href=\"{yaml}\">YAML</a> · "
        );
        Self { document, html }
    }

    fn write(&mut self, html: &str) {
        self.html.push_str(html);
    }

    fn paragraph(&mut self, text: &str) {
        if !text.is_empty() {
            self.write(&format!("<p>{}</p>", prose(text)));
        }
    }

    /// What the page has, with links; then its main part begins.
    fn contents<'b>(&mut self, entries: impl Iterator<Item = (&'b str, &'b str)>) {
        self.write("<nav aria-label=\"Contents\"><ul>");
        for (id, text) in entries {
            let (id, text) = (id_of(id), escaped(text));
            self.write(&format!(
                "<li><a href=\"#{id}\"><code>{text}</code></a></li>"
            ));
        }
        self.write("</ul></nav><main>");
    }

    fn heading(&mut self, text: &str) {
        self.write(&format!("<h2>{}</h2>", prose(text)));
    }

    /// By what a client shows who it is.
    fn credentials(&mut self) {
        self.write("<ul>");
        for (_, scheme) in list(self.document, &["components", "securitySchemes"]) {
            let name = match (scheme.say("name"), scheme.say("scheme")) {
                ("", "") => "auth",
                ("", "basic") => "Authorization: Basic",
                (name, _) => name,
            };
            let about = prose(scheme.say("description"));
            self.write(&format!("<li><code>{}</code>: {about}</li>", escaped(name)));
        }
        self.write("</ul>");
    }

    fn event(&mut self, name: &str, operation: &Tree) {
        let id = id_of(name);
        self.write(&format!(
            "<section><h3 id=\"{id}\"><code>{}</code></h3>",
            escaped(name)
        ));
        self.paragraph(&format!("{}.", operation.say("summary")));
        self.paragraph(operation.say("description"));
        let messages = operation.get("messages").map_or(&[][..], Tree::items);
        self.write("<dl>");
        for message in messages {
            self.message("Payload", resolved(message, self.document));
        }
        let replies = operation.find(&["reply", "messages"]);
        for reply in replies.map_or(&[][..], Tree::items) {
            let reply = resolved(reply, self.document);
            let (_, meaning) = reply.say("title").rsplit_once(": ").unwrap_or_default();
            self.message(&format!("Ack, {meaning}"), reply);
        }
        self.write("</dl></section>");
    }

    fn message(&mut self, term: &str, message: &Tree) {
        let payload = message.get("payload");
        let mut payload = payload.map_or_else(|| "none".to_owned(), kind);
        if let Some(second) = message.get("x-second-argument") {
            payload = format!("{payload}, and then perhaps {}", kind(second));
        }
        self.write(&format!("<dt>{}<dd>{payload}", escaped(term)));
        let schema = message.get("payload");
        if let Some(example) = schema.and_then(|schema| self.example(schema)) {
            self.write(&example);
        }
    }

    /// The first example of a schema that is referred to.
    fn example(&self, schema: &Tree) -> Option<String> {
        let examples = resolved(schema, self.document).get("examples")?;
        let example = examples.items().first()?;
        Some(sample(&example.to_string()))
    }

    /// The operations of a path that are about `tag`.
    fn path(&mut self, path: &str, item: &Tree, tag: &str) {
        let is_about = |operation: &Tree| {
            let tags = operation.get("tags").map_or(&[][..], Tree::items);
            tags.contains(&Tree::text(tag))
        };
        let operations = item.members().iter();
        // HEAD is said beside GET.
        let operations =
            operations.filter(|(method, operation)| method != "head" && is_about(operation));
        for (place, (method, operation)) in operations.enumerate() {
            let id = match place {
                0 => format!(" id=\"{}\"", id_of(path)),
                _ => String::new(),
            };
            let also = match method == "get" && item.get("head").is_some() {
                true => " <small>and HEAD</small>",
                false => "",
            };
            let (method, path) = (method.to_ascii_uppercase(), escaped(path));
            self.write(&format!(
                "<section><h3{id}><code>{method} {path}</code>{also}</h3>"
            ));
            self.operation(item, operation);
            self.write("</section>");
        }
    }

    fn operation(&mut self, item: &Tree, operation: &Tree) {
        self.paragraph(&format!("{}.", operation.say("summary")));
        self.paragraph(operation.say("description"));
        if operation.get("security").is_some() {
            self.paragraph("Nobody has to say who it is.");
        }
        self.write("<dl>");
        for of in [item, operation] {
            for parameter in of.get("parameters").map_or(&[][..], Tree::items) {
                let parameter = resolved(parameter, self.document);
                let (name, place) = (escaped(parameter.say("name")), parameter.say("in"));
                let about = prose(parameter.say("description"));
                self.write(&format!("<dt><code>{name}</code>, {place}<dd>{about}"));
            }
        }
        if let Some(body) = operation.find(&["requestBody", "content"]) {
            self.write("<dt>Body");
            self.content(body);
        }
        for (status, response) in list(operation, &["responses"]) {
            let response = resolved(response, self.document);
            let about = prose(response.say("description"));
            self.write(&format!("<dt><code>{status}</code><dd>{about}"));
            for (name, _) in list(response, &["headers"]) {
                self.write(&format!(" With <code>{}</code>.", escaped(name)));
            }
            // What was wrong is always said in the same way.
            if status.starts_with('2')
                && let Some(content) = response.get("content")
            {
                self.content(content);
            }
        }
        self.write("</dl>");
    }

    fn content(&mut self, content: &Tree) {
        for (media, content) in content.members() {
            let media = escaped(media);
            let Some(schema) = content.get("schema") else {
                continue;
            };
            self.write(&format!("<dd>{} as <code>{media}</code>", kind(schema)));
            let given = match content.get("example") {
                Some(Tree::Text(text)) => Some(sample(text)),
                _ => self.example(schema),
            };
            if let Some(example) = given {
                self.write(&example);
            }
        }
    }

    /// All that is sent and read, and the end of the page.
    fn schemas(mut self) -> String {
        self.heading("What is in it");
        for (name, schema) in list(self.document, &["components", "schemas"]) {
            self.write(&format!("<section><h3 id=\"{name}\">{name}</h3>"));
            self.paragraph(schema.say("description"));
            let fields = list(schema, &["properties"]);
            if fields.is_empty() {
                self.write(&format!("<p>{}</p>", kind(schema)));
            } else {
                self.table(name, schema, fields);
            }
            let examples = schema.get("examples").map_or(&[][..], Tree::items);
            let lines: Vec<_> = examples.iter().map(Tree::to_string).collect();
            if !lines.is_empty() {
                self.write(&sample(&lines.join("\n")));
            }
            self.write("</section>");
        }
        self.write("</main></body></html>\n");
        self.html
    }

    fn table(&mut self, name: &str, schema: &Tree, fields: &[(String, Tree)]) {
        let required = schema.get("required").map_or(&[][..], Tree::items);
        self.write(&format!(
            "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"The fields of {name}\"><table><thead><tr>\
             <th scope=\"col\">Field<th scope=\"col\">Is<th scope=\"col\">About</thead><tbody>"
        ));
        for (field, of) in fields {
            let optional = match required.contains(&Tree::text(&**field)) {
                true => "",
                false => "optional: ",
            };
            let (field, about) = (escaped(field), prose(of.say("description")));
            self.write(&format!(
                "<tr><th scope=\"row\"><code>{field}</code><td>{optional}{}<td>{about}",
                kind(of)
            ));
            let inner: Vec<_> = list(of, &["properties"])
                .iter()
                .map(|(inner, of)| {
                    format!(
                        " <code>{}</code>: {}",
                        escaped(inner),
                        prose(of.say("description"))
                    )
                })
                .collect();
            self.write(&inner.concat());
        }
        self.write("</tbody></table></div>");
    }
}

/// What a value may be, in HTML.
fn kind(schema: &Tree) -> String {
    let name = schemas::name(schema);
    if !name.is_empty() {
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    for (of, between) in [("anyOf", " or "), ("enum", ", ")] {
        let options = schema.get(of).map_or(&[][..], Tree::items).iter();
        let options: Vec<_> = match of {
            "enum" => options.map(value).collect(),
            _ => options.map(kind).collect(),
        };
        if !options.is_empty() {
            return options.join(between);
        }
    }
    if let Some(fixed) = schema.get("const") {
        return value(fixed);
    }
    let types = match schema.get("type") {
        Some(Tree::List(types)) => types.iter().map(word).collect::<Vec<_>>().join(" or "),
        Some(one) => word(one),
        None => "anything".to_owned(),
    };
    let mut text = types;
    if let Some(items) = schema.get("items") {
        text = format!("{text} of {}", kind(items));
    }
    for (limit, before, after) in [
        ("minimum", "from ", ""),
        ("maximum", "to ", ""),
        ("minLength", "at least ", " character"),
        ("maxLength", "at most ", " characters"),
        ("maxItems", "at most ", ""),
    ] {
        let number = schema.say(limit);
        if !number.is_empty() {
            // Into a text that is ours: this cannot fail.
            _ = write!(text, ", {before}{number}{after}");
        }
    }
    text
}

fn word(word: &Tree) -> String {
    match word {
        Tree::Text(text) => escaped(text),
        other => escaped(&other.to_string()),
    }
}

fn value(value: &Tree) -> String {
    format!("<code>{}</code>", word(value))
}

/// An example, which may be wide.
fn sample(text: &str) -> String {
    let text = escaped(text.trim_end());
    format!("<pre tabindex=\"0\"><code>{text}</code></pre>")
}

/// The members of what is at the end of a path.
fn list<'a>(tree: &'a Tree, path: &[&str]) -> &'a [(String, Tree)] {
    tree.find(path).map_or(&[], Tree::members)
}

/// An id of letters, digits and hyphens.
fn id_of(text: &str) -> String {
    let plain = |next: char| match next.is_ascii_alphanumeric() {
        true => next,
        false => '-',
    };
    text.trim_matches('/').chars().map(plain).collect()
}

/// Words, in which code stands between backticks.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (place, part) in text.split('`').enumerate() {
        let part = escaped(part);
        match place % 2 {
            0 => html.push_str(&part),
            _ => html.push_str(&format!("<code>{part}</code>")),
        }
    }
    html
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

//! The documents as HTML, for people: made of the same trees, without scripts, and with nothing from elsewhere.

use super::{
    html::{Code, Escaped, Id, Kind, Prose},
    openapi::resolved,
    tree::Tree,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use std::fmt::{Arguments, Write};

const STYLE: &str = include_str!("page.css");

/// What a browser may do with a document: show it with our style, and nothing else.
pub(super) fn policy() -> String {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page of the events.
pub(super) fn events(document: &Tree) -> String {
    let mut page = Page::new(document, "async-json", "async-yaml", "../docs", "REST");
    page.contents("operations");
    page.heading("Connecting");
    for (_, server) in list(document, &["servers"]) {
        page.paragraph(server.say("description"));
    }
    for (_, channel) in list(document, &["channels"]) {
        page.paragraph(channel.say("description"));
    }
    page.credentials();
    for (action, heading) in [("receive", "Clients send"), ("send", "The server sends")] {
        page.heading(heading);
        for (name, operation) in list(document, &["operations"]) {
            if operation.say("action") == action {
                page.event(name, operation);
            }
        }
    }
    page.schemas()
}

/// The page of REST.
pub(super) fn rest(document: &Tree) -> String {
    let mut page = Page::new(
        document,
        "docs-json",
        "docs-yaml",
        "docs/async",
        "The events",
    );
    page.contents("paths");
    page.heading("Who asks");
    page.credentials();
    for tag in items(document, &["tags"]) {
        page.heading(tag.say("description").trim_end_matches('.'));
        for (path, item) in list(document, &["paths"]) {
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
    /// Its beginning, with links to the other forms, and to the other page.
    fn new(document: &'a Tree, json: &str, yaml: &str, other: &str, name: &str) -> Self {
        let mut page = Self {
            document,
            html: String::new(),
        };
        let nothing = Tree::Object(Vec::new());
        let info = document.get("info").unwrap_or(&nothing);
        let (title, version) = (Escaped(info.say("title")), Escaped(info.say("version")));
        let about = Prose(info.say("description"));
        page.add(format_args!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body><header><h1>{title}</h1><p>{about}</p>\
             <p>Version {version} · <a href=\"{json}\">JSON</a> · <a href=\"{yaml}\">YAML</a> · <a href=\"{other}\">{name}</a></p></header>"
        ));
        page
    }

    fn add(&mut self, html: Arguments<'_>) {
        // Into a text of ours: this cannot fail.
        _ = self.html.write_fmt(html);
    }

    fn paragraph(&mut self, text: &str) {
        if !text.is_empty() {
            self.add(format_args!("<p>{}</p>", Prose(text)));
        }
    }

    /// What the page has, with links; then its main part begins.
    fn contents(&mut self, part: &str) {
        self.add(format_args!("<nav aria-label=\"Contents\"><ul>"));
        for (name, _) in list(self.document, &[part]) {
            self.add(format_args!(
                "<li><a href=\"#{}\">{}</a></li>",
                Id(name),
                Code(name)
            ));
        }
        self.add(format_args!("</ul></nav><main>"));
    }

    fn heading(&mut self, text: &str) {
        self.add(format_args!("<h2>{}</h2>", Prose(text)));
    }

    /// By what a client shows who it is.
    fn credentials(&mut self) {
        self.add(format_args!("<ul>"));
        for (_, scheme) in list(self.document, &["components", "securitySchemes"]) {
            let name = match (scheme.say("name"), scheme.say("scheme")) {
                ("", "") => "auth",
                ("", _) => "Authorization: Basic",
                (name, _) => name,
            };
            let about = Prose(scheme.say("description"));
            self.add(format_args!("<li>{}: {about}</li>", Code(name)));
        }
        self.add(format_args!("</ul>"));
    }

    fn event(&mut self, name: &str, operation: &Tree) {
        let (id, code) = (Id(name), Code(name));
        self.add(format_args!("<section><h3 id=\"{id}\">{code}</h3>"));
        self.about(operation);
        self.add(format_args!("<dl>"));
        for message in items(operation, &["messages"]) {
            self.message("Payload", resolved(message, self.document));
        }
        for reply in items(operation, &["reply", "messages"]) {
            let reply = resolved(reply, self.document);
            self.message(reply.say("title"), reply);
        }
        self.add(format_args!("</dl></section>"));
    }

    /// What an operation is about.
    fn about(&mut self, operation: &Tree) {
        let summary = Prose(operation.say("summary"));
        self.add(format_args!("<p>{summary}.</p>"));
        self.paragraph(operation.say("description"));
    }

    fn message(&mut self, term: &str, message: &Tree) {
        self.add(format_args!("<dt>{}<dd>", Escaped(term)));
        let Some(payload) = message.get("payload") else {
            self.add(format_args!("none"));
            return;
        };
        self.add(format_args!("{}", Kind(payload)));
        if let Some(second) = message.get("x-second-argument") {
            self.add(format_args!(", and then perhaps {}", Kind(second)));
        }
        self.example(payload);
    }

    /// The first example of a schema that is referred to.
    fn example(&mut self, schema: &Tree) {
        let examples = items(resolved(schema, self.document), &["examples"]);
        self.samples(examples.get(..1).unwrap_or_default());
    }

    /// Values, each on a line.
    fn samples(&mut self, samples: &[Tree]) {
        let lines: Vec<_> = samples.iter().map(Tree::to_string).collect();
        self.sample(&lines.join("\n"));
    }

    /// An example, if there is one.
    fn sample(&mut self, text: &str) {
        if !text.is_empty() {
            let text = Escaped(text.trim_end());
            self.add(format_args!(
                "<pre tabindex=\"0\"><code>{text}</code></pre>"
            ));
        }
    }

    /// The operations of a path that are about `tag`.
    fn path(&mut self, path: &str, item: &Tree, tag: &str) {
        let mut id = path;
        for (method, operation) in item.members() {
            let is_about = items(operation, &["tags"]).contains(&Tree::text(tag));
            // HEAD is said beside GET.
            if !is_about || method == "head" {
                continue;
            }
            self.add(format_args!("<section><h3"));
            if !id.is_empty() {
                self.add(format_args!(" id=\"{}\"", Id(id)));
            }
            let (method, escaped) = (method.to_ascii_uppercase(), Escaped(path));
            self.add(format_args!("><code>{method} {escaped}</code>"));
            if method == "GET" && item.get("head").is_some() {
                self.add(format_args!(" <small>and HEAD</small>"));
            }
            self.add(format_args!("</h3>"));
            self.operation(item, operation);
            self.add(format_args!("</section>"));
            id = "";
        }
    }

    fn operation(&mut self, item: &Tree, operation: &Tree) {
        self.about(operation);
        if operation.get("security").is_some() {
            self.paragraph("Nobody has to say who it is.");
        }
        self.add(format_args!("<dl>"));
        let parameters = items(item, &["parameters"]).iter();
        for parameter in parameters.chain(items(operation, &["parameters"])) {
            let parameter = resolved(parameter, self.document);
            let (name, place) = (Code(parameter.say("name")), parameter.say("in"));
            let about = Prose(parameter.say("description"));
            self.add(format_args!("<dt>{name}, {place}<dd>{about}"));
        }
        if let Some(body) = operation.get("requestBody") {
            self.add(format_args!("<dt>Body"));
            self.content(body);
        }
        for (status, response) in list(operation, &["responses"]) {
            let response = resolved(response, self.document);
            let about = Prose(response.say("description"));
            self.add(format_args!("<dt>{}<dd>{about}", Code(status)));
            for (name, _) in list(response, &["headers"]) {
                self.add(format_args!(" With {}.", Code(name)));
            }
            // What was wrong is always said in the same way.
            if status.starts_with('2') {
                self.content(response);
            }
        }
        self.add(format_args!("</dl>"));
    }

    /// What a request or an answer brings.
    fn content(&mut self, of: &Tree) {
        for (media, content) in list(of, &["content"]) {
            if let Some(schema) = content.get("schema") {
                let (kind, media) = (Kind(schema), Code(media));
                self.add(format_args!("<dd>{kind} as {media}"));
                self.sample(content.say("example"));
                self.example(schema);
            }
        }
    }

    /// All that is sent and read, and the end of the page.
    fn schemas(mut self) -> String {
        self.heading("What is in it");
        for (name, schema) in list(self.document, &["components", "schemas"]) {
            self.add(format_args!("<section><h3 id=\"{name}\">{name}</h3>"));
            self.paragraph(schema.say("description"));
            let fields = list(schema, &["properties"]);
            if fields.is_empty() {
                self.add(format_args!("<p>{}</p>", Kind(schema)));
            } else {
                self.table(name, schema, fields);
            }
            self.samples(items(schema, &["examples"]));
            self.add(format_args!("</section>"));
        }
        self.add(format_args!("</main></body></html>\n"));
        self.html
    }

    fn table(&mut self, name: &str, schema: &Tree, fields: &[(String, Tree)]) {
        self.add(format_args!(
            "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"The fields of {name}\"><table><thead><tr>\
             <th scope=\"col\">Field<th scope=\"col\">Is<th scope=\"col\">About</thead><tbody>"
        ));
        let required = items(schema, &["required"]);
        for (field, of) in fields {
            let is_required = required.contains(&Tree::text(&**field));
            let optional = if is_required { "" } else { "optional: " };
            let (kind, about) = (Kind(of), Prose(of.say("description")));
            self.add(format_args!(
                "<tr><th scope=\"row\">{}<td>{optional}{kind}<td>{about}",
                Code(field)
            ));
            for (inner, of) in list(of, &["properties"]) {
                let about = Prose(of.say("description"));
                self.add(format_args!(" {}: {about}", Code(inner)));
            }
        }
        self.add(format_args!("</tbody></table></div>"));
    }
}

/// The members of what is at the end of a path.
fn list<'a>(tree: &'a Tree, path: &[&str]) -> &'a [(String, Tree)] {
    tree.find(path).map_or(&[], Tree::members)
}

/// The items of what is at the end of a path.
fn items<'a>(tree: &'a Tree, path: &[&str]) -> &'a [Tree] {
    tree.find(path).map_or(&[], Tree::items)
}

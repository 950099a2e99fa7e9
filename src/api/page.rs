//! The page: who is here, for people with a browser. Its files are part of the program; nothing of it is from elsewhere.

use crate::server::{Answer, Asset};
use hyper::{
    Request,
    header::{
        CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};
use sha1::{Digest, Sha1};

/// A file beside the page, by its name.
macro_rules! file {
    ($name:literal, $content_type:ident) => {
        File {
            path: concat!("/page/", $name),
            content_type: $content_type,
            content: include_bytes!(concat!("page/", $name)),
        }
    };
}

/// All files. What they link to is relative, so they may be served below any prefix.
static FILES: &[File] = &[
    File {
        path: "/",
        content_type: HTML,
        content: include_bytes!("page/index.html"),
    },
    file!("style.css", CSS),
    file!("icon.svg", SVG),
    file!("main.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("engine.js", SCRIPT),
    file!("http.js", SCRIPT),
    file!("keep.js", SCRIPT),
    file!("roster.js", SCRIPT),
    file!("sessions.js", SCRIPT),
    file!("sign-in.js", SCRIPT),
    file!("socket.js", SCRIPT),
    file!("status.js", SCRIPT),
    file!("time.js", SCRIPT),
];

/// A file of the page, as it is in the program.
struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What a browser has to keep to: the page runs its own scripts, speaks to its own server, and is shown in no other page.
/// To browsers `'self'` means WebSockets of the same host, too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The page, ready to be served.
pub(super) struct Page {
    files: Vec<(&'static str, Asset)>,
}

impl Page {
    pub(super) fn new() -> Self {
        let asset = |file: &File| {
            let tag = tag(file.content)?;
            Some((file.path, Asset::new(file.content_type, file.content, tag)))
        };
        Self {
            files: FILES.iter().filter_map(asset).collect(),
        }
    }

    /// Answers a request for the file at `path`. `None`: there is no such file.
    pub(super) fn answer<B>(
        &self,
        path: &str,
        request: &Request<B>,
        compress_from_bytes: Option<usize>,
    ) -> Option<Answer> {
        let (_, asset) = self.files.iter().find(|(its, _)| *its == path)?;
        let mut answer = asset.answer(request, compress_from_bytes);
        let headers = answer.headers_mut();
        for (name, value) in [
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (OPENER_POLICY, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(answer)
    }
}

/// The first half of the content's SHA-1: it tells versions apart, and keeps nobody out.
fn tag(content: &[u8]) -> Option<HeaderValue> {
    let hash: String = Sha1::digest(content)
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::from_str(&format!("\"{hash}\"")).ok()
}

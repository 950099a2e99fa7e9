//! What must hold of a request and its answer.

use super::{super::by_hand::base64, server::BUNDLED};
use flate2::read::{GzDecoder, ZlibDecoder};
use hyper::{HeaderMap, Method, Uri, Version};
use rollcall::engineio::{
    Revision,
    handshake::{self, Asked, Query},
    payload,
};
use serde_json::value::RawValue;
use std::io::Read;

/// A request as hyper has read it.
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
}

/// An answer.
pub struct Heard {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes
            .strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            .unwrap_or(bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = str::from_utf8(&bytes[..end]).expect("a head of ASCII");
        let mut lines = head.split("\r\n");
        let status = lines
            .next()?
            .strip_prefix("HTTP/1.1 ")
            .or(head.strip_prefix("HTTP/1.0 "))?;
        let headers = lines.map(|line| line.split_once(": ").expect("a header"));
        let mut heard = Self {
            status: status[..3].parse().expect("a status"),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        };
        // What comes behind it is the answer to what the client has put behind its request.
        let length = heard
            .get("content-length")
            .and_then(|length| length.parse().ok());
        heard.body.truncate(length.unwrap_or(usize::MAX));
        Some(heard)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(its, _)| its == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The answer to a request when there is no session.
pub fn is_expected(seen: &Seen, heard: &Heard) {
    let status = if seen.method == Method::OPTIONS {
        204
    } else if seen.uri.path() == "/socket.io/" {
        verdict(seen)
    } else if seen.uri.path() == "/socket.io/socket.io.js" {
        assert!([200, 304, 405].contains(&heard.status));
        return;
    } else {
        404
    };
    assert_eq!(
        heard.status, status,
        "{} {} {:?}",
        seen.method, seen.uri, seen.headers
    );
}

fn verdict(seen: &Seen) -> u16 {
    let tokens = |name: &str| -> Vec<String> {
        let values = seen
            .headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .map(|token| token.trim().to_ascii_lowercase())
            .collect()
    };
    let has = |name: &str, wanted: &str| tokens(name).iter().any(|token| token == wanted);
    let is_upgrade = seen.version == Version::HTTP_11
        && seen.headers.contains_key("upgrade")
        && has("connection", "upgrade");
    let request = handshake::Request {
        query: Query::parse(seen.uri.query().unwrap_or_default()),
        method: match seen.method.as_str() {
            "GET" => handshake::Method::Get,
            "POST" => handshake::Method::Post,
            _ => handshake::Method::Other,
        },
        is_upgrade,
        allow_eio3: true,
    };
    let Ok(asked) = request.verify(|_| None) else {
        return 400;
    };
    match seen.headers.get("x-name") {
        None => return 401,
        Some(name) if name == "nobody" => return 403,
        Some(_) => {}
    }
    if request.verify_version().is_err() {
        return 400;
    }
    if asked == Asked::OpenPolling {
        return 200;
    }
    let only = |name: &str| {
        let values: Vec<_> = seen.headers.get_all(name).iter().collect();
        if let [value] = values[..] {
            value.to_str().ok()
        } else {
            None
        }
    };
    let has_body = seen
        .headers
        .get("content-length")
        .is_some_and(|length| length != "0")
        || seen.headers.contains_key("transfer-encoding");
    let is_key = only("sec-websocket-key")
        .and_then(|key| base64(key.as_bytes()))
        .is_some_and(|key| key.len() == 16);
    let is_version =
        only("sec-websocket-version").is_some_and(|version| version == "13" || version == "8");
    let is_good = has("upgrade", "websocket") && !has_body && is_key && is_version;
    if is_good { 101 } else { 400 }
}

/// Whatever is answered, web pages may read it, nothing is our fault, and it says what its headers say.
pub fn is_in_order(seen: &Seen, heard: &Heard) {
    assert_eq!(heard.get("access-control-allow-origin"), Some("*"));
    let known = [101, 200, 204, 304, 400, 401, 403, 404, 405, 413];
    assert!(known.contains(&heard.status), "{}", heard.status);
    let accepted = seen.headers.get_all("accept-encoding").iter();
    let accepted: Vec<_> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let accepted = accepted.join(",").to_ascii_lowercase();
    let mut body = Vec::new();
    match heard.get("content-encoding") {
        None => body.clone_from(&heard.body),
        // HEAD has headers alone.
        Some(_) if heard.body.is_empty() => {}
        Some(coding) => {
            assert!(
                accepted.contains(coding) || accepted.contains('*'),
                "{accepted:?}"
            );
            let read = match coding {
                "gzip" => GzDecoder::new(&*heard.body).read_to_end(&mut body),
                _ => ZlibDecoder::new(&*heard.body).read_to_end(&mut body),
            };
            read.expect("what is compressed can be read");
            assert!(body.len() >= 1024 && heard.body.len() < body.len());
        }
    }
    let is_poll = heard.status == 200 && seen.method == Method::GET;
    if is_poll && seen.uri.path() == "/socket.io/" {
        let is_v3 = Query::parse(seen.uri.query().unwrap_or_default())
            .version
            .as_deref()
            == Some("3");
        let revision = if is_v3 { Revision::V3 } else { Revision::V4 };
        let is_binary = heard.get("content-type") == Some("application/octet-stream");
        let packets = payload::decode(revision, is_binary, &body, usize::MAX);
        packets.for_each(|packet| drop(packet.expect("a packet")));
    } else if is_poll {
        assert_eq!(body, BUNDLED.repeat(50).as_bytes());
    } else if heard.get("content-type") == Some("application/json") && seen.method != Method::HEAD {
        serde_json::from_slice::<&RawValue>(&body).expect("JSON");
    }
}

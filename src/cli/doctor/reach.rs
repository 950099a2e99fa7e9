//! Does anything answer, is it Rollcall, and does it let one in?

use std::time::{Duration, Instant};

use super::chart::Chart;
use super::ills::{
    CERTIFICATE, FULL, HTTP_ON_HTTPS, KEY_NOT_PASSED, KEY_UNKNOWN, NAME_UNKNOWN, NO_ANSWER, NO_KEY,
    NO_TLS, NOT_ACTIVATED, NOT_HTTP, NOT_ROLLCALL, PATH_ELSEWHERE, PATH_MISSING, PATH_STRIPPED,
    POLLING_BROKEN, PROXY_ERROR, PROXY_PASSWORD, QUERY_DROPPED, REDIRECTED, STRANGERS, TLS_ON_HTTP,
    TOO_MANY, UNREACHABLE,
};
use super::{PATIENCE, engine_code, shown};
use crate::client::{
    Answer, Fault, Object, Opening, Request, Server, exchange, first_bytes, touch,
};

/// The beginning of TLS (RFC 5246, 7.4.1.2): a hello that any server has an answer to, if only that it has no use for such a client.
const HELLO: [u8; 50] = [
    0x16, 3, 1, 0, 45, // a record of the handshake
    1, 0, 0, 41, 3, 3, // a hello, of TLS 1.2
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    27, 28, 29, 30, 31, 32, // no randomness is needed, as nothing is said
    0,  // no session
    0, 2, 0xc0, 0x2f, // ECDHE-RSA with AES-128-GCM
    1, 0, // no compression
];

/// What a server's answer to that begins with: a handshake, or an alert.
const TLS_RECORDS: [u8; 2] = [0x16, 0x15];

/// The endpoint, where it was found, and its answer to one that wants a session.
pub(super) struct Found {
    pub(super) server: Server,
    pub(super) answer: Answer,
}

/// The answer to a request for a session, whoever answers.
pub(super) fn connect(server: &Server, chart: &mut Chart<'_>) -> Option<Answer> {
    let place = format!("{}, port {}", server.host(), server.port());
    let address = match touch(server, Instant::now() + Duration::from_secs(20)) {
        Ok(address) => address,
        Err(Fault::Name(error)) => {
            let text = format!("{} ({error}).", server.host());
            return chart.fail("address", &NAME_UNKNOWN, &text);
        }
        Err(fault) => {
            return chart.fail("address", &UNREACHABLE, &format!("{place}: {fault}."));
        }
    };
    chart.ok(
        "address",
        &format!("{place} is {address}, and takes connections."),
    );
    let target = server.endpoint("transport=polling");
    match exchange(server, Request::get(&target), PATIENCE) {
        Ok(answer) if !server.is_https() && is_about_https(&answer) => chart.fail(
            "tls",
            &TLS_ON_HTTP,
            &format!("It answers {}.", answer.status),
        ),
        Ok(answer) => {
            if server.is_https() {
                chart.ok("tls", "The certificate is good.");
            }
            Some(answer)
        }
        Err(fault) => explain(server, fault, chart),
    }
}

/// Why there was no answer.
fn explain(server: &Server, fault: Fault, chart: &mut Chart<'_>) -> Option<Answer> {
    let says = |sent: &[u8], is_expected: fn(&[u8]) -> bool| {
        first_bytes(server, sent, PATIENCE).is_ok_and(|bytes| is_expected(&bytes))
    };
    let speaks_tls = || {
        says(&HELLO, |bytes| {
            bytes
                .first()
                .is_some_and(|first| TLS_RECORDS.contains(first))
        })
    };
    let speaks_http = || {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            server.host()
        );
        says(request.as_bytes(), |bytes| bytes.starts_with(b"HTTP/"))
    };
    match fault {
        Fault::Timeout => chart.fail("answer", &NO_ANSWER, ""),
        Fault::NoTls if speaks_tls() => chart.fail("tls", &NO_TLS, "The port does."),
        Fault::NoTls | Fault::Tls(_) if speaks_http() => chart.fail("tls", &HTTP_ON_HTTPS, ""),
        Fault::Tls(problem) => chart.fail("tls", &CERTIFICATE, &format!("({problem}.)")),
        _ if !server.is_https() && speaks_tls() => chart.fail("tls", &TLS_ON_HTTP, ""),
        fault => chart.fail("answer", &NOT_HTTP, &format!("({fault}.)")),
    }
}

/// Whether a server of HTTPS says, in plain HTTP, that it is one. nginx, Apache and Go do.
fn is_about_https(answer: &Answer) -> bool {
    let text = answer.text();
    answer.status == 400
        && ["HTTPS port", "HTTPS server", "SSL-enabled"]
            .iter()
            .any(|words| text.contains(words))
}

/// Whether an Engine.IO server answers, if only with a no.
fn is_engine(answer: &Answer) -> bool {
    engine_code(answer).is_some() || Opening::read(&answer.text()).is_some()
}

/// Looks for the endpoint.
pub(super) fn find(server: &Server, answer: Answer, chart: &mut Chart<'_>) -> Option<Found> {
    let path = server.path("/socket.io/");
    if is_engine(&answer) {
        if matches!(engine_code(&answer), Some(0 | 5)) {
            let text = format!("It answers {}.", shown(&answer));
            return chart.fail("path", &QUERY_DROPPED, &text);
        }
        chart.ok("path", &format!("A Socket.IO server answers at {path}."));
        let server = server.clone();
        return Some(Found { server, answer });
    }
    match answer.status {
        301 | 302 | 303 | 307 | 308 => {
            let to = answer.header("location").unwrap_or("nowhere");
            return chart.fail("path", &REDIRECTED, &format!("It leads to {to}."));
        }
        401 | 407 => {
            let text = format!("{path} is answered by {}.", answer.status);
            return chart.fail("path", &PROXY_PASSWORD, &text);
        }
        502..=504 => {
            let text = format!("{path} is answered by {}.", answer.status);
            return chart.fail("path", &PROXY_ERROR, &text);
        }
        _ => {}
    }
    let ask = |server: &Server, target: &str| {
        let answer = exchange(server, Request::get(target), PATIENCE);
        answer.ok()
    };
    let twice = server.path("/socket.io/socket.io/?EIO=4&transport=polling");
    if ask(server, &twice).is_some_and(|answer| is_engine(&answer)) {
        let text = format!("{path}socket.io/ is answered as {path} should be.");
        return chart.fail("path", &PATH_STRIPPED, &text);
    }
    let root = server.at_root();
    let at_root = ask(&root, &root.endpoint("transport=polling"));
    if let Some(answer) = at_root.filter(|answer| !server.is_at_root() && is_engine(answer)) {
        chart.warn("path", &PATH_ELSEWHERE, "It is at /socket.io/.");
        let server = root;
        return Some(Found { server, answer });
    }
    let has = |answer: &Answer, field: &str| {
        Object::read(&answer.text()).is_some_and(|json| json.raw(field).is_some())
    };
    let status = ask(server, &server.path("/api/status"));
    let is_ours = status.is_some_and(|answer| has(&answer, "status"));
    let is_rest = has(&answer, "statusCode");
    let text = format!("{path} is answered by {}.", shown(&answer));
    match is_ours || is_rest {
        true => chart.fail("path", &PATH_MISSING, &text),
        false => chart.fail("path", &NOT_ROLLCALL, &text),
    }
}

/// Whether the answer opened a session, and which.
pub(super) fn let_in(server: &Server, answer: &Answer, chart: &mut Chart<'_>) -> Option<Opening> {
    let text = format!("It answers {}.", shown(answer));
    if let Some(opening) = Opening::read(&answer.text()) {
        match server.has_key() {
            true => chart.ok("key", "It opens a session."),
            false => chart.warn("key", &STRANGERS, ""),
        }
        return Some(opening);
    }
    let ill = match answer.status {
        401 if !server.has_key() => {
            chart.warn("key", &NO_KEY, "Strangers are turned away.");
            return None;
        }
        401 if text.contains("missing") => &KEY_NOT_PASSED,
        401 => &KEY_UNKNOWN,
        403 => &NOT_ACTIVATED,
        429 => &TOO_MANY,
        503 => &FULL,
        _ => &POLLING_BROKEN,
    };
    chart.fail("key", ill, &text)
}

//! The client, before servers that say what they should not, or in pieces: whatever comes, it ends in time, and says what is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs
)]

use rollcall::client::{
    Answer, BadUrl, Exchange, Fault, Opened, Opening, Request, Server, WebSocket, exchange,
    first_bytes,
};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(5);

/// A server that lets `speak` answer each request, whose head it gets.
fn server(speak: impl Fn(TcpStream, &str) + Send + 'static) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            // No further than to its end: what comes behind it is not a part of it.
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap() > 0 {
                head.extend(byte);
            }
            speak(connection, &String::from_utf8(head).unwrap());
        }
    });
    Server::parse(&format!("http://127.0.0.1:{port}")).unwrap()
}

/// A server that always says the same, `step` bytes at a time.
fn saying(text: impl Into<Vec<u8>>, step: usize) -> Server {
    let text = text.into();
    server(move |mut connection, _| {
        connection.set_nodelay(true).unwrap();
        for piece in text.chunks(step) {
            // Who has heard enough goes.
            if connection.write_all(piece).is_err() {
                return;
            }
        }
    })
}

fn ask(server: &Server) -> Result<Answer, Fault> {
    exchange(server, Request::get("/"), PATIENCE)
}

#[test]
fn a_body_ends_where_its_server_says() {
    let table: [(&str, u16, &str); 7] = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloand more",
            200,
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n",
            200,
            "hello!",
        ),
        (
            "HTTP/1.0 404 Not Found\r\n\r\nto the end",
            404,
            "to the end",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
            201,
            "ok",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            304,
            "",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
    ];
    for (text, status, body) in table {
        for step in [1, 3, text.len()] {
            let answer = ask(&saying(text, step)).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!((answer.status, &*answer.text()), (status, body), "{text}");
        }
    }
}

#[test]
fn what_is_wrong_is_told_apart() {
    let closed = |fault: &Fault| matches!(fault, Fault::Closed);
    let no_http = |fault: &Fault| matches!(fault, Fault::NotHttp(_));
    let no_length = |fault: &Fault| matches!(fault, Fault::Protocol(_));
    let too_large = |fault: &Fault| matches!(fault, Fault::TooLarge);
    let many: String = (0..100)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    let long = "y".repeat(40_000);
    type Row = (String, fn(&Fault) -> bool);
    let table: [Row; 12] = [
        (String::new(), closed),
        ("HTTP/1.1 200 OK\r\nContent-Le".into(), closed),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel".into(),
            closed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel".into(),
            closed,
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), no_http),
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}F".into(), no_http),
        (format!("HTTP/1.1 200 OK\r\n{many}\r\n"), no_http),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n".into(),
            no_length,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".into(),
            no_length,
        ),
        (format!("HTTP/1.1 200 OK\r\nX: {long}"), too_large),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n".into(),
            too_large,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".into(),
            too_large,
        ),
    ];
    for (text, is_expected) in table {
        let start: String = text.chars().take(80).collect();
        match ask(&saying(text, 4096)) {
            Err(fault) => assert!(is_expected(&fault), "{start:?}: {fault:?}"),
            Ok(answer) => panic!("{start:?}: {answer:?}"),
        }
    }
}

/// Every byte of an answer turned into others: an answer or a fault, and no panic.
#[test]
fn a_byte_that_is_wrong_does_no_harm() {
    let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for at in 0..text.len() {
        for wrong in [0, b'\n', b'9', 0xff] {
            let mut bent = text.to_vec();
            bent[at] = wrong;
            let _any = exchange(
                &saying(bent, 4096),
                Request::get("/"),
                Duration::from_secs(1),
            );
        }
    }
}

#[test]
fn who_drips_is_not_waited_for() {
    let dripping = server(|mut connection, _| {
        while connection.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let begun = Instant::now();
    let head = server_that_drips_a_body();
    for server in [dripping, head] {
        let outcome = exchange(&server, Request::get("/"), Duration::from_millis(300));
        assert!(outcome.is_err(), "{outcome:?}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

fn server_that_drips_a_body() -> Server {
    server(|mut connection, _| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        connection.write_all(head).unwrap();
        while connection.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    })
}

#[test]
fn what_is_asked_is_what_stands_there() {
    let echo = server(|mut connection, head| {
        let body = match head.contains("Content-Length: 4\r\n") {
            true => {
                let mut body = [0; 4];
                connection.read_exact(&mut body).unwrap();
                String::from_utf8_lossy(&body).into_owned()
            }
            false => String::new(),
        };
        let said = format!("{head}{body}");
        let length = said.len();
        write!(
            connection,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{said}"
        )
        .unwrap();
    });
    let place = echo.to_string().replace("http://", "");
    let version = env!("CARGO_PKG_VERSION");
    let head = format!("Host: {place}\r\nUser-Agent: rollcall/{version}\r\nAccept: */*\r\n");
    assert_eq!(
        ask(&echo).unwrap().text(),
        format!("GET / HTTP/1.1\r\n{head}Connection: close\r\n\r\n")
    );
    let echo = echo.with_key("secret").unwrap();
    let request = Request {
        method: "PUT",
        headers: &[("Origin", "https://a")],
        body: Some(("text/x", "body")),
        ..Request::get("/x?y")
    };
    assert_eq!(
        exchange(&echo, request, PATIENCE).unwrap().text(),
        format!(
            "PUT /x?y HTTP/1.1\r\n{head}X-Api-Key: secret\r\nOrigin: https://a\r\nConnection: close\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbody"
        )
    );
}

#[test]
fn a_piece_of_a_body_that_never_ends() {
    let endless = server(|mut connection, _| {
        connection
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n: hello\n\nevent: activities\n")
            .unwrap();
        // Until the client goes.
        let _ = connection.read(&mut [0]);
    });
    let mut begun = Exchange::begin(&endless, Request::get("/"), PATIENCE).unwrap();
    assert_eq!(begun.head().unwrap().status, 200);
    begun.wait_for(b"event:").unwrap();
    drop(begun);
    let mut begun =
        Exchange::begin(&endless, Request::get("/"), Duration::from_millis(200)).unwrap();
    begun.head().unwrap();
    let missing = begun.wait_for(b"nothing");
    assert!(matches!(missing, Err(Fault::Timeout)), "{missing:?}");
}

/// The 101 that a request with this head wants, with the right answer to its key.
fn accepted(head: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use sha1::{Digest, Sha1};
    let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap();
    let key = key.split("\r\n").next().unwrap();
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = BASE64_STANDARD.encode(digest);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// A WebSocket on which the server says this, with the 101.
fn websocket(frames: &'static [u8]) -> WebSocket {
    let server = server(move |mut connection, head| {
        assert!(head.contains("\r\nConnection: Upgrade\r\n"), "{head}");
        connection
            .write_all(&[accepted(head).as_bytes(), frames].concat())
            .unwrap();
        // Whatever is said to it.
        let _ = connection.read_to_end(&mut Vec::new());
    });
    match WebSocket::open(&server, "/", PATIENCE).unwrap() {
        Opened::WebSocket(websocket) => *websocket,
        Opened::Answer(answer) => panic!("{answer:?}"),
    }
}

#[test]
fn frames_behind_the_101_are_read_and_control_frames_passed_over() {
    let mut open = websocket(b"\x81\x03abc\x89\x01!\x82\x01x\x01\x01d\x89\x00\x80\x01e\x88\x00");
    let deadline = Instant::now() + PATIENCE;
    assert_eq!(open.receive(deadline).unwrap(), "abc");
    assert_eq!(open.receive(deadline).unwrap(), "de");
    assert!(matches!(open.receive(deadline), Err(Fault::Closed)));
    assert!(open.send("late", PATIENCE).is_err());
}

#[test]
fn what_is_no_websocket_is_no_websocket() {
    let deadline = || Instant::now() + Duration::from_millis(200);
    // Masked, which servers must not; of no kind; too long; not UTF-8.
    for bad in [
        &b"\x81\x81\0\0\0\0a"[..],
        b"\x83\x00",
        b"\x81\x7f\0\0\0\0\x40\0\0\0",
        b"\x81\x02\xff\xff",
    ] {
        let outcome = websocket(bad).receive(deadline());
        assert!(
            matches!(outcome, Err(Fault::Protocol(_))),
            "{bad:?}: {outcome:?}"
        );
    }
    let outcome = websocket(b"\x81").receive(deadline());
    assert!(matches!(outcome, Err(Fault::Timeout)), "{outcome:?}");
    let wrong = saying(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
        4096,
    );
    assert!(matches!(
        WebSocket::open(&wrong, "/", PATIENCE),
        Err(Fault::Protocol(_))
    ));
    let no = saying(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
        4096,
    );
    match WebSocket::open(&no, "/", PATIENCE) {
        Ok(Opened::Answer(answer)) => assert_eq!(answer.said().as_deref(), Some("no")),
        _ => panic!("not the answer"),
    }
}

#[test]
fn an_opening_is_read_with_care() {
    let json = r#"0{"sid":"a-_1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1}"#;
    let opening = Opening::read(json).unwrap();
    assert_eq!(opening.sid, "a-_1");
    assert_eq!(opening.patience(), Duration::from_secs(45));
    assert_eq!(
        Opening::read(&format!("{json}\u{1e}40")).unwrap().sid,
        "a-_1"
    );
    let endless = json.replace("25000", "18446744073709551615");
    assert!(Opening::read(&endless).unwrap().patience() <= Duration::from_secs(86_400));
    for none in [
        "",
        "0",
        "0{}",
        "<html>",
        "40",
        &json.replace("a-_1", "a b"),
        &json.replace("a-_1", "a\\r\\nX: y"),
        &json.replace("25000", "-1"),
    ] {
        assert!(Opening::read(none).is_none(), "{none}");
    }
}

#[test]
fn what_a_server_says_is_fit_to_be_shown() {
    let said = |body: &str| {
        let length = body.len();
        let text = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n{body}");
        ask(&saying(text, 4096)).unwrap().said()
    };
    assert_eq!(
        said(r#"{"message":"no\u001b[2J"}"#).as_deref(),
        Some("no [2J")
    );
    assert_eq!(said(" plain \r\n").as_deref(), Some("plain"));
    assert_eq!(said(&"x".repeat(1000)).map(|said| said.len()), Some(200));
    for nothing in ["", " ", "<html>", "{}", r#"{"message":7}"#] {
        assert_eq!(said(nothing), None, "{nothing}");
    }
}

#[test]
fn urls() {
    let base = Server::parse("https://games.example/below/").unwrap();
    assert_eq!(base.to_string(), "https://games.example/below");
    assert_eq!(base.path("/api/users"), "/below/api/users");
    assert_eq!(
        base.endpoint("transport=polling"),
        "/below/socket.io/?EIO=4&transport=polling"
    );
    assert_eq!(
        (base.host(), base.port(), base.is_https()),
        ("games.example", 443, true)
    );
    assert_eq!(base.at_root().path("/x"), "/x");
    assert_eq!(Server::parse("http://[::1]:80").unwrap().host(), "::1");
    assert!(matches!(
        Server::parse("games.example"),
        Err(BadUrl::NoScheme(_))
    ));
    assert!(matches!(
        Server::parse("ws://games.example"),
        Err(BadUrl::NoUrl(_))
    ));
    assert!(matches!(
        Server::parse("http://a:b@c"),
        Err(BadUrl::Password)
    ));
    assert!(matches!(
        Server::parse("http://c/?x"),
        Err(BadUrl::Query(_))
    ));
    for bad in ["", "a b", "é", "a\r\nX: y"] {
        assert!(base.clone().with_key(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_comes_first_on_a_bare_connection() {
    let polite = saying("hello", 5);
    let first = first_bytes(&polite, b"\r\n\r\n", PATIENCE).unwrap();
    assert_eq!(first, b"hello");
}

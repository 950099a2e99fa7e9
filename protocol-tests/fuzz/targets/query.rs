//! What a request says of itself before anyone is asked: its query, against another reader; the verdict on it, against the
//! rules in the protocol's order; and where it comes from, by what proxies tell.
//!
//! An input is lines: the query, the trusted proxies, the other end of the connection, and what stands in each
//! `X-Forwarded-For`.

use super::{Target, fixtures};
use hyper::{HeaderMap, header::HeaderValue};
use ipnet::IpNet;
use rollcall::{
    engineio::{
        Revision,
        handshake::{Asked, Method, Query, Refusal, Request},
    },
    server::{Network, Proxies},
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub const TARGET: Target = Target {
    name: "query",
    run,
    seeds,
    words: &[
        "EIO=",
        "EIO=4",
        "EIO=3",
        "&",
        "transport=",
        "polling",
        "websocket",
        "sid=",
        "b64=1",
        "%45%49%4f",
        "+",
        "%2B",
        "::ffff:",
        "127.0.0.1",
        "10.0.0.0/8",
        "[::1]:80",
        "fd00::/8",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    let queries = [
        "EIO=4&transport=polling",
        "EIO=4&transport=websocket&sid=living",
        "EIO=3&transport=polling&b64=1&t=x",
        "EIO=3&EIO=4&transport=web%73ocket&sid=gone&sid=",
        "transport=webtransport&EIO=+4",
    ];
    let forwarded = fixtures::forwarded().into_iter().enumerate();
    let seeds = forwarded.map(|(number, (trusted, peer, headers))| {
        let query = queries[number % queries.len()];
        [query, &trusted, &peer, &headers.join("\n")]
            .join("\n")
            .into_bytes()
    });
    seeds.collect()
}

fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (query, trusted, peer) = (next(), next(), next());
    is_judged(query);
    is_found(trusted, peer, lines);
}

// ---------------------------------------------------------------------------------------------------------
// The query.

/// What a query says, read another way.
#[derive(Debug, Default, PartialEq)]
struct Said {
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    base64_only: bool,
}

fn by_hand(query: &str) -> Said {
    let mut said = Said::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (unescaped(name), unescaped(value));
        match name.as_str() {
            "EIO" => said.version = Some(value),
            "transport" => said.transport = Some(value),
            "sid" => said.sid = (!value.is_empty()).then_some(value),
            "b64" => said.base64_only = !value.is_empty(),
            _ => {}
        }
    }
    said
}

/// As a form is encoded: `+` is a space, and `%2B` is a plus.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        bytes.push(match (first, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    (high << 4 | low) as u8
                }
                _ => b'%',
            },
            _ => *first,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_judged(query: &str) {
    let said = by_hand(query);
    let parsed = Query::parse(query);
    let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(String::from);
    let read = Said {
        version: owned(parsed.version),
        transport: owned(parsed.transport),
        sid: owned(parsed.sid),
        base64_only: parsed.base64_only,
    };
    assert_eq!(read, said);
    for method in [Method::Get, Method::Post, Method::Other] {
        for (is_upgrade, allow_eio3) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let request = Request {
                query: Query::parse(query),
                method,
                is_upgrade,
                allow_eio3,
            };
            for spoken in [None, Some(Revision::V3), Some(Revision::V4)] {
                let mut asked_for = None;
                let verdict = request.verify(|sid| {
                    asked_for = Some(sid.to_owned());
                    spoken
                });
                assert_eq!(verdict, judged(&said, method, is_upgrade, spoken));
                // A session is looked up under the name that it was given, and no other.
                assert!(asked_for.is_none() || asked_for == said.sid);
            }
            let version = match said.version.as_deref() {
                Some("4") => Ok(Revision::V4),
                Some("3") if allow_eio3 => Ok(Revision::V3),
                _ => Err(Refusal::UnsupportedVersion),
            };
            assert_eq!(request.verify_version(), version);
        }
    }
}

/// The verdict as the protocol's rules give it: the first that is broken, or what is asked.
fn judged(
    said: &Said,
    method: Method,
    is_upgrade: bool,
    spoken: Option<Revision>,
) -> Result<Asked, Refusal> {
    let on_websocket = said.transport.as_deref() == Some("websocket");
    let is_known = on_websocket || said.transport.as_deref() == Some("polling");
    let has_session = said.sid.is_some();
    let is_same_version = match spoken {
        Some(Revision::V4) => said.version.as_deref() == Some("4"),
        Some(Revision::V3) => said.version.as_deref() == Some("3"),
        None => false,
    };
    let rules = [
        (!is_known, Refusal::TransportUnknown),
        (has_session && spoken.is_none(), Refusal::SessionUnknown),
        (
            has_session && on_websocket != is_upgrade,
            Refusal::BadRequest,
        ),
        (has_session && !is_same_version, Refusal::BadRequest),
        (
            has_session && !on_websocket && method == Method::Other,
            Refusal::BadRequest,
        ),
        (
            !has_session && method != Method::Get,
            Refusal::BadHandshakeMethod,
        ),
        (
            !has_session && on_websocket != is_upgrade,
            Refusal::BadRequest,
        ),
    ];
    if let Some((_, refusal)) = rules.iter().find(|(is_broken, _)| *is_broken) {
        return Err(*refusal);
    }
    Ok(match (has_session, on_websocket, method) {
        (false, true, _) => Asked::OpenWebSocket,
        (false, false, _) => Asked::OpenPolling,
        (true, true, _) => Asked::WebSocket,
        (true, false, Method::Post) => Asked::Post,
        (true, false, _) => Asked::Poll,
    })
}

// ---------------------------------------------------------------------------------------------------------
// Where it comes from.

fn is_found<'a>(trusted: &str, peer: &str, lines: impl Iterator<Item = &'a str>) {
    let networks: Vec<IpNet> = trusted
        .split_ascii_whitespace()
        .filter_map(|word| {
            word.parse()
                .ok()
                .or_else(|| Some(word.parse::<IpAddr>().ok()?.into()))
        })
        .collect();
    let peer = peer
        .parse()
        .or_else(|_| peer.parse().map(|ip| SocketAddr::new(ip, 4711)))
        .unwrap_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 4711));
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_str(line) {
            headers.append("x-forwarded-for", value);
        }
    }
    let is_trusted = |ip: IpAddr| networks.iter().any(|network| network.contains(&ip));
    let proxies = Proxies::new(networks.clone());
    let client = proxies.client(peer, &headers);

    // From the right, for as long as someone is believed.
    let texts = headers
        .iter()
        .map(|(_, value)| value.to_str().unwrap_or_default());
    let all = texts.collect::<Vec<_>>().join(",");
    let mut expected = peer;
    for hop in all.rsplit(',').map(str::trim) {
        let told = hop_address(hop).filter(|_| is_trusted(expected.ip()));
        let Some(told) = told else {
            break;
        };
        expected = SocketAddr::new(told, 0);
    }
    assert_eq!(client, expected);
    if !is_trusted(client.ip()) {
        let mut more = HeaderMap::new();
        more.append(
            "x-forwarded-for",
            HeaderValue::from_static("6.6.6.6, 127.0.0.1"),
        );
        headers.iter().for_each(|(name, value)| {
            more.append(name, value.clone());
        });
        assert_eq!(
            proxies.client(peer, &more),
            client,
            "what the client wrote itself counts"
        );
    }
    is_one_party(client);
}

/// An address, in brackets or with a port or not.
fn hop_address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let ip = in_brackets.unwrap_or(text).parse().ok().or_else(with_port);
    ip.map(|ip: IpAddr| ip.to_canonical())
}

/// Whoever is counted is one party on the internet, and a private address is one only if a proxy has told it.
fn is_one_party(client: SocketAddr) {
    let network = Network::of(client);
    if client.ip().is_unspecified() {
        assert_eq!(network, None);
    } else if client.port() == 0 {
        assert!(network.is_some());
    }
    if let IpAddr::V4(ip) = client.ip() {
        let untold = Network::of(SocketAddr::new(ip.into(), 1));
        assert!(untold.is_none() || !ip.is_private() && !ip.is_loopback());
        assert!(untold.is_none() || untold == Network::of(SocketAddr::new(ip.into(), 0)));
    }
}

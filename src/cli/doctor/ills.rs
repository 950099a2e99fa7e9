//! What can be wrong, and what to do about each.

use std::fmt::Write;

/// Something that can be wrong.
pub struct Ill {
    /// What it is called.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// All that are told apart, in the order in which they are looked for.
pub static ILLS: [&Ill; 33] = [
    &NAME_UNKNOWN,
    &UNREACHABLE,
    &NO_ANSWER,
    &TLS_ON_HTTP,
    &HTTP_ON_HTTPS,
    &CERTIFICATE,
    &NO_TLS,
    &NOT_HTTP,
    &CLOCK,
    &REDIRECTED,
    &PROXY_ERROR,
    &PROXY_PASSWORD,
    &QUERY_DROPPED,
    &PATH_STRIPPED,
    &PATH_ELSEWHERE,
    &PATH_MISSING,
    &NOT_ROLLCALL,
    &NO_KEY,
    &STRANGERS,
    &KEY_UNKNOWN,
    &KEY_NOT_PASSED,
    &NOT_ACTIVATED,
    &TOO_MANY,
    &FULL,
    &POLLING_BROKEN,
    &NOT_STICKY,
    &BUFFERED,
    &UPGRADE_NOT_PASSED,
    &WEBSOCKET_BROKEN,
    &TIMEOUT_TOO_SHORT,
    &ORIGIN_NOT_ALLOWED,
    &PREFLIGHT,
    &CORS_TWICE,
];

pub(super) static NAME_UNKNOWN: Ill = Ill {
    name: "name-unknown",
    what: "Nobody knows the name of the host.",
    advice: "Check its spelling, and its record in the DNS.",
};

pub(super) static UNREACHABLE: Ill = Ill {
    name: "unreachable",
    what: "Nobody takes the connection.",
    advice: "Is the server running, is its port published (`docker run -p`), and does no firewall stand between?",
};

pub(super) static NO_ANSWER: Ill = Ill {
    name: "no-answer",
    what: "The connection is taken, and nothing is said.",
    advice: "Is the server alive behind the proxy, and does the proxy know where?",
};

pub(super) static TLS_ON_HTTP: Ill = Ill {
    name: "tls-on-http",
    what: "The URL says http, and the port speaks TLS.",
    advice: "Begin the URL with https://.",
};

pub(super) static HTTP_ON_HTTPS: Ill = Ill {
    name: "http-on-https",
    what: "The URL says https, and the port speaks plain HTTP.",
    advice: "Begin the URL with http://, or let the proxy speak TLS on this port.",
};

pub(super) static CERTIFICATE: Ill = Ill {
    name: "certificate",
    what: "TLS fails, mostly because of the certificate.",
    advice: "Renew it, for this name, and put the whole chain into the proxy's file; name the file of an authority of your own with `SSL_CERT_FILE`.",
};

pub(super) static NO_TLS: Ill = Ill {
    name: "no-tls",
    what: "This build of `rollcall` cannot speak TLS.",
    advice: "Use one with the feature `webhooks`, or examine the server behind the proxy by its http URL.",
};

pub(super) static NOT_HTTP: Ill = Ill {
    name: "not-http",
    what: "What answers does not speak HTTP.",
    advice: "Is this the server's port?",
};

pub(super) static CLOCK: Ill = Ill {
    name: "clock",
    what: "The server's clock and the one here differ.",
    advice: "Let both follow NTP: since when someone plays is told by the server's.",
};

pub(super) static REDIRECTED: Ill = Ill {
    name: "redirected",
    what: "The server sends clients elsewhere, and most do not follow.",
    advice: "Give clients the URL to which it leads.",
};

pub(super) static PROXY_ERROR: Ill = Ill {
    name: "proxy-error",
    what: "The proxy answers instead of the server.",
    advice: "Is the server running, at the address that the proxy has for it?",
};

pub(super) static PROXY_PASSWORD: Ill = Ill {
    name: "proxy-password",
    what: "The proxy asks for a password of its own.",
    advice: "Let it ask for none at /socket.io/ and /api/: Rollcall asks for a key.",
};

pub(super) static QUERY_DROPPED: Ill = Ill {
    name: "query-dropped",
    what: "What stands behind the `?` does not reach the server.",
    advice: "Let the proxy pass the query on as it is.",
};

pub(super) static PATH_STRIPPED: Ill = Ill {
    name: "path-stripped",
    what: "The proxy takes /socket.io off the path.",
    advice: "Pass the path on as it is: in nginx, no slash behind the port in `proxy_pass`; in Caddy, `handle` instead of `handle_path`; in Traefik, no StripPrefix.",
};

pub(super) static PATH_ELSEWHERE: Ill = Ill {
    name: "path-elsewhere",
    what: "The endpoint is not below the path of the URL.",
    advice: "Give clients the URL without that path.",
};

pub(super) static PATH_MISSING: Ill = Ill {
    name: "path-missing",
    what: "The server answers, but not at /socket.io/.",
    advice: "Let the proxy pass /socket.io/ on to Rollcall; with `SERVER_ONLINE_ACTIVITIES_DISABLED` there is no such path.",
};

pub(super) static NOT_ROLLCALL: Ill = Ill {
    name: "not-rollcall",
    what: "Something else answers.",
    advice: "Is this the right host, and does the proxy pass /socket.io/ and /api/ on to Rollcall?",
};

pub(super) static NO_KEY: Ill = Ill {
    name: "no-key",
    what: "No key was given, so only strangers' treatment could be seen.",
    advice: "Set `ROLLCALL_KEY` or `ROLLCALL_KEY_FILE` to see whether sessions work.",
};

pub(super) static STRANGERS: Ill = Ill {
    name: "open-to-strangers",
    what: "Whoever has no key is let in.",
    advice: "GameVault does so, and so does Rollcall with `AUTH_CONNECT_PAYLOAD_ENABLED`, until the CONNECT; else ask who else answers here.",
};

pub(super) static KEY_UNKNOWN: Ill = Ill {
    name: "key-unknown",
    what: "The server does not know the key.",
    advice: "`rollcall users key NAME` prints the right one.",
};

pub(super) static KEY_NOT_PASSED: Ill = Ill {
    name: "key-not-passed",
    what: "The key does not reach the server.",
    advice: "Let the proxy pass the header `X-Api-Key` on.",
};

pub(super) static NOT_ACTIVATED: Ill = Ill {
    name: "not-activated",
    what: "The user may not come in.",
    advice: "`rollcall users activate NAME` lets the user in.",
};

pub(super) static TOO_MANY: Ill = Ill {
    name: "too-many",
    what: "This address has done too much.",
    advice: "Wait a minute. If all seem to come from the proxy's address, name the proxy in `TRUSTED_PROXIES`.",
};

pub(super) static FULL: Ill = Ill {
    name: "full",
    what: "The server takes no more.",
    advice: "Wait, or raise `ENGINE_MAX_SESSIONS`.",
};

pub(super) static POLLING_BROKEN: Ill = Ill {
    name: "polling-broken",
    what: "Long-polling does not work.",
    advice: "Let the proxy pass GET and POST on at /socket.io/, with their bodies, and keep no copies of answers.",
};

pub(super) static NOT_STICKY: Ill = Ill {
    name: "not-sticky",
    what: "Requests of one session reach different servers.",
    advice: "Run one Rollcall, which serves a whole community, and let the proxy know no other; or let it send all requests of a client to the same, and not by cookie, which few clients keep.",
};

pub(super) static BUFFERED: Ill = Ill {
    name: "buffered",
    what: "The proxy keeps answers back.",
    advice: "Let it pass them on as they come: in nginx, `proxy_buffering off`.",
};

pub(super) static UPGRADE_NOT_PASSED: Ill = Ill {
    name: "upgrade-not-passed",
    what: "The proxy does not pass the upgrade to a WebSocket on; long-polling works.",
    advice: "In nginx: `proxy_http_version 1.1`, `proxy_set_header Upgrade $http_upgrade` and `proxy_set_header Connection \"upgrade\"`; in Apache, `upgrade=websocket`.",
};

pub(super) static WEBSOCKET_BROKEN: Ill = Ill {
    name: "websocket-broken",
    what: "A WebSocket does not work, for another reason; long-polling works.",
    advice: "Look for what the proxy, or a filter before it, has against WebSockets.",
};

pub(super) static TIMEOUT_TOO_SHORT: Ill = Ill {
    name: "timeout-too-short",
    what: "The proxy does not wait for the server's ping.",
    advice: "Let it wait longer than `ENGINE_PING_INTERVAL_MS`: in nginx, `proxy_read_timeout 60s`; or lower the setting.",
};

pub(super) static ORIGIN_NOT_ALLOWED: Ill = Ill {
    name: "origin-not-allowed",
    what: "Pages of this origin may not read the answers.",
    advice: "Add it to `SERVER_CORS_ALLOWED_ORIGINS`, or leave that empty.",
};

pub(super) static PREFLIGHT: Ill = Ill {
    name: "preflight",
    what: "Browsers ask before they show a key (OPTIONS), and are not told that they may.",
    advice: "Let the proxy pass OPTIONS on, or answer it with `Access-Control-Allow-Headers: X-Api-Key`.",
};

pub(super) static CORS_TWICE: Ill = Ill {
    name: "cors-twice",
    what: "The answer says twice who may read it, which browsers refuse.",
    advice: "Let the proxy add no Access-Control headers: Rollcall has them.",
};

/// All of them as a table.
pub fn markdown() -> String {
    let mut table = String::from("| name | what is wrong | what to do |\n|---|---|---|\n");
    for Ill { name, what, advice } in ILLS {
        // Writing to a String does not fail.
        let _ = writeln!(table, "| `{name}` | {what} | {advice} |");
    }
    table
}

//! May web pages ask, and do the clocks agree?

use std::time::{Duration, SystemTime};

use super::PATIENCE;
use super::chart::Chart;
use super::ills::{CLOCK, CORS_TWICE, ORIGIN_NOT_ALLOWED, POLLING_BROKEN, PREFLIGHT};
use crate::client::{Answer, Request, Server, exchange};

/// Clocks that differ by so much differ.
const TOLERATED: Duration = Duration::from_secs(60);

/// Compares the server's clock with the one here.
pub(super) fn clock(answer: &Answer, chart: &mut Chart<'_>) {
    let date = answer.header("date");
    let Some(there) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return;
    };
    let here = SystemTime::now();
    let (difference, how) = match here.duration_since(there) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead"),
    };
    let text = format!(
        "The server's is {} {how}.",
        humantime::format_duration(Duration::from_secs(difference.as_secs()))
    );
    match difference > TOLERATED {
        true => chart.warn("clock", &CLOCK, &text),
        false => chart.ok("clock", "The server's clock and the one here agree."),
    }
}

/// Asks as a page of `origin` would.
pub(super) fn cors(server: &Server, origin: &str, chart: &mut Chart<'_>) {
    // Of a session that there is not, so none is opened.
    let target = server.endpoint("transport=polling&sid=rollcall-doctor");
    let ask = |method, headers| {
        let request = Request {
            method,
            headers,
            ..Request::get(&target)
        };
        exchange(server, request, PATIENCE)
    };
    let preflight = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "x-api-key"),
    ];
    let answers =
        ask("GET", &preflight[..1]).and_then(|get| Ok((get, ask("OPTIONS", &preflight)?)));
    let (get, options) = match answers {
        Ok(answers) => answers,
        Err(fault) => {
            chart.fail::<()>("cors", &POLLING_BROKEN, &format!("({fault}.)"));
            return;
        }
    };
    let allowed: Vec<&str> = get
        .all("access-control-allow-origin")
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    match allowed[..] {
        ["*"] => {}
        [one] if one == origin => {}
        [] | [_] => {
            let who = allowed.first().copied().unwrap_or("nobody");
            let text = format!("{who} may, and {origin} may not.");
            chart.fail::<()>("cors", &ORIGIN_NOT_ALLOWED, &text);
            return;
        }
        _ => {
            let text = format!("({}.)", allowed.join(" and "));
            chart.fail::<()>("cors", &CORS_TWICE, &text);
            return;
        }
    }
    let headers = options
        .header("access-control-allow-headers")
        .unwrap_or_default();
    let may_show_key = headers.split(',').any(|header| {
        matches!(header.trim(), "*") || header.trim().eq_ignore_ascii_case("x-api-key")
    });
    if (200..300).contains(&options.status) && may_show_key {
        chart.ok("cors", &format!("Pages of {origin} may ask, with a key."));
    } else {
        let text = format!("OPTIONS is answered by {}.", options.status);
        chart.fail::<()>("cors", &PREFLIGHT, &text);
    }
}

//! Does a WebSocket work?

use std::time::Instant;

use super::chart::Chart;
use super::ills::{UPGRADE_NOT_PASSED, WEBSOCKET_BROKEN};
use super::{PATIENCE, shown};
use crate::client::{Answer, Fault, Opened, Opening, Server, WebSocket};

/// Opens one, with a session of its own, and says something on it. Who is not let in anyway has to be turned away as one that
/// wanted a WebSocket.
pub(super) fn examine(server: &Server, is_let_in: bool, chart: &mut Chart<'_>) {
    let target = server.endpoint("transport=websocket");
    match WebSocket::open(server, &target, PATIENCE) {
        Ok(Opened::WebSocket(mut websocket)) => match converse(&mut websocket) {
            Ok(()) => chart.ok(
                "websocket",
                "A WebSocket opens, and carries packets to and fro.",
            ),
            Err(fault) => {
                let text = format!("It opens, but nothing comes of it ({fault}).");
                chart.fail::<()>("websocket", &WEBSOCKET_BROKEN, &text);
            }
        },
        Ok(Opened::Answer(answer)) => refused(&answer, is_let_in, chart),
        Err(fault) => {
            let text = format!("The request for one: {fault}.");
            chart.fail::<()>("websocket", &WEBSOCKET_BROKEN, &text);
        }
    }
}

fn converse(websocket: &mut WebSocket) -> Result<(), Fault> {
    let opening = websocket.receive(Instant::now() + PATIENCE)?;
    if Opening::read(&opening).is_none() {
        return Err(Fault::Protocol(
            "it does not begin with an open packet".to_owned(),
        ));
    }
    websocket.send("40", PATIENCE)?;
    let deadline = Instant::now() + PATIENCE;
    // With an error as well, it has come and gone.
    while !websocket.receive(deadline)?.starts_with("4") {}
    Ok(())
}

fn refused(answer: &Answer, is_let_in: bool, chart: &mut Chart<'_>) {
    // A server that sees no upgrade says so before it asks for the key; a proxy's own no is a page.
    let is_a_no = matches!(answer.status, 401 | 403 | 429 | 503) && answer.said().is_some();
    if is_a_no && !is_let_in {
        return chart.ok(
            "websocket",
            "The request for a WebSocket reaches the server as one.",
        );
    }
    let ill = match answer.status {
        401..=403 | 429 | 500.. => &WEBSOCKET_BROKEN,
        _ => &UPGRADE_NOT_PASSED,
    };
    let version = match answer.is_http_10 {
        true => ", in HTTP/1.0",
        false => "",
    };
    let text = format!(
        "The request for one is answered by {}{version}.",
        shown(answer)
    );
    chart.fail::<()>("websocket", ill, &text);
}

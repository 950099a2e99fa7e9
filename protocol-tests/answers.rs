//! Answers that come piece by piece, to those who take them and to those who do not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod support;

use bytes::Bytes;
use futures_util::stream;
use hyper::{Request, body::Incoming};
use rollcall::server::{Answer, Bounds, Handler, Limits, bind, serve, with_pieces};
use std::{
    future::{Future, pending},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use support::{Client, milliseconds, plain_request, run, until};
use tokio::{sync::mpsc, task::yield_now};

/// Answers without an end.
struct Endless {
    piece: Bytes,
    /// Says by its end that an answer is given up.
    given_up: mpsc::Sender<()>,
}

impl Handler for Endless {
    async fn handle(self: Arc<Self>, _request: Request<Incoming>, _peer: SocketAddr) -> Answer {
        let state = (self.piece.clone(), self.given_up.clone());
        let pieces = stream::unfold(state, |(piece, given_up)| async {
            yield_now().await;
            Some((piece.clone(), (piece, given_up)))
        });
        with_pieces("text/plain", pieces)
    }
}

/// A client that has asked, and what says that its answer is given up.
async fn ask(piece: &'static [u8], patience: Duration) -> (Client, impl Future<Output = ()>) {
    let listener = bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0).expect("a port");
    let address = listener.local_addr().expect("its address");
    let (given_up, mut answers) = mpsc::channel(1);
    let handler = Arc::new(Endless {
        piece: Bytes::from_static(piece),
        given_up: given_up.clone(),
    });
    tokio::spawn(async move {
        let limits = Limits {
            write_timeout: patience,
            ..Limits::default()
        };
        let bounds = Arc::new(Bounds::new(limits));
        serve(listener, handler, &bounds, pending()).await;
    });
    let mut client = Client::dial_narrow(address).await;
    client
        .write(plain_request("GET", "reader", "", 0).as_bytes())
        .await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.get("transfer-encoding"), Some("chunked"));
    assert_eq!(head.get("content-type"), Some("text/plain"));
    let ends = async move {
        // This, the handler, and the answer.
        until(|| given_up.strong_count() <= 2).await;
        answers.close();
    };
    (client, ends)
}

#[test]
fn who_takes_nothing_is_reset() {
    run(async {
        let patience = milliseconds(300);
        let (client, given_up) = ask(&[b'x'; 64 << 10], patience).await;
        let start = Instant::now();
        given_up.await;
        assert!(start.elapsed() >= patience / 2, "{:?}", start.elapsed());
        client.is_reset().await;
    });
}

#[test]
fn who_takes_a_little_now_and_then_goes_on() {
    run(async {
        let patience = milliseconds(1500);
        let (mut client, given_up) = ask(&[b'x'; 64 << 10], patience).await;
        let slow = async {
            let mut again = tokio::time::interval(milliseconds(20));
            let start = Instant::now();
            let mut read = 0;
            // Much longer than anyone may take nothing.
            while start.elapsed() < patience * 2 {
                again.tick().await;
                read += client.read().await.expect("more of the answer");
            }
            assert!(read > 0);
        };
        tokio::select! {
            () = slow => {}
            () = given_up => panic!("it was given up although it was read"),
        }
    });
}

#[test]
fn who_goes_away_is_noticed() {
    run(async {
        let (client, given_up) = ask(b"x", milliseconds(60_000)).await;
        drop(client);
        given_up.await;
    });
}

//! What a peer may cost in memory. A test binary of its own: the memory of a process is that of all tests in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use support::{CONTINUATION, FIN, Recorder, Server, Setup, TEXT, masked, run};

/// How much memory this process has used at most, in bytes.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() << 10
}

#[test]
fn a_message_in_many_fragments_costs_no_more_than_its_bytes() {
    run(async {
        let (server, _recording): (Server<Recorder>, _) = Recorder::server(Setup::default());
        let mut client = support::Client::join(server.address, "alice").await;
        let before = peak_memory();
        client.write(&masked(TEXT, b"4")).await;
        // Empty ones are free for whoever sends them, too.
        let empty = masked(CONTINUATION, b"").repeat(10_000);
        for _ in 0..30 {
            client.write(&empty).await;
        }
        let one = masked(CONTINUATION, b" ").repeat(10_000);
        client.write(&masked(CONTINUATION, b"2[\"echo\",\"")).await;
        for _ in 0..30 {
            client.write(&one).await;
        }
        client.write(&masked(FIN | CONTINUATION, b"\"]")).await;
        let echoed = client.text().await;
        assert_eq!(echoed.len(), "42[\"echo\",\"\"]".len() + 300_000);
        let grown = peak_memory() - before;
        assert!(grown < 16 << 20, "{grown} bytes more than before");
        drop(client);
        server.stop().await;
    });
}

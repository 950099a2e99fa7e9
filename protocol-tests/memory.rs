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

use std::{
    fs,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use support::{
    CONTINUATION, Client, FIN, LARGE, MANY, Recorder, Server, Setup, TEXT, large, masked,
    roomy_with_write_timeout, run, text_frame,
};

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// How much memory this process has used at most, in bytes.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() << 10
}

#[test]
fn a_message_in_many_fragments_costs_no_more_than_its_bytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(async {
        let mut setup = Setup::default();
        // A fragment counts as a message.
        setup.limits.max_messages_per_second = u32::MAX;
        let (server, _recording): (Server<Recorder>, _) = Recorder::server(setup);
        let mut client = Client::join(server.address, "alice").await;
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

#[test]
fn what_is_put_aside_costs_no_more_than_its_bytes_whatever_it_was_read_with() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(async {
        let setup = roomy_with_write_timeout(Duration::from_secs(600));
        let (server, mut recording) = Recorder::server(setup);
        let mut client = Client::dial_narrow(server.address).await;
        client.shake_hands("alice").await;
        client.connect().await;
        let socket = recording.connected().await;
        let frame = large(LARGE);
        for _ in 0..MANY * 5 {
            socket.send(frame.clone());
        }
        // It says nothing at length, and right behind that something that is put aside.
        let nothing = text_frame(&format!("6{}", "x".repeat(900_000)));
        let pair = [nothing, text_frame("42[\"note\"]")].concat();
        client.write(&pair).await;
        let before = peak_memory();
        for _ in 0..60 {
            client.write(&pair).await;
        }
        let grown = peak_memory() - before;
        assert!(grown < 16 << 20, "{grown} bytes more than before");
    });
}

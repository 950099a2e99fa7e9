//! A connection in memory, with hyper at its other end: one client at a time, and no clock that has to pass.

use futures_util::FutureExt;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rollcall::server::Answer;
use std::{convert::Infallible, future::Future};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    runtime::{Builder, Runtime},
    task::yield_now,
};

/// More than is ever said.
const ROOM: usize = 1 << 20;

/// How often the tasks at the other end get their turn before they count as waiting for something.
const TURNS: usize = 8;

/// A runtime of its own for each input: whatever is left of its tasks ends with it.
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// The client's end.
pub struct Connection(DuplexStream);

impl Connection {
    /// Opens a connection whose requests go to `handle`.
    pub fn open<F>(handle: impl Fn(Request<Incoming>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (ours, theirs) = duplex(ROOM);
        let service = service_fn(move |request| {
            let answer = handle(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
        tokio::spawn(connection.with_upgrades());
        Self(ours)
    }

    /// Says something, and lets the other end do what it does about it. It may have ended.
    pub async fn say(&mut self, bytes: &[u8]) {
        let _ended = self.0.write_all(bytes).await;
        for _ in 0..TURNS {
            yield_now().await;
        }
    }

    /// What was answered so far.
    pub fn hear(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        // Nothing is worth to wait for: all that is to happen has.
        while let Some(read) = self.0.read_buf(&mut heard).now_or_never() {
            if read.expect("memory") == 0 {
                break;
            }
        }
        heard
    }

    /// Says no more, and hears all to the end.
    pub async fn end(mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        self.0.shutdown().await.expect("memory");
        self.0.read_to_end(&mut heard).await.expect("memory");
        heard
    }
}

/// A frame as a client sends it, with a mask that changes nothing.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = match length {
        0..126 => vec![first, 0x80 | length as u8],
        _ => [&[first, 0xfe][..], &(length as u16).to_be_bytes()].concat(),
    };
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The frames that a server has sent, each with its first byte. All have to be whole, and none is masked.
pub fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let Some(([first, short], behind)) = rest.split_first_chunk() {
        let (length, behind) = match short {
            0..126 => (u64::from(*short), behind),
            126 => {
                let (length, behind) = behind.split_first_chunk().expect("a length");
                (u64::from(u16::from_be_bytes(*length)), behind)
            }
            127 => {
                let (length, behind) = behind.split_first_chunk().expect("a length");
                (u64::from_be_bytes(*length), behind)
            }
            128.. => panic!("a server masks nothing"),
        };
        let (payload, behind) = behind.split_at_checked(length as usize).expect("a payload");
        frames.push((*first, payload.to_vec()));
        rest = behind;
    }
    assert!(rest.is_empty(), "half a frame");
    frames
}

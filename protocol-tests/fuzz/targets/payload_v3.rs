//! The body of a POST in version 3, as text and as bytes, against another reader; what is read is written again, and the
//! same; and what is cut off says no more than the whole.

use super::{
    Target,
    by_hand::{self, Said},
    fixtures,
    payload_v4::{is_limited, said},
    reading::{read, survives_as},
};
use rollcall::engineio::{Revision, payload::PayloadError};

pub const TARGET: Target = Target {
    name: "payload_v3",
    run,
    seeds,
    words: &[
        "1:6",
        "0:",
        "b4",
        "\u{0}\u{1}",
        "18446744073709551616:",
        "😀",
        "6:b4AQID",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    let payloads = fixtures::payloads(3).into_iter();
    fixtures::small(payloads.map(|(body, _)| body))
}

fn run(body: &[u8]) {
    for is_binary in [false, true] {
        survives_as(Revision::V3, is_binary, body);
        let (packets, error) = read(Revision::V3, is_binary, body);
        let (expected, is_refused) = match is_binary {
            false => by_hand::payload_v3(body),
            true => by_hand::payload_v3_binary(body),
        };
        let all: Vec<Said> = packets.iter().map(said).collect();
        assert_eq!((all, error.is_some()), (expected, is_refused), "{error:?}");
        is_limited(Revision::V3, is_binary, body);
        // A text that is not UTF-8 is refused as a whole, and may be better without its end.
        if is_binary || error != Some(PayloadError::Utf8) {
            let (cut_off, _) = read(Revision::V3, is_binary, &body[..body.len() / 2]);
            assert!(packets.starts_with(&cut_off), "{cut_off:?} of {packets:?}");
        }
    }
}

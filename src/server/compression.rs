//! The answers to polls, and the client bundle, compressed for clients that take that.
//!
//! Only there: a WebSocket's messages stay as they are, and so does what is too small to gain anything.

use super::{Answer, Body};
use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Body as _,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY},
};
use std::{
    io::{self, Write},
    sync::OnceLock,
};

/// The fastest: a payload is read once and thrown away. The usual level takes 73% off a large snapshot and seven
/// times as long as this one, which takes off 71%.
const LEVEL: Compression = Compression::fast();

/// A way to compress that HTTP has a name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    /// The zlib format: HTTP says deflate, and means this.
    Deflate,
}

/// A body that many ask for, in every form that somebody has taken.
#[derive(Debug, Default)]
pub(super) struct Forms {
    gzip: OnceLock<Bytes>,
    deflate: OnceLock<Bytes>,
}

/// The answer to a poll, in the coding that its client accepts, if it is large and gets smaller.
pub(super) fn compressed(
    accepted: Option<Coding>,
    from_bytes: Option<usize>,
    answer: Answer,
) -> Answer {
    compressed_by(accepted, from_bytes, answer, Coding::encode)
}

/// The same for an answer whose body is always the one that `forms` are of: no form of it is made twice.
pub(super) fn compressed_once(
    accepted: Option<Coding>,
    from_bytes: Option<usize>,
    answer: Answer,
    forms: &Forms,
) -> Answer {
    compressed_by(accepted, from_bytes, answer, |coding, body| {
        let form = forms.of(coding);
        if let Some(made) = form.get() {
            return Ok(made.clone());
        }
        // Of two who come first at once, each makes it, and one is kept.
        let made = coding.encode(body)?;
        Ok(form.get_or_init(|| made).clone())
    })
}

fn compressed_by(
    accepted: Option<Coding>,
    from_bytes: Option<usize>,
    answer: Answer,
    encode: impl FnOnce(Coding, &[u8]) -> io::Result<Bytes>,
) -> Answer {
    let size = answer.body().size_hint().lower();
    let is_large = from_bytes.is_some_and(|least| size >= least as u64);
    if !is_large || answer.status() != StatusCode::OK {
        return answer;
    }
    let Some(coding) = accepted else {
        return answer;
    };
    let (mut head, body) = answer.into_parts();
    let mut body = match body {
        Body::Whole(body) => body.into_inner().unwrap_or_default(),
        Body::Pieces(_) => return Response::from_parts(head, body),
    };
    match encode(coding, &body) {
        Ok(smaller) if smaller.len() < body.len() => {
            body = smaller;
            let name = HeaderValue::from_static(coding.name());
            head.headers.insert(CONTENT_ENCODING, name);
            let reason = HeaderValue::from_static("Accept-Encoding");
            head.headers.append(VARY, reason);
        }
        Ok(_) => {}
        Err(error) => log::error!("an answer cannot be compressed: {error}"),
    }
    Response::from_parts(head, body.into())
}

impl Forms {
    fn of(&self, coding: Coding) -> &OnceLock<Bytes> {
        match coding {
            Coding::Gzip => &self.gzip,
            Coding::Deflate => &self.deflate,
        }
    }
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The one that the client with these headers likes best, gzip if it likes both alike.
    pub(super) fn accepted(asked: &HeaderMap) -> Option<Self> {
        let gzip = quality(asked, Self::Gzip.name());
        let deflate = quality(asked, Self::Deflate.name());
        if gzip.max(deflate) <= 0.0 {
            None
        } else if gzip >= deflate {
            Some(Self::Gzip)
        } else {
            Some(Self::Deflate)
        }
    }

    fn encode(self, plain: &[u8]) -> io::Result<Bytes> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
                encoder.write_all(plain)?;
                encoder.finish().map(Bytes::from)
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), LEVEL);
                encoder.write_all(plain)?;
                encoder.finish().map(Bytes::from)
            }
        }
    }
}

/// How much the client wants a coding, from 0, not at all, to 1 (RFC 9110, "Accept-Encoding").
fn quality(asked: &HeaderMap, coding: &str) -> f32 {
    let of = |wanted: &str| {
        asked
            .get_all(ACCEPT_ENCODING)
            .iter()
            // What is not text names no coding.
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(|entry| entry.split_once(';').unwrap_or((entry, "q=1")))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, weight)| self::weight(weight))
    };
    of(coding).or_else(|| of("*")).unwrap_or(0.0)
}

/// The number in `q=0.5`. Who writes something else is not understood, and gets what everyone understands.
fn weight(parameter: &str) -> f32 {
    parameter
        .split_once('=')
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .and_then(|(_, number)| number.trim().parse().ok())
        .filter(|number| (0.0..=1.0).contains(number))
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::answer;
    use flate2::read::{GzDecoder, ZlibDecoder};
    use std::{error::Error, io::Read};

    /// What a version 3 client with binary payloads gets for `plain`, and whether it is compressed.
    fn answered(plain: &Bytes, coding: &'static str) -> (Vec<u8>, bool) {
        let mut asked = HeaderMap::new();
        asked.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
        let kind = "application/octet-stream";
        let plain = answer::with_body(StatusCode::OK, kind, plain.clone());
        let (head, body) = compressed(Coding::accepted(&asked), Some(1024), plain).into_parts();
        let is_compressed = head.headers.contains_key(CONTENT_ENCODING);
        let body = match body {
            Body::Whole(body) => body.into_inner().unwrap_or_default(),
            Body::Pieces(_) => Bytes::new(),
        };
        (body.to_vec(), is_compressed)
    }

    #[test]
    fn bytes_that_are_no_text_are_compressed_unless_they_would_grow() -> Result<(), Box<dyn Error>>
    {
        let regular = Bytes::from_iter((0..=255).cycle().take(100_000));
        let (gzip, is_compressed) = answered(&regular, "gzip");
        assert!(is_compressed && gzip.len() < 10_000);
        let mut read = Vec::new();
        GzDecoder::new(&*gzip).read_to_end(&mut read)?;
        assert_eq!(read, regular);

        let (deflate, is_compressed) = answered(&regular, "deflate");
        assert!(is_compressed && deflate.len() < 10_000);
        let mut read = Vec::new();
        ZlibDecoder::new(&*deflate).read_to_end(&mut read)?;
        assert_eq!(read, regular);

        let mut random = vec![0; 100_000];
        getrandom::fill(&mut random)?;
        assert_eq!(answered(&random.clone().into(), "gzip"), (random, false));
        Ok(())
    }
}

//! Placeholders: where in a packet's JSON its attachments belong.
//!
//! In JSON an attachment is `{"_placeholder":true,"num":0}` (Socket.IO protocol, "Packet encoding"), at any depth.
//! Here the text is looked through without recursion, so that nothing overflows whatever a stranger has nested.

use bytes::Bytes;
use std::{borrow::Cow, ops::Range};

/// One placeholder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placeholder {
    /// Where it stands.
    span: Range<usize>,
    /// Which attachment it stands for. None: no number that could be one.
    num: Option<usize>,
}

/// Containers lie deeper in each other than the limit allows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

enum Container {
    Array,
    Object {
        start: usize,
        is_placeholder: bool,
        num: Option<usize>,
    },
}

/// The placeholders in `json`, which has to be valid JSON with at most `max_depth` containers around anything.
pub(super) fn find(json: &str, max_depth: usize) -> Result<Vec<Placeholder>, TooDeep> {
    let bytes = json.as_bytes();
    let mut found: Vec<Placeholder> = Vec::new();
    let mut around = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'[' => around.push(Container::Array),
            b'{' => around.push(Container::Object {
                start: at,
                is_placeholder: false,
                num: None,
            }),
            b']' | b'}' => {
                if let Some(Container::Object {
                    start,
                    is_placeholder: true,
                    num,
                }) = around.pop()
                {
                    // What is in a placeholder goes with it.
                    while found.last().is_some_and(|inner| inner.span.start > start) {
                        found.pop();
                    }
                    let span = start..at + 1;
                    found.push(Placeholder { span, num });
                }
            }
            b'"' => {
                let end = string_end(bytes, at);
                let value = skip(bytes, end, b" \t\n\r:");
                let is_key = bytes.get(end..value).is_some_and(|gap| gap.contains(&b':'));
                if is_key
                    && let Some(Container::Object {
                        is_placeholder,
                        num,
                        ..
                    }) = around.last_mut()
                {
                    let value = json.get(value..).unwrap_or_default();
                    match &*key(json.get(at..end).unwrap_or_default()) {
                        "_placeholder" => *is_placeholder = value.starts_with("true"),
                        "num" => *num = whole_number(value),
                        _ => {}
                    }
                }
                at = end;
                continue;
            }
            _ => {}
        }
        if around.len() > max_depth {
            return Err(TooDeep);
        }
        at += 1;
    }
    Ok(found)
}

/// Whether every placeholder stands for one of so many attachments.
pub(super) fn all_point_into(found: &[Placeholder], attachments: usize) -> bool {
    let is_one = |placeholder: &Placeholder| placeholder.num.is_some_and(|num| num < attachments);
    found.iter().all(is_one)
}

/// How often one attachment may be filled in. Each time is a copy, and a placeholder costs its sender nothing.
const MAX_COPIES: u8 = 2;

/// The JSON with the attachments in their places, as arrays of numbers: the only form of bytes in JSON that every
/// type of bytes can be read from. None: one would have to be there more than twice.
pub(super) fn fill<'a>(json: &'a str, attachments: &[Bytes]) -> Option<Cow<'a, str>> {
    if attachments.is_empty() {
        return Some(Cow::Borrowed(json));
    }
    // The depth was judged when the packet came.
    let found = find(json, usize::MAX).unwrap_or_default();
    let mut attachments: Vec<_> = attachments.iter().map(|bytes| (bytes, 0)).collect();
    let mut filled = String::with_capacity(json.len());
    let mut done = 0;
    for Placeholder { span, num } in found {
        filled.push_str(json.get(done..span.start).unwrap_or_default());
        done = span.end;
        let (bytes, copies) = attachments.get_mut(num?)?;
        *copies += 1;
        if *copies > MAX_COPIES {
            return None;
        }
        filled.push('[');
        for byte in &**bytes {
            push_number(&mut filled, *byte);
            filled.push(',');
        }
        // The last comma, if there is one.
        if !bytes.is_empty() {
            filled.pop();
        }
        filled.push(']');
    }
    filled.push_str(json.get(done..).unwrap_or_default());
    Some(Cow::Owned(filled))
}

/// Many times faster than `write!`, and there may be millions.
fn push_number(text: &mut String, number: u8) {
    let digit = |value: u8| char::from(b'0' + value % 10);
    if number >= 100 {
        text.push(digit(number / 100));
    }
    if number >= 10 {
        text.push(digit(number / 10));
    }
    text.push(digit(number));
}

/// Where the string ends that begins at `start`: behind its closing quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') | None => return at + 1,
            Some(_) => at += 1,
        }
    }
}

/// The first place from `at` on with none of `bytes_to_skip`.
fn skip(bytes: &[u8], at: usize, bytes_to_skip: &[u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let skipped = rest.iter().take_while(|byte| bytes_to_skip.contains(byte));
    at + skipped.count()
}

/// The name in a quoted key.
fn key(quoted: &str) -> Cow<'_, str> {
    if quoted.contains('\\') {
        // Half a surrogate is no name that matters here.
        return serde_json::from_str(quoted).map_or(Cow::Borrowed(""), Cow::Owned);
    }
    Cow::Borrowed(quoted.trim_matches('"'))
}

/// The number that `json` begins with, if it is one of 0, 1, 2 and so on.
fn whole_number(json: &str) -> Option<usize> {
    // No further than a number goes: what is nested in a `num` has others in it, which are looked at in their turn.
    let rest = json.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.eE".contains(c));
    let number: f64 = json.get(..json.len() - rest.len())?.parse().ok()?;
    // A count of attachments is small; what is beyond belongs to none.
    let is_whole = number.fract() == 0.0 && (0.0..256.0).contains(&number);
    is_whole.then_some(number as usize)
}

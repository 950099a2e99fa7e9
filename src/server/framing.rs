//! The framing: where WebSocket messages begin and end in the bytes that come in.
//!
//! tungstenite keeps what it has of a message to itself, and whoever sends half of one could have it kept for
//! as long as he likes. So [`Decoder`](super::decoder::Decoder) lets the headers be followed here.

use std::mem;

/// The last fragment of a message (RFC 6455, 5.2).
const FIN: u8 = 0x80;

/// A control frame: it may stand between two fragments, and belongs to neither.
const CONTROL: u8 = 0x08;

/// In the second byte of a header: the payload is masked, by four bytes that stand in front of it.
const MASKED: u8 = 0x80;

/// Follows the headers of frames, and passes over their payloads. Whether they keep the rules is
/// tungstenite's to say: if they do not, the session ends, whatever was made of them here.
#[derive(Debug, Default)]
pub(super) struct Framing {
    next: Next,
    /// A message has begun, and its last fragment has not.
    is_fragmented: bool,
    /// How many messages have ended, and control frames outside of one. It may wrap.
    ended: u32,
    /// How many frames have ended that were no message's last, since that was asked.
    others: usize,
}

/// What comes next. `first` is the first byte of the frame.
#[derive(Debug, Default, Clone, Copy)]
enum Next {
    /// A frame.
    #[default]
    First,
    /// The second byte of its header.
    Second { first: u8 },
    /// So many bytes more of the length of its payload.
    Length {
        first: u8,
        mask: u8,
        missing: u8,
        length: u64,
    },
    /// So many bytes more of the frame.
    Rest { first: u8, missing: u64 },
}

impl Framing {
    /// Goes on over what has arrived.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while let [byte, behind @ ..] = bytes {
            let next = match self.next {
                Next::First => Next::Second { first: *byte },
                Next::Second { first } => {
                    let mask = if byte & MASKED == 0 { 0 } else { 4 };
                    let length = |missing| Next::Length {
                        first,
                        mask,
                        missing,
                        length: 0,
                    };
                    match byte & !MASKED {
                        126 => length(2),
                        127 => length(8),
                        short => Next::Rest {
                            first,
                            missing: u64::from(short) + u64::from(mask),
                        },
                    }
                }
                Next::Length {
                    first,
                    mask,
                    missing,
                    length,
                } => {
                    let length = length << 8 | u64::from(*byte);
                    match missing {
                        2.. => Next::Length {
                            first,
                            mask,
                            missing: missing - 1,
                            length,
                        },
                        _ => Next::Rest {
                            first,
                            missing: length.saturating_add(u64::from(mask)),
                        },
                    }
                }
                Next::Rest { first, missing } => Next::Rest {
                    first,
                    missing: missing - 1,
                },
            };
            bytes = behind;
            self.next = self.pass_over(next, &mut bytes);
        }
    }

    /// Passes over what has arrived of the frame's payload, and notes its end.
    fn pass_over(&mut self, next: Next, bytes: &mut &[u8]) -> Next {
        let Next::Rest { first, missing } = next else {
            return next;
        };
        let arrived = usize::try_from(missing).map_or(bytes.len(), |end| end.min(bytes.len()));
        *bytes = bytes.get(arrived..).unwrap_or_default();
        let missing = missing - arrived as u64;
        if missing > 0 {
            return Next::Rest { first, missing };
        }
        let is_control = first & CONTROL != 0;
        if !is_control {
            self.is_fragmented = first & FIN == 0;
        }
        self.others += usize::from(is_control || self.is_fragmented);
        if !self.is_fragmented {
            self.ended = self.ended.wrapping_add(1);
        }
        Next::First
    }

    /// How many frames have ended since this was asked last that are no message's last: control frames, and fragments.
    pub(super) fn take_others(&mut self) -> usize {
        mem::take(&mut self.others)
    }

    /// The number of the message that has begun and has not ended, if there is one. A control frame outside
    /// of a message counts as one.
    pub(super) fn unfinished(&self) -> Option<u32> {
        let is_between = !self.is_fragmented && matches!(self.next, Next::First);
        (!is_between).then_some(self.ended)
    }
}

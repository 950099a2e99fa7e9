//! What the wire says, read a second time and in another way than the product does it: simple, slow, and from the same rules.

/// A packet: its type, and what it carries. `b` is a message of bytes.
pub type Said = (u8, Vec<u8>);

/// Base64 as RFC 4648 has it: padded, and nothing in the bits that are left over.
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<4>() else {
        return None;
    };
    let mut data = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        let is_last = place + 1 == groups.len();
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > if is_last { 2 } else { 0 } {
            return None;
        }
        let mut bits = 0_u32;
        for byte in &group[..4 - padding] {
            bits = bits << 6 | six_bits(*byte)?;
        }
        let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
        let (kept, left_over) = bytes.split_at(3 - padding);
        if left_over.iter().any(|byte| *byte != 0) {
            return None;
        }
        data.extend(kept);
    }
    Some(data)
}

fn six_bits(digit: u8) -> Option<u32> {
    Some(match digit {
        b'A'..=b'Z' => u32::from(digit - b'A'),
        b'a'..=b'z' => u32::from(digit - b'a') + 26,
        b'0'..=b'9' => u32::from(digit - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// A packet of version 4 as text.
pub fn packet_v4(text: &[u8]) -> Option<Said> {
    let (kind, data) = text.split_first()?;
    match kind {
        b'0' | b'2' | b'3' | b'4' => Some((*kind, data.to_vec())),
        b'1' | b'5' | b'6' => Some((*kind, Vec::new())),
        b'b' => Some((b'b', base64(data)?)),
        _ => None,
    }
}

/// A packet of version 3 as text.
pub fn packet_v3(text: &[u8]) -> Option<Said> {
    match text {
        [b'b', b'4', data @ ..] => Some((b'b', base64(data)?)),
        [b'b', ..] => None,
        _ => packet_v4(text),
    }
}

/// Packets in order, and whether something else follows them.
pub type Payload = (Vec<Said>, bool);

/// A payload of version 4.
pub fn payload_v4(body: &[u8]) -> Payload {
    if std::str::from_utf8(body).is_err() {
        return (Vec::new(), true);
    }
    let mut packets = Vec::new();
    for piece in body.split(|byte| *byte == 0x1e) {
        match packet_v4(piece) {
            Some(packet) => packets.push(packet),
            None => return (packets, true),
        }
    }
    (packets, false)
}

/// A payload of version 3 as text: by the code units of UTF-16, as JavaScript has it.
pub fn payload_v3(body: &[u8]) -> Payload {
    let mut packets = Vec::new();
    let Ok(text) = std::str::from_utf8(body) else {
        return (packets, true);
    };
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut rest = units.as_slice();
    let mut is_refused = rest.is_empty();
    while !rest.is_empty() && !is_refused {
        match counted_packet(rest) {
            Some((packet, behind)) => {
                packets.extend(packet);
                rest = behind;
            }
            None => is_refused = true,
        }
    }
    (packets, is_refused)
}

/// The first packet, none if it is empty, and what stands behind it.
fn counted_packet(units: &[u16]) -> Option<(Option<Said>, &[u16])> {
    let is_space = |unit: &u16| {
        [b' ', b'\t', b'\n', b'\r', 0x0c]
            .map(u16::from)
            .contains(unit)
    };
    let spaces = units.iter().take_while(|unit| is_space(unit)).count();
    let behind = &units[spaces..];
    let colon = behind.iter().position(|unit| *unit == u16::from(b':'))?;
    let (digits, behind) = (&behind[..colon], &behind[colon + 1..]);
    let length = number(digits.iter().map(|unit| unit.wrapping_sub(u16::from(b'0'))))?;
    if length > behind.len() {
        return None;
    }
    let (packet, behind) = behind.split_at(length);
    let text = String::from_utf16(packet).ok()?;
    if text.is_empty() {
        return Some((None, behind));
    }
    Some((Some(packet_v3(text.as_bytes())?), behind))
}

/// A binary payload of version 3.
pub fn payload_v3_binary(body: &[u8]) -> Payload {
    let (mut packets, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        match binary_packet(rest) {
            Some((packet, behind)) => {
                packets.push(packet);
                rest = behind;
            }
            None => return (packets, true),
        }
    }
    (packets, false)
}

fn binary_packet(bytes: &[u8]) -> Option<(Said, &[u8])> {
    let (kind, bytes) = bytes.split_first()?;
    let end = bytes.iter().position(|byte| *byte == 0xff)?;
    let digits = &bytes[..end];
    if *kind > 1 || digits.len() > 310 {
        return None;
    }
    let length = number(digits.iter().map(|digit| u16::from(*digit)))?;
    let behind = &bytes[end + 1..];
    if length > behind.len() {
        return None;
    }
    let (packet, behind) = behind.split_at(length);
    let packet = match (kind, packet) {
        (0, text) => packet_v3(std::str::from_utf8(text).ok()?.as_bytes())?,
        (_, [4, data @ ..]) => (b'b', data.to_vec()),
        _ => return None,
    };
    Some((packet, behind))
}

/// The number that these digits are, of which there has to be one.
fn number(digits: impl Iterator<Item = u16>) -> Option<usize> {
    let mut number = None;
    for digit in digits {
        if digit > 9 {
            return None;
        }
        let before: usize = number.unwrap_or(0);
        number = Some(before.saturating_mul(10).saturating_add(digit.into()));
    }
    number
}

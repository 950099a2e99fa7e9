//! What stands in the tables of `fixtures/`; `fixtures/README.md` says how.

// Each test uses a part of this.
#![allow(dead_code)]

use serde_json::Value;

/// A body, and whether its content type says that it is binary.
pub fn bytes(body: &Value) -> (Vec<u8>, bool) {
    if let Some(hex) = body.get("binary") {
        (unhex(&text(hex)), true)
    } else if let Some(hex) = body.get("bytes") {
        (unhex(&text(hex)), false)
    } else {
        (text(body).into_bytes(), false)
    }
}

pub fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex
        .chars()
        .map(|digit| digit.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    let (pairs, []) = digits.as_chunks() else {
        panic!("half a byte in {hex}");
    };
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}

/// A text, or strings in a row where a number says how often the string before it stands.
pub fn text(text: &Value) -> String {
    let Some(parts) = text.get("repeat") else {
        return text.as_str().expect("a text").to_owned();
    };
    let mut expanded = String::new();
    let mut last = "";
    for part in parts.as_array().expect("a list of strings and numbers") {
        match part {
            Value::String(string) => {
                last = string;
                expanded.push_str(string);
            }
            count => {
                let count = count.as_u64().expect("how often") as usize;
                expanded.push_str(&last.repeat(count.checked_sub(1).expect("at least once")));
            }
        }
    }
    expanded
}
